#include "tests/sim/sim_internal.h"

#include "common/base/mem.h"

#include <stdlib.h>

#define WALL_START_MS 1790000000000 /* when the world begins, in Unix time */

static const int worker_counts[WORK_CLASS_COUNT] = {
    [WORK_QUORUM] = 1,
    [WORK_FLUSH] = 2,
    [WORK_DISK] = 3,
};

struct sim_heap *sim_node_enter(struct sim_node *node)
{
    return sim_heap_enter(node->heap);
}

void sim_node_leave(struct sim_node *node, struct sim_heap *outer)
{
    sim_heap_enter(outer);
}

/* --- Loops --- */

static struct sim_loop *loop_of(struct loop *loop)
{
    return CONTAINER_OF(loop, struct sim_loop, base);
}

/* Until a thread that was woken runs. */
static int64_t wake_delay(struct sim *sim)
{
    int64_t us = sim_random_range(&sim->random, 1, 20);
    if (sim_random_chance(&sim->random, 2000))
        us += sim_random_below(&sim->random, 3000);
    return us;
}

static void set_turn(struct sim_loop *loop)
{
    struct sim_node *node = sim_node_of(loop->base.env);
    struct timer *timer = timer_heap_first(&loop->timers);
    int64_t due = INT64_MAX;
    if (loop->first)
        due = node->sim->now_us + wake_delay(node->sim);
    if (timer)
        due = MIN(due, timer->due_us);
    if (due == INT64_MAX)
        sim_event_cancel(node->sim, &loop->turn);
    else
        sim_event_set(node->sim, &loop->turn, MAX(due, loop->busy_until_us));
}

static void run_one(struct sim_loop *loop, int64_t now_us, bool timers_first)
{
    struct timer *timer = NULL;
    if (timers_first || !loop->first)
        timer = timer_heap_pop_due(&loop->timers, now_us, UINT64_MAX);
    if (timer) {
        timer->fire(timer);
        return;
    }
    struct task *task = loop->first;
    if (!task)
        return;
    loop->first = task->next;
    if (!loop->first)
        loop->last = NULL;
    task->run(task);
}

static void loop_turn(struct sim_event *event)
{
    struct sim_loop *loop = CONTAINER_OF(event, struct sim_loop, turn);
    struct sim_node *node = event->node;
    struct sim *sim = node->sim;
    sim_trace(sim, "turn", node, loop->base.index, 0);
    bool timers_first = sim_random_below(&sim->random, 2) == 0;
    struct sim_heap *outer = sim_node_enter(node);
    node->charged_us = 0;
    run_one(loop, sim->now_us, timers_first);
    sim_node_leave(node, outer);
    loop->busy_until_us = sim->now_us + sim_random_range(&sim->random, 1, 10) + node->charged_us;
    set_turn(loop);
}

static void ops_post(struct loop *base, struct task *task)
{
    struct sim_loop *loop = loop_of(base);
    bool first = loop->first == NULL;
    task->next = NULL;
    if (first)
        loop->first = task;
    else
        loop->last->next = task;
    loop->last = task;
    if (first)
        set_turn(loop);
}

static void ops_timer_start(struct timer *timer, int64_t due_us)
{
    struct sim_loop *loop = loop_of(timer->loop);
    struct sim_heap *outer = sim_heap_enter(NULL);
    if (timer_running(timer))
        timer_heap_remove(&loop->timers, timer);
    timer->due_us = due_us;
    timer_heap_insert(&loop->timers, timer);
    if (!loop->first)
        set_turn(loop);
    sim_heap_enter(outer);
}

static void ops_timer_stop(struct timer *timer)
{
    if (timer_running(timer))
        timer_heap_remove(&loop_of(timer->loop)->timers, timer);
}

/* --- Workers --- */

static void run_done(struct task *task)
{
    struct work *work = CONTAINER_OF(task, struct work, task);
    work->done(work);
}

static void pool_dispatch(struct sim_node *node, struct sim_pool *pool)
{
    for (int i = 0; i < pool->worker_count && pool->first; i++) {
        struct sim_worker *worker = &pool->workers[i];
        if (worker->work)
            continue;
        worker->work = CONTAINER_OF(pool->first, struct work, task);
        worker->ran = false;
        pool->first = pool->first->next;
        sim_event_set(node->sim, &worker->event, node->sim->now_us + 5 + wake_delay(node->sim) * 4);
    }
}

/* First the work runs, later its completion comes back: what happens on the loops meanwhile sees
 * its effect without knowing of it. */
static void worker_event(struct sim_event *event)
{
    struct sim_worker *worker = CONTAINER_OF(event, struct sim_worker, event);
    struct sim_node *node = event->node;
    struct sim *sim = node->sim;
    struct work *work = worker->work;
    sim_trace(sim, worker->ran ? "done" : "work", node, worker->pool - node->pools, 0);
    if (!worker->ran) {
        struct sim_heap *outer = sim_node_enter(node);
        node->charged_us = 0;
        work->run(work);
        sim_node_leave(node, outer);
        worker->ran = true;
        sim_event_set(sim, event, sim->now_us + wake_delay(sim) + node->charged_us);
        return;
    }
    worker->work = NULL;
    work->task.run = run_done;
    ops_post(work->loop, &work->task);
    pool_dispatch(node, worker->pool);
}

static void ops_submit(struct work *work, enum work_class work_class)
{
    struct sim_node *node = sim_node_of(work->loop->env);
    struct sim_pool *pool = &node->pools[work_class];
    work->task.next = NULL;
    if (pool->first)
        pool->last->next = &work->task;
    else
        pool->first = &work->task;
    pool->last = &work->task;
    pool_dispatch(node, pool);
}

/* --- Clocks and randomness --- */

static int64_t ops_now_us(struct env *env)
{
    return sim_node_of(env)->sim->now_us;
}

static int64_t ops_wall_ms(struct env *env)
{
    struct sim_node *node = sim_node_of(env);
    return WALL_START_MS + node->wall_offset_ms + node->sim->now_us / 1000;
}

static void ops_random(struct env *env, void *ret_bytes, size_t len)
{
    sim_random_fill(&sim_node_of(env)->random, ret_bytes, len);
}

/* What runs takes no virtual time. */
static int64_t ops_busy_us(struct loop *loop)
{
    return 0;
}

static const struct env_ops sim_env_ops = {
    .now_us = ops_now_us,
    .wall_ms = ops_wall_ms,
    .random = ops_random,
    .post = ops_post,
    .timer_start = ops_timer_start,
    .timer_stop = ops_timer_stop,
    .submit = ops_submit,
    .busy_us = ops_busy_us,
};

static void log_sink(struct logger *logger, enum log_level level, const char *module,
                     const char *message)
{
    struct sim_node *node = logger->sink_ctx;
    sim_log(node->sim, node->name, "%s %s (%s)", log_level_name(level), message, module);
}

/* --- The disk's hooks --- */

static void *disk_hook_enter(void *ctx)
{
    return sim_heap_enter(NULL);
}

static void disk_hook_leave(void *ctx, void *entered)
{
    sim_heap_enter(entered);
}

static void disk_hook_call(void *ctx, const struct sim_disk_call *call)
{
    struct sim_node *node = ctx;
    struct sim *sim = node->sim;
    if (sim->trace)
        sim_log(sim, node->name, "%s %s at %lld +%lld: %lld", sim_disk_op_name(call->op),
                call->path, (long long)call->position, (long long)call->len,
                (long long)call->result);
    sim_mix(sim, sim_disk_op_name(call->op), node, call->position, call->result);
}

static void disk_hook_latency(void *ctx, int64_t us)
{
    struct sim_node *node = ctx;
    node->charged_us += us;
}

static int64_t disk_hook_wall_ms(void *ctx)
{
    struct sim_node *node = ctx;
    return ops_wall_ms(&node->env);
}

static void die_of_disk(struct sim_event *event)
{
    struct sim_node *node = CONTAINER_OF(event, struct sim_node, death);
    if (node->crash_cuts_power)
        sim_node_power_cut(node);
    else
        sim_node_kill(node);
}

static void disk_hook_crashed(void *ctx)
{
    struct sim_node *node = ctx;
    if (node->state != SIM_NODE_UP)
        return;
    node->doomed = true;
    sim_event_set(node->sim, &node->death, node->sim->now_us);
}

/* --- Life and death --- */

struct sim_node *sim_node_new(struct sim *sim, const struct sim_node_config *config)
{
    struct sim_node *node = mem_calloc(1, sizeof(*node));
    node->sim = sim;
    node->config = *config;
    node->index = (int)sim->node_count;
    node->name = mem_strdup(config->name);
    node->disk = sim_disk_new(sim_random_u64(&sim->random));
    node->death.run = die_of_disk;
    sim_disk_set_hooks(node->disk, &(struct sim_disk_hooks){
                                       .ctx = node,
                                       .enter = disk_hook_enter,
                                       .leave = disk_hook_leave,
                                       .call = disk_hook_call,
                                       .crashed = disk_hook_crashed,
                                       .latency = disk_hook_latency,
                                       .wall_ms = disk_hook_wall_ms,
                                   });
    VEC_PUSH(sim->nodes, sim->node_count, sim->node_capacity) = node;
    return node;
}

/* The first task of loop 0. */
static void boot(struct task *task)
{
    struct sim_node *node = CONTAINER_OF(task, struct sim_node, boot);
    node->program = node->config.boot(&node->env, node->config.ctx);
}

static void make_loops(struct sim_node *node)
{
    int count = node->config.loops;
    node->loops = mem_calloc((size_t)count, sizeof(*node->loops));
    node->env.loops = mem_calloc((size_t)count, sizeof(struct loop *));
    node->env.loop_count = count;
    for (int i = 0; i < count; i++) {
        struct sim_loop *loop = &node->loops[i];
        loop->base = (struct loop){.env = &node->env, .index = i};
        loop->turn = (struct sim_event){.run = loop_turn, .node = node};
        node->env.loops[i] = &loop->base;
    }
}

static void make_pools(struct sim_node *node)
{
    for (int i = 0; i < WORK_CLASS_COUNT; i++) {
        struct sim_pool *pool = &node->pools[i];
        pool->worker_count = worker_counts[i];
        pool->workers = mem_calloc((size_t)pool->worker_count, sizeof(*pool->workers));
        for (int j = 0; j < pool->worker_count; j++) {
            pool->workers[j].pool = pool;
            pool->workers[j].event = (struct sim_event){.run = worker_event, .node = node};
        }
    }
}

void sim_node_start(struct sim_node *node)
{
    CHECK(node->state != SIM_NODE_UP);
    node->state = SIM_NODE_UP;
    node->incarnation++;
    node->random = sim_random_fork(&node->sim->random);
    node->heap = sim_heap_new();
    node->logger = (struct logger){
        .level = node->sim->trace ? LOG_DEBUG : node->config.log_level,
        .sink = log_sink,
        .sink_ctx = node,
    };
    node->env = (struct env){
        .ops = &sim_env_ops,
        .net = &sim_net_ops,
        .disk = sim_disk_base(node->disk),
        .logger = &node->logger,
    };
    make_loops(node);
    make_pools(node);
    sim_log(node->sim, node->name, "starts for the %d. time", node->incarnation);
    node->boot.run = boot;
    ops_post(node->env.loops[0], &node->boot);
}

/* Everything of the process but its disk and its streams. */
static void drop_process(struct sim_node *node)
{
    struct sim *sim = node->sim;
    for (int i = 0; i < node->env.loop_count; i++) {
        sim_event_cancel(sim, &node->loops[i].turn);
        timer_heap_release(&node->loops[i].timers);
    }
    for (int i = 0; i < WORK_CLASS_COUNT; i++) {
        struct sim_pool *pool = &node->pools[i];
        for (int j = 0; j < pool->worker_count; j++)
            sim_event_cancel(sim, &pool->workers[j].event);
        free(pool->workers);
        *pool = (struct sim_pool){0};
    }
    sim_event_cancel(sim, &node->death);
    free(node->loops);
    free(node->env.loops);
    node->env.loop_count = 0;
    node->program = NULL;
    node->doomed = false;
    node->frozen_until_us = 0;
}

static void die(struct sim_node *node, bool power)
{
    bool was_up = node->state == SIM_NODE_UP;
    sim_trace(node->sim, power ? "power" : "kill", node, was_up, 0);
    sim_log(node->sim, node->name, power ? "loses power" : "is killed");
    node->state = power ? SIM_NODE_OFF : SIM_NODE_DOWN;
    sim_net_node_died(node, power);
    if (was_up)
        drop_process(node);
    node->power_cuts += power;
    if (power)
        sim_disk_power_cut(node->disk, SIM_CUT_RANDOM);
    else
        sim_disk_kill(node->disk);
    sim_heap_free(node->heap);
    node->heap = NULL;
    sim_disk_reclaim_handles(node->disk);
}

void sim_node_kill(struct sim_node *node)
{
    if (node->state == SIM_NODE_UP)
        die(node, false);
}

void sim_node_power_cut(struct sim_node *node)
{
    if (node->state != SIM_NODE_OFF)
        die(node, true);
}

void sim_node_die_at_disk_call(struct sim_node *node, int64_t nth, bool power_cut)
{
    node->crash_cuts_power = power_cut;
    sim_disk_crash_at(node->disk, nth);
}

void sim_node_freeze(struct sim_node *node, int64_t until_us)
{
    sim_log(node->sim, node->name, "stands still for %lld ms",
            (long long)(until_us - node->sim->now_us) / 1000);
    node->frozen_until_us = until_us;
}

void sim_node_jump_clock(struct sim_node *node, int64_t by_ms)
{
    sim_log(node->sim, node->name, "clock jumps by %lld ms", (long long)by_ms);
    node->wall_offset_ms += by_ms;
}

void sim_node_set_mutations(struct sim_node *node, const struct mutations *mutations)
{
    sim_disk_base(node->disk)->mutations = mutations;
}

bool sim_node_is_up(const struct sim_node *node)
{
    return node->state == SIM_NODE_UP && !node->doomed;
}

int sim_node_incarnation(const struct sim_node *node)
{
    return node->incarnation;
}

int sim_node_power_cuts(const struct sim_node *node)
{
    return node->power_cuts;
}

void *sim_node_program(const struct sim_node *node)
{
    return node->program;
}

uint64_t sim_node_allocations(const struct sim_node *node)
{
    return node->heap ? sim_heap_allocations(node->heap) : 0;
}

struct env *sim_node_env(struct sim_node *node)
{
    return &node->env;
}

const char *sim_node_name(const struct sim_node *node)
{
    return node->name;
}

struct sim_disk *sim_node_disk(struct sim_node *node)
{
    return node->disk;
}

struct sim *sim_node_sim(const struct sim_node *node)
{
    return node->sim;
}

struct sim *sim_of_env(struct env *env)
{
    return sim_node_of(env)->sim;
}
