#include "common/protocol/kafka_error.h"
#include "tests/unit/metadata/controller/controller_partitions.h"

typedef struct alter_partition_reassignments_response_reassignable_partition_response result;

static void setup(struct harness *h)
{
    harness_init(h);
    for (int32_t id = 1; id <= 5; id++)
        harness_add_broker(h, id, 1, NULL);
    harness_create_on(h, "t", "123");
}

static const struct partition_image *partition(const struct harness *h)
{
    return harness_partition(h, "t", 0);
}

/* One partition; `target` NULL cancels. */
static result reassign(struct harness *h, const char *topic, int32_t index, const char *target,
                       bool may_change_factor)
{
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_response response;
    message_init(&alter_partition_reassignments_request_desc, &request);
    request.allow_replication_factor_change = may_change_factor;
    request.topics_count = 1;
    request.topics =
        MESSAGE_ARRAY(&h->arena, alter_partition_reassignments_request_reassignable_topic, 1);
    request.topics[0].name = str_of(topic);
    request.topics[0].partitions_count = 1;
    request.topics[0].partitions =
        MESSAGE_ARRAY(&h->arena, alter_partition_reassignments_request_reassignable_partition, 1);
    request.topics[0].partitions[0].partition_index = index;
    struct node_list ids = harness_ids(h, target ? target : "");
    request.topics[0].partitions[0].replicas = (int32_t *)(uintptr_t)ids.ids;
    request.topics[0].partitions[0].replicas_count = target ? ids.count : -1;
    controller_alter_partition_reassignments(h->c, &h->ctx, &request, &h->arena, &response,
                                             &h->result);
    harness_commit(h);
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.responses_count, 1);
    return response.responses[0].partitions[0];
}

static int16_t move(struct harness *h, const char *target)
{
    return reassign(h, "t", 0, target, true).error_code;
}

static void assert_partition(const struct harness *h, const char *replicas, const char *adding,
                             const char *removing, const char *isr)
{
    const struct partition_image *p = partition(h);
    harness_assert_ids(partition_replicas(p), replicas);
    harness_assert_ids(partition_adding(p), adding);
    harness_assert_ids(partition_removing(p), removing);
    harness_assert_ids(partition_isr(p), isr);
}

/* New replicas are added, catch up, and then the old ones go. */
static void moves_and_completes(void **state)
{
    struct harness h;
    setup(&h);
    assert_int_equal(move(&h, "45"), 0);
    assert_partition(&h, "45123", "45", "123", "123");
    assert_int_equal(partition(&h)->leader, 1);
    assert_int_equal(partition(&h)->leader_epoch, 0);
    const struct partition_change_record *record = h.last.items[0].data;
    assert_int_equal(record->isr_count, -1);
    assert_int_equal(record->leader, PARTITION_NO_LEADER_CHANGE);
    assert_int_equal(record->directories_count, 5);
    assert_true(uuid_eq(record->directories[0], harness_directory(4, 0)));
    assert_true(uuid_eq(record->directories[2], harness_directory(1, 0)));

    assert_int_equal(harness_set_isr(&h, "t", "1234"), 0);
    assert_partition(&h, "45123", "45", "123", "1234");
    /* The leader itself is to go: it is told that it leads no more. */
    assert_int_equal(harness_set_isr(&h, "t", "12345"), KAFKA_ERROR_NEW_LEADER_ELECTED);
    assert_partition(&h, "45", "", "", "45");
    assert_int_equal(partition(&h)->leader, 4);
    assert_int_equal(partition(&h)->leader_epoch, 1);
    record = h.last.items[0].data;
    assert_int_equal(record->directories_count, 2);
    assert_int_equal(record->removing_replicas_count, 0);
    assert_int_equal(record->adding_replicas_count, 0);
    assert_true(uuid_eq(partition_directory_of(partition(&h), 5), harness_directory(5, 0)));
    assert_int_equal(harness_image(&h)->topics.unsettled.count, 0);
    harness_release(&h);
}

/* Where the leader stays it goes on, in a new epoch that those who left do not know. */
static void the_leader_stays(void **state)
{
    struct harness h;
    struct alter_partition_response response;
    setup(&h);
    assert_int_equal(move(&h, "14"), 0);
    const struct topic_image *topic = topics_image_find(&harness_image(&h)->topics, STR("t"));
    struct alter_partition_request request =
        harness_isr_request(&h, topic, partition(&h), harness_ids(&h, "1234"));
    assert_int_equal(harness_alter(&h, &request, &response), 0);
    assert_partition(&h, "14", "", "", "14");
    assert_int_equal(partition(&h)->leader, 1);
    assert_int_equal(partition(&h)->leader_epoch, 1);
    const struct alter_partition_response_partition_data *answer =
        &response.topics[0].partitions[0];
    assert_int_equal(answer->leader_epoch, 1);
    assert_int_equal(answer->isr_count, 2);
    assert_int_equal(answer->isr[1], 4);
    harness_release(&h);
}

/* Nothing has to be copied: done at once. */
static void what_is_in_sync_already(void **state)
{
    struct harness h;
    setup(&h);
    assert_int_equal(move(&h, "123"), 0);
    assert_int_equal(h.last.count, 0);
    assert_int_equal(move(&h, "321"), 0);
    assert_partition(&h, "321", "", "", "123");
    assert_int_equal(partition(&h)->leader_epoch, 0);
    assert_int_equal(move(&h, "32"), 0);
    assert_partition(&h, "32", "", "", "23");
    assert_int_equal(partition(&h)->leader, 3);
    assert_int_equal(partition(&h)->leader_epoch, 1);
    harness_release(&h);
}

/* A replica that is to stay is out of sync: the others wait for it. */
static void waits_for_all_that_stay(void **state)
{
    struct harness h;
    setup(&h);
    assert_int_equal(harness_set_isr(&h, "t", "1"), 0);
    assert_int_equal(move(&h, "124"), 0);
    assert_partition(&h, "1243", "4", "3", "1");
    assert_int_equal(harness_set_isr(&h, "t", "14"), 0);
    assert_partition(&h, "1243", "4", "3", "14");
    assert_int_equal(harness_set_isr(&h, "t", "142"), 0);
    assert_partition(&h, "124", "", "", "142");
    harness_release(&h);
}

/* The new replicas' broker dies on the way; the reassignment is carried on when it is back. */
static void survives_a_dead_broker(void **state)
{
    struct harness h;
    setup(&h);
    assert_int_equal(move(&h, "4"), 0);
    harness_heartbeat(&h, 4, true, false);
    assert_partition(&h, "4123", "4", "123", "123");
    harness_heartbeat(&h, 1, true, false);
    assert_int_equal(partition(&h)->leader, 2);
    assert_partition(&h, "4123", "4", "123", "23");
    harness_heartbeat(&h, 4, false, false);
    assert_int_equal(harness_set_isr(&h, "t", "234"), KAFKA_ERROR_NEW_LEADER_ELECTED);
    assert_partition(&h, "4", "", "", "4");
    assert_int_equal(partition(&h)->leader, 4);
    harness_release(&h);
}

static void cancelled(void **state)
{
    struct harness h;
    setup(&h);
    assert_int_equal(move(&h, NULL), KAFKA_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(move(&h, "45"), 0);
    assert_int_equal(harness_set_isr(&h, "t", "1234"), 0);
    assert_int_equal(move(&h, NULL), 0);
    assert_partition(&h, "123", "", "", "123");
    assert_int_equal(partition(&h)->leader, 1);
    assert_int_equal(partition(&h)->leader_epoch, 1);
    harness_release(&h);
}

/* Another target on the way: cancelling still goes back to where it began. */
static void another_target_on_the_way(void **state)
{
    struct harness h;
    setup(&h);
    assert_int_equal(move(&h, "4"), 0);
    assert_int_equal(move(&h, "51"), 0);
    assert_partition(&h, "51234", "45", "234", "123");
    assert_int_equal(move(&h, NULL), 0);
    assert_partition(&h, "123", "", "", "123");
    /* To where it was is the same. */
    assert_int_equal(move(&h, "4"), 0);
    assert_int_equal(move(&h, "123"), 0);
    assert_partition(&h, "123", "", "", "123");
    assert_int_equal(move(&h, "4"), 0);
    assert_int_equal(reassign(&h, "t", 0, "45", false).error_code,
                     KAFKA_ERROR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(reassign(&h, "t", 0, "5", false).error_code, 0);
    harness_release(&h);
}

/* Only new replicas are in sync: going back would cost what the old ones lack. */
static void cancelling_that_loses_records(void **state)
{
    struct harness h;
    setup(&h);
    assert_int_equal(harness_set_isr(&h, "t", "1"), 0);
    assert_int_equal(move(&h, "45"), 0);
    assert_int_equal(harness_set_isr(&h, "t", "14"), 0);
    harness_heartbeat(&h, 1, true, false);
    assert_partition(&h, "45123", "45", "123", "4");
    assert_int_equal(partition(&h)->leader, 4);
    result refused = reassign(&h, "t", 0, NULL, true);
    assert_int_equal(refused.error_code, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_true(str_eq(refused.error_message,
                       STR("Unable to revert partition assignment for t:0 because it would require "
                           "an unclean leader election.")));
    assert_partition(&h, "45123", "45", "123", "4");
    harness_set_topic(&h, "t", "unclean.leader.election.enable", "true");
    assert_int_equal(move(&h, NULL), 0);
    assert_partition(&h, "123", "", "", "2");
    assert_int_equal(partition(&h)->leader, 2);
    assert_int_equal(partition(&h)->recovery_state, LEADER_RECOVERING);
    harness_release(&h);
}

static void fence(struct harness *h, int32_t broker)
{
    assert_true(harness_heartbeat(h, broker, true, false).is_fenced);
}

/* Nobody is in sync, and who may be elected is a new replica: without it nobody could be. */
static void cancelling_that_leaves_nobody_to_lead(void **state)
{
    struct harness h;
    setup(&h);
    harness_set_topic(&h, "t", "min.insync.replicas", "2");
    assert_int_equal(move(&h, "45"), 0);
    assert_int_equal(harness_set_isr(&h, "t", "14"), 0);
    fence(&h, 1);
    assert_partition(&h, "45123", "45", "123", "4");
    harness_assert_ids(partition_elr(partition(&h)), "1");
    fence(&h, 4);
    assert_partition(&h, "45123", "45", "123", "");
    harness_assert_ids(partition_elr(partition(&h)), "14");
    assert_int_equal(partition(&h)->leader, -1);
    /* Of the two that were eligible the old one has lost what it had not flushed. */
    harness_restart(&h, 1);
    harness_assert_ids(partition_elr(partition(&h)), "4");
    assert_int_equal(move(&h, NULL), KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_false(harness_heartbeat(&h, 4, false, false).is_fenced);
    assert_int_equal(partition(&h)->leader, 4);
    assert_int_equal(harness_set_isr(&h, "t", "14"), 0);
    fence(&h, 4);
    fence(&h, 1);
    harness_assert_ids(partition_elr(partition(&h)), "14");
    assert_int_equal(move(&h, NULL), 0);
    assert_partition(&h, "123", "", "", "");
    harness_assert_ids(partition_elr(partition(&h)), "1");
    harness_release(&h);
}

static void refused(void **state)
{
    static const struct {
        const char *topic;
        int32_t index;
        const char *target;
        enum kafka_error error;
        const char *message;
    } cases[] = {
        {"none", 0, "1", KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
         "Unable to find a topic named none."},
        {"t", 9, "1", KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "Unable to find partition t:9."},
        {"t", 0, "", KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
         "The manual partition assignment includes an empty replica list."},
        {"t", 0, "11", KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
         "The manual partition assignment includes the broker 1 more than once."},
        {"t", 0, "19", KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
         "The manual partition assignment includes broker 9, but no such broker is registered."},
        {"t", 0, "12", KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
         "The replication factor is changed from 3 to 2"},
    };
    struct harness h;
    setup(&h);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        result got = reassign(&h, cases[i].topic, cases[i].index, cases[i].target, false);
        assert_int_equal(got.error_code, cases[i].error);
        assert_int_equal(h.last.count, 0);
        if (!str_eq(got.error_message, str_of(cases[i].message)))
            fail_msg("%.*s", STR_FMT(got.error_message));
    }
    harness_release(&h);
}

static struct list_partition_reassignments_response list(struct harness *h, const char *topic)
{
    static int32_t indexes[] = {0, 1, 7};
    struct list_partition_reassignments_request request;
    struct list_partition_reassignments_response response;
    message_init(&list_partition_reassignments_request_desc, &request);
    if (topic) {
        request.topics_count = 1;
        request.topics = MESSAGE_ARRAY(
            &h->arena, list_partition_reassignments_request_list_partition_reassignments_topics, 1);
        request.topics[0].name = str_of(topic);
        request.topics[0].partition_indexes = indexes;
        request.topics[0].partition_indexes_count = 3;
    }
    controller_list_partition_reassignments(h->c, &h->ctx, &request, &h->arena, &response,
                                            &h->result);
    assert_int_equal(h->result.records.count, 0);
    return response;
}

static void listed(void **state)
{
    struct harness h;
    setup(&h);
    harness_create_on(&h, "away", "21");
    harness_heartbeat(&h, 2, true, false); /* unsettled, but not reassigned */
    assert_int_equal(list(&h, NULL).topics_count, 0);
    assert_int_equal(list(&h, "t").topics_count, 0);
    assert_int_equal(list(&h, "none").topics_count, 0);
    assert_int_equal(move(&h, "34"), 0);
    for (int named = 0; named < 2; named++) {
        struct list_partition_reassignments_response response = list(&h, named ? "t" : NULL);
        assert_int_equal(response.topics_count, 1);
        assert_true(str_eq(response.topics[0].name, STR("t")));
        assert_int_equal(response.topics[0].partitions_count, 1);
        const struct list_partition_reassignments_response_ongoing_partition_reassignment *p =
            &response.topics[0].partitions[0];
        harness_assert_ids((struct node_list){p->replicas, p->replicas_count}, "3412");
        harness_assert_ids((struct node_list){p->adding_replicas, p->adding_replicas_count}, "4");
        harness_assert_ids((struct node_list){p->removing_replicas, p->removing_replicas_count},
                           "12");
    }
    harness_release(&h);
}

/* A topic that is deleted takes its reassignments with it. */
static void deleted_on_the_way(void **state)
{
    struct harness h;
    struct delete_topics_request request;
    struct delete_topics_response response;
    struct str name = STR("t");
    setup(&h);
    assert_int_equal(move(&h, "45"), 0);
    message_init(&delete_topics_request_desc, &request);
    request.topic_names = &name;
    request.topic_names_count = 1;
    request.timeout_ms = 1000;
    controller_delete_topics(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    harness_commit(&h);
    assert_int_equal(response.responses[0].error_code, 0);
    assert_int_equal(list(&h, NULL).topics_count, 0);
    assert_int_equal(harness_image(&h)->topics.unsettled.count, 0);
    assert_int_equal(harness_image(&h)->topics.hosted.count, 0);
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_and_completes),
        cmocka_unit_test(the_leader_stays),
        cmocka_unit_test(what_is_in_sync_already),
        cmocka_unit_test(waits_for_all_that_stay),
        cmocka_unit_test(survives_a_dead_broker),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(another_target_on_the_way),
        cmocka_unit_test(cancelling_that_loses_records),
        cmocka_unit_test(cancelling_that_leaves_nobody_to_lead),
        cmocka_unit_test(refused),
        cmocka_unit_test(listed),
        cmocka_unit_test(deleted_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
