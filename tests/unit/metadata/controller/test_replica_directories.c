#include "common/protocol/kafka_error.h"
#include "tests/unit/metadata/controller/controller_partitions.h"

/* Brokers 1 and 2 with two directories each; topic "t" on both, led by 1. */
static void setup(struct harness *h)
{
    harness_init(h);
    harness_add_broker(h, 1, 2, NULL);
    harness_add_broker(h, 2, 2, NULL);
    harness_create_on(h, "t", "12");
}

static int16_t assign(struct harness *h, int32_t broker, struct uuid directory, const char *topic,
                      int32_t partition)
{
    struct assign_replicas_to_dirs_request request;
    struct assign_replicas_to_dirs_response response;
    const struct broker_image *image = cluster_image_broker(&harness_image(h)->cluster, broker);
    const struct topic_image *found = topics_image_find(&harness_image(h)->topics, str_of(topic));
    struct assign_replicas_to_dirs_request_partition_data one = {.partition_index = partition};
    struct assign_replicas_to_dirs_request_topic_data data = {
        .topic_id = found ? found->id : directory, .partitions = &one, .partitions_count = 1};
    struct assign_replicas_to_dirs_request_directory_data dir = {
        .id = directory, .topics = &data, .topics_count = 1};
    message_init(&assign_replicas_to_dirs_request_desc, &request);
    request.broker_id = broker;
    request.broker_epoch = image ? image->epoch : 3;
    request.directories = &dir;
    request.directories_count = 1;
    controller_assign_replicas_to_dirs(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    harness_commit(h);
    if (response.error_code != 0)
        return response.error_code;
    assert_true(uuid_eq(response.directories[0].id, directory));
    assert_int_equal(response.directories[0].topics[0].partitions[0].partition_index, partition);
    return response.directories[0].topics[0].partitions[0].error_code;
}

static const struct partition_image *partition(const struct harness *h)
{
    return harness_partition(h, "t", 0);
}

static void is_noted(void **state)
{
    struct harness h;
    setup(&h);
    assert_true(uuid_is_zero(partition_directory_of(partition(&h), 1)));
    assert_int_equal(assign(&h, 1, harness_directory(1, 1), "t", 0), 0);
    assert_int_equal(h.last.count, 1);
    const struct partition_change_record *record = h.last.items[0].data;
    assert_int_equal(record->directories_count, 2);
    assert_int_equal(record->leader, PARTITION_NO_LEADER_CHANGE);
    assert_int_equal(record->isr_count, -1);
    assert_true(uuid_eq(partition_directory_of(partition(&h), 1), harness_directory(1, 1)));
    assert_true(uuid_is_zero(partition_directory_of(partition(&h), 2)));
    assert_int_equal(assign(&h, 1, harness_directory(1, 1), "t", 0), 0);
    assert_int_equal(h.last.count, 0);
    harness_release(&h);
}

static void refused(void **state)
{
    struct harness h;
    setup(&h);
    harness_create_on(&h, "two", "2");
    assert_int_equal(assign(&h, 1, harness_directory(1, 0), "none", 0),
                     KAFKA_ERROR_UNKNOWN_TOPIC_ID);
    assert_int_equal(assign(&h, 1, harness_directory(1, 0), "t", 4),
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(assign(&h, 1, harness_directory(1, 0), "two", 0),
                     KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(assign(&h, 9, harness_directory(1, 0), "t", 0),
                     KAFKA_ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(h.last.count, 0);
    harness_release(&h);
}

/* A replica in a directory that is not online (any more) is not in sync and does not lead; moved
 * into one that is, it may lead again. */
static void directories_that_are_not_online(void **state)
{
    struct harness h;
    setup(&h);
    assert_int_equal(assign(&h, 1, harness_directory(1, 7), "t", 0), 0);
    assert_int_equal(partition(&h)->leader, 2);
    harness_assert_ids(partition_isr(partition(&h)), "2");
    assert_int_equal(assign(&h, 2, harness_directory(2, 7), "t", 0), 0);
    assert_int_equal(partition(&h)->leader, -1);
    harness_assert_ids(partition_elr(partition(&h)), "2");
    assert_int_equal(assign(&h, 1, harness_directory(1, 0), "t", 0), 0);
    assert_int_equal(partition(&h)->leader, -1); /* it is behind */
    assert_int_equal(assign(&h, 2, harness_directory(2, 0), "t", 0), 0);
    assert_int_equal(partition(&h)->leader, 2);
    harness_assert_ids(partition_isr(partition(&h)), "2");
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_noted),
        cmocka_unit_test(refused),
        cmocka_unit_test(directories_that_are_not_online),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
