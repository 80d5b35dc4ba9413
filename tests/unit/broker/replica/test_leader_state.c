#include "broker/replica/leader_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define LAG_MS 1000

/* Leader 1 with followers 2 and 3; the tests turn what the metadata says of the brokers. */
struct fixture {
    struct partition_role role;
    struct leader_state leader;
    struct leader_view view;
    int64_t epochs[4];
    bool live[4];
};

static int64_t epoch_of(void *ctx, int32_t id, bool *ret_live)
{
    struct fixture *f = ctx;
    *ret_live = f->live[id];
    return f->epochs[id];
}

static void set_role(struct fixture *f, int32_t partition_epoch, struct node_list isr)
{
    static const int32_t replicas[] = {1, 2, 3};
    struct partition_role role = {
        .leader_id = 1,
        .leader_epoch = 5,
        .partition_epoch = partition_epoch,
        .replicas = {replicas, 3},
        .isr = isr,
    };
    partition_role_set(&f->role, &role);
}

#define IDS(...)                                                                                   \
    ((struct node_list){(const int32_t[]){__VA_ARGS__},                                            \
                        (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))})

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    for (int id = 1; id <= 3; id++) {
        f->epochs[id] = 10 * id;
        f->live[id] = true;
    }
    f->view = (struct leader_view){.now_ms = 10000,
                                   .lag_max_ms = LAG_MS,
                                   .end_offset = 100,
                                   .own_offset = 100,
                                   .high_watermark = 50,
                                   .min_isr = 2,
                                   .broker_epoch = 10,
                                   .epoch_of = epoch_of,
                                   .ctx = f};
    set_role(f, 7, IDS(1, 2, 3));
    leader_state_init(&f->leader, 1, &f->role);
    leader_state_begin(&f->leader, 60, f->view.now_ms);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    leader_state_release(&f->leader);
    partition_role_release(&f->role);
    free(f);
    return 0;
}

static void fetch(struct fixture *f, int32_t id, int64_t offset)
{
    struct replica_fetch fetch = {.id = id, .broker_epoch = f->epochs[id], .offset = offset};
    assert_int_equal(leader_state_check(&f->leader, &f->view, &fetch), KAFKA_ERROR_NONE);
    leader_state_fetched(&f->leader, &f->view, &fetch);
}

static int64_t watermark(struct fixture *f)
{
    f->view.high_watermark = leader_state_high_watermark(&f->leader, &f->view);
    return f->view.high_watermark;
}

static void the_slowest_of_the_isr_holds_the_watermark(void **state)
{
    struct fixture *f = *state;
    fetch(f, 2, 90);
    assert_int_equal(watermark(f), 50); /* of 3 nothing is known in this epoch */
    fetch(f, 3, 80);
    assert_int_equal(watermark(f), 80);
    f->view.own_offset = 70;
    assert_int_equal(watermark(f), 80); /* never back */
    fetch(f, 2, 100);
    fetch(f, 3, 100);
    f->view.own_offset = 95; /* the leader's own disk is behind */
    assert_int_equal(watermark(f), 95);
}

static void below_min_isr_nothing_is_committed(void **state)
{
    struct fixture *f = *state;
    set_role(f, 8, IDS(1));
    leader_state_update(&f->leader, f->view.now_ms);
    f->view.now_ms += LAG_MS + 1;
    assert_int_equal(watermark(f), 50);
    f->view.min_isr = 1;
    assert_int_equal(watermark(f), 100);
    /* More than there are replicas cannot be asked for. */
    assert_int_equal(leader_state_min_isr(&f->leader, 5), 3);
}

static void only_the_life_that_the_metadata_knows_may_fetch(void **state)
{
    struct fixture *f = *state;
    struct replica_fetch fetch = {.id = 2, .broker_epoch = 19, .offset = 100};
    assert_int_equal(leader_state_check(&f->leader, &f->view, &fetch),
                     KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    fetch.broker_epoch = -1;
    assert_int_equal(leader_state_check(&f->leader, &f->view, &fetch),
                     KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    fetch.broker_epoch = 21;
    assert_int_equal(leader_state_check(&f->leader, &f->view, &fetch),
                     KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    fetch = (struct replica_fetch){.id = 4, .broker_epoch = 20, .offset = 100};
    assert_int_equal(leader_state_check(&f->leader, &f->view, &fetch),
                     KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    fetch.id = 1; /* itself */
    assert_int_equal(leader_state_check(&f->leader, &f->view, &fetch),
                     KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
}

static void who_lags_too_long_leaves(void **state)
{
    struct fixture *f = *state;
    fetch(f, 2, 100);
    fetch(f, 3, 70);
    assert_false(leader_state_propose(&f->leader, &f->view, true));
    f->view.now_ms += LAG_MS + 1;
    fetch(f, 3, 80); /* it goes on fetching, but never reaches the end */
    assert_false(leader_state_propose(&f->leader, &f->view, false));
    assert_true(leader_state_propose(&f->leader, &f->view, true));
    const struct isr_proposal *proposal = &f->leader.proposal;
    assert_int_equal(proposal->member_count, 2);
    assert_int_equal(proposal->members[0].id, 1);
    assert_int_equal(proposal->members[0].broker_epoch, 10);
    assert_int_equal(proposal->members[1].id, 2);
    assert_int_equal(proposal->members[1].broker_epoch, 20);
    assert_int_equal(proposal->partition_epoch, 7);
    /* Until the controller agrees it still counts. */
    assert_int_equal(watermark(f), 80);
    assert_int_equal(leader_state_maximal_isr_count(&f->leader), 3);
    assert_false(leader_state_propose(&f->leader, &f->view, true));
    set_role(f, 8, IDS(1, 2));
    leader_state_accepted(&f->leader, f->view.now_ms);
    assert_int_equal(watermark(f), 100);
}

static void who_reached_the_end_of_the_fetch_before_keeps_up(void **state)
{
    struct fixture *f = *state;
    f->view.end_offset = f->view.own_offset = 100;
    fetch(f, 3, 60);
    f->view.now_ms += 600;
    f->view.end_offset = 200;
    fetch(f, 3, 100); /* all that was there 600 ms ago */
    f->view.now_ms += 600;
    f->view.end_offset = 300;
    fetch(f, 3, 200);
    fetch(f, 2, 300);
    assert_false(leader_state_propose(&f->leader, &f->view, true));
}

static void a_follower_joins_once_it_has_all_that_is_committed(void **state)
{
    struct fixture *f = *state;
    set_role(f, 8, IDS(1, 2));
    leader_state_begin(&f->leader, 60, f->view.now_ms);
    fetch(f, 2, 90);
    fetch(f, 3, 55); /* above the watermark, below the start of this epoch (KIP-279) */
    assert_false(leader_state_propose(&f->leader, &f->view, false));
    assert_int_equal(watermark(f), 90);
    fetch(f, 3, 89);
    assert_false(leader_state_propose(&f->leader, &f->view, false));
    fetch(f, 3, 90);
    f->live[3] = false; /* fenced: KIP-841 */
    assert_false(leader_state_propose(&f->leader, &f->view, false));
    f->live[3] = true;
    f->epochs[3] = 31; /* it was wiped and is another life now: KIP-903 */
    assert_false(leader_state_propose(&f->leader, &f->view, false));
    f->epochs[3] = 30;
    assert_true(leader_state_propose(&f->leader, &f->view, false));
    assert_int_equal(f->leader.proposal.member_count, 3);
    /* From now on it may be in the ISR: nothing is committed without it. */
    fetch(f, 2, 100);
    assert_int_equal(watermark(f), 90);
}

static void answers_decide_what_becomes_of_a_proposal(void **state)
{
    struct fixture *f = *state;
    set_role(f, 8, IDS(1, 2));
    leader_state_begin(&f->leader, 60, f->view.now_ms);
    fetch(f, 2, 100);
    fetch(f, 3, 100);
    assert_true(leader_state_propose(&f->leader, &f->view, false));
    assert_int_equal(leader_state_refused(&f->leader, KAFKA_ERROR_REQUEST_TIMED_OUT), ISR_AGAIN);
    assert_int_equal(leader_state_refused(&f->leader, KAFKA_ERROR_INVALID_UPDATE_VERSION),
                     ISR_OPEN);
    assert_true(f->leader.proposing);
    /* Metadata of the same state says nothing, newer settles it. */
    leader_state_update(&f->leader, f->view.now_ms);
    assert_true(f->leader.proposing);
    set_role(f, 9, IDS(1, 2));
    leader_state_update(&f->leader, f->view.now_ms);
    assert_false(f->leader.proposing);
    assert_true(leader_state_propose(&f->leader, &f->view, false));
    assert_int_equal(leader_state_refused(&f->leader, KAFKA_ERROR_INELIGIBLE_REPLICA), ISR_DROPPED);
    assert_false(f->leader.proposing);
}

static void an_unclean_leader_says_that_it_is_through(void **state)
{
    struct fixture *f = *state;
    set_role(f, 8, IDS(1));
    f->role.recovery_state = LEADER_RECOVERING;
    leader_state_begin(&f->leader, 60, f->view.now_ms);
    assert_true(leader_state_propose(&f->leader, &f->view, false));
    assert_int_equal(f->leader.proposal.recovery_state, LEADER_RECOVERED);
    assert_int_equal(f->leader.proposal.member_count, 1);
}

static int64_t live_epoch(void *ctx, int32_t id, bool *ret_live)
{
    *ret_live = true;
    return 10;
}

static void check_order(struct fixture *f, struct node_list replicas, struct node_list expected)
{
    struct partition_role role = {.leader_id = replicas.ids[0],
                                  .leader_epoch = 5,
                                  .replicas = replicas,
                                  .isr = {replicas.ids, replicas.count - 1}};
    struct partition_role kept = {0};
    struct leader_state leader;
    partition_role_set(&kept, &role);
    f->view.epoch_of = live_epoch;
    leader_state_init(&leader, role.leader_id, &kept);
    leader_state_begin(&leader, 60, f->view.now_ms);
    struct replica_fetch fetch = {
        .id = replicas.ids[replicas.count - 1], .broker_epoch = 10, .offset = 100};
    leader_state_fetched(&leader, &f->view, &fetch);
    assert_true(leader_state_propose(&leader, &f->view, false));
    assert_int_equal(leader.proposal.member_count, expected.count);
    for (int32_t i = 0; i < expected.count; i++)
        assert_int_equal(leader.proposal.members[i].id, expected.ids[i]);
    leader_state_release(&leader);
    partition_role_release(&kept);
}

static void a_proposal_is_in_the_order_of_kafka(void **state)
{
    struct fixture *f = *state;
    check_order(f, IDS(3, 2, 1), IDS(1, 2, 3));
    check_order(f, IDS(2, 3), IDS(2, 3));
    check_order(f, IDS(15, 16, 101, 1), IDS(16, 1, 101, 15));
    check_order(f, IDS(31, 17, 1), IDS(17, 1, 31));
    check_order(f, IDS(20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
                IDS(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_slowest_of_the_isr_holds_the_watermark),
        TEST(below_min_isr_nothing_is_committed),
        TEST(only_the_life_that_the_metadata_knows_may_fetch),
        TEST(who_lags_too_long_leaves),
        TEST(who_reached_the_end_of_the_fetch_before_keeps_up),
        TEST(a_follower_joins_once_it_has_all_that_is_committed),
        TEST(a_proposal_is_in_the_order_of_kafka),
        TEST(answers_decide_what_becomes_of_a_proposal),
        TEST(an_unclean_leader_says_that_it_is_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
