/* What is proposed in one turn goes to each follower in one message, behind all of its batches. */
#include "tests/unit/raft/quorum_bench.c"

static uint64_t submit(struct bench *b, uint32_t count)
{
    uint64_t base;
    assert_int_equal(quorum_core_submit(b->core, count, (struct quorum_bytes){0}, b->now_ms, &base),
                     0);
    return base;
}

/* The append to this server; there is no second one. */
static const struct quorum_message *append_to(const struct bench *b, int to, size_t *ret_at)
{
    const struct quorum_message *found = NULL;
    for (size_t i = 0; i < b->count; i++) {
        const struct quorum_message *message = &b->log[i].message;
        if (b->log[i].type != QUORUM_SEND || message->type != QUORUM_APPEND ||
            message->peer.node_id != to)
            continue;
        assert_null(found);
        found = message;
        *ret_at = i;
    }
    return found;
}

/* B and C have all up to 12, which is committed. */
static void start_leading(struct bench *b)
{
    start_leader(b, 0);
    persist_all(b);
    answer(b, 1, 0, 12);
    answer(b, 2, 0, 12);
    assert_int_equal(quorum_core_commit_index(b->core), 12);
}

static void test_one_message_for_each_follower(void **state)
{
    struct bench b;
    start_leading(&b);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(submit(&b, 3), 13 + 3 * i);
    bench_drain(&b);
    size_t last_batch = 0, batches = 0;
    for (size_t i = 0; i < b.count; i++) {
        if (b.log[i].type == QUORUM_APPEND_BATCH) {
            assert_int_equal(b.log[i].append.batch.base, 13 + 3 * batches++);
            last_batch = i;
        }
    }
    assert_int_equal(batches, 20);
    for (int to = 1; to <= 2; to++) {
        size_t at = 0;
        const struct quorum_message *message = append_to(&b, to, &at);
        assert_non_null(message);
        assert_int_equal(message->append.prev_index, 12);
        assert_int_equal(message->append.echo, 12);
        assert_int_equal(message->append.end_index, 72);
        assert_true(at > last_batch);
    }
    bench_release(&b);
}

/* What was taken is gone: the next append is a message of its own. */
static void test_what_is_out_is_out(void **state)
{
    struct bench b;
    start_leading(&b);
    submit(&b, 1);
    bench_drain(&b);
    submit(&b, 1);
    bench_drain(&b);
    size_t at;
    const struct quorum_message *message = append_to(&b, 1, &at);
    assert_non_null(message);
    assert_int_equal(message->append.prev_index, 13);
    assert_int_equal(message->append.end_index, 14);
    bench_release(&b);
}

/* The commit index rides on the batches that are on their way anyway. */
static void test_a_commit_joins(void **state)
{
    struct bench b;
    start_leading(&b);
    submit(&b, 1);
    bench_drain(&b);
    persist_all(&b);
    submit(&b, 1);
    struct quorum_message result = {.type = QUORUM_APPEND_RESULT,
                                    .term = quorum_core_term(b.core),
                                    .peer = peer(1),
                                    .append_result = {.last_index = 13}};
    quorum_core_receive(b.core, &result, b.now_ms);
    bench_drain(&b);
    assert_int_equal(quorum_core_commit_index(b.core), 13);
    for (int to = 1; to <= 2; to++) {
        size_t at;
        const struct quorum_message *message = append_to(&b, to, &at);
        assert_non_null(message);
        assert_int_equal(message->append.prev_index, 13);
        assert_int_equal(message->append.end_index, 14);
        assert_int_equal(message->append.commit_index, 13);
    }
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_message_for_each_follower),
        cmocka_unit_test(test_what_is_out_is_out),
        cmocka_unit_test(test_a_commit_joins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
