/* When a leader tells its followers how much is committed, other than with its heartbeats. */
#include "tests/unit/raft/quorum_bench.c"

/* The last append to that server among what the last call led to. */
static const struct quorum_message *append_to(const struct bench *b, int32_t node_id)
{
    const struct quorum_message *last = NULL;
    for (size_t i = 0; i < b->count; i++) {
        const struct quorum_message *message = &b->log[i].message;
        if (b->log[i].type == QUORUM_SEND && message->type == QUORUM_APPEND &&
            message->peer.node_id == node_id)
            last = message;
    }
    return last;
}

static void expect_told(const struct bench *b, int32_t node_id, uint64_t commit)
{
    const struct quorum_message *message = append_to(b, node_id);
    assert_non_null(message);
    assert_int_equal(message->append.commit_index, commit);
    assert_int_equal(message->append.prev_index, commit);
    assert_int_equal(message->append.end_index, commit);
}

/* What C is told before it has stored the batch it would forget: its next news would be the
 * heartbeat's. */
static void test_the_slower_follower_is_told_when_it_has_stored(void **state)
{
    struct bench b;
    start_with_a_batch(&b);
    answer(&b, 1, 0, 13);
    expect_told(&b, 1, 13);
    assert_null(append_to(&b, 2));
    answer(&b, 2, 0, 13);
    expect_told(&b, 2, 13);
    assert_null(append_to(&b, 1));
    bench_release(&b);
}

static void test_nobody_is_told_twice(void **state)
{
    struct bench b;
    start_with_a_batch(&b);
    answer(&b, 1, 0, 13);
    answer(&b, 1, 0, 13);
    assert_null(append_to(&b, 1));
    answer(&b, 2, 0, 13);
    answer(&b, 2, 0, 13);
    assert_null(append_to(&b, 2));
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_slower_follower_is_told_when_it_has_stored),
        cmocka_unit_test(test_nobody_is_told_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
