/* A voter goes only when those who stay have just shown that they still have their disks. */
#include "tests/unit/raft/quorum_bench.c"

/* A leads with a barrier at 12, which B and C have, and hears them all the time. */
static void start_heard(struct bench *b)
{
    start_leader(b, 0);
    persist_all(b);
    answer(b, 1, 0, 12);
    answer(b, 2, 0, 12);
    assert_int_equal(quorum_core_commit_index(b->core), 12);
}

static int change_to(struct bench *b, struct quorum_voters *voters)
{
    uint64_t base;
    int rv = quorum_core_change(b->core, voters, 1, (struct quorum_bytes){0}, b->now_ms, &base);
    bench_drain(b);
    persist_all(b);
    return rv;
}

static bool wants_proof(struct bench *b, struct quorum_voters *voters)
{
    return quorum_core_wants_proof(b->core, voters, b->now_ms);
}

/* B was heard a moment ago and has lost its disk since: without C nobody could ever lead again. */
static void a_lost_disk_shows_in_time(void **state)
{
    struct bench b;
    start_heard(&b);
    struct quorum_voters *all = voters_of(3, 0), *without_c = voters_of(2, 0);
    assert_int_equal(change_to(&b, without_c), -EAGAIN);
    assert_true(wants_proof(&b, without_c));
    assert_int_equal(change_to(&b, all), 0);
    answer(&b, 2, 0, 13); /* C, which makes it committed */
    assert_int_equal(quorum_core_commit_index(b.core), 13);
    assert_false(quorum_core_change_open(b.core));
    assert_int_equal(change_to(&b, without_c), -EAGAIN);
    assert_false(wants_proof(&b, without_c)); /* it is B that is missing */
    b.now_ms += ELECTION_MS / 2;
    answer(&b, 2, 0, 13);
    assert_int_equal(change_to(&b, without_c), -EAGAIN);
    assert_int_equal(quorum_voters_count(quorum_core_voters(b.core)), 3);
    quorum_voters_unref(all);
    quorum_voters_unref(without_c);
    bench_release(&b);
}

static void who_stays_has_stored_the_set(void **state)
{
    struct bench b;
    start_heard(&b);
    struct quorum_voters *all = voters_of(3, 0), *without_c = voters_of(2, 0);
    assert_int_equal(change_to(&b, all), 0);
    answer(&b, 1, 0, 13); /* C says nothing: it is what is to go */
    assert_int_equal(change_to(&b, without_c), 0);
    assert_int_equal(quorum_voters_count(quorum_core_voters(b.core)), 2);
    quorum_voters_unref(all);
    quorum_voters_unref(without_c);
    bench_release(&b);
}

static void a_proof_gets_old(void **state)
{
    struct bench b;
    start_heard(&b);
    struct quorum_voters *all = voters_of(3, 0), *without_c = voters_of(2, 0);
    assert_int_equal(change_to(&b, all), 0);
    answer(&b, 1, 0, 13);
    b.now_ms += ELECTION_MS;
    answer(&b, 1, 0, 13);
    assert_int_equal(change_to(&b, without_c), -EAGAIN);
    assert_true(wants_proof(&b, without_c));
    assert_int_equal(change_to(&b, all), 0);
    assert_int_equal(change_to(&b, without_c), -EAGAIN);
    answer(&b, 1, 0, 14);
    assert_int_equal(change_to(&b, without_c), 0);
    quorum_voters_unref(all);
    quorum_voters_unref(without_c);
    bench_release(&b);
}

/* What nobody has to be asked for: a standby that goes or comes, and the last but one voter. */
static void other_changes_need_none(void **state)
{
    struct bench b;
    start_heard(&b);
    struct quorum_voters *with_standby = voters_of(3, 1), *all = voters_of(3, 0);
    assert_false(wants_proof(&b, with_standby));
    assert_int_equal(change_to(&b, with_standby), 0);
    answer(&b, 1, 0, 13);
    assert_int_equal(change_to(&b, all), 0);
    answer(&b, 1, 0, 14);
    answer(&b, 2, 0, 14);
    struct quorum_voters *two = voters_of(2, 0), *one = voters_of(1, 0);
    assert_int_equal(change_to(&b, all), 0);
    answer(&b, 1, 0, 15);
    assert_int_equal(change_to(&b, two), 0);
    answer(&b, 1, 0, 16);
    b.now_ms += ELECTION_MS / 2;
    assert_false(wants_proof(&b, one));
    assert_int_equal(change_to(&b, one), 0);
    quorum_voters_unref(with_standby);
    quorum_voters_unref(all);
    quorum_voters_unref(two);
    quorum_voters_unref(one);
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_disk_shows_in_time),
        cmocka_unit_test(who_stays_has_stored_the_set),
        cmocka_unit_test(a_proof_gets_old),
        cmocka_unit_test(other_changes_need_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
