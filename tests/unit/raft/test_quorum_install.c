/*
 * A checkpoint that the leader asks to be installed: whole, damaged, gone, and with the process
 * dying at every call of the disk. The leader is played by the test, with a checkpoint that a real
 * one wrote.
 */
#include "raft/quorum_core.h"
#include "tests/unit/raft/node_world.c" /* shared with other tests */

#include "common/base/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define FILE_MAX    (1 << 20)
#define PIECE_BYTES 300
#define DIR_LEADER  ((struct uuid){{9, 8, 7, 6, 5, 4, 3, 2, 1}})
#define DIR_OTHER   ((struct uuid){{1, 1, 1}})

/* What the leader has, and how it answers. */
static struct {
    struct quorum_checkpoint_id id;
    uint8_t bytes[FILE_MAX];
    size_t size;
    uint64_t numbers[1024]; /* the state in it */
    size_t count;
    bool gone;      /* it has no such checkpoint */
    size_t damaged; /* that byte is wrong in the next transfer; 0: none */
    unsigned asked, damages;
} leader;

static void read_file(void *ctx)
{
    struct world *w = ctx;
    struct program *p = world_program(w);
    struct disk *disk = p->env->disk;
    struct disk_file *file;
    char *path = quorum_node_checkpoint_path(p->node, leader.id);
    assert_non_null(path);
    assert_int_equal(disk_open(disk, path, DISK_READ, &file), 0);
    leader.size = (size_t)disk->ops->size(file);
    assert_true(leader.size > 4 * PIECE_BYTES && leader.size < FILE_MAX);
    assert_int_equal(disk_pread(file, leader.bytes, leader.size, 0), (ssize_t)leader.size);
    disk_file_unref(file);
    free(path);
}

/* One node that proposes numbers and writes a checkpoint of them. */
static void make_checkpoint(void)
{
    struct world w;
    world_init(&w, 5);
    w.propose_every_ms = 3;
    world_start(&w);
    assert_true(world_run_until_active(&w));
    world_run_ms(&w, 200);
    w.propose_every_ms = 0;
    w.snapshot_every_ms = 10;
    while (w.snapshots == 0)
        world_run_ms(&w, 1);
    w.snapshot_every_ms = 0;
    world_run_ms(&w, 50);
    struct program *p = world_program(&w);
    assert_true(quorum_node_newest_snapshot(p->node, &leader.id));
    leader.count = p->count;
    assert_true(p->count > 20 && p->count < 1024);
    memcpy(leader.numbers, p->numbers, p->count * sizeof(p->numbers[0]));
    sim_at(w.sim, sim_now_us(w.sim) + 1, read_file, &w);
    world_run_ms(&w, 5);
    world_stop(&w);
    world_release(&w);
}

/* A piece on its way. */
struct delivery {
    struct task task;
    int64_t position;
    void (*fetched)(void *ctx, int status, int64_t size, struct bytes data, struct buf *frame);
    void *ctx;
};

static void deliver(struct task *task)
{
    struct delivery d = *CONTAINER_OF(task, struct delivery, task);
    free(CONTAINER_OF(task, struct delivery, task));
    if (leader.gone) {
        d.fetched(d.ctx, -ENOENT, 0, BYTES_NULL, NULL);
        return;
    }
    size_t len = MIN(leader.size - (size_t)d.position, PIECE_BYTES);
    struct buf *frame = buf_copy(leader.bytes + d.position, len);
    if (leader.damaged >= (size_t)d.position && leader.damaged < (size_t)d.position + len &&
        leader.damaged > 0) {
        frame->data[leader.damaged - (size_t)d.position] ^= 1;
        leader.damaged = 0;
        leader.damages++;
    }
    d.fetched(d.ctx, 0, (int64_t)leader.size, (struct bytes){frame->data, (int32_t)len}, frame);
    buf_unref(frame);
}

static int fetch(void *ctx, uint64_t raft_id, struct quorum_checkpoint_id id, int64_t position,
                 void (*fetched)(void *ctx, int status, int64_t size, struct bytes data,
                                 struct buf *frame),
                 void *fetch_ctx)
{
    struct world *w = ctx;
    struct program *p = world_program(w);
    leader.asked++;
    if (raft_id != quorum_raft_id(DIR_LEADER))
        return -ENOTCONN;
    assert_true(id.end_offset == leader.id.end_offset && id.epoch == leader.id.epoch);
    struct delivery *d = malloc(sizeof(*d));
    *d = (struct delivery){
        .task.run = deliver, .position = position, .fetched = fetched, .ctx = fetch_ctx};
    loop_post(p->env->loops[0], &d->task);
    return 0;
}

static void drop(void *ctx, const struct quorum_message *message)
{
    (void)ctx;
    (void)message;
}

/* The leader says: install it. On the loop, so that what it takes belongs to the process. */
static struct {
    struct task task;
    struct program *program;
} order;

static void say_install(struct task *task)
{
    struct program *p = order.program;
    (void)task;
    if (!quorum_node_core(p->node))
        return;
    struct quorum_voters *voters = quorum_voters_new();
    quorum_voters_add(voters, 1, DIR_LEADER, QUORUM_VOTER);
    quorum_voters_add(voters, 3, (struct uuid){{3}}, QUORUM_VOTER);
    struct quorum_message message = {
        .type = QUORUM_INSTALL,
        .peer = {1, DIR_LEADER, quorum_raft_id(DIR_LEADER)},
        .term = quorum_term_of(leader.id.epoch) + 5,
    };
    message.install.last_index = quorum_index_of(leader.id.end_offset - 1);
    message.install.last_term = quorum_term_of(leader.id.epoch);
    message.install.voters = voters;
    quorum_node_receive(p->node, &message);
    quorum_voters_unref(voters);
}

static struct quorum_transport transport = {.send = drop, .fetch = fetch};

static void follower_init(struct world *w, uint64_t seed)
{
    world_init(w, seed);
    w->node_id = 2;
    w->directory_id = DIR_OTHER;
    w->without_voters = true;
    transport.ctx = w;
    w->transport = &transport;
    leader.gone = false;
    leader.damaged = 0;
    leader.asked = leader.damages = 0;
}

static void ask_to_install(struct world *w)
{
    order.program = world_program(w);
    order.task.run = say_install;
    if (order.program)
        loop_post(order.program->env->loops[0], &order.task);
}

static bool has_state(struct world *w)
{
    const struct program *p = world_program(w);
    return p && p->count == leader.count &&
           memcmp(p->numbers, leader.numbers, leader.count * sizeof(p->numbers[0])) == 0;
}

static bool wait_for_state(struct world *w, int64_t ms)
{
    for (int64_t i = 0; i < ms && !has_state(w) && sim_node_is_up(w->node); i++)
        world_run_ms(w, 1);
    return has_state(w);
}

static void start_follower(struct world *w)
{
    world_start(w);
    for (int i = 0; i < 1000 && sim_node_is_up(w->node); i++) {
        struct program *p = world_program(w);
        if (p && p->loaded)
            return;
        world_run_ms(w, 1);
    }
}

static void test_installs(void **state)
{
    (void)state;
    struct world w;
    follower_init(&w, 21);
    start_follower(&w);
    ask_to_install(&w);
    assert_true(wait_for_state(&w, 2000));
    assert_string_equal(w.failure, "");
    struct program *p = world_program(&w);
    assert_true(quorum_node_log_start(p->node) == leader.id.end_offset);
    assert_true(quorum_node_log_end(p->node) == leader.id.end_offset);
    assert_true(leader.asked == (leader.size + PIECE_BYTES - 1) / PIECE_BYTES);
    /* And after a power cut it is still there. */
    sim_node_power_cut(w.node);
    start_follower(&w);
    assert_true(wait_for_state(&w, 1000));
    world_stop(&w);
    world_release(&w);
}

static void test_damaged_on_the_way(void **state)
{
    (void)state;
    struct world w;
    follower_init(&w, 22);
    start_follower(&w);
    leader.damaged = leader.size / 2;
    ask_to_install(&w);
    assert_true(wait_for_state(&w, 3000));
    assert_int_equal(leader.damages, 1);
    assert_string_equal(w.failure, "");
    world_stop(&w);
    world_release(&w);
}

static void test_nobody_has_it_any_more(void **state)
{
    (void)state;
    struct world w;
    follower_init(&w, 23);
    start_follower(&w);
    leader.gone = true;
    ask_to_install(&w);
    world_run_ms(&w, 5000);
    assert_string_equal(w.failure, "");
    assert_false(has_state(&w));
    unsigned asked = leader.asked;
    assert_true(asked > 3);
    /* It has given up, and takes what the next one offers. */
    world_run_ms(&w, 1000);
    assert_int_equal(leader.asked, asked);
    leader.gone = false;
    ask_to_install(&w);
    assert_true(wait_for_state(&w, 2000));
    world_stop(&w);
    world_release(&w);
}

static void test_stopped_on_the_way(void **state)
{
    (void)state;
    for (int ms = 0; ms < 12; ms++) {
        struct world w;
        follower_init(&w, 24 + (uint64_t)ms);
        start_follower(&w);
        ask_to_install(&w);
        world_run_ms(&w, ms);
        world_stop(&w);
        world_release(&w);
    }
}

static void die_at_every_call(bool power_cut)
{
    int deaths = 0;
    for (int nth = 1; nth < 200; nth++) {
        struct world w;
        follower_init(&w, 100 + (uint64_t)nth);
        start_follower(&w);
        sim_node_die_at_disk_call(w.node, nth, power_cut);
        ask_to_install(&w);
        bool done = wait_for_state(&w, 2000);
        if (!sim_node_is_up(w.node)) {
            deaths++;
            start_follower(&w);
            assert_string_equal(w.failure, "");
            ask_to_install(&w);
            done = wait_for_state(&w, 2000);
        }
        assert_true(done);
        bool died = deaths == nth;
        if (died)
            world_stop(&w);
        else
            sim_node_kill(w.node);
        world_release(&w);
        if (!died)
            break;
    }
    assert_true(deaths > 10 && deaths < 199);
}

static void test_power_cut_at_every_call(void **state)
{
    (void)state;
    die_at_every_call(true);
}

static void test_kill_at_every_call(void **state)
{
    (void)state;
    die_at_every_call(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_installs),
        cmocka_unit_test(test_damaged_on_the_way),
        cmocka_unit_test(test_nobody_has_it_any_more),
        cmocka_unit_test(test_stopped_on_the_way),
        cmocka_unit_test(test_power_cut_at_every_call),
        cmocka_unit_test(test_kill_at_every_call),
    };
    make_checkpoint();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
