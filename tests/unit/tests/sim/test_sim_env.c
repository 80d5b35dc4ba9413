#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "tests/sim/sim_env.h"
#include "tests/sim/sim_heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A program that counts and leaves traces of the order of things. */
struct probe;

struct probe_work {
    struct work work;
    struct probe *probe;
    int number;
};

struct probe_task {
    struct task task;
    struct probe *probe;
    int number;
};

struct probe {
    struct env *env;
    struct timer timer;
    int ticks;
    int64_t fired_us[8];
    int order[64];
    int order_count;
    struct disk_file *file;
};

static void tick(struct timer *timer)
{
    struct probe *p = CONTAINER_OF(timer, struct probe, timer);
    if (p->ticks < 8)
        p->fired_us[p->ticks] = env_now_us(p->env);
    p->ticks++;
    free(mem_printf("tick %d", p->ticks));
    timer_start_in_ms(timer, 10);
}

static void *boot_ticking(struct env *env, void *ctx)
{
    struct probe *p = mem_calloc(1, sizeof(*p));
    p->env = env;
    timer_init(&p->timer, env->loops[0], tick);
    timer_start_in_ms(&p->timer, 10);
    return p;
}

static const struct sim_node_config ticking = {.name = "a", .loops = 2, .boot = boot_ticking};

static void test_timers_follow_virtual_time(void **state)
{
    struct sim *sim = sim_new(1, false);
    struct sim_node *node = sim_node_new(sim, &ticking);
    sim_node_start(node);
    sim_run_until(sim, 100 * SIM_MS);
    struct probe *p = sim_node_program(node);
    assert_true(p->ticks >= 5 && p->ticks <= 9);
    for (int i = 0; i < 5; i++)
        assert_true(p->fired_us[i] >= (i + 1) * 10 * SIM_MS);
    assert_int_equal(sim_now_us(sim), 100 * SIM_MS);
    sim_node_freeze(node, 200 * SIM_MS);
    int before = p->ticks;
    sim_run_until(sim, 199 * SIM_MS);
    assert_int_equal(p->ticks, before);
    sim_run_until(sim, 300 * SIM_MS);
    assert_true(p->ticks > before + 3);
    int64_t wall = env_wall_ms(p->env);
    sim_node_jump_clock(node, -5000);
    assert_int_equal(env_wall_ms(p->env), wall - 5000);
    sim_free(sim);
}

/* --- Order --- */

static void note(struct probe *p, int number)
{
    assert_true(p->order_count < 64);
    p->order[p->order_count++] = number;
}

static void probe_task_run(struct task *task)
{
    struct probe_task *t = CONTAINER_OF(task, struct probe_task, task);
    note(t->probe, t->number);
    free(t);
}

static void work_run(struct work *work)
{
    struct probe_work *w = CONTAINER_OF(work, struct probe_work, work);
    note(w->probe, w->number);
}

static void work_done(struct work *work)
{
    struct probe_work *w = CONTAINER_OF(work, struct probe_work, work);
    note(w->probe, w->number + 1000);
    free(w);
}

static void submit(struct probe *p, int number, enum work_class work_class)
{
    struct probe_work *w = mem_calloc(1, sizeof(*w));
    *w = (struct probe_work){
        .work = {.run = work_run, .done = work_done, .loop = p->env->loops[0]},
        .probe = p,
        .number = number,
    };
    work_submit(&w->work, work_class);
}

static void *boot_orders(struct env *env, void *ctx)
{
    enum work_class *work_class = ctx;
    struct probe *p = mem_calloc(1, sizeof(*p));
    p->env = env;
    for (int i = 0; i < 10; i++) {
        if (work_class) {
            submit(p, i, *work_class);
            continue;
        }
        struct probe_task *t = mem_calloc(1, sizeof(*t));
        *t = (struct probe_task){.task.run = probe_task_run, .probe = p, .number = i};
        loop_post(env->loops[i % 2], &t->task);
    }
    return p;
}

/* Bit i of the result: a pair (i, i + step) of numbers was seen in the wrong order. */
static bool overtakes(uint64_t seed, enum work_class *work_class, int step)
{
    struct sim *sim = sim_new(seed, false);
    struct sim_node_config config = {
        .name = "a", .loops = 2, .boot = boot_orders, .ctx = work_class};
    struct sim_node *node = sim_node_new(sim, &config);
    sim_node_start(node);
    sim_run_until(sim, SIM_SECOND);
    struct probe *p = sim_node_program(node);
    assert_int_equal(p->order_count, work_class ? 20 : 10);
    bool wrong = false;
    int seen[2000];
    for (int i = 0; i < p->order_count; i++)
        seen[p->order[i]] = i;
    for (int i = 0; i + step < 10; i++)
        wrong |= seen[i] > seen[i + step];
    for (int i = 0; work_class && i < 10; i++)
        assert_true(seen[i] < seen[i + 1000]);
    sim_free(sim);
    return wrong;
}

static void test_loops_overtake_each_other_but_keep_their_own_order(void **state)
{
    int overtaken = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        assert_false(overtakes(seed, NULL, 2));
        overtaken += overtakes(seed, NULL, 1);
    }
    assert_true(overtaken > 5);
}

static void test_quorum_work_runs_in_order_and_other_work_does_not(void **state)
{
    enum work_class quorum = WORK_QUORUM, disk = WORK_DISK;
    int overtaken = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        assert_false(overtakes(seed, &quorum, 1));
        overtaken += overtakes(seed, &disk, 1);
    }
    assert_true(overtaken > 5);
}

/* --- Death --- */

static void write_and_wait(struct work *work)
{
    struct probe_work *w = CONTAINER_OF(work, struct probe_work, work);
    struct disk *disk = w->probe->env->disk;
    if (disk_open(disk, "/f", DISK_WRITE | DISK_CREATE, &w->probe->file) == 0)
        disk_pwrite(w->probe->file, "text", 4, 0);
}

static void never(struct work *work)
{
    note(CONTAINER_OF(work, struct probe_work, work)->probe, 1);
}

static void *boot_leaking(struct env *env, void *ctx)
{
    struct probe *p = boot_ticking(env, NULL);
    for (int i = 0; i < 1000; i++)
        free(mem_realloc(mem_alloc(10), (size_t)i));
    for (int i = 0; i < 5000; i++)
        (void)mem_printf("never freed %d", i);
    struct probe_work *w = mem_calloc(1, sizeof(*w));
    w->work = (struct work){.run = write_and_wait, .done = never, .loop = env->loops[1]};
    w->probe = p;
    work_submit(&w->work, WORK_DISK);
    return p;
}

/* The leak checker sees it if a death frees too little, the address sanitizer if too much. */
static void test_death_frees_all_that_the_program_had(void **state)
{
    struct sim *sim = sim_new(7, false);
    struct sim_node_config config = {.name = "a", .loops = 2, .boot = boot_leaking};
    struct sim_node *node = sim_node_new(sim, &config);
    for (int i = 0; i < 5; i++) {
        sim_node_start(node);
        sim_run_until(sim, sim_now_us(sim) + 50 * SIM_MS);
        assert_non_null(sim_node_program(node));
        assert_int_equal(sim_node_incarnation(node), i + 1);
        sim_node_kill(node);
        assert_false(sim_node_is_up(node));
        assert_null(sim_node_program(node));
    }
    struct disk_stat st;
    struct disk *disk = sim_disk_base(sim_node_disk(node));
    assert_int_equal(disk->ops->stat(disk, "/f", &st), 0);
    sim_node_power_cut(node);
    sim_node_start(node);
    sim_run_until(sim, sim_now_us(sim) + SIM_SECOND);
    assert_non_null(sim_node_program(node));
    sim_free(sim);
}

static void test_dies_inside_a_disk_call(void **state)
{
    struct sim *sim = sim_new(7, false);
    struct sim_node_config config = {.name = "a", .loops = 2, .boot = boot_leaking};
    struct sim_node *node = sim_node_new(sim, &config);
    sim_node_die_at_disk_call(node, 2, true);
    sim_node_start(node);
    sim_run_until(sim, SIM_SECOND);
    assert_false(sim_node_is_up(node));
    assert_int_equal(sim_disk_count(sim_node_disk(node), SIM_ANY), 2);
    sim_node_start(node);
    sim_run_until(sim, 2 * SIM_SECOND);
    assert_true(sim_node_is_up(node));
    sim_free(sim);
}

static uint64_t hash_of(uint64_t seed)
{
    struct sim *sim = sim_new(seed, false);
    struct sim_node_config config = {.name = "a", .loops = 2, .boot = boot_leaking};
    struct sim_node *node = sim_node_new(sim, &config);
    sim_node_start(node);
    sim_run_until(sim, SIM_SECOND);
    sim_node_power_cut(node);
    sim_node_start(node);
    sim_run_until(sim, 2 * SIM_SECOND);
    uint64_t hash = sim_hash(sim);
    sim_free(sim);
    return hash;
}

static void test_a_seed_replays(void **state)
{
    assert_true(hash_of(1) == hash_of(1));
    assert_true(hash_of(1) != hash_of(2));
}

static void fail_it(void *ctx)
{
    sim_fail(ctx, "found %d", 1);
    sim_fail(ctx, "found %d", 2);
}

static void test_the_first_failure_ends_the_run(void **state)
{
    struct sim *sim = sim_new(1, false);
    sim_at(sim, 5, fail_it, sim);
    sim_at(sim, 6, fail_it, sim);
    sim_run_until(sim, 10);
    assert_string_equal(sim_failure(sim), "found 1");
    assert_int_equal(sim_now_us(sim), 5);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_follow_virtual_time),
        cmocka_unit_test(test_loops_overtake_each_other_but_keep_their_own_order),
        cmocka_unit_test(test_quorum_work_runs_in_order_and_other_work_does_not),
        cmocka_unit_test(test_death_frees_all_that_the_program_had),
        cmocka_unit_test(test_dies_inside_a_disk_call),
        cmocka_unit_test(test_a_seed_replays),
        cmocka_unit_test(test_the_first_failure_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
