/* Leadership is handed over: to whom, and what the heir does while its disk is still busy. */
#include "tests/unit/raft/quorum_bench.c"

static void receive_timeout_now(struct bench *b, uint64_t last_index)
{
    struct quorum_message message = {.type = QUORUM_TIMEOUT_NOW, .term = 5};
    message.timeout_now = (struct quorum_timeout_now){.last_index = last_index, .last_term = 5};
    receive(b, 1, message);
}

/* A follower that B led to index 14, which is not on its disk yet, and whom B wants to succeed. */
static void start_heir(struct bench *b)
{
    struct quorum_batch batches[] = {batch(12, 3, 5)};
    start_follower(b, 0);
    receive(b, 1, append_of(5, 11, 3, batches, 1));
    receive_timeout_now(b, 14);
    assert_null(sent(b, QUORUM_VOTE));
}

static void test_an_heir_waits_for_its_disk(void **state)
{
    struct bench b;
    start_heir(&b);
    persist_all(&b);
    const struct quorum_message *vote = sent(&b, QUORUM_VOTE);
    assert_non_null(vote);
    assert_int_equal(vote->term, 6);
    assert_true(vote->vote.disrupt_leader);
    assert_false(vote->vote.pre_vote);
    assert_int_equal(vote->vote.last_index, 14);
    bench_release(&b);
}

static void test_an_heir_waits_for_what_has_not_come(void **state)
{
    struct bench b;
    struct quorum_batch first[] = {batch(12, 3, 5)}, second[] = {batch(15, 1, 5)};
    start_follower(&b, 0);
    receive(&b, 1, append_of(5, 11, 3, first, 1));
    receive_timeout_now(&b, 15);
    persist_all(&b);
    assert_null(sent(&b, QUORUM_VOTE));
    receive(&b, 1, append_of(5, 14, 5, second, 1));
    assert_null(sent(&b, QUORUM_VOTE));
    persist_all(&b);
    assert_non_null(sent(&b, QUORUM_VOTE));
    bench_release(&b);
}

/* The leader has given up waiting by then, and leads on. */
static void test_an_heir_does_not_come_late(void **state)
{
    struct bench b;
    start_heir(&b);
    b.now_ms += ELECTION_MS;
    persist_all(&b);
    assert_null(sent(&b, QUORUM_VOTE));
    bench_release(&b);
}

static void test_an_heir_of_a_former_leader(void **state)
{
    struct bench b;
    start_heir(&b);
    receive(&b, 2, append_of(6, 14, 5, NULL, 0));
    assert_int_equal(quorum_core_term(b.core), 6);
    persist_all(&b);
    assert_null(sent(&b, QUORUM_VOTE));
    bench_release(&b);
}

static void expect_heir(struct bench *b, int heir)
{
    assert_int_equal(quorum_core_transfer(b->core, 0, b->now_ms), 0);
    bench_drain(b);
    for (int i = 1; i <= 2; i++) {
        if (!sent(b, QUORUM_TIMEOUT_NOW))
            answer(b, i, 0, 13);
    }
    const struct quorum_message *message = sent(b, QUORUM_TIMEOUT_NOW);
    assert_non_null(message);
    assert_int_equal(message->peer.node_id, heir);
    assert_int_equal(message->timeout_now.last_index, 13);
}

static void test_the_heir_is_alive(void **state)
{
    struct bench b;
    start_with_a_batch(&b);
    b.now_ms += ELECTION_MS;
    answer(&b, 1, 0, 12); /* C is silent; it is the last of the set */
    expect_heir(&b, 1);
    bench_release(&b);
}

static void test_the_heir_has_most_of_the_log(void **state)
{
    struct bench b;
    uint64_t base;
    start_with_a_batch(&b);
    answer(&b, 2, 0, 13);
    assert_int_equal(quorum_core_submit(b.core, 1, (struct quorum_bytes){0}, b.now_ms, &base), 0);
    bench_drain(&b);
    persist_all(&b);
    assert_int_equal(quorum_core_transfer(b.core, 0, b.now_ms), 0);
    bench_drain(&b);
    answer(&b, 1, 0, 14); /* it has all now, but is not the one */
    assert_null(sent(&b, QUORUM_TIMEOUT_NOW));
    answer(&b, 2, 0, 14);
    const struct quorum_message *message = sent(&b, QUORUM_TIMEOUT_NOW);
    assert_non_null(message);
    assert_int_equal(message->peer.node_id, 2);
    bench_release(&b);
}

static void test_no_heir_is_alive(void **state)
{
    struct bench b;
    start_with_a_batch(&b);
    b.now_ms += ELECTION_MS;
    assert_int_equal(quorum_core_transfer(b.core, 0, b.now_ms), -EAGAIN);
    assert_true(quorum_core_is_leader(b.core));
    bench_release(&b);
    start_follower(&b, 0);
    assert_int_equal(quorum_core_transfer(b.core, 0, b.now_ms), -EPERM);
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_heir_waits_for_its_disk),
        cmocka_unit_test(test_an_heir_waits_for_what_has_not_come),
        cmocka_unit_test(test_an_heir_does_not_come_late),
        cmocka_unit_test(test_an_heir_of_a_former_leader),
        cmocka_unit_test(test_the_heir_is_alive),
        cmocka_unit_test(test_the_heir_has_most_of_the_log),
        cmocka_unit_test(test_no_heir_is_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
