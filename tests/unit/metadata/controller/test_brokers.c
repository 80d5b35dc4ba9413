#include "common/protocol/kafka_error.h"
#include "metadata/controller/brokers.h"
#include "tests/unit/metadata/controller/controller_cluster.h"

static const struct broker_image *broker(const struct harness *h, int32_t id)
{
    return cluster_image_broker(&harness_image(h)->cluster, id);
}

static int16_t register_broker(struct harness *h, struct broker_registration_request *request,
                               int64_t *ret_epoch)
{
    struct broker_registration_response response;
    controller_broker_registration(h->c, &h->ctx, request, &h->arena, &response, &h->result);
    harness_commit(h);
    if (ret_epoch)
        *ret_epoch = response.broker_epoch;
    return response.error_code;
}

static void assert_ids(struct node_list list, const int32_t *ids, int32_t count)
{
    assert_int_equal(list.count, count);
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(list.ids[i], ids[i]);
}
#define ASSERT_IDS(list, ...)                                                                      \
    assert_ids((list), (const int32_t[]){__VA_ARGS__},                                             \
               (int32_t)(sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))
#define ASSERT_NO_IDS(list) assert_int_equal((list).count, 0)

/* The epoch of a broker is the offset of its registration, and it is fenced until it has read it.
 */
static void registers_and_is_let_in(void **state)
{
    struct harness h;
    harness_init(&h);
    int64_t offset = h.ctx.next_offset, epoch;
    struct broker_registration_request request = harness_registration(&h, 1, 1, "r1");
    assert_int_equal(register_broker(&h, &request, &epoch), 0);
    assert_int_equal(epoch, offset);
    assert_true(broker(&h, 1)->fenced);
    assert_true(str_eq(broker(&h, 1)->rack, STR("r1")));

    struct broker_heartbeat_request heartbeat;
    struct broker_heartbeat_response response;
    message_init(&broker_heartbeat_request_desc, &heartbeat);
    heartbeat.broker_id = 1;
    heartbeat.broker_epoch = epoch;
    heartbeat.current_metadata_offset = epoch - 1;
    controller_broker_heartbeat(h.c, &h.ctx, &heartbeat, &h.arena, &response, &h.result);
    assert_int_equal(h.result.records.count, 0);
    assert_true(response.is_fenced && !response.is_caught_up);
    heartbeat.current_metadata_offset = epoch;
    controller_broker_heartbeat(h.c, &h.ctx, &heartbeat, &h.arena, &response, &h.result);
    assert_true(!response.is_fenced && response.is_caught_up && !response.should_shut_down);
    harness_commit(&h);
    assert_int_equal(h.last.count, 1);
    assert_int_equal(h.last.items[0].key, METADATA_BROKER_REGISTRATION_CHANGE_RECORD);
    assert_int_equal(h.last.items[0].version, 0);
    assert_false(broker(&h, 1)->fenced);

    heartbeat.broker_epoch = epoch - 1;
    controller_broker_heartbeat(h.c, &h.ctx, &heartbeat, &h.arena, &response, &h.result);
    assert_int_equal(response.error_code, KAFKA_ERROR_STALE_BROKER_EPOCH);
    heartbeat.broker_id = 9; /* not registered at all: the same to Kafka */
    controller_broker_heartbeat(h.c, &h.ctx, &heartbeat, &h.arena, &response, &h.result);
    assert_int_equal(response.error_code, KAFKA_ERROR_STALE_BROKER_EPOCH);
    harness_release(&h);
}

static void bad_registrations_are_refused(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 2, NULL);
    struct broker_registration_request good = harness_registration(&h, 2, 2, NULL), bad = good;
    bad.cluster_id = STR("another");
    assert_int_equal(register_broker(&h, &bad, NULL), KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
    bad = good;
    bad.log_dirs_count = 0;
    assert_int_equal(register_broker(&h, &bad, NULL), KAFKA_ERROR_INVALID_REGISTRATION);
    bad = good;
    struct uuid twice[] = {good.log_dirs[0], good.log_dirs[0]};
    bad.log_dirs = twice;
    assert_int_equal(register_broker(&h, &bad, NULL), KAFKA_ERROR_INVALID_REGISTRATION);
    struct uuid reserved[] = {good.log_dirs[0], UUID_DIRECTORY_LOST};
    bad.log_dirs = reserved;
    assert_int_equal(register_broker(&h, &bad, NULL), KAFKA_ERROR_INVALID_REGISTRATION);
    struct uuid others[] = {good.log_dirs[0], harness_directory(1, 0)};
    bad.log_dirs = others;
    assert_int_equal(register_broker(&h, &bad, NULL), KAFKA_ERROR_INVALID_REGISTRATION);
    bad = good;
    bad.features_count = 0;
    assert_int_equal(register_broker(&h, &bad, NULL), KAFKA_ERROR_INVALID_REGISTRATION);
    bad = harness_registration(&h, 2, 2, NULL);
    bad.features[0].max_supported_version = METADATA_VERSION_LATEST - 1;
    assert_int_equal(register_broker(&h, &bad, NULL), KAFKA_ERROR_UNSUPPORTED_VERSION);
    bad = harness_registration(&h, 2, 2, NULL);
    bad.is_migrating_zk_broker = true;
    assert_int_equal(register_broker(&h, &bad, NULL), KAFKA_ERROR_BROKER_ID_NOT_REGISTERED);
    assert_null(broker(&h, 2));
    assert_int_equal(register_broker(&h, &good, NULL), 0);
    harness_release(&h);
}

/* Two live nodes with one id: the second is refused until the first one's session ends, unless it
 * has the first one's directories and end points, which prove that the first is gone. */
static void another_node_with_the_same_id(void **state)
{
    struct harness h;
    harness_init(&h);
    int64_t first = harness_add_broker(&h, 1, 1, NULL), epoch;
    struct broker_registration_request other = harness_registration(&h, 1, 1, NULL);
    other.log_dirs[0] = harness_directory(7, 0);
    h.ctx.now_ms += h.config.session_timeout_ms - 1;
    assert_int_equal(register_broker(&h, &other, NULL), KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    struct broker_registration_request restarted = harness_registration(&h, 1, 1, NULL);
    assert_int_equal(register_broker(&h, &restarted, &epoch), 0);
    assert_true(epoch > first);
    assert_true(broker(&h, 1)->fenced);
    h.ctx.now_ms += h.config.session_timeout_ms;
    assert_int_equal(register_broker(&h, &other, &epoch), 0);
    /* The same process again keeps its epoch. */
    int64_t again;
    other.rack = STR("moved");
    assert_int_equal(register_broker(&h, &other, &again), 0);
    assert_int_equal(again, epoch);
    assert_true(str_eq(broker(&h, 1)->rack, STR("moved")));
    harness_release(&h);
}

/* A log directory was copied and both nodes run: the second is refused while the first is heard of;
 * a controller that has not heard of it yet cannot know. */
static void a_copied_directory(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    struct broker_registration_request copy = harness_registration(&h, 1, 1, NULL);
    copy.listeners[0].port++;
    assert_int_equal(register_broker(&h, &copy, NULL), KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    copy.listeners[0].port--;
    copy.listeners[0].host = STR("elsewhere");
    assert_int_equal(register_broker(&h, &copy, NULL), KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    h.ctx.now_ms += h.config.session_timeout_ms;
    assert_int_equal(register_broker(&h, &copy, NULL), 0);
    /* Registered, and no heartbeat since. */
    struct broker_registration_request moved = harness_registration(&h, 1, 1, NULL);
    assert_int_equal(register_broker(&h, &moved, NULL), 0);
    /* One that is let go may come back at another place before its session ends. */
    assert_false(harness_heartbeat(&h, 1, false, false).is_fenced);
    assert_int_equal(register_broker(&h, &copy, NULL), KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_true(harness_heartbeat(&h, 1, false, true).should_shut_down);
    assert_int_equal(register_broker(&h, &copy, NULL), 0);
    harness_release(&h);
}

/* The records that Kafka wrote when a single node stopped cleanly and came back. */
static void clean_restart_of_a_single_node(void **state)
{
    struct harness h;
    harness_init(&h);
    int64_t epoch = harness_add_broker(&h, 1, 1, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 1, 1, NULL), 0);
    assert_true(
        uuid_eq(*partition_directories(harness_partition(&h, "t", 0)), harness_directory(1, 0)));
    struct broker_heartbeat_response response = harness_heartbeat(&h, 1, false, true);
    assert_true(!response.should_shut_down && !response.is_fenced);
    assert_int_equal(h.last.count, 2);
    const struct partition_change_record *change = h.last.items[1].data;
    assert_int_equal(change->isr_count, 0);
    assert_int_equal(change->leader, -1);
    ASSERT_IDS(((struct node_list){change->eligible_leader_replicas,
                                   change->eligible_leader_replicas_count}),
               1);
    ASSERT_IDS(((struct node_list){change->last_known_elr, change->last_known_elr_count}), 1);
    assert_true(broker(&h, 1)->in_controlled_shutdown);
    response = harness_heartbeat(&h, 1, false, true);
    assert_true(response.should_shut_down && response.is_fenced);
    assert_true(broker(&h, 1)->fenced);

    struct broker_registration_request request = harness_registration(&h, 1, 1, NULL);
    request.previous_broker_epoch = epoch;
    assert_int_equal(register_broker(&h, &request, NULL), 0);
    assert_int_equal(h.last.count, 1);
    assert_false(harness_heartbeat(&h, 1, false, false).is_fenced);
    const struct partition_image *p = harness_partition(&h, "t", 0);
    ASSERT_IDS(partition_isr(p), 1);
    ASSERT_NO_IDS(partition_elr(p));
    ASSERT_NO_IDS(partition_last_known_elr(p));
    assert_int_equal(p->leader, 1);
    assert_int_equal(p->leader_epoch, 2);
    assert_int_equal(p->recovery_state, LEADER_RECOVERED);
    harness_release(&h);
}

/* After kill -9 the only replica may have lost what it had not flushed: it leads again, and says
 * that it is recovering. */
static void unclean_restart_of_a_single_node(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 1, 1, NULL), 0);
    struct broker_registration_request request = harness_registration(&h, 1, 1, NULL);
    assert_int_equal(register_broker(&h, &request, NULL), 0);
    const struct partition_image *p = harness_partition(&h, "t", 0);
    assert_int_equal(p->leader, -1);
    ASSERT_NO_IDS(partition_isr(p));
    ASSERT_NO_IDS(partition_elr(p));
    ASSERT_IDS(partition_last_known_elr(p), 1);
    assert_false(harness_heartbeat(&h, 1, false, false).is_fenced);
    p = harness_partition(&h, "t", 0);
    assert_int_equal(p->leader, 1);
    ASSERT_IDS(partition_isr(p), 1);
    ASSERT_NO_IDS(partition_last_known_elr(p));
    assert_int_equal(p->recovery_state, LEADER_RECOVERING);
    harness_release(&h);
}

static void tick(struct harness *h)
{
    int64_t next_ms;
    controller_tick(h->c, &h->ctx, &h->arena, &h->result, &next_ms);
    harness_commit(h);
}

static void sessions_end(void **state)
{
    struct harness h;
    harness_init(&h);
    for (int32_t id = 1; id <= 3; id++)
        harness_add_broker(&h, id, 1, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 6, 3, NULL), 0);
    h.ctx.now_ms += h.config.session_timeout_ms - 1;
    harness_heartbeat(&h, 1, false, false);
    harness_heartbeat(&h, 3, false, false);
    h.ctx.now_ms += 1;
    tick(&h);
    assert_true(broker(&h, 2)->fenced);
    assert_false(broker(&h, 1)->fenced || broker(&h, 3)->fenced);
    for (int32_t i = 0; i < 6; i++) {
        const struct partition_image *p = harness_partition(&h, "t", i);
        assert_false(node_list_contains(partition_isr(p), 2));
        assert_true(p->leader == 1 || p->leader == 3);
        assert_int_equal(p->isr_count, 2);
    }
    tick(&h);
    assert_true(h.last.count <= 1); /* at most the idle record */
    /* Heard of again, it is let in; its partitions keep their leaders. */
    assert_false(harness_heartbeat(&h, 2, false, false).is_fenced);
    assert_int_equal(h.last.count, 1);
    harness_release(&h);
}

/* A process that is known to be gone needs no session to end; one of before is no news. */
static void gone_processes_are_fenced_at_once(void **state)
{
    struct harness h;
    harness_init(&h);
    int64_t first = harness_add_broker(&h, 1, 1, NULL);
    harness_add_broker(&h, 2, 1, NULL);
    struct broker_registration_request request = harness_registration(&h, 1, 1, NULL);
    int64_t epoch;
    assert_int_equal(register_broker(&h, &request, &epoch), 0);
    assert_false(harness_heartbeat(&h, 1, false, false).is_fenced);
    assert_int_equal(harness_create_topic(&h, "t", 4, 2, NULL), 0);
    assert_false(controller_broker_gone(h.c, h.ctx.now_ms, 1, first));
    tick(&h);
    assert_false(broker(&h, 1)->fenced);
    assert_true(controller_broker_gone(h.c, h.ctx.now_ms, 1, epoch));
    assert_false(controller_broker_gone(h.c, h.ctx.now_ms, 1, epoch));
    assert_false(controller_broker_gone(h.c, h.ctx.now_ms, 9, epoch));
    tick(&h);
    assert_true(broker(&h, 1)->fenced);
    assert_false(broker(&h, 2)->fenced);
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(harness_partition(&h, "t", i)->leader, 2);
    /* It lived after all. */
    assert_false(harness_heartbeat(&h, 1, false, false).is_fenced);
    harness_release(&h);
}

/* Who led the quorum before fell silent when it did; its session does not begin anew with the next
 * controller. */
static void the_former_controller_is_known_better(void **state)
{
    struct harness h;
    struct metadata_records none = {0};
    const char *reason;
    harness_init(&h);
    for (int32_t id = 1; id <= 3; id++)
        harness_add_broker(&h, id, 1, NULL);
    int64_t session_ms = h.config.session_timeout_ms, begun_ms = h.ctx.now_ms;
    controller_deactivate(h.c);
    h.ctx.now_ms += 2000;
    assert_int_equal(controller_activate(h.c, &h.ctx, 1, &none, &h.arena, &h.result, &reason), 0);
    controller_last_heard(h.c, h.ctx.now_ms, 2, begun_ms);
    controller_last_heard(h.c, h.ctx.now_ms, 3, begun_ms - session_ms); /* that says nothing */
    controller_last_heard(h.c, h.ctx.now_ms, 9, begun_ms);
    h.ctx.now_ms = begun_ms + session_ms - 1;
    tick(&h);
    assert_false(broker(&h, 2)->fenced);
    h.ctx.now_ms++;
    tick(&h);
    assert_true(broker(&h, 2)->fenced);
    assert_false(broker(&h, 1)->fenced || broker(&h, 3)->fenced);
    harness_release(&h);
}

/* A broker may stop only once it leads nothing and the others know it. */
static void controlled_shutdown_waits_for_the_others(void **state)
{
    struct harness h;
    harness_init(&h);
    for (int32_t id = 1; id <= 3; id++)
        harness_add_broker(&h, id, 1, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 9, 3, NULL), 0);
    struct broker_heartbeat_response response = harness_heartbeat(&h, 2, false, true);
    assert_false(response.should_shut_down);
    for (int32_t i = 0; i < 9; i++) {
        assert_int_not_equal(harness_partition(&h, "t", i)->leader, 2);
        assert_int_not_equal(harness_partition(&h, "t", i)->leader, -1);
    }
    assert_false(harness_heartbeat(&h, 2, false, true).should_shut_down);
    harness_heartbeat(&h, 1, false, false);
    assert_false(harness_heartbeat(&h, 2, false, true).should_shut_down);
    harness_heartbeat(&h, 3, false, false);
    assert_true(harness_heartbeat(&h, 2, false, true).should_shut_down);
    assert_true(broker(&h, 2)->fenced);
    /* New topics go elsewhere. */
    assert_int_equal(harness_create_topic(&h, "two", 4, 2, NULL), 0);
    for (int32_t i = 0; i < 4; i++)
        assert_false(node_list_contains(partition_replicas(harness_partition(&h, "two", i)), 2));
    harness_release(&h);
}

static void unregistered_brokers_are_gone(void **state)
{
    struct harness h;
    harness_init(&h);
    for (int32_t id = 1; id <= 2; id++)
        harness_add_broker(&h, id, 1, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 4, 2, NULL), 0);
    struct unregister_broker_request request = {.broker_id = 2};
    struct unregister_broker_response response;
    controller_unregister_broker(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.error_code, 0);
    harness_commit(&h);
    assert_null(broker(&h, 2));
    for (int32_t i = 0; i < 4; i++) {
        const struct partition_image *p = harness_partition(&h, "t", i);
        assert_int_equal(p->leader, 1);
        ASSERT_IDS(partition_isr(p), 1);
        assert_int_equal(p->replica_count, 2);
    }
    harness_release(&h);
}

static void cordoned_directories_take_no_replicas(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    harness_add_broker(&h, 2, 2, NULL);
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    message_init(&broker_heartbeat_request_desc, &request);
    request.broker_id = 1;
    request.broker_epoch = broker(&h, 1)->epoch;
    request.current_metadata_offset = h.ctx.next_offset;
    struct uuid cordoned = harness_directory(1, 0);
    request.cordoned_log_dirs = &cordoned;
    request.cordoned_log_dirs_count = 1;
    controller_broker_heartbeat(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    harness_commit(&h);
    assert_int_equal(h.last.count, 1);
    assert_int_equal(h.last.items[0].version, 3);
    assert_int_equal(broker(&h, 1)->cordoned_count, 1);
    controller_broker_heartbeat(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(h.result.records.count, 0);
    struct str message;
    assert_int_equal(harness_create_topic(&h, "t", 1, 2, &message),
                     KAFKA_ERROR_INVALID_REPLICATION_FACTOR);
    assert_non_null(strstr(message.data, "only 1 broker(s) are registered"));
    assert_int_equal(harness_create_topic(&h, "t", 1, 1, NULL), 0);
    ASSERT_IDS(partition_replicas(harness_partition(&h, "t", 0)), 2);
    assert_true(uuid_is_zero(*partition_directories(harness_partition(&h, "t", 0))));
    harness_release(&h);
}

static void set_directory(struct harness *h, const char *topic, int32_t id, struct uuid directory)
{
    h->result = (struct controller_result){0};
    struct partition_change_record *change = METADATA_RECORD_ADD(
        &h->result.records, &h->arena, partition_change_record, PARTITION_CHANGE, 2);
    change->topic_id = topics_image_find(&harness_image(h)->topics, str_of(topic))->id;
    change->partition_id = id;
    change->directories = ARENA_NEW(&h->arena, struct uuid);
    change->directories[0] = directory;
    change->directories_count = 1;
    harness_commit(h);
}

/* A failed directory takes its partitions offline, the others of the broker stay. */
static void directories_fail(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 2, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 2, 1, NULL), 0);
    set_directory(&h, "t", 0, harness_directory(1, 0));
    set_directory(&h, "t", 1, harness_directory(1, 1));
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    message_init(&broker_heartbeat_request_desc, &request);
    request.broker_id = 1;
    request.broker_epoch = broker(&h, 1)->epoch;
    request.current_metadata_offset = h.ctx.next_offset;
    struct uuid failed[] = {harness_directory(1, 0), harness_directory(1, 1)};
    request.offline_log_dirs = failed;
    request.offline_log_dirs_count = 1;
    controller_broker_heartbeat(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    harness_commit(&h);
    assert_int_equal(h.last.count, 2);
    assert_int_equal(h.last.items[0].version, 2);
    assert_int_equal(broker(&h, 1)->directory_count, 1);
    assert_int_equal(harness_partition(&h, "t", 0)->leader, -1);
    ASSERT_IDS(partition_elr(harness_partition(&h, "t", 0)), 1);
    assert_int_equal(harness_partition(&h, "t", 1)->leader, 1);
    controller_broker_heartbeat(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(h.result.records.count, 0);
    /* What is gone does not lead, however often the broker comes and goes. */
    harness_heartbeat(&h, 1, true, false);
    assert_int_equal(harness_partition(&h, "t", 1)->leader, -1);
    harness_heartbeat(&h, 1, false, false);
    assert_int_equal(harness_partition(&h, "t", 0)->leader, -1);
    assert_int_equal(harness_partition(&h, "t", 1)->leader, 1);
    /* The last directory is the broker's end, which it brings about itself. */
    request.offline_log_dirs_count = 2;
    controller_broker_heartbeat(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(h.result.records.count, 0);
    harness_release(&h);
}

/* Who began to stop and was fenced needs a new registration to come back. */
static void a_stopped_broker_does_not_come_back_by_heartbeat(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_int_equal(harness_create_topic(&h, "t", 1, 1, NULL), 0);
    harness_heartbeat(&h, 1, false, true);
    assert_true(harness_heartbeat(&h, 1, false, true).should_shut_down);
    assert_true(harness_heartbeat(&h, 1, false, false).should_shut_down);
    assert_true(broker(&h, 1)->fenced);
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_and_is_let_in),
        cmocka_unit_test(bad_registrations_are_refused),
        cmocka_unit_test(another_node_with_the_same_id),
        cmocka_unit_test(a_copied_directory),
        cmocka_unit_test(clean_restart_of_a_single_node),
        cmocka_unit_test(unclean_restart_of_a_single_node),
        cmocka_unit_test(sessions_end),
        cmocka_unit_test(gone_processes_are_fenced_at_once),
        cmocka_unit_test(the_former_controller_is_known_better),
        cmocka_unit_test(controlled_shutdown_waits_for_the_others),
        cmocka_unit_test(unregistered_brokers_are_gone),
        cmocka_unit_test(cordoned_directories_take_no_replicas),
        cmocka_unit_test(directories_fail),
        cmocka_unit_test(a_stopped_broker_does_not_come_back_by_heartbeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
