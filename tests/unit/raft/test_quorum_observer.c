#include "tests/unit/raft/node_world.c"
#include "tests/unit/raft/leader_app.c"

#include "raft/quorum_node_internal.h"
#include "raft/quorum_observer_internal.h"
#include "tests/sim/sim_net.h"

#include <errno.h>
#include <stdlib.h>

/* A leader and one that follows it. */
struct pair {
    struct leader_world leader;
    struct world observer;
    struct endpoint bootstrap;
    struct quorum_follow_config follow;
};

static void pair_init(struct pair *pair, uint64_t seed)
{
    memset(pair, 0, sizeof(*pair));
    struct sim *sim = sim_new(seed, false);
    world_init_in(&pair->leader.world, sim, "leader", leader_boot, &pair->leader);
    pair->leader.world.host = "leader";
    pair->leader.world.segment_bytes = 4096;
    pair->leader.world.retention_bytes = 8192;
    pair->bootstrap = (struct endpoint){.host = "leader", .port = LEADER_PORT};
    pair->follow = (struct quorum_follow_config){.cluster_id = "5L6g3nShT-eMCtK--X86sw",
                                                 .bootstrap = &pair->bootstrap,
                                                 .bootstrap_count = 1,
                                                 .fetch_timeout_ms = 2000,
                                                 .retry_backoff_ms = 20,
                                                 .fetch_max_bytes = 2000,
                                                 .snapshot_max_bytes = 700,
                                                 .never_votes = true};
    world_init_in(&pair->observer, sim, "observer", world_boot, &pair->observer);
    pair->observer.follow = &pair->follow;
    pair->observer.node_id = 2;
    pair->observer.directory_id = (struct uuid){{2, 2, 2}};
    pair->observer.segment_bytes = 4096;
    pair->observer.retention_bytes = 8192;
    pair->leader.world.propose_every_ms = 2;
    world_start(&pair->leader.world);
    assert_true(world_run_until_active(&pair->leader.world));
}

static struct program *leader_of(struct pair *pair)
{
    return world_program(&pair->leader.world);
}

static struct program *observer_of_pair(struct pair *pair)
{
    return world_program(&pair->observer);
}

static void run_ms(struct pair *pair, int64_t ms)
{
    world_run_ms(&pair->leader.world, ms);
}

/* What the observer has is the beginning of what the leader has. */
static bool is_prefix(struct pair *pair)
{
    const struct program *a = leader_of(pair), *b = observer_of_pair(pair);
    return b->count <= a->count && b->next_offset <= a->next_offset &&
           (b->count == 0 || memcmp(a->numbers, b->numbers, b->count * sizeof(uint64_t)) == 0);
}

static bool is_equal(struct pair *pair)
{
    const struct program *b = observer_of_pair(pair);
    return b && b->loaded && is_prefix(pair) && b->next_offset == leader_of(pair)->next_offset;
}

/* No more proposals; then the observer has all. */
static void settle(struct pair *pair)
{
    int64_t every_ms = pair->leader.world.propose_every_ms;
    pair->leader.world.propose_every_ms = 0;
    for (int i = 0; i < 1000 && !is_equal(pair); i++)
        run_ms(pair, 10);
    if (!is_equal(pair)) {
        const struct program *p = observer_of_pair(pair);
        print_message("observer: %s loaded %d offset %lld, leader %lld\n", pair->observer.failure,
                      p && p->loaded, p ? (long long)p->next_offset : -1,
                      (long long)leader_of(pair)->next_offset);
    }
    assert_true(is_equal(pair));
    assert_string_equal(pair->observer.failure, "");
    pair->leader.world.propose_every_ms = every_ms;
}

static void pair_release(struct pair *pair)
{
    struct sim *sim = pair->leader.world.sim;
    assert_null(sim_failure(sim));
    sim_free(sim);
}

static void test_follows(void **state)
{
    struct pair pair;
    pair_init(&pair, 1);
    world_start(&pair.observer);
    run_ms(&pair, 1000);
    struct program *p = observer_of_pair(&pair);
    assert_true(p->loaded);
    assert_true(p->count > 200);
    /* A commit comes at once, not with the next round. */
    assert_true(leader_of(&pair)->next_offset - p->next_offset < 20);
    settle(&pair);
    assert_int_equal(p->control_records, leader_of(&pair)->control_records);
    struct quorum_leader leader;
    assert_true(quorum_node_leader(p->node, &leader));
    assert_int_equal(leader.id, 1);
    assert_int_equal(leader.epoch, 1);
    assert_string_equal(leader.endpoint.host, "leader");
    assert_null(quorum_node_core(p->node));
    assert_false(quorum_node_is_active(p->node));
    pair_release(&pair);
}

/* The epoch that it was told of is kept by nobody; its core must not begin before it. */
static void test_a_member_begins_in_the_epoch_it_knew(void **state)
{
    struct pair pair;
    char text[256] = "";
    pair_init(&pair, 12);
    pair.follow.never_votes = false;
    world_start(&pair.observer);
    run_ms(&pair, 500);
    settle(&pair);
    struct quorum_node *node = observer_of_pair(&pair)->node;
    assert_null(quorum_node_core(node));
    node->epoch = 9;
    struct uuid leader = pair.leader.world.directory_id;
    struct quorum_message append = {
        .type = QUORUM_APPEND, .term = 10, .peer = {1, leader, quorum_raft_id(leader)}};
    quorum_node_receive(node, &append);
    for (int i = 0; i < 200 && !quorum_node_core(node); i++)
        run_ms(&pair, 10);
    assert_non_null(quorum_node_core(node));
    assert_int_equal(quorum_core_term(quorum_node_core(node)), 10);
    assert_true(sim_disk_peek(sim_node_disk(pair.observer.node), METADATA_DIR "/quorum-state", text,
                              sizeof(text) - 1, 0) > 0);
    if (!strstr(text, "\"leaderId\":-1,\"leaderEpoch\":9,\"votedId\":-1"))
        fail_msg("it holds %s", text);
    pair_release(&pair);
}

static void test_comes_back(void **state)
{
    struct pair pair;
    pair_init(&pair, 2);
    for (int round = 0; round < 9; round++) {
        world_start(&pair.observer);
        run_ms(&pair, 200 + 37 * round);
        assert_true(is_prefix(&pair));
        if (round == 4) {
            sim_node_kill(pair.leader.world.node);
            run_ms(&pair, 300);
            world_start(&pair.leader.world);
            assert_true(world_run_until_active(&pair.leader.world));
        }
        settle(&pair);
        if (round % 3 == 0)
            world_stop(&pair.observer);
        else if (round % 3 == 1)
            sim_node_kill(pair.observer.node);
        else
            sim_node_power_cut(pair.observer.node);
    }
    pair_release(&pair);
}

static void test_waits_for_a_leader(void **state)
{
    struct pair pair;
    pair_init(&pair, 3);
    sim_node_kill(pair.leader.world.node);
    world_start(&pair.observer);
    run_ms(&pair, 3000);
    struct program *p = observer_of_pair(&pair);
    assert_false(p->loaded);
    world_start(&pair.leader.world);
    assert_true(world_run_until_active(&pair.leader.world));
    run_ms(&pair, 3000);
    settle(&pair);
    pair.leader.silent = true;
    run_ms(&pair, 2000);
    pair.leader.silent = false;
    run_ms(&pair, 2000);
    settle(&pair);
    pair_release(&pair);
}

/* Its log begins behind what the observer has. */
static void let_leader_trim(struct pair *pair)
{
    pair->leader.world.snapshot_every_ms = 20;
    pair->leader.world.propose_every_ms = 1;
    run_ms(pair, 600);
    pair->leader.world.snapshot_every_ms = 0;
    assert_true(quorum_node_log_start(leader_of(pair)->node) > 0);
}

static void test_takes_a_checkpoint(void **state)
{
    struct pair pair;
    pair_init(&pair, 4);
    let_leader_trim(&pair);
    world_start(&pair.observer);
    run_ms(&pair, 1000);
    settle(&pair);
    assert_true(pair.leader.pieces > 3);
    assert_true(quorum_node_log_start(observer_of_pair(&pair)->node) > 0);
    int pieces = pair.leader.pieces;
    /* It has one of its own now. */
    sim_node_kill(pair.observer.node);
    world_start(&pair.observer);
    settle(&pair);
    assert_int_equal(pair.leader.pieces, pieces);
    /* It was away for too long. */
    sim_node_power_cut(pair.observer.node);
    let_leader_trim(&pair);
    world_start(&pair.observer);
    settle(&pair);
    assert_true(pair.leader.pieces > pieces);
    pair_release(&pair);
}

/* A controller whose log begins with a checkpoint that is gone: committed metadata is lost, and
 * that is said also where nothing else tells who votes. */
static void test_a_lost_checkpoint_is_refused(void **state)
{
    struct pair pair;
    struct quorum_checkpoint_id *ids;
    size_t count;
    pair_init(&pair, 13);
    pair.follow.never_votes = false;
    let_leader_trim(&pair);
    pair.leader.world.propose_every_ms = 0;
    world_start(&pair.observer);
    settle(&pair);
    assert_true(quorum_node_log_start(observer_of_pair(&pair)->node) > 0);
    world_stop(&pair.observer);
    struct disk *disk = sim_disk_base(sim_node_disk(pair.observer.node));
    assert_int_equal(quorum_checkpoint_list(disk, METADATA_DIR, false, &ids, &count), 0);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(quorum_checkpoint_delete(disk, METADATA_DIR, ids[i]), 0);
    free(ids);
    world_start(&pair.observer);
    run_ms(&pair, 500);
    if (!strstr(pair.observer.failure, "there is no checkpoint of what was before"))
        fail_msg("it says: %s", pair.observer.failure);
    pair_release(&pair);
}

static void drop(void *ctx, const struct quorum_message *message)
{
}

/* The leader's first message to a member. On the loop: what it takes belongs to the process. */
static struct {
    struct task task;
    struct pair *pair;
    int during_the_last_write;
} promotion;

static void promote(struct task *task)
{
    struct uuid leader = promotion.pair->leader.world.directory_id;
    struct quorum_message append = {
        .type = QUORUM_APPEND, .term = 2, .peer = {1, leader, quorum_raft_id(leader)}};
    struct quorum_node *node = observer_of_pair(promotion.pair)->node;
    const struct quorum_observer *o = quorum_node_is_open(node) ? node->observer : NULL;
    if (!o)
        return;
    promotion.during_the_last_write +=
        o->writing && o->snapshot_position + o->piece.len == o->snapshot_size;
    quorum_node_receive(node, &append);
}

static void in_the_observer(struct pair *pair, void (*run)(struct task *task))
{
    promotion.pair = pair;
    promotion.task = (struct task){.run = run};
    loop_post(observer_of_pair(pair)->env->loops[0], &promotion.task);
}

/* It becomes a member while it takes a checkpoint, at any moment of that. Where the checkpoint is
 * whole by then, and was not installed, it takes the log's place and is given out. */
static void test_promoted_with_a_checkpoint(void **state)
{
    promotion.during_the_last_write = 0;
    for (int ms = 60; ms < 300 && promotion.during_the_last_write < 2; ms += 2) {
        struct pair pair;
        pair_init(&pair, 4);
        pair.follow.never_votes = false;
        pair.observer.transport = &(struct quorum_transport){.send = drop};
        let_leader_trim(&pair);
        pair.leader.world.propose_every_ms = 0;
        world_start(&pair.observer);
        sim_disk_set_faults(sim_node_disk(pair.observer.node), "/",
                            &(struct sim_disk_faults){.latency_us = 1000});
        run_ms(&pair, ms);
        struct program *p = observer_of_pair(&pair);
        in_the_observer(&pair, promote);
        run_ms(&pair, 300);
        assert_string_equal(pair.observer.failure, "");
        assert_true(is_prefix(&pair));
        if (quorum_node_core(p->node))
            assert_true(quorum_node_given_out(p->node) >= quorum_node_log_start(p->node));
        pair_release(&pair);
    }
    assert_true(promotion.during_the_last_write > 0);
}

static int nobody_has_it(void *ctx, uint64_t raft_id, struct quorum_checkpoint_id id,
                         int64_t position,
                         void (*fetched)(void *ctx, int status, int64_t size, struct bytes data,
                                         struct buf *frame),
                         void *fetch_ctx)
{
    return -ENOTCONN;
}

static void say_install(struct task *task)
{
    struct uuid leader = promotion.pair->leader.world.directory_id;
    struct program *p = observer_of_pair(promotion.pair);
    struct quorum_message message = {
        .type = QUORUM_INSTALL, .term = 2, .peer = {1, leader, quorum_raft_id(leader)}};
    struct quorum_voters *voters = quorum_voters_new();
    quorum_voters_add(voters, 1, leader, QUORUM_VOTER);
    quorum_voters_add(voters, 2, promotion.pair->observer.directory_id, QUORUM_VOTER);
    message.install.last_index = quorum_index_of(p->next_offset + 1000);
    message.install.last_term = 2;
    message.install.voters = voters;
    quorum_node_receive(p->node, &message);
    quorum_voters_unref(voters);
}

/* Its log says who the voters are, but not how they began: it goes on with those it knows. */
static void test_a_member_whose_checkpoint_is_gone(void **state)
{
    struct pair pair;
    pair_init(&pair, 15);
    pair.follow.never_votes = false;
    pair.observer.transport = &(struct quorum_transport){.send = drop, .fetch = nobody_has_it};
    world_start(&pair.observer);
    run_ms(&pair, 500);
    settle(&pair);
    in_the_observer(&pair, promote);
    run_ms(&pair, 300);
    struct program *p = observer_of_pair(&pair);
    const struct quorum_core *before = quorum_node_core(p->node);
    assert_non_null(before);
    in_the_observer(&pair, say_install);
    for (int i = 0; i < 8000 && quorum_node_core(p->node) == before; i++)
        run_ms(&pair, 1);
    assert_string_equal(pair.observer.failure, "");
    assert_non_null(quorum_node_core(p->node));
    assert_non_null(quorum_core_voters(quorum_node_core(p->node)));
    /* This leader never named it: it follows from outside again. */
    run_ms(&pair, 8000);
    assert_string_equal(pair.observer.failure, "");
    assert_true(is_prefix(&pair));
    pair_release(&pair);
}

static void test_makes_checkpoints(void **state)
{
    struct pair pair;
    pair_init(&pair, 5);
    pair.observer.snapshot_every_ms = 30;
    world_start(&pair.observer);
    run_ms(&pair, 1500);
    settle(&pair);
    assert_true(pair.observer.snapshots > 5);
    assert_true(quorum_node_log_start(observer_of_pair(&pair)->node) > 0);
    for (int i = 0; i < 4; i++) {
        if (i % 2)
            sim_node_power_cut(pair.observer.node);
        else
            sim_node_kill(pair.observer.node);
        world_start(&pair.observer);
        run_ms(&pair, 200);
        settle(&pair);
    }
    pair_release(&pair);
}

static void test_lies(void **state)
{
    for (enum lie lie = LIE_OFFSET; lie < LIE_COUNT; lie++) {
        struct pair pair;
        pair_init(&pair, 100 + (uint64_t)lie);
        world_start(&pair.observer);
        run_ms(&pair, 500);
        settle(&pair);
        pair.leader.lie = lie;
        int fetches = pair.leader.fetches;
        run_ms(&pair, 3000);
        struct program *p = observer_of_pair(&pair);
        assert_true(is_prefix(&pair));
        assert_string_equal(pair.observer.failure, "");
        /* It asks again, and does not do nothing else. */
        fetches = pair.leader.fetches - fetches;
        if (fetches < 2 || fetches > 100 || leader_of(&pair)->next_offset - p->next_offset < 1000)
            print_message("lie %d: %d fetches, behind by %lld\n", (int)lie, fetches,
                          (long long)(leader_of(&pair)->next_offset - p->next_offset));
        assert_in_range(fetches, 2, 100);
        assert_true(leader_of(&pair)->next_offset - p->next_offset > 1000);
        assert_int_equal(quorum_node_leader_id(p->node), 1);
        pair.leader.lie = LIE_NONE;
        run_ms(&pair, 2000);
        settle(&pair);
        pair_release(&pair);
    }
}

static void test_lies_about_checkpoints(void **state)
{
    for (enum lie lie = LIE_PIECE_ENDLESS; lie < LIE_END; lie++) {
        struct pair pair;
        pair_init(&pair, 200 + (uint64_t)lie);
        let_leader_trim(&pair);
        pair.leader.world.propose_every_ms = 0;
        pair.leader.lie = lie;
        world_start(&pair.observer);
        run_ms(&pair, 3000);
        struct program *p = observer_of_pair(&pair);
        assert_int_equal(p->count, 0);
        assert_int_equal(quorum_node_log_end(p->node), 0);
        assert_false(p->loaded);
        assert_string_equal(pair.observer.failure, "");
        assert_in_range(pair.leader.pieces, 1, 3000);
        pair.leader.lie = LIE_NONE;
        run_ms(&pair, 2000);
        settle(&pair);
        pair_release(&pair);
    }
}

/* A leader without what was committed is of another history. */
static void test_another_history(void **state)
{
    struct pair pair;
    pair_init(&pair, 6);
    world_start(&pair.observer);
    run_ms(&pair, 500);
    settle(&pair);
    size_t count = observer_of_pair(&pair)->count;
    pair.leader.lie = LIE_DIVERGING;
    run_ms(&pair, 2000);
    assert_non_null(strstr(pair.observer.failure, "was committed"));
    assert_int_equal(observer_of_pair(&pair)->count, count);
    world_stop(&pair.observer);
    pair_release(&pair);
}

/* A log that ends in what was never committed, as Apache Kafka leaves it. */
static void test_an_end_that_nobody_knows(void **state)
{
    struct pair pair;
    pair_init(&pair, 7);
    /* A voter of its own for a while: epoch 1 with more than the leader has. */
    pair.observer.follow = NULL;
    pair.observer.propose_every_ms = 1;
    pair.leader.world.propose_every_ms = 0;
    world_start(&pair.observer);
    assert_true(world_run_until_active(&pair.observer));
    run_ms(&pair, 100);
    assert_true(observer_of_pair(&pair)->next_offset > leader_of(&pair)->next_offset);
    world_stop(&pair.observer);
    /* Its epoch is over when it comes back, and the leader's has gone on. */
    for (int i = 0; i < 3; i++) {
        sim_node_kill(pair.leader.world.node);
        world_start(&pair.leader.world);
        assert_true(world_run_until_active(&pair.leader.world));
    }
    pair.observer.follow = &pair.follow;
    pair.observer.propose_every_ms = 0;
    pair.leader.world.propose_every_ms = 5;
    world_start(&pair.observer);
    run_ms(&pair, 3000);
    struct program *p = observer_of_pair(&pair);
    assert_string_equal(pair.observer.failure, "");
    assert_true(p->loaded);
    assert_true(p->next_offset <= leader_of(&pair)->next_offset);
    assert_int_equal(quorum_node_epoch(p->node), 4);
    pair_release(&pair);
}

static void die_everywhere(bool power_cut, int64_t step)
{
    unsigned died = 0;
    for (int64_t n = 1;; n += step) {
        struct pair pair;
        pair_init(&pair, (uint64_t)n);
        let_leader_trim(&pair);
        pair.leader.world.propose_every_ms = 3;
        pair.observer.snapshot_every_ms = 60;
        world_start(&pair.observer);
        sim_node_die_at_disk_call(pair.observer.node, n, power_cut);
        run_ms(&pair, 400);
        bool reached = !sim_node_is_up(pair.observer.node);
        died += reached;
        if (reached) {
            world_start(&pair.observer);
            run_ms(&pair, 400);
            settle(&pair);
        }
        pair_release(&pair);
        if (!reached)
            break;
    }
    assert_true(died > 20);
}

static void test_dies_at_every_call(void **state)
{
    die_everywhere(true, 3);
    die_everywhere(false, 7);
}

static void test_damage_is_fetched_again(void **state)
{
    struct pair pair;
    pair_init(&pair, 8);
    pair.observer.segment_bytes = 1 << 20;
    world_start(&pair.observer);
    run_ms(&pair, 1000);
    settle(&pair);
    sim_node_kill(pair.observer.node);
    struct disk *disk = sim_disk_base(sim_node_disk(pair.observer.node));
    struct disk_file *file;
    assert_int_equal(disk_open(disk, METADATA_DIR "/00000000000000000000.log", DISK_WRITE, &file),
                     0);
    assert_int_equal(disk_pwrite(file, "\xff\xff\xff\xff", 4, disk->ops->size(file) / 2), 0);
    disk_file_unref(file);
    world_start(&pair.observer);
    run_ms(&pair, 500);
    settle(&pair);
    pair_release(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follows),
        cmocka_unit_test(test_a_member_begins_in_the_epoch_it_knew),
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_waits_for_a_leader),
        cmocka_unit_test(test_takes_a_checkpoint),
        cmocka_unit_test(test_a_lost_checkpoint_is_refused),
        cmocka_unit_test(test_promoted_with_a_checkpoint),
        cmocka_unit_test(test_a_member_whose_checkpoint_is_gone),
        cmocka_unit_test(test_makes_checkpoints),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_lies_about_checkpoints),
        cmocka_unit_test(test_another_history),
        cmocka_unit_test(test_an_end_that_nobody_knows),
        cmocka_unit_test(test_dies_at_every_call),
        cmocka_unit_test(test_damage_is_fetched_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
