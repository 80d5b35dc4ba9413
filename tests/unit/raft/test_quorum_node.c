#include "tests/unit/raft/node_world.c"

#include "raft/quorum_opening.h"
#include "raft/quorum_state.h"

#include <errno.h>

static void test_first_start(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.propose_every_ms = 2;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    assert_int_equal(w.epoch, 1);
    world_run_ms(&w, 500);
    struct program *p = world_program(&w);
    assert_true(w.acks > 50);
    assert_int_equal(w.cancels, 0);
    /* LeaderChange, KRaftVersion, Voters. */
    assert_int_equal(p->control_records, 3);
    assert_int_equal(p->count + 3, p->next_offset);
    assert_int_equal(quorum_node_log_start(p->node), 0);
    assert_false(quorum_core_change_open(quorum_node_core(p->node)));
    world_check_state(&w);
    world_release(&w);
}

static void test_restarts_are_equal(void **state)
{
    struct world w;
    world_init(&w, 2);
    w.propose_every_ms = 1;
    size_t count = 0;
    for (int round = 0; round < 6; round++) {
        w.propose_every_ms = 1;
        world_start(&w);
        assert_true(world_run_until_active(&w));
        assert_int_equal(w.epoch, round + 1);
        struct program *p = world_program(&w);
        assert_true(p->count >= count);
        world_check_state(&w);
        world_run_ms(&w, 100);
        w.propose_every_ms = 0;
        world_run_ms(&w, 100);
        count = p->count;
        assert_true(count > 0);
        if (round % 3 == 0)
            world_stop(&w);
        else if (round % 3 == 1)
            sim_node_kill(w.node);
        else
            sim_node_power_cut(w.node);
    }
    world_start(&w);
    assert_true(world_run_until_active(&w));
    assert_int_equal(((struct program *)world_program(&w))->count, count);
    world_release(&w);
}

/* Dies inside of every disk call from the first start on, then comes back. */
static void crash_at_every_call(bool power_cut, int64_t snapshot_every_ms, int64_t step)
{
    unsigned died = 0;
    for (int64_t n = 1;; n += step) {
        struct world w;
        world_init(&w, (uint64_t)n);
        w.propose_every_ms = 3;
        w.at_once = 3;
        w.snapshot_every_ms = snapshot_every_ms;
        w.segment_bytes = 2048;
        w.retention_bytes = 8192;
        world_start(&w);
        sim_node_die_at_disk_call(w.node, n, power_cut);
        world_run_ms(&w, 300);
        bool reached = !sim_node_is_up(w.node);
        died += reached;
        if (reached) {
            world_start(&w);
            bool active = world_run_until_active(&w);
            if (!active)
                print_message("call %lld: %s\n", (long long)n, w.failure);
            assert_true(active);
            world_check_state(&w);
            unsigned acks = w.acks;
            world_run_ms(&w, 100);
            assert_true(w.acks > acks);
            world_check_state(&w);
        } else {
            assert_string_equal(w.failure, "");
        }
        world_release(&w);
        if (!reached)
            break;
    }
    assert_true(died > 50);
}

static void test_power_cut_at_every_call(void **state)
{
    crash_at_every_call(true, 0, 1);
}

static void test_kill_at_every_call(void **state)
{
    crash_at_every_call(false, 0, 3);
}

static void test_power_cut_at_every_call_of_snapshots(void **state)
{
    crash_at_every_call(true, 20, 2);
}

/* kill -9 first, the power later: what only the page cache held must have been synced before it
 * counted. */
static void test_kill_then_power_cut(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        world_init(&w, seed);
        w.propose_every_ms = 1;
        w.segment_bytes = 4096;
        for (int round = 0; round < 4; round++) {
            world_start(&w);
            assert_true(world_run_until_active(&w));
            world_check_state(&w);
            world_run_ms(&w, 5 + (int64_t)(seed * 7 + (uint64_t)round * 13) % 60);
            sim_node_kill(w.node);
            world_start(&w);
            assert_true(world_run_until_active(&w));
            world_run_ms(&w, (int64_t)(seed + (uint64_t)round) % 5);
            sim_node_power_cut(w.node);
        }
        world_start(&w);
        assert_true(world_run_until_active(&w));
        world_check_state(&w);
        world_release(&w);
    }
}

static void test_snapshot_trims_the_log(void **state)
{
    struct world w;
    world_init(&w, 3);
    w.propose_every_ms = 1;
    w.snapshot_every_ms = 30;
    w.segment_bytes = 1024;
    w.retention_bytes = 6000;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_run_ms(&w, 1500);
    struct program *p = world_program(&w);
    assert_true(w.snapshots > 10);
    assert_int_equal(w.snapshot_errors, 0);
    assert_true(quorum_node_log_start(p->node) > 100);
    struct quorum_checkpoint_id newest, *ids;
    assert_true(quorum_node_newest_snapshot(p->node, &newest));
    w.propose_every_ms = w.snapshot_every_ms = 0;
    world_run_ms(&w, 200);
    size_t count = p->count;
    int64_t end = p->next_offset;
    world_stop(&w);
    struct disk *disk = sim_disk_base(sim_node_disk(w.node));
    size_t left;
    assert_int_equal(quorum_checkpoint_list(disk, METADATA_DIR, false, &ids, &left), 0);
    assert_true(left >= 1 && left < w.snapshots);
    assert_false(disk_exists(disk, METADATA_DIR "/00000000000000000000.log"));
    free(ids);

    world_start(&w);
    assert_true(world_run_until_active(&w));
    p = world_program(&w);
    assert_int_equal(p->count, count);
    assert_int_equal(p->next_offset, end + 1); /* a LeaderChange */
    assert_int_equal(p->control_records, 1);
    world_check_state(&w);
    world_release(&w);
}

/* A checkpoint whose name is not durable, and a log that is trimmed for it: some power cut shows.
 */
static void test_needs_the_directory_sync(void **state)
{
    unsigned bad = 0;
    for (uint64_t seed = 1; seed <= 60 && bad == 0; seed++) {
        struct mutations mutations = {.on[MUTATION_RENAME_WITHOUT_DIR_FSYNC] = true};
        struct world w;
        world_init(&w, seed);
        w.propose_every_ms = 1;
        w.snapshot_every_ms = 15;
        w.segment_bytes = 1024;
        w.retention_bytes = 3000;
        sim_node_set_mutations(w.node, &mutations);
        world_start(&w);
        assert_true(world_run_until_active(&w));
        world_run_ms(&w, 150 + (int64_t)(seed * 17) % 90);
        sim_node_power_cut(w.node);
        world_start(&w);
        bad += !world_run_until_active(&w) || !world_state_is_good(&w);
        sim_free(w.sim);
    }
    assert_int_equal(bad, 1);
}

/* W13: nothing is retried; what waits is told, and the sentence says where. */
static void fails(enum sim_disk_op op, const char *part, int error, const char *says)
{
    struct world w;
    world_init(&w, 5);
    w.propose_every_ms = 2;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_run_ms(&w, 50);
    unsigned acks = w.acks;
    sim_disk_fail_at(sim_node_disk(w.node), op, part, 1, error);
    world_run_ms(&w, 100);
    assert_non_null(strstr(w.failure, says));
    assert_non_null(strstr(w.failure, METADATA_DIR));
    assert_true(w.acks <= acks + 2);
    assert_true(w.cancels > 0);
    unsigned after = w.acks;
    world_run_ms(&w, 1000);
    assert_int_equal(w.acks, after);
    world_stop(&w);
    sim_node_power_cut(w.node);
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_check_state(&w);
    world_release(&w);
}

static void test_disk_errors_stop_the_node(void **state)
{
    fails(SIM_FSYNC, ".log", -EIO, "cannot sync the metadata log");
    fails(SIM_PWRITE, ".log", -EIO, "cannot write the metadata log");
    fails(SIM_PWRITE, ".log", -ENOSPC, "No space left");
}

static void test_state_error_stops_the_node(void **state)
{
    struct world w;
    world_init(&w, 6);
    sim_disk_fail_at(sim_node_disk(w.node), SIM_FSYNC, "quorum-state", 1, -EIO);
    world_start(&w);
    assert_false(world_run_until_active(&w));
    assert_non_null(strstr(w.failure, "cannot write quorum-state"));
    assert_int_equal(w.leaderships, 0);
    world_stop(&w);
    world_release(&w);
}

/* Damage that a crash cannot explain: the node does not start, and says what to do. */
static void test_damage_is_refused(void **state)
{
    struct world w;
    world_init(&w, 7);
    w.propose_every_ms = 1;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_run_ms(&w, 200);
    world_stop(&w);
    assert_int_equal(
        sim_disk_corrupt(sim_node_disk(w.node), METADATA_DIR "/00000000000000000000.log", 400, 1),
        0);
    world_start(&w);
    assert_false(world_run_until_active(&w));
    assert_non_null(strstr(w.failure, "is damaged at offset"));
    assert_non_null(strstr(w.failure, "from a copy"));
    world_stop(&w);
    world_release(&w);
}

static void run_and_kill(struct world *w, int64_t ms)
{
    w->propose_every_ms = 1;
    world_start(w);
    assert_true(world_run_until_active(w));
    world_run_ms(w, ms);
    sim_node_kill(w->node);
}

static void damage(struct world *w, int64_t position)
{
    assert_int_equal(sim_disk_corrupt(sim_node_disk(w->node),
                                      METADATA_DIR "/00000000000000000000.log", position, 1),
                     0);
}

static int64_t log_bytes(struct world *w)
{
    struct disk *disk = sim_disk_base(sim_node_disk(w->node));
    struct disk_stat stat;
    assert_int_equal(disk->ops->stat(disk, METADATA_DIR "/00000000000000000000.log", &stat), 0);
    return stat.size_bytes;
}

/* What a second has passed over is known to be durable, also of a log that is short. */
static void test_damage_below_the_mark_is_refused(void **state)
{
    struct world w;
    world_init(&w, 9);
    run_and_kill(&w, 2500);
    damage(&w, 400);
    world_start(&w);
    assert_false(world_run_until_active(&w));
    assert_non_null(strstr(w.failure, "is damaged at offset"));
    world_stop(&w);
    world_release(&w);
}

/* The mark follows by itself when nothing more is proposed. */
static void test_mark_of_a_quiet_log(void **state)
{
    struct world w;
    int64_t mark;
    world_init(&w, 9);
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_run_ms(&w, 2500);
    struct program *p = world_program(&w);
    assert_int_equal(quorum_mark_read(sim_disk_base(sim_node_disk(w.node)), METADATA_DIR, &mark),
                     0);
    assert_int_equal(mark, quorum_node_next_offset(p->node));
    world_release(&w);
}

/* A power cut keeps of what was not synced what it likes: also a later batch, and not the one
 * before it. */
static void test_a_hole_above_the_mark_ends_the_log(void **state)
{
    struct world w;
    world_init(&w, 10);
    run_and_kill(&w, 300);
    int64_t size = log_bytes(&w);
    damage(&w, size - 300);
    w.propose_every_ms = 0;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    assert_true(log_bytes(&w) < size);
    world_run_ms(&w, 100);
    world_release(&w);
}

/* A checkpoint was taken over, and its log not emptied for it yet. */
static void test_checkpoint_beyond_an_empty_log(void **state)
{
    struct world w;
    world_init(&w, 11);
    w.snapshot_every_ms = 50;
    run_and_kill(&w, 500);
    assert_true(w.snapshots > 0);
    struct disk *disk = sim_disk_base(sim_node_disk(w.node));
    struct disk_file *file;
    assert_int_equal(disk_open(disk, METADATA_DIR "/00000000000000000000.log",
                               DISK_WRITE | DISK_TRUNCATE, &file),
                     0);
    disk_file_unref(file);
    assert_int_equal(quorum_mark_write(disk, METADATA_DIR, 0), 0);
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_run_ms(&w, 100);
    assert_string_equal(w.failure, "");
    assert_true(quorum_node_log_start(world_program(&w)->node) > 0);
    world_release(&w);
}

static void import_metadata(struct world *w, const char *real, const char *directory_id)
{
    struct sim_disk *disk = sim_node_disk(w->node);
    struct disk *base = sim_disk_base(disk);
    assert_int_equal(disk_make_path(base, "/data"), 0);
    assert_int_equal(sim_disk_import(disk, real, METADATA_DIR), 0);
    if (directory_id)
        assert_int_equal(uuid_parse(str_of(directory_id), &w->directory_id), 0);
}

/* Kafka's own directory of a static quorum of one: taken over, led, and the voters written down. */
static void test_takes_over_a_static_quorum(void **state)
{
    struct world w;
    world_init(&w, 8);
    import_metadata(&w, TEST_DATA "/metadata/single-clean", "nDvJaeyl85FBVvSMylRiXA");
    world_start(&w);
    assert_true(world_run_until_active(&w));
    struct program *p = world_program(&w);
    assert_int_equal(w.epoch, 3); /* the log's last is 2 */
    assert_int_equal(quorum_node_log_start(p->node), 0);
    struct quorum_checkpoint_id newest;
    assert_true(quorum_node_newest_snapshot(p->node, &newest));
    assert_int_equal(newest.end_offset, 706);
    world_run_ms(&w, 50);
    assert_int_equal(p->next_offset, 713 + 1 + 2); /* LeaderChange; KRaftVersion, Voters */
    w.propose_every_ms = 1;
    w.snapshot_every_ms = 50;
    world_run_ms(&w, 400);
    assert_true(w.acks > 20 && w.snapshots > 0);
    assert_int_equal(p->control_records, 1 + 2);
    world_stop(&w);
    /* From now on log and checkpoints say who votes. */
    w.without_voters = true;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    assert_int_equal(w.epoch, 4);
    world_check_state(&w);
    world_release(&w);
}

static void test_static_quorum_without_voters(void **state)
{
    struct world w;
    world_init(&w, 9);
    w.without_voters = true;
    import_metadata(&w, TEST_DATA "/metadata/single-clean", NULL);
    world_start(&w);
    assert_false(world_run_until_active(&w));
    assert_non_null(strstr(w.failure, "set controller.quorum.voters"));
    world_stop(&w);
    world_release(&w);
}

/* A quorum of three nodes is no quorum of one, whatever the configuration says. */
static void test_static_quorum_of_others(void **state)
{
    static const char text[] =
        "{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":6,\"votedId\":-1,\"appliedOffset\":0,"
        "\"currentVoters\":[{\"voterId\":1},{\"voterId\":2},{\"voterId\":3}],\"data_version\":0}";
    struct world w;
    world_init(&w, 12);
    import_metadata(&w, TEST_DATA "/metadata/single-clean", "nDvJaeyl85FBVvSMylRiXA");
    struct disk *disk = sim_disk_base(sim_node_disk(w.node));
    assert_int_equal(
        disk_replace_file(disk, METADATA_DIR "/" QUORUM_STATE_FILE, text, sizeof(text) - 1), 0);
    world_start(&w);
    assert_false(world_run_until_active(&w));
    assert_non_null(strstr(w.failure, "static quorum of the nodes 1, 2, 3"));
    assert_int_equal(w.leaderships, 0);
    world_stop(&w);
    world_release(&w);
}

/* kafka-storage format --standalone: voters and feature levels are in the bootstrap checkpoint. */
static void test_opens_what_kafka_formatted(void **state)
{
    struct world w;
    world_init(&w, 10);
    w.without_voters = true;
    import_metadata(&w, TEST_DATA "/raft/formatted-standalone", "lcou4jWfT1OARlSoRQoOCQ");
    world_start(&w);
    assert_true(world_run_until_active(&w));
    struct program *p = world_program(&w);
    assert_int_equal(w.epoch, 1);
    assert_int_equal(p->bootstrap_records, 6);
    world_run_ms(&w, 100);
    assert_int_equal(p->control_records, 3);
    world_release(&w);
}

/* kafka-storage format --no-initial-controllers: it waits to be added, whatever is configured. */
static void test_formatted_without_controllers(void **state)
{
    struct world w;
    world_init(&w, 13);
    import_metadata(&w, TEST_DATA "/raft/formatted-observer", "E_ox_7_9H15Na9Pw-6ojsA");
    world_start(&w);
    assert_false(world_run_until_active(&w));
    assert_string_equal(w.failure, "");
    struct program *p = world_program(&w);
    assert_true(p->loaded);
    assert_int_equal(p->bootstrap_records, 6);
    assert_int_equal(w.leaderships, 0);
    world_release(&w);
}

struct recorded {
    const char *path, *directory_id;
    bool without_voters, leads;
    int32_t epoch; /* it then leads */
};

/* All metadata directories that Kafka left behind; voters of a dynamic quorum come from the log. */
static void test_opens_recorded_directories(void **state)
{
    static const struct recorded all[] = {
        {"single-clean", "nDvJaeyl85FBVvSMylRiXA", false, true, 3},
        {"single-killed", "4r-V1HK_afUCcIwnltZJXA", false, true, 2},
        {"jbod/d1", "Yy1TDYlpjk-OO-8nY2VlGw", false, true, 2},
        {"three-dynamic-formatted/node-1", "lcou4jWfT1OARlSoRQoOCQ", true, true, 1},
        {"three-dynamic/node-1", "4qRAyiG7Rwaye4X8ut3gWQ", true, false, 0},
        {"three-dynamic/node-2", "LsWX0SLRflnL8G4_nPU0Zw", true, false, 0},
        {"three-dynamic/node-3", "w7NZR69CxZ-WUu_WGfd38w", true, false, 0},
    };
    struct disk *real = disk_posix_new();
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char *path =
            mem_printf(SHARED_DATA "/kafka-data/log-dirs/%s/__cluster_metadata-0", all[i].path);
        struct world w;
        if (!disk_exists(real, path)) {
            free(path);
            continue;
        }
        world_init(&w, 20 + i);
        import_metadata(&w, path, all[i].directory_id);
        w.without_voters = all[i].without_voters;
        world_start(&w);
        bool leads = world_run_until_active(&w);
        assert_string_equal(w.failure, "");
        assert_int_equal(leads, all[i].leads);
        if (leads)
            assert_int_equal(w.epoch, all[i].epoch);
        struct program *p = world_program(&w);
        assert_true(p->loaded);
        world_stop(&w);
        world_release(&w);
        free(path);
    }
    disk_posix_free(real);
}

/* What is proposed in one turn is written in one call, not more than fits. */
static void test_one_write_for_a_turn(void **state)
{
    struct world w;
    world_init(&w, 12);
    w.at_once = 40;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_run_ms(&w, 100);
    const struct sim_disk *disk = sim_node_disk(w.node);
    int64_t before = sim_disk_count(disk, SIM_PWRITE);
    uint64_t first = w.next_number;
    w.propose_every_ms = 5;
    world_run_ms(&w, 500);
    w.propose_every_ms = 0;
    world_run_ms(&w, 100);
    int64_t proposals = (int64_t)(w.next_number - first) / w.batch_records;
    assert_true(proposals >= 40 * 50);
    assert_int_equal(w.cancels, 0);
    /* The log takes 16 batches in a call; the mark is written now and then. */
    assert_true(sim_disk_count(disk, SIM_PWRITE) - before < proposals / 10);
    size_t count = ((struct program *)world_program(&w))->count;
    world_check_state(&w);
    sim_node_power_cut(w.node);
    world_start(&w);
    assert_true(world_run_until_active(&w));
    assert_int_equal(((struct program *)world_program(&w))->count, count);
    world_release(&w);
}

static void test_blank_node_waits(void **state)
{
    struct world w;
    world_init(&w, 11);
    w.without_voters = true;
    world_start(&w);
    world_run_ms(&w, 5000);
    struct program *p = world_program(&w);
    assert_true(p->loaded);
    assert_int_equal(w.leaderships, 0);
    assert_string_equal(w.failure, "");
    assert_int_equal(quorum_node_leader_id(p->node), -1);
    world_stop(&w);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_start),
        cmocka_unit_test(test_restarts_are_equal),
        cmocka_unit_test(test_power_cut_at_every_call),
        cmocka_unit_test(test_kill_at_every_call),
        cmocka_unit_test(test_power_cut_at_every_call_of_snapshots),
        cmocka_unit_test(test_kill_then_power_cut),
        cmocka_unit_test(test_snapshot_trims_the_log),
        cmocka_unit_test(test_needs_the_directory_sync),
        cmocka_unit_test(test_disk_errors_stop_the_node),
        cmocka_unit_test(test_state_error_stops_the_node),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_damage_below_the_mark_is_refused),
        cmocka_unit_test(test_mark_of_a_quiet_log),
        cmocka_unit_test(test_a_hole_above_the_mark_ends_the_log),
        cmocka_unit_test(test_checkpoint_beyond_an_empty_log),
        cmocka_unit_test(test_takes_over_a_static_quorum),
        cmocka_unit_test(test_static_quorum_without_voters),
        cmocka_unit_test(test_static_quorum_of_others),
        cmocka_unit_test(test_opens_what_kafka_formatted),
        cmocka_unit_test(test_formatted_without_controllers),
        cmocka_unit_test(test_opens_recorded_directories),
        cmocka_unit_test(test_one_write_for_a_turn),
        cmocka_unit_test(test_blank_node_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
