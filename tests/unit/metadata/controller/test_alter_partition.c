#include "common/protocol/kafka_error.h"
#include "tests/unit/metadata/controller/controller_partitions.h"

#define BROKERS 4

/* Four brokers and topic "t" of one partition on brokers 1, 2 and 3, led by 1. */
struct fixture {
    struct harness h;
    int64_t epochs[BROKERS + 1];
    struct alter_partition_response response;
};

static const struct partition_image *partition(const struct fixture *f)
{
    return harness_partition(&f->h, "t", 0);
}

static void setup(struct fixture *f)
{
    harness_init(&f->h);
    for (int32_t id = 1; id <= BROKERS; id++)
        f->epochs[id] = harness_add_broker(&f->h, id, 1, NULL);
    harness_create_on(&f->h, "t", "123");
}

/* What broker 1 would ask for, with the epochs that it knows; the ISR is written in digits. */
static struct alter_partition_request ask(struct fixture *f, const char *isr)
{
    const struct topic_image *topic = topics_image_find(&harness_image(&f->h)->topics, STR("t"));
    struct alter_partition_request request =
        harness_isr_request(&f->h, topic, partition(f), harness_ids(&f->h, isr));
    struct alter_partition_request_partition_data *data = &request.topics[0].partitions[0];
    for (int32_t i = 0; i < data->new_isr_with_epochs_count; i++)
        data->new_isr_with_epochs[i].broker_epoch =
            f->epochs[data->new_isr_with_epochs[i].broker_id];
    return request;
}

static struct alter_partition_request_partition_data *
only(const struct alter_partition_request *request)
{
    return &request->topics[0].partitions[0];
}

static int16_t alter(struct fixture *f, const struct alter_partition_request *request)
{
    return harness_alter(&f->h, request, &f->response);
}

static void assert_isr(const struct fixture *f, const char *digits)
{
    harness_assert_ids(partition_isr(partition(f)), digits);
}

static void shrinks_and_grows(void **state)
{
    struct fixture f;
    setup(&f);
    assert_isr(&f, "123");
    struct alter_partition_request request = ask(&f, "12");
    assert_int_equal(alter(&f, &request), 0);
    assert_int_equal(f.h.last.count, 1);
    const struct partition_change_record *record = f.h.last.items[0].data;
    assert_int_equal(f.h.last.items[0].key, METADATA_PARTITION_CHANGE_RECORD);
    assert_int_equal(record->leader, PARTITION_NO_LEADER_CHANGE);
    assert_int_equal(record->isr_count, 2);
    assert_int_equal(record->replicas_count, -1);
    assert_int_equal(record->directories_count, -1);
    assert_isr(&f, "12");
    const struct alter_partition_response_partition_data *answer =
        &f.response.topics[0].partitions[0];
    assert_int_equal(answer->leader_id, 1);
    assert_int_equal(answer->leader_epoch, 0);
    assert_int_equal(answer->partition_epoch, 1);
    assert_int_equal(answer->isr_count, 2);
    assert_int_equal(answer->isr[1], 2);

    /* Asked for what is: nothing is written, and the answer says what is. */
    request = ask(&f, "12");
    assert_int_equal(alter(&f, &request), 0);
    assert_int_equal(f.h.last.count, 0);
    assert_int_equal(f.response.topics[0].partitions[0].partition_epoch, 1);
    assert_int_equal(f.response.topics[0].partitions[0].isr_count, 2);

    /* Version 2 names brokers only. */
    request = ask(&f, "");
    int32_t isr[] = {1, 2, 3};
    only(&request)->new_isr = isr;
    only(&request)->new_isr_count = 3;
    assert_int_equal(alter(&f, &request), 0);
    assert_isr(&f, "123");
    assert_int_equal(partition(&f)->leader_epoch, 0);
    assert_int_equal(partition(&f)->partition_epoch, 2);
    harness_release(&f.h);
}

/* KIP-380: what a former incarnation of the leader sent late. */
static void stale_broker_epoch(void **state)
{
    struct fixture f;
    setup(&f);
    struct alter_partition_request request = ask(&f, "12");
    request.broker_epoch--;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(f.response.topics_count, 0);
    request.broker_id = 9;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(f.h.last.count, 0);
    harness_release(&f.h);
}

static void epochs_of_the_partition(void **state)
{
    struct fixture f;
    setup(&f);
    struct alter_partition_request request = ask(&f, "12");
    assert_int_equal(alter(&f, &request), 0);
    /* The partition has moved on since. */
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_INVALID_UPDATE_VERSION);
    request = ask(&f, "123");
    only(&request)->partition_epoch++;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_NOT_CONTROLLER);
    request = ask(&f, "123");
    only(&request)->leader_epoch++;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_NOT_CONTROLLER);
    request = ask(&f, "123");
    only(&request)->leader_epoch--;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_FENCED_LEADER_EPOCH);
    assert_isr(&f, "12");
    /* One partition twice in a request: the second is based on what the first changed. */
    request = ask(&f, "1");
    struct alter_partition_request_partition_data twice[] = {*only(&request), *only(&request)};
    request.topics[0].partitions = twice;
    request.topics[0].partitions_count = 2;
    assert_int_equal(alter(&f, &request), 0);
    assert_int_equal(f.response.topics[0].partitions[1].error_code,
                     KAFKA_ERROR_INVALID_UPDATE_VERSION);
    assert_int_equal(f.h.last.count, 1);
    harness_release(&f.h);
}

/* A forged or confused request changes nothing. */
static void forged(void **state)
{
    static const char *const lists[] = {"", "2", "23", "124", "112"};
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct alter_partition_request request = ask(&f, lists[i]);
        assert_int_equal(alter(&f, &request), KAFKA_ERROR_INVALID_REQUEST);
    }
    struct alter_partition_request request = ask(&f, "2");
    request.broker_id = 2; /* a live broker that does not lead */
    request.broker_epoch = f.epochs[2];
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_INVALID_REQUEST);
    request = ask(&f, "1");
    only(&request)->leader_recovery_state = LEADER_RECOVERING;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_INVALID_REQUEST);
    only(&request)->leader_recovery_state = 7;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_INVALID_REQUEST);
    request = ask(&f, "12");
    only(&request)->partition_index = 5;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    request = ask(&f, "12");
    request.topics[0].topic_id.b[3] ^= 1;
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_UNKNOWN_TOPIC_ID);
    assert_isr(&f, "123");
    assert_int_equal(partition(&f)->partition_epoch, 0);
    harness_release(&f.h);
}

/* KIP-841: nobody takes a fenced broker into an ISR, nor one that is about to stop. */
static void fenced_and_stopping_replicas(void **state)
{
    struct fixture f;
    setup(&f);
    harness_heartbeat(&f.h, 3, true, false); /* fences itself */
    assert_isr(&f, "12");
    struct alter_partition_request request = ask(&f, "123");
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_INELIGIBLE_REPLICA);
    harness_heartbeat(&f.h, 3, false, false);
    request = ask(&f, "123");
    assert_int_equal(alter(&f, &request), 0);
    assert_isr(&f, "123");

    harness_create_on(&f.h, "keeps-2-busy", "2");
    harness_heartbeat(&f.h, 2, false, true);
    assert_true(cluster_image_broker(&harness_image(&f.h)->cluster, 2)->in_controlled_shutdown);
    assert_isr(&f, "13");
    request = ask(&f, "132");
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_INELIGIBLE_REPLICA);
    assert_isr(&f, "13");
    harness_release(&f.h);
}

/* KIP-903: the leader saw an incarnation in sync that is gone; the new one may have an empty disk.
 */
static void another_incarnation(void **state)
{
    struct fixture f;
    setup(&f);
    struct broker_registration_request registration = harness_registration(&f.h, 3, 1, NULL);
    struct broker_registration_response registered;
    controller_broker_registration(f.h.c, &f.h.ctx, &registration, &f.h.arena, &registered,
                                   &f.h.result);
    harness_commit(&f.h);
    assert_int_equal(registered.error_code, 0);
    harness_heartbeat(&f.h, 3, false, false);
    assert_isr(&f, "12");
    struct alter_partition_request request = ask(&f, "123");
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_INELIGIBLE_REPLICA);
    assert_isr(&f, "12");
    f.epochs[3] = registered.broker_epoch;
    request = ask(&f, "123");
    assert_int_equal(alter(&f, &request), 0);
    assert_isr(&f, "123");
    harness_release(&f.h);
}

/* A new disk has another directory id: nobody could be elected there before its broker says that
 * the replica lies on it. */
static void another_disk(void **state)
{
    struct fixture f;
    setup(&f);
    struct broker_registration_request registration = harness_registration(&f.h, 3, 1, NULL);
    struct broker_registration_response registered;
    struct uuid disk = harness_directory(3, 7);
    registration.log_dirs = &disk;
    f.h.ctx.now_ms += f.h.config.session_timeout_ms;
    controller_broker_registration(f.h.c, &f.h.ctx, &registration, &f.h.arena, &registered,
                                   &f.h.result);
    harness_commit(&f.h);
    assert_int_equal(registered.error_code, 0);
    harness_heartbeat(&f.h, 3, false, false);
    f.epochs[3] = registered.broker_epoch;
    struct alter_partition_request request = ask(&f, "123");
    assert_int_equal(alter(&f, &request), KAFKA_ERROR_INELIGIBLE_REPLICA);
    harness_assign(&f.h, 3, disk, "t");
    request = ask(&f, "123");
    assert_int_equal(alter(&f, &request), 0);
    assert_isr(&f, "123");
    harness_release(&f.h);
}

/* After an unclean election the leader says when it is through; until then it is alone. */
static void recovery(void **state)
{
    struct fixture f;
    setup(&f);
    harness_create_on(&f.h, "u", "4");
    struct broker_registration_request registration = harness_registration(&f.h, 4, 1, NULL);
    struct broker_registration_response registered;
    controller_broker_registration(f.h.c, &f.h.ctx, &registration, &f.h.arena, &registered,
                                   &f.h.result);
    harness_commit(&f.h);
    harness_heartbeat(&f.h, 4, false, false);
    const struct partition_image *p = harness_partition(&f.h, "u", 0);
    assert_int_equal(p->recovery_state, LEADER_RECOVERING);
    struct alter_partition_request request = ask(&f, "4");
    request.broker_id = 4;
    request.broker_epoch = registered.broker_epoch;
    request.topics[0].topic_id = topics_image_find(&harness_image(&f.h)->topics, STR("u"))->id;
    only(&request)->leader_epoch = p->leader_epoch;
    only(&request)->partition_epoch = p->partition_epoch;
    only(&request)->new_isr_with_epochs[0].broker_epoch = registered.broker_epoch;
    only(&request)->leader_recovery_state = LEADER_RECOVERED;
    assert_int_equal(alter(&f, &request), 0);
    assert_int_equal(f.h.last.count, 1);
    const struct partition_change_record *record = f.h.last.items[0].data;
    assert_int_equal(record->leader_recovery_state, LEADER_RECOVERED);
    assert_int_equal(record->isr_count, -1);
    assert_int_equal(harness_partition(&f.h, "u", 0)->recovery_state, LEADER_RECOVERED);
    assert_int_equal(f.response.topics[0].partitions[0].leader_recovery_state, LEADER_RECOVERED);
    harness_release(&f.h);
}

/* KIP-966: who leaves an ISR that is below the minimum stays eligible, until the minimum is back.
 */
static void eligible_replicas(void **state)
{
    struct fixture f;
    setup(&f);
    harness_set_topic(&f.h, "t", "min.insync.replicas", "2");
    struct alter_partition_request request = ask(&f, "1");
    assert_int_equal(alter(&f, &request), 0);
    struct node_list elr = partition_elr(partition(&f));
    assert_int_equal(elr.count, 2);
    assert_int_equal(elr.ids[0], 2);
    assert_int_equal(elr.ids[1], 3);
    request = ask(&f, "12");
    assert_int_equal(alter(&f, &request), 0);
    assert_int_equal(partition(&f)->elr_count, 0);
    harness_release(&f.h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shrinks_and_grows),
        cmocka_unit_test(stale_broker_epoch),
        cmocka_unit_test(epochs_of_the_partition),
        cmocka_unit_test(forged),
        cmocka_unit_test(fenced_and_stopping_replicas),
        cmocka_unit_test(another_incarnation),
        cmocka_unit_test(another_disk),
        cmocka_unit_test(recovery),
        cmocka_unit_test(eligible_replicas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
