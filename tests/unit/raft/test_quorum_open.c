#include "tests/unit/raft/node_world.c"

#include "common/storage/log_flush.h"
#include "raft/quorum_checkpoint.h"

/* A directory that was emptied is no blank disk: with the old id it would vote again. */
static void test_a_lost_log_is_refused(void **state)
{
    struct world w;
    world_init(&w, 8);
    w.had_files = true;
    world_start(&w);
    assert_false(world_run_until_active(&w));
    if (!strstr(w.failure, "the metadata log in " METADATA_DIR " is gone"))
        fail_msg("it says: %s", w.failure);
    world_stop(&w);
    world_release(&w);

    world_init(&w, 9);
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_stop(&w);
    w.had_files = true;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_stop(&w);
    world_release(&w);
}

/* A checkpoint that ends at offset 2, and a log that begins there and names the voters first. */
static void write_joined_directory(const struct world *w)
{
    struct disk *disk = sim_disk_base(sim_node_disk(w->node));
    struct quorum_checkpoint_writer *writer;
    struct quorum_checkpoint_header header = {.timestamp_ms = 1};
    struct quorum_checkpoint_id id = {2, 1};
    assert_int_equal(disk_make_path(disk, METADATA_DIR), 0);
    assert_int_equal(quorum_checkpoint_create(disk, METADATA_DIR, id, &header, &writer), 0);
    assert_int_equal(quorum_checkpoint_finish(writer), 0);

    struct log *log;
    struct log_config config = LOG_CONFIG_DEFAULT;
    struct log_open_args open = {.disk = disk,
                                 .path = METADATA_DIR,
                                 .config = &config,
                                 .create = true,
                                 .log_start_offset = 2,
                                 .topic_id = UUID_METADATA_TOPIC};
    assert_int_equal(log_open(&open, &log, NULL), 0);
    struct quorum_voters *voters = quorum_voters_new();
    quorum_voters_add(voters, w->node_id, w->directory_id, QUORUM_VOTER);
    quorum_voters_add_listener(voters, STR("CONTROLLER"), str_of(w->host), 9093);
    struct quorum_control_place place = {2, 1, 1};
    struct bytebuf batch;
    bytebuf_init(&batch);
    quorum_control_voters(&place, true, voters, &batch);
    struct log_append_args append = {.batches = {batch.data, (int32_t)batch.len},
                                     .origin = LOG_APPEND_REPLICA,
                                     .leader_epoch = 1};
    struct log_append_info info;
    assert_int_equal(log_append(log, &append, &info), 0);
    assert_int_equal(log_flush_now(log, true, 1), 0);
    assert_int_equal(log_close(log, true), 0);
    bytebuf_release(&batch);
    quorum_voters_unref(voters);
}

/* It joined while the newest checkpoint was one of before the first leader named the voters. */
static void test_voters_stand_behind_the_checkpoint(void **state)
{
    const struct quorum_follow_config follow = {.cluster_id = "5L6g3nShT-eMCtK--X86sw"};
    struct world w;
    world_init(&w, 10);
    w.follow = &follow;
    write_joined_directory(&w);
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_stop(&w);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_log_is_refused),
        cmocka_unit_test(test_voters_stand_behind_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
