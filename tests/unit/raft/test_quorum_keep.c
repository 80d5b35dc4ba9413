#include "tests/unit/raft/node_world.c"

#include "raft/quorum_node_internal.h"

/* Between a checkpoint's begin and its end a voter may have observed, taken its leader's checkpoint
 * and become a voter again, whose log begins elsewhere. Here the checkpoint is moved instead. */
static void test_a_checkpoint_of_another_log_is_left_aside(void **state)
{
    struct world w;
    world_init(&w, 21);
    w.propose_every_ms = 2;
    w.snapshot_every_ms = 50;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    sim_disk_set_faults(sim_node_disk(w.node), "/",
                        &(struct sim_disk_faults){.fsync_latency_us = 5000});
    struct quorum_node *node = world_program(&w)->node;
    for (int i = 0; i < 1000 && !node->snapshot; i++)
        world_run_ms(&w, 1);
    assert_non_null(node->snapshot);
    node->snapshot_id.end_offset += 1 << 20;
    unsigned taken = w.snapshots;
    w.snapshot_every_ms = 0;
    world_run_ms(&w, 500);
    assert_string_equal(w.failure, "");
    assert_int_equal(w.snapshots, taken);
    assert_int_equal(w.snapshot_errors, 1);
    w.snapshot_every_ms = 50;
    world_run_ms(&w, 500);
    assert_true(w.snapshots > taken);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_checkpoint_of_another_log_is_left_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
