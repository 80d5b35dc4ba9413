#include "common/protocol/kafka_error.h"
#include "tests/unit/metadata/controller/controller_partitions.h"

#define BALANCE_MS 300000

static void setup(struct harness *h, int32_t brokers)
{
    harness_init_empty(h);
    h->config.imbalance_check_interval_ms = BALANCE_MS;
    h->config.unclean_interval_ms = 7000000;
    h->config.max_idle_interval_ms = 0;
    controller_free(h->c);
    h->c = controller_new(&h->config, &h->loader);
    harness_activate(h);
    for (int32_t id = 1; id <= brokers; id++)
        harness_add_broker(h, id, 2, NULL);
}

static void fence(struct harness *h, int32_t broker)
{
    assert_true(harness_heartbeat(h, broker, true, false).is_fenced);
}

static void unfence(struct harness *h, int32_t broker)
{
    assert_false(harness_heartbeat(h, broker, false, false).is_fenced);
}

/* The process died and comes back, with its disks, or with two others (`replaced`). */
static void register_again(struct harness *h, int32_t broker, bool replaced)
{
    struct broker_registration_request request = harness_registration(h, broker, 2, NULL);
    struct broker_registration_response response;
    for (int i = 0; i < 2; i++)
        request.log_dirs[i] = harness_directory(broker, i + (replaced ? 5 : 0));
    if (replaced)
        h->ctx.now_ms += h->config.session_timeout_ms + 1; /* it might be another machine */
    controller_broker_registration(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    assert_int_equal(response.error_code, 0);
    harness_commit(h);
}

/* Everything that is due; the number of records. */
static size_t tick_all(struct harness *h, int64_t *ret_next_ms)
{
    size_t records = 0;
    do {
        for (int32_t id = 1; id <= 9; id++) { /* nobody is silent here */
            const struct broker_image *b = cluster_image_broker(&harness_image(h)->cluster, id);
            if (b && !b->fenced)
                harness_heartbeat(h, id, false, false);
        }
        controller_tick(h->c, &h->ctx, &h->arena, &h->result, ret_next_ms);
        records += h->result.records.count;
        harness_commit(h);
    } while (h->last.count > 0 || *ret_next_ms <= h->ctx.now_ms);
    return records;
}

static struct elect_leaders_response elect(struct harness *h, int8_t type, const char *topic,
                                           const int32_t *partitions, int32_t count)
{
    struct elect_leaders_request request;
    struct elect_leaders_response response;
    message_init(&elect_leaders_request_desc, &request);
    request.election_type = type;
    request.topic_partitions_count = topic ? 1 : -1;
    if (topic) {
        request.topic_partitions =
            MESSAGE_ARRAY(&h->arena, elect_leaders_request_topic_partitions, 1);
        request.topic_partitions[0].topic = str_of(topic);
        request.topic_partitions[0].partitions = (int32_t *)(uintptr_t)partitions;
        request.topic_partitions[0].partitions_count = count;
    }
    controller_elect_leaders(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    harness_commit(h);
    return response;
}

static int16_t elect_first(struct harness *h, int8_t type, const char *topic)
{
    const int32_t first = 0;
    struct elect_leaders_response response = elect(h, type, topic, &first, 1);
    assert_int_equal(response.replica_election_results_count, 1);
    assert_int_equal(response.replica_election_results[0].partition_result_count, 1);
    return response.replica_election_results[0].partition_result[0].error_code;
}

static int32_t leader(const struct harness *h, const char *topic)
{
    return harness_partition(h, topic, 0)->leader;
}

static void preferred_leaders_come_back(void **state)
{
    struct harness h;
    int64_t next_ms;
    setup(&h, 3);
    harness_create_on(&h, "a", "123");
    harness_create_on(&h, "b", "213");
    int64_t begun_ms = h.ctx.now_ms;
    fence(&h, 1);
    assert_int_equal(leader(&h, "a"), 2);
    unfence(&h, 1);
    assert_int_equal(leader(&h, "a"), 2); /* it is not in sync yet */
    assert_int_equal(harness_set_isr(&h, "a", "123"), 0);
    tick_all(&h, &next_ms);
    assert_int_equal(leader(&h, "a"), 2);
    assert_int_equal(next_ms, begun_ms + 9000); /* a session's end is before that */
    h.ctx.now_ms = begun_ms + BALANCE_MS - 1;
    assert_int_equal(tick_all(&h, &next_ms), 0);
    h.ctx.now_ms++;
    assert_int_equal(tick_all(&h, &next_ms), 1);
    assert_int_equal(leader(&h, "a"), 1);
    assert_int_equal(leader(&h, "b"), 2);
    assert_int_equal(harness_partition(&h, "b", 0)->leader_epoch, 0);
    harness_release(&h);
}

static void leadership_stays_where_balancing_is_off(void **state)
{
    struct harness h;
    int64_t next_ms;
    harness_init(&h);
    for (int32_t id = 1; id <= 2; id++)
        harness_add_broker(&h, id, 1, NULL);
    h.config.max_idle_interval_ms = 0;
    harness_create_on(&h, "a", "12");
    fence(&h, 1);
    unfence(&h, 1);
    assert_int_equal(harness_set_isr(&h, "a", "12"), 0);
    h.ctx.now_ms += 100 * BALANCE_MS;
    harness_heartbeat(&h, 1, false, false);
    harness_heartbeat(&h, 2, false, false);
    for (int i = 0; i < 3; i++) {
        controller_tick(h.c, &h.ctx, &h.arena, &h.result, &next_ms);
        harness_commit(&h);
    }
    assert_int_equal(leader(&h, "a"), 2);
    harness_release(&h);
}

/* Many partitions go back in parts, each of them a decision of its own. */
static void balancing_goes_in_parts(void **state)
{
    struct harness h;
    int64_t next_ms;
    setup(&h, 2);
    assert_int_equal(harness_create_topic(&h, "t", 5000, 2, NULL), 0);
    fence(&h, 1);
    size_t moved = h.last.count - 1;
    assert_int_equal(moved, 5000); /* its own partitions lead or have it in sync: all of them */
    unfence(&h, 1);
    for (int32_t i = 0; i < 5000; i++) {
        const struct topic_image *topic = topics_image_find(&harness_image(&h)->topics, STR("t"));
        const struct partition_image *p = topic_image_partition(topic, i);
        struct alter_partition_response response;
        struct alter_partition_request request =
            harness_isr_request(&h, topic, p, harness_ids(&h, "21"));
        assert_int_equal(harness_alter(&h, &request, &response), 0);
    }
    uint32_t unsettled = harness_image(&h)->topics.unsettled.count;
    assert_true(unsettled > 2000);
    h.ctx.now_ms += BALANCE_MS;
    harness_heartbeat(&h, 1, false, false);
    harness_heartbeat(&h, 2, false, false);
    controller_tick(h.c, &h.ctx, &h.arena, &h.result, &next_ms);
    assert_int_equal(h.result.records.count, 1000);
    assert_int_equal(next_ms, h.ctx.now_ms);
    harness_commit(&h);
    assert_int_equal(tick_all(&h, &next_ms), unsettled - 1000);
    assert_int_equal(harness_image(&h)->topics.unsettled.count, 0);
    harness_release(&h);
}

static void asked_for(void **state)
{
    struct harness h;
    setup(&h, 3);
    harness_create_on(&h, "a", "123");
    harness_create_on(&h, "b", "3");
    assert_int_equal(elect_first(&h, 0, "a"), KAFKA_ERROR_ELECTION_NOT_NEEDED);
    assert_int_equal(elect_first(&h, 1, "a"), KAFKA_ERROR_ELECTION_NOT_NEEDED);
    assert_int_equal(elect_first(&h, 0, "none"), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    fence(&h, 1);
    fence(&h, 3);
    assert_int_equal(elect_first(&h, 0, "a"), KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    assert_int_equal(elect_first(&h, 1, "b"), KAFKA_ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    unfence(&h, 1);
    /* Alive, but not in sync. */
    assert_int_equal(elect_first(&h, 0, "a"), KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    assert_int_equal(harness_set_isr(&h, "a", "12"), 0);
    const int32_t twice[] = {0, 0, 4};
    struct elect_leaders_response response = elect(&h, 0, "a", twice, 3);
    const struct elect_leaders_response_partition_result *results =
        response.replica_election_results[0].partition_result;
    assert_int_equal(results[0].error_code, 0);
    assert_int_equal(results[1].error_code, KAFKA_ERROR_ELECTION_NOT_NEEDED);
    assert_int_equal(results[2].error_code, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(h.last.count, 1);
    const struct partition_change_record *record = h.last.items[0].data;
    assert_int_equal(record->leader, 1);
    assert_int_equal(record->isr_count, -1);
    response = elect(&h, 5, "a", twice, 1);
    assert_int_equal(response.error_code, KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(response.replica_election_results[0].partition_result[0].error_code,
                     KAFKA_ERROR_INVALID_REQUEST);
    harness_release(&h);
}

/* All partitions: those that need none are left out. */
static void asked_for_all(void **state)
{
    struct harness h;
    setup(&h, 3);
    harness_create_on(&h, "a", "123");
    harness_create_on(&h, "b", "12");
    harness_create_on(&h, "c", "31");
    harness_create_on(&h, "d", "3");
    fence(&h, 1);
    fence(&h, 3);
    unfence(&h, 1);
    assert_int_equal(harness_set_isr(&h, "a", "12"), 0);
    struct elect_leaders_response response = elect(&h, 0, NULL, NULL, 0);
    int32_t moved = 0, away = 0;
    for (int32_t i = 0; i < response.replica_election_results_count; i++) {
        const struct elect_leaders_response_replica_election_result *result =
            &response.replica_election_results[i];
        assert_int_equal(result->partition_result_count, 1);
        moved += result->partition_result[0].error_code == 0;
        away +=
            result->partition_result[0].error_code == KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE;
    }
    assert_int_equal(moved, 1); /* a; b's first replica is not in sync, c's and d's are away */
    assert_int_equal(away, 3);
    assert_int_equal(leader(&h, "a"), 1);
    response = elect(&h, 1, NULL, NULL, 0);
    assert_int_equal(response.replica_election_results_count, 2); /* c and d have no leader */
    harness_release(&h);
}

/* Nobody who is alive was in sync: leaderless, until the topic allows that. */
static void unclean_as_soon_as_allowed(void **state)
{
    struct harness h;
    int64_t next_ms;
    setup(&h, 2);
    harness_create_on(&h, "a", "12");
    harness_create_on(&h, "b", "12");
    assert_int_equal(harness_set_isr(&h, "a", "1"), 0);
    assert_int_equal(harness_set_isr(&h, "b", "1"), 0);
    fence(&h, 1);
    assert_int_equal(leader(&h, "a"), -1);
    assert_int_equal(elect_first(&h, 0, "a"), KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    tick_all(&h, &next_ms);
    assert_int_equal(leader(&h, "a"), -1);
    harness_set_topic(&h, "a", "unclean.leader.election.enable", "true");
    assert_int_equal(tick_all(&h, &next_ms), 1);
    const struct partition_image *p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, 2);
    assert_int_equal(p->recovery_state, LEADER_RECOVERING);
    harness_assert_ids(partition_isr(p), "2");
    harness_assert_ids(partition_elr(p), "");
    assert_int_equal(leader(&h, "b"), -1);
    /* Where somebody asks for it nothing needs to be allowed. */
    assert_int_equal(elect_first(&h, 1, "b"), 0);
    assert_int_equal(leader(&h, "b"), 2);
    harness_release(&h);
}

/* The same at once, when the last one in sync goes. */
static void unclean_when_the_last_one_goes(void **state)
{
    struct harness h;
    setup(&h, 2);
    harness_create_on(&h, "a", "12");
    harness_set_topic(&h, "a", "unclean.leader.election.enable", "true");
    assert_int_equal(harness_set_isr(&h, "a", "1"), 0);
    fence(&h, 1);
    const struct partition_image *p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, 2);
    assert_int_equal(p->leader_epoch, 1);
    assert_int_equal(p->recovery_state, LEADER_RECOVERING);
    harness_assert_ids(partition_isr(p), "2");
    harness_release(&h);
}

/*
 * KIP-966, the last replica standing: with a minimum of 2, broker 1 is left alone in the ISR and
 * dies without a clean stop. What was committed is on 2 and 3 as well, who left while the ISR was
 * too small to commit anything: they are elected, and not 1 when it comes back with less.
 */
static void last_replica_standing(void **state)
{
    struct harness h;
    setup(&h, 3);
    harness_create_on(&h, "a", "123");
    harness_set_topic(&h, "a", "min.insync.replicas", "2");
    fence(&h, 2);
    fence(&h, 3);
    const struct partition_image *p = harness_partition(&h, "a", 0);
    harness_assert_ids(partition_isr(p), "1");
    harness_assert_ids(partition_elr(p), "3");
    fence(&h, 1);
    p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, -1);
    harness_assert_ids(partition_isr(p), "");
    harness_assert_ids(partition_elr(p), "13");
    harness_restart(&h, 1);
    p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, -1);
    harness_assert_ids(partition_elr(p), "3");
    unfence(&h, 2); /* left while two were left: it may lack something */
    assert_int_equal(leader(&h, "a"), -1);
    unfence(&h, 3);
    p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, 3);
    assert_int_equal(p->recovery_state, LEADER_RECOVERED);
    harness_assert_ids(partition_isr(p), "3");
    harness_release(&h);
}

/* All that were eligible lost what they had not flushed: whoever led last is nearest to the truth.
 */
static void nobody_is_eligible_any_more(void **state)
{
    struct harness h;
    setup(&h, 3);
    harness_create_on(&h, "a", "123");
    harness_set_topic(&h, "a", "min.insync.replicas", "3");
    fence(&h, 1);
    fence(&h, 3);
    fence(&h, 2);
    assert_int_equal(harness_partition(&h, "a", 0)->last_known_elr_count, 1);
    harness_restart(&h, 1);
    harness_restart(&h, 3);
    const struct partition_image *p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, -1);
    harness_assert_ids(partition_elr(p), "2");
    harness_restart(&h, 2);
    p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, 2);
    assert_int_equal(p->recovery_state, LEADER_RECOVERING);
    harness_assert_ids(partition_isr(p), "2");
    harness_assert_ids(partition_elr(p), "");
    harness_assert_ids(partition_last_known_elr(p), "");
    harness_release(&h);
}

/* Broker 2 led last, and nobody is eligible any more. */
static void lose_all_but_the_last_leader(struct harness *h)
{
    setup(h, 3);
    harness_create_on(h, "a", "123");
    harness_create_on(h, "b", "2");
    harness_set_topic(h, "a", "min.insync.replicas", "3");
    harness_assign(h, 2, harness_directory(2, 0), "a");
    harness_assign(h, 2, harness_directory(2, 0), "b");
    fence(h, 1);
    fence(h, 3);
    fence(h, 2);
    harness_restart(h, 1);
    harness_restart(h, 3);
    harness_assert_ids(partition_last_known_elr(harness_partition(h, "a", 0)), "2");
}

/* What it knew is gone with its disk, others have more: a person has to choose among them. */
static void whose_disk_is_gone_is_not_trusted(void **state)
{
    struct harness h;
    int64_t next_ms;
    lose_all_but_the_last_leader(&h);
    register_again(&h, 2, true);
    const struct partition_image *p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, -1);
    harness_assert_ids(partition_elr(p), "");
    harness_assert_ids(partition_last_known_elr(p), "2");
    unfence(&h, 2);
    assert_int_equal(leader(&h, "a"), -1); /* it has no directory for it */
    harness_assign(&h, 2, harness_directory(2, 5), "a");
    p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, -1);
    harness_assert_ids(partition_last_known_elr(p), "");
    tick_all(&h, &next_ms);
    assert_int_equal(leader(&h, "a"), -1);
    assert_int_equal(elect_first(&h, 1, "a"), 0);
    p = harness_partition(&h, "a", 0);
    assert_int_equal(p->leader, 1);
    assert_int_equal(p->recovery_state, LEADER_RECOVERING);
    /* Of the only replica there is nobody knows more. */
    assert_int_equal(leader(&h, "b"), -1);
    harness_assign(&h, 2, harness_directory(2, 6), "b");
    assert_int_equal(leader(&h, "b"), 2);
    harness_release(&h);
}

/* A replica that is moved between directories of its broker is as good as before. */
static void who_moved_is_trusted(void **state)
{
    struct harness h;
    lose_all_but_the_last_leader(&h);
    register_again(&h, 2, false);
    harness_assign(&h, 2, harness_directory(2, 1), "a");
    harness_assert_ids(partition_last_known_elr(harness_partition(&h, "a", 0)), "2");
    unfence(&h, 2);
    assert_int_equal(leader(&h, "a"), 2);
    harness_release(&h);
}

/* Fencing costs the broker's own partitions only: records name no others. */
static void fencing_touches_its_own_partitions(void **state)
{
    struct harness h;
    setup(&h, 5);
    for (int32_t i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        harness_create_on(&h, name, i % 10 == 0 ? "51" : "1234");
    }
    fence(&h, 5);
    assert_int_equal(h.last.count, 4 + 1);
    harness_release(&h);
}

/* A directory failed while the broker was out: its replicas there are not elected when it is let
 * in. */
static void failed_directories_lead_nothing(void **state)
{
    struct harness h;
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    struct uuid failed = harness_directory(1, 0);
    setup(&h, 2);
    harness_create_on(&h, "a", "1");
    harness_create_on(&h, "b", "1");
    fence(&h, 1);
    harness_assign(&h, 1, harness_directory(1, 0), "a");
    harness_assign(&h, 1, harness_directory(1, 1), "b");
    message_init(&broker_heartbeat_request_desc, &request);
    request.broker_id = 1;
    request.broker_epoch = cluster_image_broker(&harness_image(&h)->cluster, 1)->epoch;
    request.current_metadata_offset = h.ctx.next_offset;
    request.offline_log_dirs = &failed;
    request.offline_log_dirs_count = 1;
    controller_broker_heartbeat(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    harness_commit(&h);
    assert_false(response.is_fenced);
    assert_int_equal(cluster_image_broker(&harness_image(&h)->cluster, 1)->directory_count, 1);
    assert_int_equal(leader(&h, "a"), -1);
    assert_int_equal(leader(&h, "b"), 1);
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preferred_leaders_come_back),
        cmocka_unit_test(leadership_stays_where_balancing_is_off),
        cmocka_unit_test(balancing_goes_in_parts),
        cmocka_unit_test(asked_for),
        cmocka_unit_test(asked_for_all),
        cmocka_unit_test(unclean_as_soon_as_allowed),
        cmocka_unit_test(unclean_when_the_last_one_goes),
        cmocka_unit_test(last_replica_standing),
        cmocka_unit_test(nobody_is_eligible_any_more),
        cmocka_unit_test(whose_disk_is_gone_is_not_trusted),
        cmocka_unit_test(who_moved_is_trusted),
        cmocka_unit_test(fencing_touches_its_own_partitions),
        cmocka_unit_test(failed_directories_lead_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
