/*
 * The tree against what Kafka's own metadata shell printed of the same checkpoints, line by line,
 * and what is ours: documents, the names of older documentation, names of default quotas.
 */
#include "tests/unit/metadata/shell/snapshot_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct lines {
    char **items;
    size_t count, capacity;
};

static void lines_release(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i]);
    free(lines->items);
}

static size_t indent_of(const char *line)
{
    return strspn(line, " ");
}

/* The lines behind "$ tree /image". Quotas of default entities are shown under wrong names there;
 * without the part that shows quotas the rest can be compared. */
static void read_tree(const char *file_name, struct lines *lines)
{
    FILE *file = fopen(file_name, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t capacity = 0;
    bool inside = false, quotas = false;
    while (getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '$')
            inside = strcmp(line, "$ tree /image") == 0;
        if (!inside || line[0] == '$' || line[0] == '\0')
            continue;
        if (indent_of(line) == 0)
            quotas = strcmp(line, "clientQuotas:") == 0;
        if (!quotas)
            VEC_PUSH(lines->items, lines->count, lines->capacity) = mem_strdup(line);
    }
    free(line);
    fclose(file);
}

static void render(struct lines *lines, const struct shell_node *node, size_t depth)
{
    struct shell_names names;
    struct arena arena;
    if (!shell_is_folder(node)) {
        struct bytebuf text;
        bytebuf_init(&text);
        shell_text(node, &text);
        VEC_PUSH(lines->items, lines->count, lines->capacity) =
            mem_printf("%*s%.*s", (int)depth * 2, "", (int)text.len, (const char *)text.data);
        bytebuf_release(&text);
        return;
    }
    arena_init(&arena, 0);
    shell_list(node, false, &arena, &names);
    for (size_t i = 0; i < names.count; i++) {
        struct shell_node child;
        if (depth == 0 && str_eq_z(names.items[i], "clientQuotas"))
            continue;
        VEC_PUSH(lines->items, lines->count, lines->capacity) =
            mem_printf("%*s%.*s:", (int)depth * 2, "", STR_FMT(names.items[i]));
        assert_true(shell_child(node, names.items[i], &child));
        render(lines, &child, depth + 1);
    }
    arena_release(&arena);
}

static bool compare(const char *folder, const char *shell_text_file, size_t at_least)
{
    struct snapshot_view v;
    struct lines theirs = {0}, ours = {0};
    struct shell_node node;
    if (!snapshot_view_init(&v, folder))
        return false;
    read_tree(shell_text_file, &theirs);
    assert_true(node_at(&v.view, "/image", &node));
    render(&ours, &node, 0);
    assert_true(theirs.count >= at_least);
    for (size_t i = 0; i < ours.count && i < theirs.count; i++)
        assert_string_equal(ours.items[i], theirs.items[i]);
    assert_int_equal(ours.count, theirs.count);
    lines_release(&theirs);
    lines_release(&ours);
    snapshot_view_release(&v);
    return true;
}

#define SINGLE TEST_DATA "/metadata/single-clean"

static void the_tree_is_the_one_kafka_shows(void **state)
{
    assert_true(compare(SINGLE, SINGLE "/metadata-shell.txt", 400));
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
        if (!compare(folder, text, 30))
            print_message("%s is not there, skipped\n", folder);
        free(folder);
        free(text);
    }
}

static struct snapshot_view single;

static int open_single(void **state)
{
    return snapshot_view_init(&single, SINGLE) ? 0 : -1;
}

static int close_single(void **state)
{
    snapshot_view_release(&single);
    return 0;
}

static void expect_text(const char *path, const char *expected)
{
    struct shell_node node;
    struct bytebuf text;
    bytebuf_init(&text);
    assert_true(node_at(&single.view, path, &node));
    assert_false(shell_is_folder(&node));
    shell_text(&node, &text);
    bytebuf_append(&text, "", 1);
    assert_string_equal((const char *)text.data, expected);
    bytebuf_release(&text);
}

static void expect_json(const char *path, const char *expected)
{
    struct shell_node node;
    assert_true(node_at(&single.view, path, &node));
    json_t *json = shell_json(&node);
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void expect_names(const char *path, bool all, const char *expected)
{
    struct shell_node node;
    struct shell_names names;
    struct arena arena;
    arena_init(&arena, 0);
    assert_true(node_at(&single.view, path, &node));
    shell_list(&node, all, &arena, &names);
    struct str text = STR_EMPTY;
    for (size_t i = 0; i < names.count; i++)
        text = arena_printf(&arena, "%.*s%s%.*s", STR_FMT(text), i ? " " : "",
                            STR_FMT(names.items[i]));
    assert_string_equal(arena_str_z(&arena, text), expected);
    arena_release(&arena);
}

static void default_quotas_have_names_of_their_own(void **state)
{
    expect_names("/image/clientQuotas", false,
                 "clientId(<default>)_user(alice) clientId(cli-\xc3\xa9) ip(127.0.0.1) "
                 "ip(<default>) user(<default>) user(alice)");
    expect_text("/image/clientQuotas/user(<default>)/consumer_byte_rate", "1.0E9");
    expect_text("/image/clientQuotas/clientId(<default>)_user(alice)/controller_mutation_rate",
                "33.0");
    expect_text("/image/clientQuotas/user(alice)_clientId(<default>)/controller_mutation_rate",
                "33.0");
    expect_json("/image/clientQuotas/user(alice)/producer_byte_rate", "1048576.0");
    struct shell_node node;
    static const char *const missing[] = {"user(bob)",
                                          "user(alice",
                                          "user(alice)_",
                                          "user(\\<default>)",
                                          "",
                                          "user(alice)x",
                                          "user(alice)_user(alice)_user(alice)_user(alice)"};
    for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
        struct shell_node quotas;
        assert_true(node_at(&single.view, "/image/clientQuotas", &quotas));
        assert_false(shell_child(&quotas, str_of(missing[i]), &node));
    }
}

static void leaves_are_documents_too(void **state)
{
    expect_json("/image/features/metadataVersion", "\"4.4-IV2\"");
    expect_json("/image/features/finalized_share.version", "2");
    expect_json("/image/producerIds/nextProducerId", "2000");
    expect_json("/image/configs/TOPIC:txn/segment.ms", "\"60000\"");
    expect_json("/image/topics/byName/txn/0",
                "{\"replicas\":[1],\"directories\":[\"nDvJaeyl85FBVvSMylRiXA\"],\"isr\":[],"
                "\"removingReplicas\":[],\"addingReplicas\":[],\"elr\":[1],\"lastKnownElr\":[1],"
                "\"leader\":-1,\"leaderRecoveryState\":\"RECOVERED\",\"leaderEpoch\":3,"
                "\"partitionEpoch\":3}");
    expect_json("/image/acls/byId/3ag00bmvTYGvSrdNeybc8g",
                "{\"resourceType\":\"TOPIC\",\"resourceName\":\"codec-\",\"patternType\":"
                "\"PREFIXED\",\"principal\":\"User:bob\",\"host\":\"10.0.0.7\",\"operation\":"
                "\"WRITE\",\"permissionType\":\"DENY\"}");
    expect_json("/image/delegationToken/QrBqHAKpRwmJ3vuClIGIbw",
                "{\"tokenId\":\"QrBqHAKpRwmJ3vuClIGIbw\",\"owner\":\"User:alice\","
                "\"tokenRequester\":\"User:alice\",\"renewers\":[\"User:bob\"],\"issueTimestamp\":"
                "1795249876287,\"maxTimestamp\":1795849876287,\"expiryTimestamp\":1795336277893}");
}

static void older_documentation_finds_its_paths(void **state)
{
    expect_names("/", false, "image local");
    expect_names("/", true,
                 "brokers client-quotas configs features image local metadataQuorum producerIds "
                 "topicIds topics");
    expect_names("/brokers/1", false, "isFenced registration");
    expect_text("/brokers/1/isFenced", "false");
    expect_text("/features/metadata.version", "33");
    expect_text("/producerIds/nextBlockStartId", "2000");
    expect_text("/configs/topic/txn/segment.ms", "60000");
    expect_text("/configs/broker/<default>/max.connections.per.ip", "1000");
    expect_text("/client-quotas/client-id/<default>/user/alice/controller_mutation_rate", "33.0");
    expect_text("/client-quotas/user/alice/producer_byte_rate", "1048576.0");
    expect_text("/metadataQuorum/leader", "LeaderAndEpoch(leaderId=OptionalInt.empty, epoch=2)");
    expect_text("/metadataQuorum/offset", "705");
    expect_text("/topics/txn/0/data", "{\n"
                                      "  \"partitionId\" : 0,\n"
                                      "  \"topicId\" : \"i4qBvjwvT8m91b4_Npx97A\",\n"
                                      "  \"replicas\" : [ 1 ],\n"
                                      "  \"isr\" : [ ],\n"
                                      "  \"removingReplicas\" : [ ],\n"
                                      "  \"addingReplicas\" : [ ],\n"
                                      "  \"leader\" : -1,\n"
                                      "  \"leaderEpoch\" : 3,\n"
                                      "  \"partitionEpoch\" : 3,\n"
                                      "  \"directories\" : [ \"nDvJaeyl85FBVvSMylRiXA\" ],\n"
                                      "  \"eligibleLeaderReplicas\" : [ 1 ],\n"
                                      "  \"lastKnownElr\" : [ 1 ]\n"
                                      "}");
}

static void what_is_not_there_is_not_found(void **state)
{
    struct shell_node node;
    static const char *const paths[] = {
        "/nope",
        "/image/topics/byName/nope",
        "/image/topics/byName/txn/2",
        "/image/topics/byName/txn/x",
        "/image/topics/byId/nope",
        "/image/topics/byId/AAAAAAAAAAAAAAAAAAAAAA",
        "/image/features/finalized_nope",
        "/image/features/finalized_metadata.version",
        "/image/configs/TOPIC",
        "/image/configs/TOPICS:x",
        "/image/cluster/brokers/9",
        "/image/cluster/controllers/x",
        "/image/scram/SCRAM-SHA-1",
        "/image/scram/SCRAM-SHA-256/bob",
        "/image/provenance/x",
        "/topics/txn/0/date",
        "/metadataQuorum/voters/1",
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_false(node_at(&single.view, paths[i], &node));
}

static void times_have_as_many_digits_as_it_takes(void **state)
{
    struct shell_view view = single.view;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{1795250079680, "offset 157, epoch 2, time 2026-11-21T08:34:39.68Z[UTC]"},
                 {1795250079000, "offset 157, epoch 2, time 2026-11-21T08:34:39Z[UTC]"},
                 {1795250040007, "offset 157, epoch 2, time 2026-11-21T08:34:00.007Z[UTC]"},
                 {-1, "offset 157, epoch 2, time 1969-12-31T23:59:59.999Z[UTC]"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        single.view.timestamp_ms = cases[i].ms;
        expect_text("/image/provenance", cases[i].text);
    }
    single.view = view;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_is_the_one_kafka_shows),
        cmocka_unit_test(trees_of_all_recorded_clusters),
        cmocka_unit_test_setup_teardown(default_quotas_have_names_of_their_own, open_single,
                                        close_single),
        cmocka_unit_test_setup_teardown(leaves_are_documents_too, open_single, close_single),
        cmocka_unit_test_setup_teardown(older_documentation_finds_its_paths, open_single,
                                        close_single),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_found, open_single, close_single),
        cmocka_unit_test_setup_teardown(times_have_as_many_digits_as_it_takes, open_single,
                                        close_single),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
