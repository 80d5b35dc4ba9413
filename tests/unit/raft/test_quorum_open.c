#include "tests/unit/raft/node_world.c"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_log_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
