/* Each guard around libraft once with and once without it: what it prevents, and that it does. */
#include "tests/unit/raft/quorum_bench.c"

static void test_w1_stale_term(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_follower(&b, guarded ? 0 : off(QUORUM_W1_STALE_TERM));
        receive(&b, 1, append_of(4, 9, 4, NULL, 0));
        const struct quorum_message *result = sent(&b, QUORUM_APPEND_RESULT);
        assert_non_null(result);
        assert_int_equal(result->term, 5);
        assert_int_equal(result->append_result.rejected, guarded ? 0 : 9);
        if (guarded)
            assert_int_equal(result->append_result.last_index, 0);
        bench_release(&b);
    }
}

static void test_w2_compacted_prefix(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        struct quorum_voters *voters = voters_of(3, 0);
        bench_init(&b, 0, guarded ? 0 : off(QUORUM_W2_COMPACTED_PREFIX));
        quorum_core_load_snapshot(b.core, 50, 2, voters);
        quorum_core_load_batch(b.core, 51, 5, 2, NULL);
        start(&b, 2);
        struct quorum_batch batches[] = {batch(41, 5, 2), batch(46, 5, 2), batch(51, 5, 2),
                                         batch(56, 2, 2)};
        receive(&b, 1, append_of(2, 40, 2, batches, 4));
        const struct quorum_action *appended = find(&b, QUORUM_APPEND_BATCH);
        if (guarded) {
            assert_non_null(appended);
            assert_int_equal(appended->append.batch.base, 56);
            assert_int_equal(quorum_core_last_index(b.core), 57);
        } else {
            assert_null(appended);
        }
        quorum_voters_unref(voters);
        bench_release(&b);
    }
}

static void test_w3_stale_reject(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_leader(&b, guarded ? 0 : off(QUORUM_W3_STALE_REJECT));
        answer(&b, 1, 0, 11);
        answer(&b, 1, 12, 6); /* sent before that match */
        assert_int_equal(sent(&b, QUORUM_APPEND) == NULL, guarded);
        bench_release(&b);
    }
}

static void test_w4_pre_vote_term(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_follower(&b, guarded ? 0 : off(QUORUM_W4_PRE_VOTE_TERM));
        struct quorum_message vote = {.type = QUORUM_VOTE, .term = 4};
        vote.vote = (struct quorum_vote){.last_index = 3, .last_term = 2, .pre_vote = true};
        receive(&b, 1, vote);
        const struct quorum_message *result = sent(&b, QUORUM_VOTE_RESULT);
        assert_non_null(result);
        assert_false(result->vote_result.granted);
        assert_int_equal(result->term, guarded ? 5 : 4);
        bench_release(&b);
    }
}

static void test_w5_change_after_commit(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_leader(&b, guarded ? 0 : off(QUORUM_W5_CHANGE_AFTER_COMMIT));
        struct quorum_voters *wider = voters_of(3, 1);
        uint64_t base;
        answer(&b, 1, 0, 11);
        int rv = quorum_core_change(b.core, wider, 1, (struct quorum_bytes){0}, b.now_ms, &base);
        assert_int_equal(rv, guarded ? -EAGAIN : 0);
        if (guarded) {
            persist_all(&b);
            answer(&b, 1, 0, 12);
            assert_int_equal(quorum_core_commit_index(b.core), 12);
            rv = quorum_core_change(b.core, wider, 1, (struct quorum_bytes){0}, b.now_ms, &base);
            assert_int_equal(rv, 0);
            assert_int_equal(base, 13);
            assert_true(quorum_core_change_open(b.core));
        }
        quorum_voters_unref(wider);
        bench_release(&b);
    }
}

static void test_w6_change_first(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_follower(&b, guarded ? 0 : off(QUORUM_W6_CHANGE_FIRST));
        struct quorum_voters *wider = voters_of(3, 1);
        struct quorum_batch batches[] = {batch(12, 3, 5), change(15, 5, wider), batch(16, 1, 5)};
        receive(&b, 1, append_of(5, 11, 3, batches, 3));
        assert_int_equal(b.core->raft.configuration_uncommitted_index, guarded ? 15 : 12);
        assert_int_equal(quorum_core_last_index(b.core), 16);
        quorum_voters_unref(wider);
        bench_release(&b);
    }
}

static void test_w7_live_majority(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_leader(&b, guarded ? 0 : off(QUORUM_W7_CHANGE_MAJORITY));
        persist_all(&b);
        answer(&b, 1, 0, 12);
        b.now_ms += ELECTION_MS; /* nobody was heard since */
        struct quorum_voters *wider = voters_of(3, 1);
        uint64_t base;
        int rv = quorum_core_change(b.core, wider, 1, (struct quorum_bytes){0}, b.now_ms, &base);
        assert_int_equal(rv, guarded ? -EAGAIN : 0);
        quorum_voters_unref(wider);
        bench_release(&b);
    }
}

static void test_w8_commit_is_stored(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_follower(&b, guarded ? 0 : off(QUORUM_W8_COMMIT_MONOTONE));
        struct quorum_batch batches[] = {batch(12, 3, 5)};
        struct quorum_message append = append_of(5, 11, 3, batches, 1);
        append.append.commit_index = 14;
        receive(&b, 1, append);
        assert_non_null(find(&b, QUORUM_COMMIT));
        assert_int_equal(find(&b, QUORUM_COMMIT)->index, guarded ? 11 : 14);
        if (guarded) {
            persist_all(&b);
            assert_int_equal(find(&b, QUORUM_COMMIT)->index, 14);
        }
        bench_release(&b);
    }
}

static void test_w9_nobody_is_demoted(void **state)
{
    struct bench b;
    start_leader(&b, 0);
    persist_all(&b);
    answer(&b, 1, 0, 12);
    uint64_t base;
    struct quorum_voters *demoted = voters_of(2, 1), *direct = voters_of(4, 0);
    assert_int_equal(
        quorum_core_change(b.core, demoted, 1, (struct quorum_bytes){0}, b.now_ms, &base), -EINVAL);
    assert_int_equal(
        quorum_core_change(b.core, direct, 1, (struct quorum_bytes){0}, b.now_ms, &base), -EINVAL);
    quorum_voters_unref(demoted);
    quorum_voters_unref(direct);
    bench_release(&b);
}

static void test_w10_persisted_after_truncation(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_follower(&b, guarded ? 0 : off(QUORUM_W10_PERSISTED_ORDER));
        struct quorum_batch old[] = {batch(12, 1, 5), batch(13, 8, 5)};
        receive(&b, 1, append_of(5, 11, 3, old, 2));
        uint64_t old_write = b.core->last_write_id;
        struct quorum_batch fresh[] = {batch(13, 9, 6)};
        receive(&b, 2, append_of(6, 12, 5, fresh, 1));
        assert_int_equal(find(&b, QUORUM_TRUNCATE)->index, 13);
        quorum_core_persisted(b.core, old_write, b.now_ms); /* the write that was truncated */
        assert_int_equal(quorum_core_stored_index(b.core), guarded ? 12 : 20);
        bench_drain(&b);
        bench_release(&b);
    }
}

static void test_w11_amnesiac(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        bench_init(&b, 0, guarded ? 0 : off(QUORUM_W11_AMNESIAC));
        start(&b, 0);
        struct quorum_message vote = {.type = QUORUM_VOTE, .term = 4};
        vote.vote = (struct quorum_vote){.last_index = 3, .last_term = 2};
        receive(&b, 1, vote);
        assert_int_equal(b.count == 0, guarded);
        assert_int_equal(quorum_core_term(b.core), guarded ? 0 : 4);
        struct quorum_message timeout = {.type = QUORUM_TIMEOUT_NOW, .term = 4};
        receive(&b, 1, timeout);
        assert_false(quorum_core_is_leader(b.core));
        bench_release(&b);
    }
}

static void test_w12_late_vote_result(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_follower(&b, guarded ? 0 : off(QUORUM_W12_LATE_VOTE));
        struct quorum_message result = {.type = QUORUM_VOTE_RESULT, .term = 9};
        receive(&b, 1, result);
        assert_int_equal(quorum_core_term(b.core), guarded ? 5 : 9);
        bench_release(&b);
    }
}

static void test_w14_last_survivor(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        struct quorum_voters *without_self = voters_of(3, 0);
        bench_init(&b, 3, guarded ? 0 : off(QUORUM_W14_LAST_SURVIVOR));
        load(&b, without_self, (uint64_t[]){2}, 1, 5);
        start(&b, 2);
        receive(&b, 0, append_of(2, 6, 2, NULL, 0)); /* A leads */
        struct quorum_message vote = {.type = QUORUM_VOTE, .term = 3};
        vote.vote = (struct quorum_vote){.last_index = 9, .last_term = 2};
        receive(&b, 1, vote);
        assert_false(sent(&b, QUORUM_VOTE_RESULT)->vote_result.granted);
        b.now_ms += ELECTION_MS;
        receive(&b, 1, vote);
        assert_int_equal(sent(&b, QUORUM_VOTE_RESULT)->vote_result.granted, guarded);
        if (guarded) {
            assert_int_equal(b.log[0].type, QUORUM_STORE_STATE);
            assert_int_equal(b.log[0].state.voted.raft_id, peer(1).raft_id);
            assert_int_equal(b.log[0].state.voted.node_id, 1);
        }
        assert_int_equal(b.core->raft.configuration.n, 3);
        quorum_voters_unref(without_self);
        bench_release(&b);
    }
}

static void test_w15_sole_voter(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        struct quorum_voters *alone = voters_of(1, 1);
        bench_init(&b, 0, guarded ? 0 : off(QUORUM_W15_SOLE_VOTER_TERM));
        load(&b, alone, (uint64_t[]){2}, 1, 5);
        start(&b, 2);
        assert_true(quorum_core_is_leader(b.core));
        assert_int_equal(quorum_core_term(b.core), guarded ? 3 : 2);
        assert_int_equal(b.log[0].type == QUORUM_STORE_STATE, guarded);
        if (guarded) {
            assert_int_equal(b.log[0].state.term, 3);
            assert_int_equal(b.log[0].state.voted.raft_id, peer(0).raft_id);
        }
        quorum_voters_unref(alone);
        bench_release(&b);
    }
}

static void test_w17_whole_batches(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_leader(&b, guarded ? 0 : off(QUORUM_W17_WHOLE_BATCHES));
        answer(&b, 2, 11, 4); /* C ends inside of our first batch */
        const struct quorum_append *append = &sent(&b, QUORUM_APPEND)->append;
        assert_int_equal(append->echo, 4);
        assert_int_equal(append->prev_index, guarded ? 1 : 4);
        assert_int_equal(append->prev_term, guarded ? 1 : 2);
        assert_int_equal(append->end_index, 12);
        bench_release(&b);
    }
}

static void test_w18_echo(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_follower(&b, guarded ? 0 : off(QUORUM_W18_ECHO));
        struct quorum_message append = append_of(5, 20, 5, NULL, 0);
        append.append.echo = 23;
        receive(&b, 1, append);
        assert_int_equal(sent(&b, QUORUM_APPEND_RESULT)->append_result.rejected, guarded ? 23 : 20);
        bench_release(&b);
    }
}

static void test_w19_result_is_batch_end(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        start_follower(&b, guarded ? 0 : off(QUORUM_W19_RESULT_BATCH_END));
        receive(&b, 1, append_of(5, 9, 3, NULL, 0));
        assert_int_equal(sent(&b, QUORUM_APPEND_RESULT)->append_result.last_index,
                         guarded ? 11 : 9);
        bench_release(&b);
    }
}

static void test_w20_unknown_term(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        struct quorum_voters *voters = voters_of(3, 0);
        bench_init(&b, 0, guarded ? 0 : off(QUORUM_W20_UNKNOWN_TERM));
        quorum_core_load_snapshot(b.core, 19, 2, voters);
        quorum_core_load_batch(b.core, 10, 5, 2, NULL);
        quorum_core_load_batch(b.core, 15, 5, 2, NULL);
        start(&b, 2);
        elect(&b);
        answer(&b, 2, 19, 12);
        const struct quorum_append *append = &sent(&b, QUORUM_APPEND)->append;
        assert_int_equal(append->prev_index, guarded ? 12 : 9);
        assert_int_equal(append->prev_term, guarded ? 2 : 0);
        if (guarded) {
            assert_int_equal(append->end_index, 12);
            assert_int_equal(append->commit_index, 0);
        }
        quorum_voters_unref(voters);
        bench_release(&b);
    }
}

static void test_w21_bootstrap_is_no_snapshot(void **state)
{
    struct bench b;
    struct quorum_voters *voters = voters_of(3, 0);
    bench_init(&b, 3, 0);
    start(&b, 0);
    struct quorum_message install = {.type = QUORUM_INSTALL, .term = 2};
    install.install = (struct quorum_install){1, 1, voters};
    receive(&b, 1, install);
    assert_int_equal(b.count, 0);
    assert_int_equal(quorum_core_counters(b.core).malformed, 1);
    /* As entry 1 it arrives. */
    struct quorum_batch batches[] = {change(1, 1, voters), batch(2, 2, 2)};
    receive(&b, 1, append_of(2, 0, 0, batches, 2));
    assert_int_equal(find(&b, QUORUM_APPEND_BATCH)->append.batch.base, 1);
    assert_int_equal(quorum_core_last_index(b.core), 3);
    assert_ptr_equal(quorum_core_voters(b.core), voters);
    quorum_voters_unref(voters);
    bench_release(&b);
}

static void test_barrier_of_our_own(void **state)
{
    for (int guarded = 1; guarded >= 0; guarded--) {
        struct bench b;
        struct quorum_voters *voters = voters_of(3, 0);
        bench_init(&b, 0, guarded ? 0 : off(QUORUM_BARRIER_OWN));
        load(&b, voters, NULL, 0, 1); /* all that there is is committed */
        start(&b, 1);
        elect(&b);
        const struct quorum_action *barrier = find(&b, QUORUM_APPEND_BATCH);
        assert_int_equal(barrier != NULL, guarded);
        if (guarded) {
            assert_int_equal(barrier->append.batch.kind, QUORUM_BARRIER);
            assert_int_equal(barrier->append.granted, 3); /* A and B voted */
        }
        quorum_voters_unref(voters);
        bench_release(&b);
    }
}

/* Two changes in one append: the first is committed, a roll-back of the second keeps it. */
static void test_second_change_settles_the_first(void **state)
{
    struct bench b;
    start_follower(&b, 0);
    struct quorum_voters *first = voters_of(3, 1), *second = voters_of(2, 0);
    struct quorum_batch batches[] = {change(12, 5, first), change(13, 5, second)};
    receive(&b, 1, append_of(5, 11, 3, batches, 2));
    assert_int_equal(b.core->raft.configuration.n, 2);
    struct quorum_batch other[] = {batch(13, 1, 6)};
    receive(&b, 2, append_of(6, 12, 5, other, 1));
    assert_int_equal(b.core->raft.configuration.n, 4);
    assert_ptr_equal(quorum_core_voters(b.core), first);
    quorum_voters_unref(first);
    quorum_voters_unref(second);
    bench_release(&b);
}

/* Whoever is no member is not heard while a leader is known, whatever its term. */
static void test_strangers_do_not_unseat(void **state)
{
    struct bench b;
    start_follower(&b, 0);
    receive(&b, 1, append_of(5, 11, 3, NULL, 0));
    struct quorum_message vote = {.type = QUORUM_VOTE, .term = 9};
    vote.vote = (struct quorum_vote){.last_index = 100, .last_term = 8, .disrupt_leader = true};
    struct quorum_message now = {.type = QUORUM_TIMEOUT_NOW, .term = 9};
    struct quorum_message result = {.type = QUORUM_APPEND_RESULT, .term = 9};
    receive(&b, 3, vote);
    receive(&b, 3, now);
    receive(&b, 3, result);
    receive(&b, 3, append_of(9, 11, 3, NULL, 0));
    assert_null(sent(&b, QUORUM_VOTE_RESULT));
    assert_int_equal(quorum_core_term(b.core), 5);
    /* The leader fell silent: whoever asks may be a voter that we have not heard of. */
    b.now_ms += ELECTION_MS;
    receive(&b, 3, now);
    assert_int_equal(quorum_core_term(b.core), 5);
    receive(&b, 3, vote);
    assert_int_equal(quorum_core_term(b.core), 9);
    assert_true(sent(&b, QUORUM_VOTE_RESULT)->vote_result.granted);
    bench_release(&b);
    /* A leader hears members only. */
    start_leader(&b, 0);
    uint64_t term = quorum_core_term(b.core);
    receive(&b, 3, vote);
    receive(&b, 3, result);
    assert_int_equal(quorum_core_term(b.core), term);
    receive(&b, 1, result);
    assert_int_equal(quorum_core_term(b.core), 9);
    bench_release(&b);
}

static void test_malformed_is_dropped(void **state)
{
    struct bench b;
    start_follower(&b, 0);
    struct quorum_batch gap[] = {batch(12, 1, 5), batch(14, 1, 5)};
    struct quorum_batch back[] = {batch(12, 1, 5), batch(13, 1, 4)};
    struct quorum_batch empty[] = {batch(12, 0, 5)};
    struct quorum_batch ahead[] = {batch(12, 1, 6)};
    struct quorum_batch cuts[] = {batch(9, 6, 3)};
    struct quorum_batch no_voters[] = {change(12, 5, NULL)};
    struct quorum_batch first[] = {batch(1, 1, 1)};
    receive(&b, 1, append_of(5, 11, 3, gap, 2));
    receive(&b, 1, append_of(5, 11, 3, back, 2));
    receive(&b, 1, append_of(5, 11, 3, empty, 1));
    receive(&b, 1, append_of(5, 11, 3, ahead, 1));
    receive(&b, 1, append_of(5, 8, 3, cuts, 1));
    receive(&b, 1, append_of(5, 11, 3, no_voters, 1));
    receive(&b, 1, append_of(5, 0, 0, first, 1));
    receive(&b, 1, append_of(5, 0, 3, NULL, 0));
    receive(&b, 1, append_of(0, 11, 3, NULL, 0));
    receive(&b, 1, append_of((uint64_t)INT32_MAX + 2, 11, 3, NULL, 0));
    receive(&b, 0, append_of(5, 11, 3, NULL, 0)); /* from ourselves */
    assert_int_equal(quorum_core_counters(b.core).malformed, 11);
    assert_int_equal(quorum_core_last_index(b.core), 11);
    assert_int_equal(quorum_core_leader(b.core), 0);
    bench_release(&b);
}

/* Somebody else claims our term: libraft would write over its leader state. */
static void test_second_leader_is_dropped(void **state)
{
    struct bench b;
    start_leader(&b, 0);
    receive(&b, 2, append_of(6, 11, 3, NULL, 0));
    assert_true(quorum_core_is_leader(b.core));
    assert_int_equal(quorum_core_counters(b.core).malformed, 1);
    bench_release(&b);
}

/* Who led the term before leads nothing in the next. */
static void test_a_leader_ends_with_its_term(void **state)
{
    struct bench b;
    start_follower(&b, 0);
    receive(&b, 1, append_of(5, 11, 3, NULL, 0));
    assert_true(find(&b, QUORUM_ROLE)->role.leader.raft_id == peer(1).raft_id);
    struct quorum_message vote = {.type = QUORUM_VOTE, .term = 6};
    vote.vote = (struct quorum_vote){.last_index = 11, .last_term = 3, .disrupt_leader = true};
    receive(&b, 2, vote);
    assert_true(sent(&b, QUORUM_VOTE_RESULT)->vote_result.granted);
    const struct quorum_action *role = find(&b, QUORUM_ROLE);
    assert_non_null(role);
    assert_int_equal(role->role.term, 6);
    assert_true(role->role.leader.raft_id == 0);
    receive(&b, 2, append_of(6, 11, 3, NULL, 0));
    assert_true(find(&b, QUORUM_ROLE)->role.leader.raft_id == peer(2).raft_id);
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_w1_stale_term),
        cmocka_unit_test(test_w2_compacted_prefix),
        cmocka_unit_test(test_w3_stale_reject),
        cmocka_unit_test(test_w4_pre_vote_term),
        cmocka_unit_test(test_w5_change_after_commit),
        cmocka_unit_test(test_w6_change_first),
        cmocka_unit_test(test_w7_live_majority),
        cmocka_unit_test(test_w8_commit_is_stored),
        cmocka_unit_test(test_w9_nobody_is_demoted),
        cmocka_unit_test(test_w10_persisted_after_truncation),
        cmocka_unit_test(test_w11_amnesiac),
        cmocka_unit_test(test_w12_late_vote_result),
        cmocka_unit_test(test_w14_last_survivor),
        cmocka_unit_test(test_w15_sole_voter),
        cmocka_unit_test(test_w17_whole_batches),
        cmocka_unit_test(test_w18_echo),
        cmocka_unit_test(test_w19_result_is_batch_end),
        cmocka_unit_test(test_w20_unknown_term),
        cmocka_unit_test(test_w21_bootstrap_is_no_snapshot),
        cmocka_unit_test(test_barrier_of_our_own),
        cmocka_unit_test(test_second_change_settles_the_first),
        cmocka_unit_test(test_strangers_do_not_unseat),
        cmocka_unit_test(test_malformed_is_dropped),
        cmocka_unit_test(test_second_leader_is_dropped),
        cmocka_unit_test(test_a_leader_ends_with_its_term),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
