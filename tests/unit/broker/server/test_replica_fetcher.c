/*
 * A fetcher with one partition, in a simulated process. There is no connection: what it would send
 * is looked at, and what the leader answers is told by the test.
 */
#include "broker/server/replica_fetcher.h"

#include "common/protocol/frame.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/record_batch_builder.h"
#include "tests/unit/broker/replica/lone_host.h"
#include "tests/unit/broker/server/one_process.h"

#define LEADER  2
#define EPOCH   4
#define SESSION 9

struct scene {
    struct one_process own;
    struct lone_host lone;
    struct log_config log_config;
    struct replica_fetcher *fetcher;
    struct uuid topic_id;
    struct partition *partition;
    struct followed followed;
};

static struct scene scene;

static void closed(void *ctx)
{
    scene.partition = NULL;
}

static void *boot(struct env *env, void *ctx)
{
    one_process_configure(&scene.own, env);
    scene.log_config = LOG_CONFIG_DEFAULT;
    scene.topic_id = env_random_uuid(env);
    scene.own.shard.node = &scene.own.node;
    scene.own.shard.loop = env->loops[0];
    scene.own.shard.metrics = broker_metrics_shard(scene.own.node.metrics, 0);
    map_init(&scene.own.shard.partitions, MAP_UUID);
    lone_host_init(&scene.lone, scene.own.sim, env, SELF, &scene.own.shard.host);
    scene.fetcher = replica_fetcher_new(NULL, &scene.own.shard, LEADER, 0);
    return &scene;
}

/* --- the test's side --- */

static void run(void)
{
    one_process_run(&scene.own);
}

static void begin(void)
{
    scene = (struct scene){0};
    one_process_begin(&scene.own, boot);
}

static void end(void)
{
    one_process_end(&scene.own);
}

/* A replica with an empty log. */
static void move_here(void)
{
    static const int32_t both[] = {SELF, LEADER};
    struct node_list list = {both, ARRAY_LEN(both)};
    struct partition_role role = {
        .leader_id = LEADER, .leader_epoch = EPOCH, .replicas = list, .isr = list};
    struct partition_new_args args = {.host = &scene.own.shard.host,
                                      .topic = STR("topic"),
                                      .topic_id = scene.topic_id,
                                      .role = &role,
                                      .config = &scene.log_config,
                                      .min_isr = 1};
    scene.lone.lives++;
    scene.partition = partition_new(&args);
    map_put(&scene.own.shard.partitions, map_key_uuid_int(scene.topic_id, 0), scene.partition);
    run();
    assert_int_equal(partition_get_state(scene.partition), PARTITION_ONLINE);
    scene.followed = (struct followed){.partition = scene.partition, .taken_in = -1};
    list_init(&scene.followed.member);
    list_init(&scene.followed.changed);
    list_init(&scene.followed.pending);
    *partition_followed(scene.partition) = &scene.followed;
    replica_fetcher_add(scene.fetcher, &scene.followed);
}

static void move_away(void)
{
    replica_fetcher_remove(scene.fetcher, &scene.followed);
    *partition_followed(scene.partition) = NULL;
    map_remove(&scene.own.shard.partitions, map_key_uuid_int(scene.topic_id, 0));
    partition_close(scene.partition, true, true, closed, NULL);
    run();
    assert_null(scene.partition);
}

/* The next fetch goes out, and names the partition at that offset. */
static struct fetcher_request fetch_from(int64_t offset)
{
    struct replica_fetcher *f = scene.fetcher;
    struct arena arena;
    arena_init(&arena, 0);
    struct fetch_request *request = replica_fetcher_build(f, f->session_epoch > 0, &arena);
    assert_non_null(request);
    assert_int_equal(request->topics_count, 1);
    assert_int_equal(request->topics[0].partitions_count, 1);
    assert_int_equal(request->topics[0].partitions[0].fetch_offset, offset);
    arena_release(&arena);
    f->session_epoch += f->session_epoch > 0;
    return (struct fetcher_request){
        .fetcher = f, .generation = f->generation, .number = f->last_number};
}

static struct bytes batch(struct bytebuf *out, int64_t offset, int count)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    struct record_batch_builder builder;
    struct record_batch_header header;
    record_batch_builder_init(&builder);
    record_batch_builder_start(&builder, &options);
    for (int i = 0; i < count; i++)
        CHECK(record_batch_builder_append(&builder, 1000 + i, BYTES_NULL,
                                          (struct bytes){(const uint8_t *)"value", 5}, NULL,
                                          0) == 0);
    bytebuf_init(out);
    record_batch_builder_close(&builder, out);
    record_batch_builder_release(&builder);
    record_batch_header_decode(out->data, &header);
    header.base_offset = offset;
    header.partition_leader_epoch = EPOCH;
    record_batch_header_encode(&header, out->data);
    return (struct bytes){out->data, (int32_t)out->len};
}

/* The leader answers it with `count` records, or none and where its own part from these. */
static void answer_with(struct fetcher_request *request, int64_t offset, int count,
                        struct log_epoch_end diverging)
{
    struct arena arena;
    struct bytebuf records, out;
    struct fetch_response response;
    arena_init(&arena, 0);
    message_init(&fetch_response_desc, &response);
    response.session_id = SESSION;
    response.responses_count = 1;
    response.responses = MESSAGE_ARRAY(&arena, fetch_response_fetchable_topic_response, 1);
    response.responses->topic_id = scene.topic_id;
    response.responses->partitions_count = 1;
    response.responses->partitions = MESSAGE_ARRAY(&arena, fetch_response_partition_data, 1);
    response.responses->partitions->high_watermark = offset;
    bytebuf_init(&records);
    if (count > 0)
        response.responses->partitions->records = batch(&records, offset, count);
    response.responses->partitions->diverging_epoch.epoch = diverging.epoch;
    response.responses->partitions->diverging_epoch.end_offset = diverging.end_offset;
    bytebuf_init(&out);
    int rv =
        frame_encode_response(api_find(API_FETCH), REPLICA_FETCH_VERSION, 1, &response, &out, NULL);
    assert_int_equal(rv, 0);
    struct buf *frame = buf_copy(out.data + 4, out.len - 4);
    bytebuf_release(&out);
    bytebuf_release(&records);
    arena_release(&arena);
    replica_fetcher_answered(scene.fetcher, request, frame);
    buf_unref(frame);
}

static void answer(struct fetcher_request *request, int64_t offset, int count)
{
    answer_with(request, offset, count, (struct log_epoch_end){-1, -1});
    run();
}

static int64_t log_end(void)
{
    return log_end_offset(partition_any_log(scene.partition));
}

/* What was asked for the replica that was here before begins behind the new one's end. */
static void an_answer_from_before_the_place_was_named_is_not_taken(void **state)
{
    begin();
    move_here();
    struct fetcher_request first = fetch_from(0);
    answer(&first, 0, 3);
    assert_int_equal(log_end(), 3);
    struct fetcher_request before = fetch_from(3);
    move_away();
    move_here();
    struct fetcher_request after = fetch_from(0);
    answer(&before, 3, 2);
    assert_int_equal(log_end(), 0);
    answer(&after, 0, 5);
    assert_int_equal(log_end(), 5);
    end();
}

/* Without a pause both would be busy with nothing else. */
static void a_leader_that_disowns_what_it_gave_is_asked_slowly(void **state)
{
    const struct log_epoch_end none = {-1, -1}, at_3 = {EPOCH, 3};
    begin();
    move_here();
    struct fetcher_request request = fetch_from(0);
    answer_with(&request, 0, 5, none);
    assert_false(timer_running(&scene.followed.pause));
    run();
    assert_int_equal(log_end(), 5);
    request = fetch_from(5);
    answer_with(&request, 5, 0, at_3);
    assert_true(timer_running(&scene.followed.pause));
    timer_stop(&scene.followed.pause);
    run();
    assert_int_equal(log_end(), 0); /* batches stay whole */
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_from_before_the_place_was_named_is_not_taken),
        cmocka_unit_test(a_leader_that_disowns_what_it_gave_is_asked_slowly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
