/*
 * Random admin operations and failures against a controller. After each: a follower that saw only
 * bytes holds the same image (controller_harness.h), a mirror that was fed with deltas only knows
 * the same partitions, and what must hold for every partition holds. Now and then the image goes
 * through a snapshot, and proposals are lost with the leadership.
 */
#include "common/base/map.h"
#include "common/protocol/kafka_error.h"
#include "tests/unit/metadata/controller/controller_partitions.h"

#define BROKERS 5
#define NAMES   12

/* What deltas say: partition epoch + 1 by topic id and partition. */
struct mirror {
    struct map partitions;
    struct image_reader reader;
    const struct image *image;
};

static void mirror_follow(struct mirror *m, const struct image *next)
{
    struct image_delta *delta = image_delta_new(m->image, next);
    for (size_t i = 0; i < delta->partitions.count; i++) {
        const struct partition_delta *d = &delta->partitions.items[i];
        const struct partition_image *p = d->after ? d->after : d->before;
        struct map_key key = map_key_uuid_int(d->topic->id, p->id);
        if (d->after)
            map_put(&m->partitions, key, (void *)((uintptr_t)d->after->partition_epoch + 1));
        else
            assert_non_null(map_remove(&m->partitions, key));
    }
    image_delta_free(delta);
    m->image = next;
    image_reader_advance(&m->reader, next);
}

static bool may_be_in_isr(const struct image *image, int32_t id)
{
    const struct broker_image *broker = cluster_image_broker(&image->cluster, id);
    return broker && !broker->fenced && !broker->in_controlled_shutdown;
}

static void check_partition(const struct image *image, const struct topic_image *topic,
                            const struct partition_image *p)
{
    struct node_list replicas = partition_replicas(p), isr = partition_isr(p);
    struct node_list elr = partition_elr(p);
    assert_true(p->replica_count > 0);
    assert_true(p->leader == -1 || node_list_contains(isr, p->leader));
    assert_true(isr.count > 0 || p->leader == -1);
    for (int32_t i = 0; i < isr.count; i++) {
        assert_true(node_list_contains(replicas, isr.ids[i]));
        assert_false(node_list_contains(elr, isr.ids[i]));
        if (!may_be_in_isr(image, isr.ids[i]))
            fail_msg("%.*s-%d has fenced broker %d in its ISR", STR_FMT(topic_name(topic)), p->id,
                     isr.ids[i]);
    }
    for (int32_t i = 0; i < elr.count; i++)
        assert_true(node_list_contains(replicas, elr.ids[i]));
    for (int32_t i = 0; i < p->adding_count; i++)
        assert_true(node_list_contains(replicas, partition_adding(p).ids[i]));
    for (int32_t i = 0; i < p->removing_count; i++)
        assert_true(node_list_contains(replicas, partition_removing(p).ids[i]));
    for (int32_t i = 0; i < replicas.count; i++)
        assert_false(node_list_contains((struct node_list){replicas.ids, i}, replicas.ids[i]));
    assert_true(p->last_known_elr_count <= 1);
    assert_true(p->last_known_elr_count == 0 || p->leader == -1);
}

/* The index of hosted partitions, against all replicas. */
static void check_hosted(const struct image *image, uint32_t replicas)
{
    uint32_t hosted_count = 0;
    struct pmap_iter iter;
    pmap_iter_first(&iter, image->topics.hosted);
    for (const struct hosted_image *hosted; (hosted = pmap_iter_next(&iter)) != NULL;) {
        const struct topic_image *topic =
            topics_image_find_id(&image->topics, hosted_image_topic_id(hosted));
        assert_non_null(topic);
        for (int32_t i = 0; i < hosted->count; i++) {
            const struct partition_image *p = topic_image_partition(topic, hosted->partitions[i]);
            assert_non_null(p);
            assert_true(node_list_contains(partition_replicas(p), hosted_image_broker(hosted)));
            assert_true(i == 0 || hosted->partitions[i - 1] < hosted->partitions[i]);
        }
        hosted_count += (uint32_t)hosted->count;
    }
    assert_int_equal(hosted_count, replicas);
}

/* The index of unsettled partitions, against all partitions. */
static void check_unsettled(const struct image *image, uint32_t unsettled)
{
    struct pmap_iter iter;
    assert_int_equal(image->topics.unsettled.count, unsettled);
    topics_image_unsettled(&image->topics, UUID_ZERO, 0, &iter);
    for (const struct unsettled_image *at; (at = pmap_iter_next(&iter)) != NULL;) {
        const struct topic_image *topic =
            topics_image_find_id(&image->topics, unsettled_image_topic_id(at));
        assert_non_null(topic);
        const struct partition_image *p =
            topic_image_partition(topic, unsettled_image_partition(at));
        assert_non_null(p);
        assert_true(p->leader != p->nodes[0] || partition_is_reassigning(p));
    }
}

static void check_image(const struct harness *h, const struct mirror *m)
{
    const struct image *image = harness_image(h);
    uint32_t partitions = 0, replicas = 0, unsettled = 0;
    struct pmap_iter topics;
    pmap_iter_first(&topics, image->topics.by_name);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&topics)) != NULL;) {
        assert_ptr_equal(topics_image_find_id(&image->topics, topic->id), topic);
        struct pmap_iter iter;
        pmap_iter_first(&iter, topic->partitions);
        int32_t next = 0;
        for (const struct partition_image *p; (p = pmap_iter_next(&iter)) != NULL;) {
            assert_int_equal(p->id, next++);
            check_partition(image, topic, p);
            replicas += p->replica_count;
            unsettled += p->leader != p->nodes[0] || partition_is_reassigning(p);
            void *seen = map_get(&m->partitions, map_key_uuid_int(topic->id, p->id));
            assert_int_equal((uintptr_t)seen, (uintptr_t)p->partition_epoch + 1);
        }
        partitions += (uint32_t)next;
    }
    assert_int_equal(partitions, image->topics.partition_count);
    assert_int_equal(partitions, m->partitions.count);
    assert_int_equal(image->topics.by_name.count, image->topics.by_id.count);
    check_hosted(image, replicas);
    check_unsettled(image, unsettled);
    struct pmap_iter configs;
    pmap_iter_first(&configs, configs_image_of_type(&image->configs, CONFIG_RESOURCE_TOPIC));
    for (const struct config_image *config; (config = pmap_iter_next(&configs)) != NULL;)
        assert_non_null(topics_image_find(&image->topics, config->name));
}

static int collect(void *ctx, struct bytes batch)
{
    bytebuf_append(ctx, batch.data, (size_t)batch.len);
    return 0;
}

static void check_snapshot(const struct harness *h)
{
    struct bytebuf bytes;
    struct image_chain *chain = image_chain_new(true);
    struct loader loader;
    const struct image_delta *delta;
    int64_t next;
    const struct image *image = harness_image(h);
    bytebuf_init(&bytes);
    loader_init(&loader, chain);
    struct snapshot_options options = {.write = collect, .ctx = &bytes};
    assert_int_equal(snapshot_write(image, &options, &next), 0);
    assert_int_equal(loader_snapshot_begin(&loader), 0);
    struct bytes run = {bytes.data, (int32_t)bytes.len};
    assert_int_equal(loader_snapshot_add(&loader, run), 0);
    assert_int_equal(loader_snapshot_end(&loader, image->offset + 1, 1, &delta), 0);
    assert_true(image_equal(image, image_chain_published(chain)));
    assert_int_equal(delta->partitions.count, image->topics.partition_count);
    loader_release(&loader);
    image_chain_free(chain);
    bytebuf_release(&bytes);
}

/* --- operations ----------------------------------------------------------------------------- */

static struct str random_name(struct harness *h)
{
    return arena_printf(&h->arena, "%s.%u", harness_below(h, 2) ? "topic" : "a",
                        harness_below(h, NAMES));
}

static void create_some(struct harness *h)
{
    struct create_topics_request request;
    struct create_topics_response response;
    message_init(&create_topics_request_desc, &request);
    request.topics_count = 1 + (int32_t)harness_below(h, 3);
    request.topics =
        MESSAGE_ARRAY(&h->arena, create_topics_request_creatable_topic, request.topics_count);
    request.validate_only = harness_below(h, 10) == 0;
    for (int32_t i = 0; i < request.topics_count; i++) {
        request.topics[i].name = random_name(h);
        request.topics[i].num_partitions = 1 + (int32_t)harness_below(h, 6);
        request.topics[i].replication_factor = (int16_t)(1 + harness_below(h, 4));
        if (harness_below(h, 3) > 0)
            continue;
        request.topics[i].configs_count = 1;
        request.topics[i].configs =
            MESSAGE_ARRAY(&h->arena, create_topics_request_creatable_topic_config, 1);
        request.topics[i].configs[0].name = STR("min.insync.replicas");
        request.topics[i].configs[0].value = harness_below(h, 2) ? STR("2") : STR("3");
    }
    controller_create_topics(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
}

static void delete_some(struct harness *h)
{
    struct delete_topics_request request;
    struct delete_topics_response response;
    struct str names[] = {random_name(h), random_name(h)};
    message_init(&delete_topics_request_desc, &request);
    request.topic_names = names;
    request.topic_names_count = 2;
    request.timeout_ms = 1000;
    controller_delete_topics(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
}

static void grow_one(struct harness *h)
{
    struct create_partitions_request request;
    struct create_partitions_response response;
    message_init(&create_partitions_request_desc, &request);
    request.topics_count = 1;
    request.topics = MESSAGE_ARRAY(&h->arena, create_partitions_request_create_partitions_topic, 1);
    request.topics[0].name = random_name(h);
    request.topics[0].count = 1 + (int32_t)harness_below(h, 12);
    request.topics[0].assignments_count = -1;
    request.timeout_ms = 1000;
    controller_create_partitions(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
}

static void alter_one(struct harness *h)
{
    static const char *const keys[] = {"min.insync.replicas", "retention.ms", "cleanup.policy",
                                       "unclean.leader.election.enable"};
    static const char *const values[] = {"1", "2", "compact", "true"};
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    message_init(&incremental_alter_configs_request_desc, &request);
    request.resources_count = 1;
    request.resources =
        MESSAGE_ARRAY(&h->arena, incremental_alter_configs_request_alter_configs_resource, 1);
    request.resources[0].resource_type = CONFIG_RESOURCE_TOPIC;
    request.resources[0].resource_name = random_name(h);
    if (harness_below(h, 6) == 0) {
        request.resources[0].resource_type = CONFIG_RESOURCE_BROKER;
        request.resources[0].resource_name = STR_EMPTY;
    }
    request.resources[0].configs_count = 1;
    request.resources[0].configs =
        MESSAGE_ARRAY(&h->arena, incremental_alter_configs_request_alterable_config, 1);
    uint32_t which = harness_below(h, ARRAY_LEN(keys));
    request.resources[0].configs[0].name = str_of(keys[which]);
    request.resources[0].configs[0].value = str_of(values[which]);
    request.resources[0].configs[0].config_operation = (int8_t)harness_below(h, 2);
    controller_incremental_alter_configs(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
}

static void broker_event(struct harness *h)
{
    int32_t id = 1 + (int32_t)harness_below(h, BROKERS);
    const struct broker_image *broker = cluster_image_broker(&harness_image(h)->cluster, id);
    if (!broker || harness_below(h, 4) == 0) {
        struct broker_registration_request request = harness_registration(
            h, id, 1 + (int)harness_below(h, 2), harness_below(h, 2) ? "r1" : "r2");
        struct broker_registration_response response;
        if (broker && harness_below(h, 2))
            request.previous_broker_epoch = broker->epoch;
        controller_broker_registration(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    } else if (harness_below(h, 20) == 0) {
        struct unregister_broker_request request = {.broker_id = id};
        struct unregister_broker_response response;
        controller_unregister_broker(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    } else {
        harness_heartbeat(h, id, harness_below(h, 12) == 0, harness_below(h, 8) == 0);
        h->result = (struct controller_result){0};
    }
}

/* NULL when no topic is found. */
static const struct partition_image *random_partition(struct harness *h,
                                                      const struct topic_image **ret_topic)
{
    const struct topic_image *topic = topics_image_find(&harness_image(h)->topics, random_name(h));
    *ret_topic = topic;
    return topic ? topic_image_partition(topic, (int32_t)harness_below(h, topic->partitions.count))
                 : NULL;
}

static struct node_list random_brokers(struct harness *h)
{
    int32_t *ids = ARENA_ARRAY(&h->arena, int32_t, BROKERS), count = 0;
    for (int32_t id = 1; id <= BROKERS; id++) {
        if (harness_below(h, 2))
            ids[count++] = id;
    }
    for (int32_t i = count - 1; i > 0; i--) {
        int32_t k = (int32_t)harness_below(h, (uint32_t)i + 1), kept = ids[i];
        ids[i] = ids[k];
        ids[k] = kept;
    }
    return (struct node_list){ids, count};
}

/* A leader takes in whom it can, loses somebody, or asks for what it may not. */
static void change_isr(struct harness *h)
{
    const struct topic_image *topic;
    struct alter_partition_response response;
    const struct partition_image *p = random_partition(h, &topic);
    if (!p)
        return;
    struct node_list isr = random_brokers(h);
    if (harness_below(h, 4) > 0) { /* something that may be */
        int32_t *ids = ARENA_ARRAY(&h->arena, int32_t, p->replica_count), count = 0;
        for (int32_t i = 0; i < p->replica_count; i++) {
            if (p->nodes[i] == p->leader ||
                (may_be_in_isr(harness_image(h), p->nodes[i]) && harness_below(h, 3) > 0))
                ids[count++] = p->nodes[i];
        }
        isr = (struct node_list){ids, count};
    }
    struct alter_partition_request request = harness_isr_request(h, topic, p, isr);
    if (harness_below(h, 8) == 0)
        request.topics[0].partitions[0].partition_epoch--;
    if (harness_below(h, 3) == 0 && isr.count == 1)
        request.topics[0].partitions[0].leader_recovery_state = LEADER_RECOVERED;
    controller_alter_partition(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
}

static void reassign_one(struct harness *h)
{
    const struct topic_image *topic;
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_response response;
    const struct partition_image *p = random_partition(h, &topic);
    if (!p)
        return;
    message_init(&alter_partition_reassignments_request_desc, &request);
    request.topics_count = 1;
    request.topics =
        MESSAGE_ARRAY(&h->arena, alter_partition_reassignments_request_reassignable_topic, 1);
    request.topics[0].name = topic_name(topic);
    request.topics[0].partitions_count = 1;
    request.topics[0].partitions =
        MESSAGE_ARRAY(&h->arena, alter_partition_reassignments_request_reassignable_partition, 1);
    struct node_list target = random_brokers(h);
    request.topics[0].partitions[0].partition_index = p->id;
    request.topics[0].partitions[0].replicas = (int32_t *)(uintptr_t)target.ids;
    request.topics[0].partitions[0].replicas_count = harness_below(h, 3) ? target.count : -1;
    controller_alter_partition_reassignments(h->c, &h->ctx, &request, &h->arena, &response,
                                             &h->result);
}

static void elect_some(struct harness *h)
{
    struct elect_leaders_request request;
    struct elect_leaders_response response;
    message_init(&elect_leaders_request_desc, &request);
    request.election_type = (int8_t)harness_below(h, 2);
    request.topic_partitions_count = -1;
    controller_elect_leaders(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
}

static void assign_directory(struct harness *h)
{
    const struct topic_image *topic;
    struct assign_replicas_to_dirs_request request;
    struct assign_replicas_to_dirs_response response;
    int32_t id = 1 + (int32_t)harness_below(h, BROKERS);
    const struct broker_image *broker = cluster_image_broker(&harness_image(h)->cluster, id);
    const struct partition_image *p = random_partition(h, &topic);
    if (!p || !broker)
        return;
    message_init(&assign_replicas_to_dirs_request_desc, &request);
    request.broker_id = id;
    request.broker_epoch = broker->epoch;
    request.directories_count = 1;
    request.directories =
        MESSAGE_ARRAY(&h->arena, assign_replicas_to_dirs_request_directory_data, 1);
    request.directories[0].id = harness_directory(id, (int)harness_below(h, 2));
    request.directories[0].topics_count = 1;
    request.directories[0].topics =
        MESSAGE_ARRAY(&h->arena, assign_replicas_to_dirs_request_topic_data, 1);
    request.directories[0].topics[0].topic_id = topic->id;
    request.directories[0].topics[0].partitions_count = 1;
    request.directories[0].topics[0].partitions =
        MESSAGE_ARRAY(&h->arena, assign_replicas_to_dirs_request_partition_data, 1);
    request.directories[0].topics[0].partitions[0].partition_index = p->id;
    controller_assign_replicas_to_dirs(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
}

static void pass_time(struct harness *h)
{
    int64_t next_ms;
    h->ctx.now_ms += harness_below(h, 5000);
    controller_tick(h->c, &h->ctx, &h->arena, &h->result, &next_ms);
}

static void decide(struct harness *h)
{
    h->result = (struct controller_result){0};
    switch (harness_below(h, 17)) {
    case 0:
    case 1:
        create_some(h);
        return;
    case 2:
        delete_some(h);
        return;
    case 3:
        grow_one(h);
        return;
    case 4:
        alter_one(h);
        return;
    case 5:
        pass_time(h);
        return;
    case 6:
    case 7:
    case 8:
        change_isr(h);
        return;
    case 9:
    case 10:
        reassign_one(h);
        return;
    case 11:
        elect_some(h);
        return;
    case 12:
        assign_directory(h);
        return;
    default:
        broker_event(h);
        return;
    }
}

/* Decided on and proposed, then lost: as if it had never been. */
static void lose_leadership(struct harness *h)
{
    struct metadata_records none = {0};
    const char *reason;
    struct image before = *image_chain_published(h->chain);
    for (int i = 0; i < 3; i++) {
        create_some(h);
        if (h->result.records.count > 0)
            controller_propose(h->c, &h->result, controller_image(h->c)->offset + 1, 0);
    }
    controller_deactivate(h->c);
    assert_true(image_equal(&before, controller_image(h->c)));
    assert_int_equal(h->loader.next_offset, h->ctx.next_offset);
    assert_int_equal(controller_activate(h->c, &h->ctx, 1, &none, &h->arena, &h->result, &reason),
                     0);
    assert_int_equal(h->result.records.count, 0);
}

static void run(uint64_t seed, int steps)
{
    struct harness h;
    struct mirror mirror;
    harness_init(&h);
    h.random_state = seed * 7919 + 1;
    map_init(&mirror.partitions, MAP_UUID);
    mirror.image = image_reader_add(h.chain, &mirror.reader);
    for (int32_t id = 1; id <= BROKERS; id++)
        harness_add_broker(&h, id, 1 + id % 2, id % 2 ? "r1" : "r2");
    for (int step = 0; step < steps; step++) {
        decide(&h);
        harness_commit(&h);
        if (harness_below(&h, 3) == 0) { /* a reader may skip images */
            mirror_follow(&mirror, image_chain_published(h.chain));
            check_image(&h, &mirror);
        }
        if (harness_below(&h, 40) == 0)
            check_snapshot(&h);
        if (harness_below(&h, 40) == 0)
            lose_leadership(&h);
        arena_reset(&h.arena);
    }
    mirror_follow(&mirror, image_chain_published(h.chain));
    check_image(&h, &mirror);
    image_reader_remove(h.chain, &mirror.reader);
    map_release(&mirror.partitions);
    harness_release(&h);
}

static void random_operations(void **state)
{
    const char *seeds = getenv("TEST_SEEDS");
    int count = seeds ? (int)strtol(seeds, NULL, 10) : 25;
    for (int seed = 0; seed < count; seed++)
        run((uint64_t)seed, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
