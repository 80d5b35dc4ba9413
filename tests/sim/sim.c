#include "tests/sim/sim_internal.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct once {
    struct sim_event event;
    struct sim *sim;
    void (*run)(void *ctx);
    void *ctx;
};

/* --- Event queue --- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->sequence < b->sequence;
}

static void place(struct sim *sim, size_t at, struct sim_event *event)
{
    sim->events[at] = event;
    event->heap_index = at;
}

static void sift(struct sim *sim, size_t at, struct sim_event *event)
{
    while (at > 1 && before(event, sim->events[at / 2])) {
        place(sim, at, sim->events[at / 2]);
        at /= 2;
    }
    for (size_t child; (child = at * 2) <= sim->event_count; at = child) {
        if (child < sim->event_count && before(sim->events[child + 1], sim->events[child]))
            child++;
        if (!before(sim->events[child], event))
            break;
        place(sim, at, sim->events[child]);
    }
    place(sim, at, event);
}

void sim_event_cancel(struct sim *sim, struct sim_event *event)
{
    size_t at = event->heap_index;
    if (at == 0)
        return;
    event->heap_index = 0;
    struct sim_event *last = sim->events[sim->event_count--];
    if (last != event)
        sift(sim, at, last);
}

void sim_event_set(struct sim *sim, struct sim_event *event, int64_t due_us)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    sim_event_cancel(sim, event);
    event->due_us = MAX(due_us, sim->now_us);
    event->sequence = ++sim->next_sequence;
    if (sim->event_count + 1 >= sim->event_capacity) {
        sim->event_capacity = sim->event_capacity ? sim->event_capacity * 2 : 64;
        sim->events = mem_realloc(sim->events, sim->event_capacity * sizeof(struct sim_event *));
    }
    sift(sim, ++sim->event_count, event);
    sim_heap_enter(outer);
}

void sim_run_until(struct sim *sim, int64_t until_us)
{
    while (!sim->failure && sim->event_count > 0 && sim->events[1]->due_us <= until_us) {
        struct sim_event *event = sim->events[1];
        sim_event_cancel(sim, event);
        sim->now_us = event->due_us;
        if (event->node && event->node->doomed)
            continue;
        if (event->node && event->node->frozen_until_us > sim->now_us) {
            sim_event_set(sim, event, event->node->frozen_until_us);
            continue;
        }
        sim->events_run++;
        const struct sim_node *ran = event->node;
        event->run(event);
        if (sim->look)
            sim->look(sim->look_ctx, ran);
    }
    if (!sim->failure)
        sim->now_us = MAX(sim->now_us, until_us);
}

static void run_once(struct sim_event *event)
{
    struct once *once = CONTAINER_OF(event, struct once, event);
    void (*run)(void *ctx) = once->run;
    void *ctx = once->ctx;
    free(once);
    run(ctx);
}

void sim_at(struct sim *sim, int64_t due_us, void (*run)(void *ctx), void *ctx)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    struct once *once = mem_calloc(1, sizeof(*once));
    *once = (struct once){.event.run = run_once, .sim = sim, .run = run, .ctx = ctx};
    sim_event_set(sim, &once->event, due_us);
    sim_heap_enter(outer);
}

void sim_observe(struct sim *sim, void (*look)(void *ctx, const struct sim_node *ran), void *ctx)
{
    sim->look = look;
    sim->look_ctx = ctx;
}

/* --- The world --- */

struct sim *sim_new(uint64_t seed, bool trace)
{
    struct sim *sim = mem_calloc(1, sizeof(*sim));
    sim->seed = seed;
    sim_random_init(&sim->random, seed);
    sim->scenario = sim_random_fork(&sim->random);
    sim->trace = trace;
    sim->net = sim_net_new(sim);
    return sim;
}

uint64_t sim_seed(const struct sim *sim)
{
    return sim->seed;
}

void sim_kill_all(struct sim *sim)
{
    for (size_t i = 0; i < sim->node_count; i++)
        sim_node_kill(sim->nodes[i]);
}

void sim_free(struct sim *sim)
{
    if (!sim)
        return;
    sim_kill_all(sim);
    sim_net_free(sim->net);
    for (size_t i = 0; i < sim->node_count; i++) {
        struct sim_node *node = sim->nodes[i];
        sim_disk_free(node->disk);
        free(node->cut_to);
        free(node->name);
        free(node);
    }
    /* What is left in the queue was made by sim_at. */
    for (size_t i = 1; i <= sim->event_count; i++)
        free(CONTAINER_OF(sim->events[i], struct once, event));
    for (size_t i = 0; i < SIM_LOG_LINES; i++)
        free(sim->log[i]);
    free(sim->events);
    free(sim->nodes);
    free(sim->failure);
    free(sim);
}

int64_t sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

struct sim_random *sim_random_of(struct sim *sim)
{
    return &sim->scenario;
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    va_list args;
    char text[1024];
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_log(sim, "FAILED", "%s", text);
    if (!sim->failure)
        sim->failure = mem_strdup(text);
    sim_heap_enter(outer);
}

const char *sim_failure(const struct sim *sim)
{
    return sim->failure;
}

void sim_log(struct sim *sim, const char *who, const char *format, ...)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    va_list args;
    char text[1024];
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    char *line = mem_printf("%4" PRId64 ".%06" PRId64 " %-10s %s", sim->now_us / SIM_SECOND,
                            sim->now_us % SIM_SECOND, who, text);
    if (sim->trace)
        fprintf(stderr, "%s\n", line);
    free(sim->log[sim->log_next]);
    sim->log[sim->log_next] = line;
    sim->log_next = (sim->log_next + 1) % SIM_LOG_LINES;
    sim_heap_enter(outer);
}

void sim_print_log(const struct sim *sim, FILE *to)
{
    for (size_t i = 0; i < SIM_LOG_LINES; i++) {
        const char *line = sim->log[(sim->log_next + i) % SIM_LOG_LINES];
        if (line)
            fprintf(to, "%s\n", line);
    }
}

bool sim_log_has(const struct sim *sim, const char *text)
{
    for (size_t i = 0; i < SIM_LOG_LINES; i++)
        if (sim->log[i] && strstr(sim->log[i], text))
            return true;
    return false;
}

void sim_mix(struct sim *sim, const char *what, const struct sim_node *who, int64_t a, int64_t b)
{
    uint64_t h = sim->hash;
    const uint64_t values[] = {(uint64_t)sim->now_us, (uint64_t)what[0] << 8 | (uint64_t)what[1],
                               who ? (uint64_t)who->index + 1 : 0, (uint64_t)a, (uint64_t)b};
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        h = (h ^ values[i]) * 0x9fb21c651e98df25u ^ (h >> 29);
    sim->hash = h;
}

void sim_trace(struct sim *sim, const char *what, const struct sim_node *who, int64_t a, int64_t b)
{
    sim_mix(sim, what, who, a, b);
    if (sim->trace)
        fprintf(stderr, "%4" PRId64 ".%06" PRId64 " %-10s . %s %" PRId64 " %" PRId64 "\n",
                sim->now_us / SIM_SECOND, sim->now_us % SIM_SECOND, who ? who->name : "-", what, a,
                b);
}

uint64_t sim_hash(const struct sim *sim)
{
    return sim->hash;
}

int64_t sim_event_count(const struct sim *sim)
{
    return sim->events_run;
}
