/*
 * The image against what Kafka's own metadata shell printed of the same checkpoint: every path
 * below acls, cluster, configs, features, producerIds, scram and topics, with its value.
 */
#include "metadata/feature.h"
#include "metadata/loader.h"
#include "tests/unit/metadata/metadata_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct lines {
    struct arena *arena;
    char **items;
    size_t count, capacity;
};

__attribute__((format(printf, 2, 3))) static void add(struct lines *lines, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    VEC_PUSH(lines->items, lines->count, lines->capacity) = arena_str_z(lines->arena, str_of(text));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* --- the shell's tree: two spaces for each level; a line that ends in ':' is a folder ----------
 */

static bool compared(const char *path)
{
    static const char *const roots[] = {"acls/",        "cluster/", "configs/", "features/",
                                        "producerIds/", "scram/",   "topics/"};
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        if (strncmp(path, roots[i], strlen(roots[i])) == 0)
            return true;
    }
    return false;
}

static void read_tree(const char *file_name, struct lines *lines)
{
    FILE *file = fopen(file_name, "r");
    assert_non_null(file);
    char *line = NULL, *folders[16] = {0};
    size_t capacity = 0;
    bool inside = false;
    while (getline(&line, &capacity, file) > 0) {
        size_t len = strcspn(line, "\n"), indent = strspn(line, " ");
        line[len] = '\0';
        if (line[0] == '$')
            inside = strcmp(line, "$ tree /image") == 0;
        if (!inside || line[0] == '$' || len == 0)
            continue;
        size_t depth = indent / 2;
        assert_true(depth < ARRAY_LEN(folders));
        if (line[len - 1] == ':') {
            folders[depth] = arena_str_z(lines->arena, str_from(line + indent, len - indent - 1));
            continue;
        }
        char path[2048] = "";
        for (size_t i = 0; i < depth; i++) {
            strncat(path, folders[i], sizeof(path) - strlen(path) - 2);
            strncat(path, "/", sizeof(path) - strlen(path) - 1);
        }
        if (compared(path))
            add(lines, "%s= %s", path, line + indent);
    }
    free(line);
    fclose(file);
}

/* --- the image in the same words -------------------------------------------------------------- */

static const char *text_of_nodes(struct arena *arena, struct node_list list)
{
    struct str text = STR("[");
    for (int32_t i = 0; i < list.count; i++)
        text = arena_printf(arena, "%.*s%s%d", STR_FMT(text), i ? ", " : "", list.ids[i]);
    return arena_printf(arena, "%.*s]", STR_FMT(text)).data;
}

static const char *text_of_ids(struct arena *arena, const struct uuid *ids, int32_t count)
{
    struct str text = STR("[");
    for (int32_t i = 0; i < count; i++)
        text = arena_printf(arena, "%.*s%s%s", STR_FMT(text), i ? ", " : "", uuid_text(ids[i]).z);
    return arena_printf(arena, "%.*s]", STR_FMT(text)).data;
}

static const char *text_of_hex(struct arena *arena, struct bytes bytes)
{
    struct str text = STR_EMPTY;
    for (int32_t i = 0; i < bytes.len; i++)
        text = arena_printf(arena, "%.*s%02x", STR_FMT(text), bytes.data[i]);
    return text.data;
}

static void render_topic(struct lines *lines, const char *folder, const struct topic_image *topic,
                         const char *name)
{
    struct arena *arena = lines->arena;
    struct pmap_iter iter;
    pmap_iter_first(&iter, topic->partitions);
    for (const struct partition_image *p; (p = pmap_iter_next(&iter)) != NULL;)
        add(lines,
            "topics/%s/%s/%d/= PartitionRegistration(replicas=%s, directories=%s, isr=%s, "
            "removingReplicas=%s, addingReplicas=%s, elr=%s, lastKnownElr=%s, leader=%d, "
            "leaderRecoveryState=%s, leaderEpoch=%d, partitionEpoch=%d)",
            folder, name, p->id, text_of_nodes(arena, partition_replicas(p)),
            text_of_ids(arena, partition_directories(p), p->replica_count),
            text_of_nodes(arena, partition_isr(p)), text_of_nodes(arena, partition_removing(p)),
            text_of_nodes(arena, partition_adding(p)), text_of_nodes(arena, partition_elr(p)),
            text_of_nodes(arena, partition_last_known_elr(p)), p->leader,
            p->recovery_state ? "RECOVERING" : "RECOVERED", p->leader_epoch, p->partition_epoch);
    add(lines, "topics/%s/%s/id/= %s", folder, name, uuid_text(topic->id).z);
    add(lines, "topics/%s/%s/name/= %.*s", folder, name, STR_FMT(topic_name(topic)));
}

static void render_topics(struct lines *lines, const struct topics_image *topics)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, topics->by_name);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&iter)) != NULL;) {
        render_topic(lines, "byId", topic, uuid_text(topic->id).z);
        render_topic(lines, "byName", topic, arena_str_z(lines->arena, topic_name(topic)));
    }
}

static const char *render_endpoints(struct arena *arena, const struct endpoint_image *endpoints,
                                    int32_t count)
{
    static const char *const protocols[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};
    struct str text = STR_EMPTY;
    for (int32_t i = 0; i < count; i++)
        text = arena_printf(
            arena, "%.*s%sEndpoint(listenerName='%.*s', securityProtocol=%s, host='%.*s', port=%d)",
            STR_FMT(text), i ? ", " : "", STR_FMT(endpoints[i].name),
            protocols[endpoints[i].security_protocol], STR_FMT(endpoints[i].host),
            endpoints[i].port);
    return text.data;
}

static const char *render_features(struct arena *arena, const struct feature_range *features,
                                   int32_t count)
{
    struct str text = STR_EMPTY;
    for (int32_t i = 0; i < count; i++) {
        text = arena_printf(arena, "%.*s%s%.*s: %d", STR_FMT(text), i ? ", " : "",
                            STR_FMT(features[i].name), features[i].min);
        if (features[i].max != features[i].min)
            text = arena_printf(arena, "%.*s-%d", STR_FMT(text), features[i].max);
    }
    return text.data;
}

static void render_cluster(struct lines *lines, const struct cluster_image *cluster)
{
    struct arena *arena = lines->arena;
    struct pmap_iter iter;
    pmap_iter_first(&iter, cluster->brokers);
    for (const struct broker_image *b; (b = pmap_iter_next(&iter)) != NULL;)
        add(lines,
            "cluster/brokers/%d/= BrokerRegistration(id=%d, epoch=%lld, incarnationId=%s, "
            "listeners=[%s], supportedFeatures={%s}, rack=Optional%s%.*s%s, fenced=%s, "
            "inControlledShutdown=%s, isMigratingZkBroker=%s, directories=%s, "
            "cordonedDirectories=%s)",
            b->id, b->id, (long long)b->epoch, uuid_text(b->incarnation_id).z,
            render_endpoints(arena, b->endpoints, b->endpoint_count),
            render_features(arena, b->features, b->feature_count),
            str_is_null(b->rack) ? ".empty" : "[", STR_FMT(b->rack),
            str_is_null(b->rack) ? "" : "]", b->fenced ? "true" : "false",
            b->in_controlled_shutdown ? "true" : "false", b->migrating_zk ? "true" : "false",
            text_of_ids(arena, b->directories, b->directory_count),
            text_of_ids(arena, b->cordoned, b->cordoned_count));
    pmap_iter_first(&iter, cluster->controllers);
    for (const struct controller_image *c; (c = pmap_iter_next(&iter)) != NULL;)
        add(lines,
            "cluster/controllers/%d/= ControllerRegistration(id=%d, incarnationId=%s, "
            "zkMigrationReady=%s, listeners=[%s], supportedFeatures={%s})",
            c->id, c->id, uuid_text(c->incarnation_id).z, c->zk_migration_ready ? "true" : "false",
            render_endpoints(arena, c->endpoints, c->endpoint_count),
            render_features(arena, c->features, c->feature_count));
}

static void render_configs(struct lines *lines, const struct configs_image *configs)
{
    static const char *const types[] = {
        "", "TOPIC", "BROKER", "BROKER_LOGGER", "CLIENT_METRICS", "GROUP"};
    for (int type = 0; type < CONFIG_RESOURCE_TYPES; type++) {
        struct pmap_iter iter;
        pmap_iter_first(&iter, configs->by_type[type]);
        for (const struct config_image *config; (config = pmap_iter_next(&iter)) != NULL;) {
            for (int32_t i = 0; i < config->count; i++)
                add(lines, "configs/%s%s%.*s/%.*s/= %.*s", types[type], config->name.len ? ":" : "",
                    STR_FMT(config->name), STR_FMT(config->entries[i].key),
                    STR_FMT(config->entries[i].value));
        }
    }
}

static void render_security(struct lines *lines, const struct image *image)
{
    static const char *const resources[] = {"UNKNOWN", "ANY",     "TOPIC",
                                            "GROUP",   "CLUSTER", "TRANSACTIONAL_ID"};
    static const char *const patterns[] = {"UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"};
    static const char *const operations[] = {"UNKNOWN", "ANY",    "ALL",   "READ",    "WRITE",
                                             "CREATE",  "DELETE", "ALTER", "DESCRIBE"};
    static const char *const permissions[] = {"UNKNOWN", "ANY", "DENY", "ALLOW"};
    struct pmap_iter iter;
    pmap_iter_first(&iter, image->acls.by_id);
    for (const struct acl_image *a; (a = pmap_iter_next(&iter)) != NULL;)
        add(lines,
            "acls/byId/%s/= StandardAcl[resourceType=%s, resourceName=%.*s, patternType=%s, "
            "principal=%.*s, host=%.*s, operation=%s, permissionType=%s]",
            uuid_text(a->id).z, resources[a->resource_type], STR_FMT(a->resource_name),
            patterns[a->pattern_type], STR_FMT(a->principal), STR_FMT(a->host),
            operations[a->operation], permissions[a->permission_type]);
    for (int m = SCRAM_SHA_256; m <= SCRAM_SHA_512; m++) {
        pmap_iter_first(&iter, image->scram.by_mechanism[m]);
        for (const struct scram_credential_image *c; (c = pmap_iter_next(&iter)) != NULL;)
            add(lines,
                "scram/SCRAM-SHA-%s/%.*s/= ScramCredentialData(salt=%s, storedKey=%s, "
                "serverKey=%s, iterations=%d)",
                m == SCRAM_SHA_256 ? "256" : "512", STR_FMT(c->user),
                text_of_hex(lines->arena, c->salt), text_of_hex(lines->arena, c->stored_key),
                text_of_hex(lines->arena, c->server_key), c->iterations);
    }
}

static void render(struct lines *lines, const struct image *image)
{
    struct pmap_iter iter;
    render_topics(lines, &image->topics);
    render_cluster(lines, &image->cluster);
    render_configs(lines, &image->configs);
    render_security(lines, image);
    pmap_iter_first(&iter, image->features.by_name);
    for (const struct feature_image *f; (f = pmap_iter_next(&iter)) != NULL;) {
        if (str_eq(f->name, STR(FEATURE_METADATA_VERSION)))
            add(lines, "features/metadataVersion/= Optional[%s]",
                metadata_version_find(f->level)->name);
        else
            add(lines, "features/finalized_%.*s/= %d", STR_FMT(f->name), f->level);
    }
    if (image->next_producer_id > 0)
        add(lines, "producerIds/nextProducerId/= %lld", (long long)image->next_producer_id);
}

static void compare(const char *folder, const char *shell_text, size_t at_least)
{
    struct metadata_dir dir;
    if (!metadata_dir_read(&dir, folder)) {
        print_message("%s is not there, skipped\n", folder);
        return;
    }
    struct image_chain *chain = image_chain_new(false);
    struct loader loader;
    struct arena arena;
    const struct image_delta *delta;
    const struct checkpoint_file *newest = &dir.checkpoints[dir.count - 1];
    arena_init(&arena, 0);
    loader_init(&loader, chain);
    assert_int_equal(loader_snapshot_begin(&loader), 0);
    assert_int_equal(loader_snapshot_add(&loader, bytebuf_bytes(&newest->bytes)), 0);
    assert_int_equal(loader_snapshot_end(&loader, newest->end_offset, newest->epoch, &delta), 0);
    struct lines theirs = {.arena = &arena}, ours = {.arena = &arena};
    read_tree(shell_text, &theirs);
    render(&ours, image_chain_published(chain));
    qsort(theirs.items, theirs.count, sizeof(char *), by_text);
    qsort(ours.items, ours.count, sizeof(char *), by_text);
    assert_true(theirs.count >= at_least);
    for (size_t i = 0; i < ours.count && i < theirs.count; i++)
        assert_string_equal(ours.items[i], theirs.items[i]);
    assert_int_equal(ours.count, theirs.count);
    free(theirs.items);
    free(ours.items);
    loader_release(&loader);
    image_chain_free(chain);
    arena_release(&arena);
    metadata_dir_release(&dir);
}

static void the_tree_is_the_one_kafka_shows(void **state)
{
    compare(TEST_DATA "/metadata/single-clean",
            TEST_DATA "/metadata/single-clean/metadata-shell.txt", 250);
}

static void trees_of_all_recorded_clusters(void **state)
{
    static const char *const dirs[][2] = {
        {"single-clean", ""},         {"single-killed", ""},        {"jbod", "/d1"},
        {"three-static", "/node-1"},  {"three-static", "/node-2"},  {"three-static", "/node-3"},
        {"three-dynamic", "/node-1"}, {"three-dynamic", "/node-2"}, {"three-dynamic", "/node-3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        char *folder = mem_printf(SHARED_DATA "/kafka-data/log-dirs/%s%s/__cluster_metadata-0",
                                  dirs[i][0], dirs[i][1]);
        char *text =
            mem_printf(SHARED_DATA
                       "/kafka-data/log-dirs/%s.expected%s/__cluster_metadata-0.metadata-shell.txt",
                       dirs[i][0], dirs[i][1]);
        compare(folder, text, 10);
        free(folder);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_is_the_one_kafka_shows),
        cmocka_unit_test(trees_of_all_recorded_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
