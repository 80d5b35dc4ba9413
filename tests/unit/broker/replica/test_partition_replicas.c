/*
 * One partition as follower and as leader: what a follower keeps of its log when the leader changes
 * (KIP-101, KIP-279), how far its high watermark goes (KAFKA-14704), and what counts for the
 * leader's. In a simulated process; what other brokers say is told by the test.
 */
#include "broker/replica/leader_state.h"
#include "broker/replica/partition_delete.h"
#include "broker/replica/partition_follow.h"
#include "broker/replica/partition_lead.h"
#include "common/base/check.h"
#include "common/protocol/record_batch_builder.h"
#include "tests/sim/sim_internal.h"
#include "tests/unit/broker/replica/lone_host.h"
#include "tests/unit/mutate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SELF   1
#define OTHER  2
#define LIFE   7 /* the broker epoch of the other one */
#define LAG_MS 10000

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct sim_heap *outer; /* while the test is inside the process */
    bool synced;
    /* In the process: */
    struct replica_host host;
    struct lone_host lone;
    struct partition *partition;
    struct log_config config;
    struct record_batch_builder builder;
    bool closed, out_of_touch;
    bool may_fail; /* its log, */
    int failures;  /* and how often it did */
};

static struct scene scene;

/* --- what a partition needs --- */

static void log_has_failed(void *owner, struct log *log, int status)
{
    scene.failures++;
    if (!scene.may_fail)
        sim_fail(scene.sim, "the log fails with %d", status);
}

static int64_t broker_epoch(struct replica_host *host, int32_t id, bool *ret_live)
{
    *ret_live = true;
    return LIFE;
}

static bool broker_alive(struct replica_host *host, int32_t id)
{
    return true;
}

static bool out_of_touch(struct replica_host *host)
{
    return scene.out_of_touch;
}

static void propose_isr(struct replica_host *host, struct partition *p,
                        const struct isr_proposal *proposal)
{
}

static struct partition_role role_of(int32_t leader, int32_t epoch)
{
    static const int32_t both[] = {SELF, OTHER};
    struct node_list list = {both, ARRAY_LEN(both)};
    return (struct partition_role){.leader_id = leader,
                                   .leader_epoch = epoch,
                                   .partition_epoch = epoch,
                                   .replicas = list,
                                   .isr = list};
}

static void *boot(struct env *env, void *ctx)
{
    struct partition_role role = role_of(OTHER, 1);
    record_batch_builder_init(&scene.builder);
    lone_host_init(&scene.lone, scene.sim, env, SELF, &scene.host);
    scene.host.log_failed = log_has_failed;
    scene.host.lag_max_ms = LAG_MS;
    scene.host.broker_epoch = broker_epoch;
    scene.host.broker_alive = broker_alive;
    scene.host.out_of_touch = out_of_touch;
    scene.host.propose_isr = propose_isr;
    scene.config = LOG_CONFIG_DEFAULT;
    if (scene.synced)
        scene.config.flush_messages = 1;
    struct partition_new_args args = {.host = &scene.host,
                                      .topic = STR("topic"),
                                      .topic_id = env_random_uuid(env),
                                      .role = &role,
                                      .config = &scene.config,
                                      .min_isr = 1};
    scene.partition = partition_new(&args);
    return &scene;
}

/* --- the test's side --- */

static void enter(void)
{
    scene.outer = sim_node_enter(scene.node);
}

static void leave(void)
{
    sim_node_leave(scene.node, scene.outer);
}

/* Out of the process, until nothing is left to do, and in again. */
static void run_ms(int64_t ms)
{
    leave();
    sim_run_until(scene.sim, sim_now_us(scene.sim) + ms * SIM_MS);
    assert_null(sim_failure(scene.sim));
    enter();
}

static void begin(bool synced)
{
    scene = (struct scene){.sim = sim_new(1, false), .synced = synced};
    struct sim_node_config config = {.name = "n", .loops = 1, .boot = boot};
    scene.node = sim_node_new(scene.sim, &config);
    sim_node_set_mutations(scene.node, mutate_for_good());
    sim_disk_set_faults(sim_node_disk(scene.node), "/",
                        &(struct sim_disk_faults){.fsync_latency_us = 5000});
    sim_node_start(scene.node);
    enter();
    run_ms(100);
    assert_int_equal(partition_get_state(scene.partition), PARTITION_ONLINE);
}

static void end(void)
{
    leave();
    sim_kill_all(scene.sim);
    sim_free(scene.sim);
}

static void is_led_by(int32_t leader, int32_t epoch)
{
    struct partition_role role = role_of(leader, epoch);
    partition_apply(scene.partition, &role);
}

static struct log *log_here(void)
{
    return partition_any_log(scene.partition);
}

static struct bytes batch(struct bytebuf *out, int64_t offset, int32_t epoch, int count)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    struct record_batch_header header;
    record_batch_builder_start(&scene.builder, &options);
    for (int i = 0; i < count; i++)
        CHECK(record_batch_builder_append(&scene.builder, 1000 + i, BYTES_NULL,
                                          (struct bytes){(const uint8_t *)"value", 5}, NULL,
                                          0) == 0);
    bytebuf_init(out);
    record_batch_builder_close(&scene.builder, out);
    record_batch_header_decode(out->data, &header);
    header.base_offset = offset;
    header.partition_leader_epoch = epoch;
    record_batch_header_encode(&header, out->data);
    return (struct bytes){out->data, (int32_t)out->len};
}

static void follow(const struct follow_answer *answer)
{
    struct follow_at at;
    int64_t bytes;
    assert_int_equal(partition_follow_at(scene.partition, &at), FOLLOW_READY);
    assert_int_equal(partition_follow(scene.partition, &at, answer, &bytes), FOLLOW_TAKEN);
}

/* The leader of today gives `count` records of that epoch, and says its high watermark. */
static void takes(int32_t epoch, int count, int64_t high_watermark)
{
    struct bytebuf bytes;
    follow(
        &(struct follow_answer){.records = batch(&bytes, log_end_offset(log_here()), epoch, count),
                                .high_watermark = high_watermark,
                                .diverging = {-1, -1}});
    bytebuf_release(&bytes);
    run_ms(50);
}

/* The leader says that its log has parted from ours. */
static void parts(int32_t epoch, int64_t end_offset, int64_t high_watermark)
{
    follow(&(struct follow_answer){.high_watermark = high_watermark,
                                   .diverging = {epoch, end_offset}});
}

static void a_new_epoch_alone_cuts_nothing(void **state)
{
    begin(false);
    takes(1, 2, 1);
    takes(1, 3, 2);
    is_led_by(OTHER, 2);
    run_ms(50);
    assert_int_equal(log_end_offset(log_here()), 5);
    /* And the leader may have it all. */
    takes(2, 1, 5);
    assert_int_equal(log_high_watermark(log_here()), 5);
    end();
}

/* Epoch 2 was ours alone; the leader of epoch 3 had more of epoch 1 than we. */
static void fast_double_failover(void **state)
{
    begin(false);
    takes(1, 2, 2);
    is_led_by(OTHER, 2);
    takes(2, 2, 2);
    takes(2, 2, 2);
    is_led_by(OTHER, 3);
    parts(1, 4, 4);
    run_ms(50);
    assert_int_equal(log_end_offset(log_here()), 2);
    assert_int_equal(log_latest_epoch(log_here()), 1);
    end();
}

/* The leader of epoch 3 has deleted the records below 4, where all of epochs 1 and 2 was. It says
 * that epoch 1 ended where its log begins, which is not true. */
static void what_the_leader_deleted_is_not_kept(void **state)
{
    begin(false);
    takes(1, 2, 2);
    takes(1, 2, 2);
    takes(1, 2, 2);
    is_led_by(OTHER, 3);
    follow(
        &(struct follow_answer){.high_watermark = 8, .log_start_offset = 4, .diverging = {1, 4}});
    run_ms(50);
    assert_int_equal(log_start_offset(log_here()), 4);
    assert_int_equal(log_end_offset(log_here()), 4);
    assert_int_equal(log_latest_epoch(log_here()), -1);
    end();
}

/* The same where ours ends just there: the leader sees no difference. */
static void what_the_leader_deleted_up_to_our_end_is_not_kept(void **state)
{
    struct bytebuf bytes;
    begin(false);
    takes(1, 2, 2);
    takes(1, 2, 2);
    is_led_by(OTHER, 3);
    struct follow_answer answer = {.records = batch(&bytes, 4, 3, 2),
                                   .high_watermark = 6,
                                   .log_start_offset = 4,
                                   .diverging = {-1, -1}};
    follow(&answer);
    run_ms(50);
    assert_int_equal(log_start_offset(log_here()), 4);
    assert_int_equal(log_end_offset(log_here()), 4);
    assert_int_equal(log_size_bytes(log_here()), 0);
    follow(&answer);
    assert_int_equal(log_end_offset(log_here()), 6);
    /* Of the same epoch all is known. */
    answer.records.len = 0;
    answer.log_start_offset = 6;
    follow(&answer);
    bytebuf_release(&bytes);
    answer.records = batch(&bytes, 6, 3, 2);
    follow(&answer);
    bytebuf_release(&bytes);
    run_ms(50);
    assert_int_equal(log_end_offset(log_here()), 8);
    assert_true(log_size_bytes(log_here()) > answer.records.len);
    end();
}

static void the_watermark_waits_for_the_cut(void **state)
{
    begin(false);
    takes(1, 2, 2);
    is_led_by(OTHER, 2);
    takes(2, 4, 2);
    is_led_by(OTHER, 3);
    parts(1, 2, 6);
    assert_int_equal(log_high_watermark(log_here()), 2);
    run_ms(50);
    assert_int_equal(log_end_offset(log_here()), 2);
    assert_int_equal(log_high_watermark(log_here()), 2);
    end();
}

static void what_is_not_synced_is_not_fetched_beyond(void **state)
{
    struct follow_at at;
    struct bytebuf bytes;
    begin(true);
    follow(&(struct follow_answer){.records = batch(&bytes, 0, 1, 3), .diverging = {-1, -1}});
    bytebuf_release(&bytes);
    assert_int_equal(partition_follow_at(scene.partition, &at), FOLLOW_BUSY);
    run_ms(100);
    assert_int_equal(partition_follow_at(scene.partition, &at), FOLLOW_READY);
    assert_int_equal(at.offset, 3);
    assert_int_equal(log_durable_end_offset(log_here()), 3);
    end();
}

static void the_watermark_waits_for_who_is_in_sync(void **state)
{
    struct bytebuf bytes;
    struct partition_appended appended;
    begin(false);
    is_led_by(SELF, 2);
    assert_int_equal(
        partition_append(scene.partition, batch(&bytes, 0, 0, 3), LOG_APPEND_CLIENT, &appended),
        KAFKA_ERROR_NONE);
    bytebuf_release(&bytes);
    assert_int_equal(log_high_watermark(log_here()), 0);
    partition_replica_fetched(scene.partition,
                              &(struct replica_fetch){.id = OTHER, .broker_epoch = LIFE});
    assert_int_equal(log_high_watermark(log_here()), 0);
    partition_replica_fetched(
        scene.partition, &(struct replica_fetch){.id = OTHER, .broker_epoch = LIFE, .offset = 3});
    assert_int_equal(log_high_watermark(log_here()), 3);
    end();
}

struct deletion {
    struct low_wait wait;
    int answers;
    enum kafka_error error;
    int64_t low_watermark;
};

static void deleted(struct low_wait *wait, enum kafka_error error, int64_t low_watermark)
{
    struct deletion *deletion = CONTAINER_OF(wait, struct deletion, wait);
    deletion->answers++;
    deletion->error = error;
    deletion->low_watermark = low_watermark;
}

static void other_starts_at(int64_t log_start_offset)
{
    partition_replica_fetched(
        scene.partition,
        &(struct replica_fetch){
            .id = OTHER, .broker_epoch = LIFE, .offset = 3, .log_start_offset = log_start_offset});
}

static void a_deletion_waits_for_the_others(void **state)
{
    struct bytebuf bytes;
    struct partition_appended appended;
    struct deletion deletion = {.wait = {.offset = 2, .done = deleted}};
    int64_t offset = 2;
    begin(false);
    scene.config.retention_ms = -1; /* these records are old */
    partition_set_config(scene.partition, &scene.config, 1);
    is_led_by(SELF, 2);
    assert_int_equal(
        partition_append(scene.partition, batch(&bytes, 0, 0, 3), LOG_APPEND_CLIENT, &appended),
        KAFKA_ERROR_NONE);
    bytebuf_release(&bytes);
    other_starts_at(0);
    assert_int_equal(partition_delete_records(scene.partition, &offset), KAFKA_ERROR_NONE);
    assert_int_equal(log_start_offset(log_here()), 2);
    assert_int_equal(partition_low_watermark(scene.partition), 0);
    assert_false(partition_wait_low(scene.partition, &deletion.wait));
    other_starts_at(1);
    assert_int_equal(deletion.answers, 0);
    assert_int_equal(partition_low_watermark(scene.partition), 1);
    other_starts_at(2);
    assert_int_equal(deletion.answers, 1);
    assert_int_equal(deletion.error, KAFKA_ERROR_NONE);
    assert_int_equal(deletion.low_watermark, 2);
    /* Who leads no more cannot tell. */
    offset = 3;
    deletion.wait.offset = 3;
    assert_int_equal(partition_delete_records(scene.partition, &offset), KAFKA_ERROR_NONE);
    assert_false(partition_wait_low(scene.partition, &deletion.wait));
    is_led_by(OTHER, 3);
    assert_int_equal(deletion.answers, 2);
    assert_int_equal(deletion.error, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    end();
}

static enum kafka_error produce(int32_t sequence)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.producer_id = 7;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    struct bytebuf out;
    struct partition_appended appended;
    record_batch_builder_start(&scene.builder, &options);
    CHECK(record_batch_builder_append(&scene.builder, 1000, BYTES_NULL,
                                      (struct bytes){(const uint8_t *)"value", 5}, NULL, 0) == 0);
    bytebuf_init(&out);
    record_batch_builder_close(&scene.builder, &out);
    enum kafka_error error = partition_append(
        scene.partition, (struct bytes){out.data, (int32_t)out.len}, LOG_APPEND_CLIENT, &appended);
    bytebuf_release(&out);
    return error;
}

/* Another broker may lead since, and have what seems to be missing here. */
static void who_may_not_lead_any_more_misses_no_sequence(void **state)
{
    begin(false);
    is_led_by(SELF, 2);
    assert_int_equal(produce(0), KAFKA_ERROR_NONE);
    assert_int_equal(produce(2), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    scene.out_of_touch = true;
    assert_int_equal(produce(2), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(produce(1), KAFKA_ERROR_NONE);
    end();
}

/* Another broker may lead since, with records that nobody told it to delete. */
static void who_may_not_lead_any_more_deletes_nothing(void **state)
{
    struct deletion deletion = {.wait = {.offset = 2, .done = deleted}};
    int64_t offset = 2;
    begin(false);
    scene.config.retention_ms = -1;
    partition_set_config(scene.partition, &scene.config, 1);
    is_led_by(SELF, 2);
    assert_int_equal(produce(0), KAFKA_ERROR_NONE);
    assert_int_equal(produce(1), KAFKA_ERROR_NONE);
    assert_int_equal(produce(2), KAFKA_ERROR_NONE);
    other_starts_at(0);
    assert_int_equal(partition_delete_records(scene.partition, &offset), KAFKA_ERROR_NONE);
    assert_false(partition_wait_low(scene.partition, &deletion.wait));
    scene.out_of_touch = true;
    other_starts_at(2);
    assert_int_equal(deletion.answers, 1);
    assert_int_equal(deletion.error, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    offset = 3;
    assert_int_equal(partition_delete_records(scene.partition, &offset),
                     KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(log_start_offset(log_here()), 2);
    end();
}

/* The records are old: a segment is begun so that theirs can go, which the disk refuses. */
static void begin_without_a_new_segment(void)
{
    begin(false);
    scene.may_fail = true;
    is_led_by(SELF, 2);
    assert_int_equal(produce(0), KAFKA_ERROR_NONE);
    assert_int_equal(produce(1), KAFKA_ERROR_NONE);
    other_starts_at(0);
    assert_int_equal(log_high_watermark(log_here()), 2);
    leave();
    sim_disk_fail_at(sim_node_disk(scene.node), SIM_OPEN, ".log", 1, -EIO);
    enter();
}

/* Its log is not written to any more: others must lead it. */
static void who_cannot_look_for_old_records_fails(void **state)
{
    begin_without_a_new_segment();
    partition_tick(scene.partition, true);
    assert_int_equal(partition_get_state(scene.partition), PARTITION_OFFLINE);
    assert_int_equal(scene.failures, 1);
    end();
}

static void who_fails_at_a_deletion_says_so(void **state)
{
    int64_t offset = 1;
    begin_without_a_new_segment();
    assert_int_equal(partition_delete_records(scene.partition, &offset),
                     KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_int_equal(partition_get_state(scene.partition), PARTITION_OFFLINE);
    assert_int_equal(scene.failures, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_epoch_alone_cuts_nothing),
        cmocka_unit_test(fast_double_failover),
        cmocka_unit_test(what_the_leader_deleted_is_not_kept),
        cmocka_unit_test(what_the_leader_deleted_up_to_our_end_is_not_kept),
        cmocka_unit_test(the_watermark_waits_for_the_cut),
        cmocka_unit_test(what_is_not_synced_is_not_fetched_beyond),
        cmocka_unit_test(the_watermark_waits_for_who_is_in_sync),
        cmocka_unit_test(a_deletion_waits_for_the_others),
        cmocka_unit_test(who_may_not_lead_any_more_misses_no_sequence),
        cmocka_unit_test(who_may_not_lead_any_more_deletes_nothing),
        cmocka_unit_test(who_cannot_look_for_old_records_fails),
        cmocka_unit_test(who_fails_at_a_deletion_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
