/*
 * What a shard does with the images that run by when a broker starts: a shard and its disk in a
 * simulated process. The images are made by the test, from records.
 */
#include "broker/server/shard.h"

#include "broker/server/listeners.h"
#include "common/protocol/record_batch_builder.h"
#include "tests/unit/broker/server/one_process.h"
#include "tests/unit/metadata/image_builder.h"

#define OTHER       2
#define EPOCH       4
#define KEPT        10 /* topic t */
#define EARLIER     20 /* topic u, before it was deleted and made again */
#define LATER       21
#define RECORDS     3
#define FORMER_LIFE 98
#define THIS_LIFE   99

struct scene {
    struct one_process own;
    struct image_chain *chain;
    int64_t offset; /* of the metadata */
};

static struct scene scene;

/* --- the disk --- */

static const char *const data[] = {"/data"};

static void open_disk(void)
{
    struct node_disk *disk = &scene.own.node.disk;
    int rv = log_manager_open(scene.own.node.env->disk, data, 1, &disk->logs, disk->error);
    CHECK(rv == 0);
    rv = log_manager_begin(disk->logs);
    CHECK(rv == 0);
}

static void append(struct log *log, int count)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    struct record_batch_builder builder;
    struct bytebuf batch;
    struct log_append_info info;
    record_batch_builder_init(&builder);
    bytebuf_init(&batch);
    record_batch_builder_start(&builder, &options);
    int rv = 0;
    for (int i = 0; i < count && rv == 0; i++)
        rv = record_batch_builder_append(&builder, 1000 + i, BYTES_NULL, BYTES_NULL, NULL, 0);
    CHECK(rv == 0);
    record_batch_builder_close(&builder, &batch);
    struct log_append_args args = {{batch.data, (int32_t)batch.len},
                                   LOG_APPEND_CLIENT,
                                   EPOCH,
                                   env_wall_ms(scene.own.node.env)};
    rv = log_append(log, &args, &info);
    CHECK(rv == 0 && info.error == KAFKA_ERROR_NONE);
    record_batch_builder_release(&builder);
    bytebuf_release(&batch);
}

/* A process before this one left it. */
static void leave_log(struct str topic, uint32_t id)
{
    struct file_cache files;
    struct log_config config = LOG_CONFIG_DEFAULT;
    struct log *log;
    file_cache_init(&files, 16);
    struct log_manager_log_args args = {.files = &files,
                                        .topic = topic,
                                        .topic_id = test_id(id),
                                        .config = &config,
                                        .unique = env_random_uuid(scene.own.node.env),
                                        .now_ms = env_wall_ms(scene.own.node.env)};
    open_disk();
    int rv = log_manager_open_log(scene.own.node.disk.logs, &args, &log, NULL);
    CHECK(rv == 0);
    append(log, RECORDS);
    log_detach(log);
    rv = log_manager_close_log(scene.own.node.disk.logs, log, true);
    CHECK(rv == 0);
    rv = log_manager_stop(scene.own.node.disk.logs, 1);
    CHECK(rv == 0);
    log_manager_free(scene.own.node.disk.logs);
    file_cache_release(&files);
}

/* --- the process --- */

static void *boot(struct env *env, void *ctx)
{
    struct node *node = &scene.own.node;
    one_process_configure(&scene.own, env);
    node->shards = &scene.own.shard;
    node->incarnation_id = test_id(THIS_LIFE);
    leave_log(STR("t"), KEPT);
    leave_log(STR("u"), LATER);
    open_disk();
    node_note_dirs(node);
    throttles_init(&node->throttles, node->config);
    scene.chain = image_chain_new(false);
    node_fill_host(node, &scene.own.shard, env->loops[0]);
    shard_init(&scene.own.shard, node, env->loops[0],
               image_reader_add(scene.chain, &scene.own.shard.reader));
    node->listeners = listeners_new(node);
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

static void register_self(struct image_draft *draft, uint32_t incarnation)
{
    struct register_broker_record record;
    message_init(&register_broker_record_desc, &record);
    record.broker_id = SELF;
    record.broker_epoch = scene.offset;
    record.incarnation_id = test_id(incarnation);
    record.rack = STR_NULL;
    assert_int_equal(apply(draft, METADATA_REGISTER_BROKER_RECORD, &record), 0);
}

/* Partition 0 of the topic is there, and nobody leads it. */
static void put(struct image_draft *draft, uint32_t topic, int32_t broker)
{
    assert_int_equal(apply_partition(draft, topic, 0, &broker, 1), 0);
    assert_int_equal(apply_leader(draft, topic, 0, -1), 0);
}

/* The shard gets what was drafted, and does all that follows. */
static void publish(void)
{
    int64_t offset = scene.offset++;
    image_chain_seal(scene.chain, offset, 1, 0);
    const struct image_delta *delta = image_chain_publish(scene.chain, offset);
    assert_non_null(delta);
    shard_send_image(&scene.own.shard, image_chain_published(scene.chain), delta);
    /* Gauges tell of parts of the node that are not here. */
    timer_stop(&scene.own.shard.tick);
    run();
}

static void assert_kept(uint32_t topic, const char *path)
{
    struct partition *p = shard_partition(&scene.own.shard, test_id(topic), 0);
    assert_non_null(p);
    assert_int_equal(partition_get_state(p), PARTITION_ONLINE);
    assert_string_equal(log_path(partition_any_log(p)), path);
    assert_int_equal(log_end_offset(partition_any_log(p)), RECORDS);
}

static void a_replica_that_left_and_came_back_in_the_past_keeps_its_log(void **state)
{
    begin();
    struct image_draft *draft = image_chain_draft(scene.chain);
    register_self(draft, FORMER_LIFE);
    assert_int_equal(apply_topic(draft, "t", KEPT), 0);
    put(draft, KEPT, SELF);
    publish();
    put(image_chain_draft(scene.chain), KEPT, OTHER);
    publish();
    put(image_chain_draft(scene.chain), KEPT, SELF);
    publish();
    register_self(image_chain_draft(scene.chain), THIS_LIFE);
    publish();
    assert_kept(KEPT, "/data/t-0");
    end();
}

static void a_log_is_not_set_aside_for_an_earlier_topic_of_its_name(void **state)
{
    begin();
    struct image_draft *draft = image_chain_draft(scene.chain);
    register_self(draft, FORMER_LIFE);
    assert_int_equal(apply_topic(draft, "u", EARLIER), 0);
    put(draft, EARLIER, SELF);
    publish();
    draft = image_chain_draft(scene.chain);
    assert_int_equal(apply_remove_topic(draft, EARLIER), 0);
    assert_int_equal(apply_topic(draft, "u", LATER), 0);
    put(draft, LATER, SELF);
    publish();
    register_self(image_chain_draft(scene.chain), THIS_LIFE);
    publish();
    assert_null(shard_partition(&scene.own.shard, test_id(EARLIER), 0));
    assert_kept(LATER, "/data/u-0");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_that_left_and_came_back_in_the_past_keeps_its_log),
        cmocka_unit_test(a_log_is_not_set_aside_for_an_earlier_topic_of_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
