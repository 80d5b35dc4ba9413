#include "common/protocol/kafka_error.h"
#include "tests/unit/metadata/controller/controller_cluster.h"

static struct str feature_at(const struct metadata_records *records, size_t i, int16_t *ret_level)
{
    assert_int_equal(records->items[i].key, METADATA_FEATURE_LEVEL_RECORD);
    const struct feature_level_record *record = records->items[i].data;
    *ret_level = record->feature_level;
    return record->name;
}

/* The first records of Kafka 4.4's own log. */
static void an_empty_log_gets_kafkas_bootstrap_records(void **state)
{
    static const struct {
        const char *name;
        int16_t level;
    } features[] = {
        {"metadata.version", 33}, {"eligible.leader.replicas.version", 1},
        {"group.version", 1},     {"share.version", 2},
        {"streams.version", 1},   {"transaction.version", 2},
    };
    struct harness h;
    harness_init(&h);
    assert_int_equal(h.last.count, 9);
    assert_int_equal(h.last.items[0].key, METADATA_BEGIN_TRANSACTION_RECORD);
    const struct begin_transaction_record *begin = h.last.items[0].data;
    assert_true(str_eq(begin->name, STR("Bootstrap records")));
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        int16_t level;
        struct str name = feature_at(&h.last, i + 1, &level);
        assert_true(str_eq_z(name, features[i].name));
        assert_int_equal(level, features[i].level);
    }
    const struct config_record *config = h.last.items[7].data;
    assert_int_equal(h.last.items[7].key, METADATA_CONFIG_RECORD);
    assert_int_equal(config->resource_type, CONFIG_RESOURCE_BROKER);
    assert_true(str_eq(config->resource_name, STR_EMPTY));
    assert_true(str_eq(config->name, STR("min.insync.replicas")));
    assert_true(str_eq(config->value, STR("1")));
    assert_int_equal(h.last.items[8].key, METADATA_END_TRANSACTION_RECORD);
    harness_release(&h);
}

static struct str min_isr_is_two(void *ctx, struct str name)
{
    return str_eq(name, STR("min.insync.replicas")) ? STR("2") : STR_NULL;
}

static void bootstrap_follows_choices_and_settings(void **state)
{
    struct harness h;
    struct metadata_records bootstrap = {0};
    const char *reason;
    struct feature_choice choices[] = {{STR(FEATURE_SHARE_VERSION), 0},
                                       {STR(FEATURE_GROUP_VERSION), -1}};
    harness_init_empty(&h);
    controller_free(h.c);
    h.config.static_config = min_isr_is_two;
    h.c = controller_new(&h.config, &h.loader);
    controller_bootstrap_records(METADATA_VERSION_LATEST, choices, 2, &h.arena, &bootstrap);
    assert_int_equal(controller_activate(h.c, &h.ctx, 1, &bootstrap, &h.arena, &h.result, &reason),
                     0);
    harness_commit(&h);
    const struct image *image = harness_image(&h);
    assert_int_equal(features_image_level(&image->features, STR(FEATURE_SHARE_VERSION)), 0);
    assert_int_equal(features_image_level(&image->features, STR(FEATURE_GROUP_VERSION)), 1);
    assert_true(str_eq(configs_image_get(&image->configs, CONFIG_RESOURCE_BROKER, STR_EMPTY,
                                         STR("min.insync.replicas")),
                       STR("2")));
    harness_release(&h);

    /* A level without transactions and without ELR: just the feature. */
    harness_init_empty(&h);
    bootstrap = (struct metadata_records){0};
    controller_bootstrap_records(METADATA_VERSION_MIN, NULL, 0, &h.arena, &bootstrap);
    assert_int_equal(controller_activate(h.c, &h.ctx, 1, &bootstrap, &h.arena, &h.result, &reason),
                     0);
    harness_commit(&h);
    assert_int_equal(h.last.count, 1);
    harness_release(&h);
}

/* A new leader of a log that has its records writes nothing. */
static void taking_over_writes_nothing(void **state)
{
    struct harness h;
    struct metadata_records bootstrap = {0};
    const char *reason;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    controller_deactivate(h.c);
    assert_false(controller_is_active(h.c));
    assert_int_equal(controller_activate(h.c, &h.ctx, 2, &bootstrap, &h.arena, &h.result, &reason),
                     0);
    assert_int_equal(h.result.records.count, 0);
    harness_release(&h);
}

/* What the last leader began is aborted, and a bootstrap that was cut off is done again. */
static void open_transactions_are_aborted(void **state)
{
    struct harness h;
    struct metadata_records records = {0}, bootstrap = {0};
    const char *reason;
    struct bytebuf batch;
    harness_init_empty(&h);
    bytebuf_init(&batch);
    METADATA_RECORD_ADD(&records, &h.arena, begin_transaction_record, BEGIN_TRANSACTION, 0);
    struct feature_level_record *level =
        METADATA_RECORD_ADD(&records, &h.arena, feature_level_record, FEATURE_LEVEL, 0);
    level->name = STR(FEATURE_METADATA_VERSION);
    level->feature_level = METADATA_VERSION_LATEST;
    harness_encode(&records, 0, 0, &batch);
    harness_load(&h.loader, (struct bytes){batch.data, (int32_t)batch.len});
    harness_load(&h.follower, (struct bytes){batch.data, (int32_t)batch.len});
    h.ctx.next_offset = 2;
    controller_bootstrap_records(METADATA_VERSION_LATEST, NULL, 0, &h.arena, &bootstrap);
    assert_int_equal(controller_activate(h.c, &h.ctx, 1, &bootstrap, &h.arena, &h.result, &reason),
                     0);
    harness_commit(&h);
    assert_int_equal(h.last.items[0].key, METADATA_ABORT_TRANSACTION_RECORD);
    assert_int_equal(h.last.count, 10);
    assert_int_equal(features_image_metadata_version(&harness_image(&h)->features),
                     METADATA_VERSION_LATEST);
    bytebuf_release(&batch);
    harness_release(&h);
}

/* Decisions stand on what was proposed; losing leadership takes them back. */
static void proposals_are_seen_and_taken_back(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    struct create_topics_request request;
    struct create_topics_response response;
    message_init(&create_topics_request_desc, &request);
    request.topics_count = 1;
    request.topics = MESSAGE_ARRAY(&h.arena, create_topics_request_creatable_topic, 1);
    request.topics[0].name = STR("t");
    request.topics[0].num_partitions = 3;
    request.topics[0].replication_factor = 1;
    controller_create_topics(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    controller_propose(h.c, &h.result, h.ctx.next_offset, 0);
    int64_t end = h.ctx.next_offset + (int64_t)h.result.records.count;
    assert_int_equal(controller_pending_offset(h.c), end - 1);
    assert_null(topics_image_find(&image_chain_published(h.chain)->topics, STR("t")));
    struct controller_context later = h.ctx;
    struct controller_result second;
    later.next_offset = end;
    controller_create_topics(h.c, &later, &request, &h.arena, &response, &second);
    assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_TOPIC_ALREADY_EXISTS);
    assert_int_equal(second.records.count, 0);

    controller_deactivate(h.c);
    assert_int_equal(controller_pending_offset(h.c), -1);
    assert_null(topics_image_find(&controller_image(h.c)->topics, STR("t")));
    /* The new leader kept the batch after all: then it comes with the log. */
    struct bytebuf batch;
    bytebuf_init(&batch);
    harness_encode(&h.result.records, h.loader.next_offset, 0, &batch);
    harness_load(&h.loader, (struct bytes){batch.data, (int32_t)batch.len});
    assert_non_null(topics_image_find(&controller_image(h.c)->topics, STR("t")));
    bytebuf_release(&batch);
    harness_release(&h);
}

/* Half of a proposal was committed when leadership went: the loader reads it again, and the rest,
 * or the abort of the next leader, fits. */
static void half_committed_proposals_are_read_again(void **state)
{
    for (int aborted = 0; aborted < 2; aborted++) {
        struct harness h;
        struct bytebuf batches, rest;
        const struct image_delta *delta;
        harness_init(&h);
        bytebuf_init(&batches);
        bytebuf_init(&rest);
        harness_add_broker(&h, 1, 1, NULL);
        h.result = (struct controller_result){.atomic = true};
        for (int i = 0; i < CONTROLLER_BATCH_RECORDS + 5; i++) {
            struct topic_record *topic =
                METADATA_RECORD_ADD(&h.result.records, &h.arena, topic_record, TOPIC, 0);
            topic->name = arena_printf(&h.arena, "t%d", i);
            topic->topic_id.b[0] = 1;
            topic->topic_id.b[1] = (uint8_t)(i >> 8);
            topic->topic_id.b[2] = (uint8_t)i;
        }
        controller_frame(h.c, &h.arena, &h.result);
        assert_int_equal(h.result.records.count, CONTROLLER_BATCH_RECORDS + 7);
        int64_t first = h.ctx.next_offset;
        controller_propose(h.c, &h.result, first, 0);
        harness_encode(&h.result.records, first, 0, &batches);
        struct record_batches run = {batches.data, batches.data + batches.len};
        struct record_batch batch;
        assert_int_equal(record_batches_next(&run, &batch), 1);
        assert_int_equal(loader_commit(&h.loader, batch.bytes, &delta), 0);
        assert_null(delta);
        controller_deactivate(h.c);
        assert_int_equal(h.loader.next_offset, first);

        assert_int_equal(loader_commit(&h.loader, batch.bytes, &delta), 0);
        assert_null(delta);
        if (aborted) {
            struct metadata_records records = {0};
            METADATA_RECORD_ADD(&records, &h.arena, abort_transaction_record, ABORT_TRANSACTION, 0);
            harness_encode(&records, h.loader.next_offset, 0, &rest);
        } else {
            assert_int_equal(record_batches_next(&run, &batch), 1);
            bytebuf_append(&rest, batch.bytes.data, (size_t)batch.bytes.len);
        }
        harness_load(&h.loader, (struct bytes){rest.data, (int32_t)rest.len});
        assert_int_equal(image_chain_published(h.chain)->topics.by_name.count,
                         aborted ? 0 : CONTROLLER_BATCH_RECORDS + 5);
        bytebuf_release(&batches);
        bytebuf_release(&rest);
        harness_release(&h);
    }
}

/* 1,000 topics of 10 partitions in one request are more records than a batch: one transaction. */
static void large_requests_are_one_transaction(void **state)
{
    struct harness h;
    harness_init(&h);
    for (int32_t id = 1; id <= 3; id++)
        harness_add_broker(&h, id, 1, NULL);
    struct create_topics_request request;
    struct create_topics_response response;
    message_init(&create_topics_request_desc, &request);
    request.topics_count = 1000;
    request.topics = MESSAGE_ARRAY(&h.arena, create_topics_request_creatable_topic, 1000);
    for (int i = 0; i < 1000; i++) {
        request.topics[i].name = arena_printf(&h.arena, "topic_%d", i);
        request.topics[i].num_partitions = 10;
        request.topics[i].replication_factor = 3;
    }
    controller_create_topics(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(h.result.records.count, 11000);
    harness_commit(&h);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(response.topics[i].error_code, 0);
    assert_int_equal(harness_image(&h)->topics.partition_count, 10000);
    assert_int_equal(h.result.records.items[0].key, METADATA_BEGIN_TRANSACTION_RECORD);
    harness_release(&h);
}

static void an_idle_log_gets_a_record(void **state)
{
    struct harness h;
    int64_t next_ms;
    harness_init(&h);
    controller_tick(h.c, &h.ctx, &h.arena, &h.result, &next_ms);
    assert_int_equal(h.result.records.count, 0);
    assert_int_equal(next_ms, h.ctx.now_ms + h.config.max_idle_interval_ms);
    h.ctx.now_ms = next_ms;
    controller_tick(h.c, &h.ctx, &h.arena, &h.result, &next_ms);
    assert_int_equal(h.result.records.count, 1);
    assert_int_equal(h.result.records.items[0].key, METADATA_NO_OP_RECORD);
    harness_commit(&h);
    controller_tick(h.c, &h.ctx, &h.arena, &h.result, &next_ms);
    assert_int_equal(h.result.records.count, 0);
    assert_int_equal(next_ms, h.ctx.now_ms + h.config.max_idle_interval_ms);
    controller_deactivate(h.c);
    controller_tick(h.c, &h.ctx, &h.arena, &h.result, &next_ms);
    assert_int_equal(next_ms, INT64_MAX);
    harness_release(&h);
}

static void producer_ids_come_in_blocks(void **state)
{
    struct harness h;
    harness_init(&h);
    int64_t epoch = harness_add_broker(&h, 1, 1, NULL);
    struct allocate_producer_ids_request request = {.broker_id = 1, .broker_epoch = epoch};
    struct allocate_producer_ids_response response;
    for (int64_t start = 0; start < 3000; start += 1000) {
        controller_allocate_producer_ids(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
        harness_commit(&h);
        assert_int_equal(response.error_code, 0);
        assert_int_equal(response.producer_id_start, start);
        assert_int_equal(response.producer_id_len, 1000);
        assert_int_equal(harness_image(&h)->next_producer_id, start + 1000);
    }
    request.broker_epoch--;
    controller_allocate_producer_ids(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.error_code, KAFKA_ERROR_STALE_BROKER_EPOCH);
    request.broker_id = 2;
    controller_allocate_producer_ids(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.error_code, KAFKA_ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(h.result.records.count, 0);
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_log_gets_kafkas_bootstrap_records),
        cmocka_unit_test(bootstrap_follows_choices_and_settings),
        cmocka_unit_test(taking_over_writes_nothing),
        cmocka_unit_test(open_transactions_are_aborted),
        cmocka_unit_test(proposals_are_seen_and_taken_back),
        cmocka_unit_test(half_committed_proposals_are_read_again),
        cmocka_unit_test(large_requests_are_one_transaction),
        cmocka_unit_test(an_idle_log_gets_a_record),
        cmocka_unit_test(producer_ids_come_in_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
