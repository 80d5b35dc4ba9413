/* The port of the leader refuses connections. */
#include "tests/unit/raft/quorum_bench.c"

static void follow(struct bench *b, int self)
{
    struct quorum_voters *voters = voters_of(3, 0);
    bench_init(b, self, 0);
    load(b, voters, (uint64_t[]){2, 3}, 2, 5);
    start(b, 5);
    quorum_voters_unref(voters);
    receive(b, 1, append_of(5, 11, 3, NULL, 0));
}

static void gone(struct bench *b, int i)
{
    quorum_core_leader_gone(b->core, peer(i).raft_id, b->now_ms);
    bench_drain(b);
}

/* A vote is asked for soon, with a pre-vote first; later voters wait a heartbeat more each. */
static void test_stands_soon(void **state)
{
    const int selves[] = {0, 2};
    int64_t waits_ms[2];
    for (int i = 0; i < 2; i++) {
        struct bench b;
        follow(&b, selves[i]);
        b.now_ms += 10;
        assert_true(quorum_core_deadline_ms(b.core) >= b.now_ms - 10 + ELECTION_MS);
        gone(&b, 1);
        waits_ms[i] = quorum_core_deadline_ms(b.core) - b.now_ms;
        b.now_ms += waits_ms[i];
        quorum_core_tick(b.core, b.now_ms);
        bench_drain(&b);
        const struct quorum_message *vote = sent(&b, QUORUM_VOTE);
        assert_non_null(vote);
        assert_true(vote->vote.pre_vote);
        assert_false(vote->vote.disrupt_leader);
        assert_int_equal(quorum_core_term(b.core), 5);
        bench_release(&b);
    }
    assert_true(waits_ms[0] > 100 && waits_ms[0] < 200);
    assert_int_equal(waits_ms[1], waits_ms[0] + 100);
}

/* Somebody else who noticed is voted for at once. */
static void test_votes_at_once(void **state)
{
    for (int noticed = 0; noticed < 2; noticed++) {
        struct bench b;
        struct quorum_message vote = {.type = QUORUM_VOTE, .term = 6};
        vote.vote = (struct quorum_vote){.last_index = 11, .last_term = 3, .pre_vote = true};
        follow(&b, 0);
        b.now_ms += 10;
        if (noticed)
            gone(&b, 1);
        receive(&b, 2, vote);
        const struct quorum_message *result = sent(&b, QUORUM_VOTE_RESULT);
        assert_int_equal(result != NULL && result->vote_result.granted, noticed);
        bench_release(&b);
    }
}

/* It lives after all: its next heartbeat puts the timer back. */
static void test_a_heartbeat_says_otherwise(void **state)
{
    struct bench b;
    follow(&b, 0);
    gone(&b, 1);
    b.now_ms += 50;
    receive(&b, 1, append_of(5, 11, 3, NULL, 0));
    assert_true(quorum_core_deadline_ms(b.core) >= b.now_ms + ELECTION_MS);
    bench_release(&b);
}

/* Who does not lead is no loss. */
static void test_another_peer_is_gone(void **state)
{
    struct bench b;
    follow(&b, 0);
    int64_t deadline_ms = quorum_core_deadline_ms(b.core);
    gone(&b, 2);
    assert_int_equal(quorum_core_deadline_ms(b.core), deadline_ms);
    bench_release(&b);
    start_leader(&b, 0);
    gone(&b, 1);
    assert_true(quorum_core_is_leader(b.core));
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stands_soon),
        cmocka_unit_test(test_votes_at_once),
        cmocka_unit_test(test_a_heartbeat_says_otherwise),
        cmocka_unit_test(test_another_peer_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
