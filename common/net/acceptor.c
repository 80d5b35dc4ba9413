#include "common/net/acceptor.h"

#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "net"

enum { LOG_EVERY_MS = 10000 };

/* So many creations per second, with a burst of one second's worth. */
struct rate {
    int per_s_max;
    double tokens;
    int64_t at_us;
};

struct acceptor_listener {
    struct acceptor *acceptor;
    char *name;
    struct acceptor_listener_options options;
    struct listener *listener;
    uint16_t port;
    struct connection_group *groups; /* one per loop */
    struct rate rate;
    int open_count;
    struct list held; /* admissions without a place */
    _Atomic int64_t held_count, refused_total;
};

/* A connection as the acceptor sees it: made when it is accepted, handed to its loop, and back when
 * it is gone. */
struct admission {
    struct task task;
    struct list link;
    struct acceptor_listener *listener;
    struct connection_group *group;
    struct stream *stream;
    char host[HOST_MAX + 1];
};

struct acceptor {
    struct loop *loop;
    struct acceptor_limits limits;
    struct map overrides; /* address -> struct count */
    struct map addresses; /* address -> struct count */
    struct rate rate;
    struct acceptor_listener **listeners;
    size_t listener_count, listener_capacity;
    int open_count;
    bool shedding; /* a connection is being closed because there are too many */
    int next_loop;
    struct timer held_timer;
    int64_t last_log_ms;
    enum { ACCEPTOR_OPEN, ACCEPTOR_DRAINING, ACCEPTOR_CLOSING, ACCEPTOR_RELEASING } state;
    int orders_out; /* orders to loops that have not come back */
    struct task end_task;
    bool end_posted;
    void (*ended)(void *ctx);
    void *ended_ctx;
};

struct count {
    int count;
};

static void map_free_counts(struct map *map)
{
    MAP_FOR_EACH (entry, map)
        free(entry->value);
    map_release(map);
}

/* One spelling per address. */
static void normalize_address(const char *address, char text[HOST_MAX + 1])
{
    struct in6_addr v6;
    if (inet_pton(AF_INET6, address, &v6) == 1 &&
        inet_ntop(AF_INET6, &v6, text, HOST_MAX + 1) != NULL)
        return;
    size_t len = MIN(strlen(address), (size_t)HOST_MAX);
    memcpy(text, address, len);
    text[len] = '\0';
}

static void rate_set(struct rate *rate, int per_s_max, int64_t now_us)
{
    *rate = (struct rate){.per_s_max = per_s_max, .tokens = per_s_max, .at_us = now_us};
}

/* Microseconds until a token is there; 0: now. */
static int64_t rate_wait_us(struct rate *rate, int64_t now_us)
{
    if (rate->per_s_max <= 0)
        return 0;
    rate->tokens += (double)(now_us - rate->at_us) * rate->per_s_max / 1e6;
    rate->tokens = MIN(rate->tokens, (double)rate->per_s_max);
    rate->at_us = now_us;
    return rate->tokens >= 1 ? 0 : (int64_t)((1 - rate->tokens) * 1e6 / rate->per_s_max) + 1;
}

static void rate_take(struct rate *rate)
{
    if (rate->per_s_max > 0)
        rate->tokens -= 1;
}

static struct env *env_of(const struct acceptor *a)
{
    return a->loop->env;
}

static void refuse(struct admission *admission, const char *why)
{
    struct acceptor_listener *l = admission->listener;
    struct acceptor *a = l->acceptor;
    atomic_fetch_add(&l->refused_total, 1);
    int64_t now_ms = env_now_ms(env_of(a));
    if (a->state == ACCEPTOR_OPEN && now_ms - a->last_log_ms >= LOG_EVERY_MS) {
        a->last_log_ms = now_ms;
        log_warn(env_of(a)->logger, "Refused a connection from %s on listener %s: %s",
                 admission->host, l->name, why);
    }
    stream_close(env_of(a), admission->stream, false, NULL, NULL);
    free(admission);
}

static int address_max(struct acceptor *a, const char *host)
{
    struct count *override = map_get(&a->overrides, map_key_str(str_of(host)));
    if (override != NULL)
        return override->count;
    return a->limits.connections_per_address_max;
}

static struct count *address_count(struct acceptor *a, const char *host)
{
    return map_get(&a->addresses, map_key_str(str_of(host)));
}

/* On the connection's loop. */
static void hand_over(struct task *task)
{
    struct admission *admission = CONTAINER_OF(task, struct admission, task);
    connection_new(admission->group, admission->stream,
                   admission->listener->options.frame_max_bytes, admission);
}

static void connection_gone(struct task *task);

/* On the connection's loop, after its end. */
static void hand_back(struct connection_group *group, void *token)
{
    struct admission *admission = token;
    admission->task.run = connection_gone;
    loop_post(admission->listener->acceptor->loop, &admission->task);
}

static void admit(struct admission *admission)
{
    struct acceptor_listener *l = admission->listener;
    struct acceptor *a = l->acceptor;
    struct count *count = address_count(a, admission->host);
    if (count == NULL) {
        count = mem_calloc(1, sizeof(*count));
        map_put(&a->addresses, map_key_str(str_of(admission->host)), count);
    }
    count->count++;
    l->open_count++;
    a->open_count++;
    rate_take(&a->rate);
    rate_take(&l->rate);
    int loop_index = a->next_loop;
    a->next_loop = (a->next_loop + 1) % env_of(a)->loop_count;
    admission->group = &l->groups[loop_index];
    admission->task.run = hand_over;
    loop_post(env_of(a)->loops[loop_index], &admission->task);
}

/* An order to a loop about all groups or one group there. */
struct order {
    struct task task;
    struct acceptor *acceptor;
    struct connection_group *group;
    enum { ORDER_DRAIN, ORDER_CLOSE, ORDER_CLOSE_OLDEST, ORDER_RELEASE } what;
    const char *reason;
};

static void order_back(struct task *task);

static void order_run(struct task *task)
{
    struct order *order = CONTAINER_OF(task, struct order, task);
    switch (order->what) {
    case ORDER_DRAIN:
        connection_group_drain(order->group, order->reason);
        break;
    case ORDER_CLOSE:
        connection_group_close(order->group, order->reason);
        break;
    case ORDER_CLOSE_OLDEST:
        connection_group_close_oldest(order->group, order->reason);
        break;
    case ORDER_RELEASE:
        connection_group_release(order->group);
        break;
    }
    order->task.run = order_back;
    loop_post(order->acceptor->loop, &order->task);
}

static void give_order(struct acceptor *a, struct connection_group *group, int what,
                       const char *reason)
{
    struct order *order = mem_calloc(1, sizeof(*order));
    order->task.run = order_run;
    order->acceptor = a;
    order->group = group;
    order->what = what;
    order->reason = reason;
    a->orders_out++;
    loop_post(group->loop, &order->task);
}

static void order_all(struct acceptor *a, int what, const char *reason)
{
    for (size_t i = 0; i < a->listener_count; i++)
        for (int j = 0; j < env_of(a)->loop_count; j++)
            give_order(a, &a->listeners[i]->groups[j], what, reason);
}

/* The fullest group of a listener that is not essential gives up a connection. */
static void make_room(struct acceptor *a, const char *reason)
{
    struct connection_group *fullest = NULL;
    int64_t most = 0;
    for (size_t i = 0; i < a->listener_count; i++) {
        struct acceptor_listener *l = a->listeners[i];
        for (int j = 0; j < env_of(a)->loop_count && !l->options.essential; j++) {
            int64_t count =
                atomic_load_explicit(&l->groups[j].stats.open_count, memory_order_relaxed);
            if (count > most) {
                most = count;
                fullest = &l->groups[j];
            }
        }
    }
    if (fullest != NULL)
        give_order(a, fullest, ORDER_CLOSE_OLDEST, reason);
}

/* Microseconds until the listener may take one more; 0: now; INT64_MAX: when another has gone. */
static int64_t wait_for_place_us(struct acceptor_listener *l)
{
    struct acceptor *a = l->acceptor;
    int64_t now_us = env_now_us(env_of(a));
    if (l->options.closed_door)
        return INT64_MAX;
    if (l->options.connections_max > 0 && l->open_count >= l->options.connections_max)
        return INT64_MAX;
    if (a->limits.connections_max > 0 && a->open_count >= a->limits.connections_max &&
        !l->options.essential)
        return INT64_MAX;
    int64_t node_us = rate_wait_us(&a->rate, now_us), listener_us = rate_wait_us(&l->rate, now_us);
    return MAX(node_us, listener_us);
}

static bool address_is_full(struct acceptor *a, const char *host)
{
    struct count *count = address_count(a, host);
    return count != NULL ? count->count >= address_max(a, host) : address_max(a, host) <= 0;
}

/* Gives places to those who wait, as far as there are any. */
static void serve_held(struct acceptor *a)
{
    int64_t next_us = INT64_MAX;
    for (size_t i = 0; i < a->listener_count; i++) {
        struct acceptor_listener *l = a->listeners[i];
        while (!list_empty(&l->held)) {
            int64_t wait_us = wait_for_place_us(l);
            if (wait_us > 0) {
                next_us = MIN(next_us, wait_us);
                break;
            }
            struct admission *admission =
                LIST_ITEM(list_pop_front(&l->held), struct admission, link);
            atomic_fetch_sub(&l->held_count, 1);
            if (address_is_full(a, admission->host))
                refuse(admission, "max.connections.per.ip is reached");
            else
                admit(admission);
        }
    }
    if (next_us != INT64_MAX)
        timer_start_at_us(&a->held_timer, env_now_us(env_of(a)) + next_us);
}

static void held_timer_fired(struct timer *timer)
{
    serve_held(CONTAINER_OF(timer, struct acceptor, held_timer));
}

static void on_accept(void *owner, struct stream *stream)
{
    struct acceptor_listener *l = owner;
    struct acceptor *a = l->acceptor;
    struct admission *admission = mem_calloc(1, sizeof(*admission));
    admission->listener = l;
    admission->stream = stream;
    memcpy(admission->host, stream->peer.host, sizeof(admission->host));
    if (address_is_full(a, admission->host)) {
        refuse(admission, "max.connections.per.ip is reached");
        return;
    }
    if (atomic_load(&l->held_count) >= ACCEPTOR_HELD_MAX) {
        refuse(admission, "no place for it yet, and many wait already");
        return;
    }
    if (l->options.essential && a->limits.connections_max > 0 &&
        a->open_count >= a->limits.connections_max)
        make_room(a, "its place was needed by another listener");
    list_push_back(&l->held, &admission->link);
    atomic_fetch_add(&l->held_count, 1);
    serve_held(a);
}

static void free_acceptor(struct acceptor *a)
{
    for (size_t i = 0; i < a->listener_count; i++) {
        free(a->listeners[i]->groups);
        free(a->listeners[i]->name);
        free(a->listeners[i]);
    }
    free(a->listeners);
    map_free_counts(&a->addresses);
    map_free_counts(&a->overrides);
    free(a);
}

static void stop_listening(struct acceptor *a)
{
    timer_stop(&a->held_timer);
    for (size_t i = 0; i < a->listener_count; i++) {
        struct acceptor_listener *l = a->listeners[i];
        if (l->listener != NULL)
            env_of(a)->net->listener_close(l->listener);
        l->listener = NULL;
        while (!list_empty(&l->held)) {
            atomic_fetch_sub(&l->held_count, 1);
            refuse(LIST_ITEM(list_pop_front(&l->held), struct admission, link), "the node stops");
        }
    }
}

/* The end of a drain or a close: no connection is left, and no order is under way. */
static void check_end(struct acceptor *a)
{
    if (a->open_count > 0 || a->orders_out > 0 || a->end_posted || a->ended == NULL)
        return;
    void (*ended)(void *) = a->ended;
    void *ctx = a->ended_ctx;
    if (a->state == ACCEPTOR_CLOSING) {
        a->state = ACCEPTOR_RELEASING;
        order_all(a, ORDER_RELEASE, NULL);
        if (a->orders_out > 0)
            return;
    }
    a->ended = NULL;
    if (a->state == ACCEPTOR_RELEASING)
        free_acceptor(a);
    ended(ctx);
}

static void order_back(struct task *task)
{
    struct order *order = CONTAINER_OF(task, struct order, task);
    struct acceptor *a = order->acceptor;
    free(order);
    a->orders_out--;
    check_end(a);
}

/* After the node's number was lowered. One goes at a time: it counts until it is gone. */
static void shed(struct acceptor *a)
{
    a->shedding = a->state == ACCEPTOR_OPEN && a->limits.connections_max > 0 &&
                  a->open_count > a->limits.connections_max;
    if (a->shedding)
        make_room(a, "max.connections was lowered");
}

static void connection_gone(struct task *task)
{
    struct admission *admission = CONTAINER_OF(task, struct admission, task);
    struct acceptor *a = admission->listener->acceptor;
    struct map_key key = map_key_str(str_of(admission->host));
    struct count *count = map_get(&a->addresses, key);
    if (--count->count == 0)
        free(map_remove(&a->addresses, key));
    admission->listener->open_count--;
    a->open_count--;
    free(admission);
    serve_held(a);
    if (a->shedding)
        shed(a);
    check_end(a);
}

static void set_limits(struct acceptor *a, const struct acceptor_limits *limits)
{
    map_free_counts(&a->overrides);
    map_init(&a->overrides, MAP_STR);
    for (size_t i = 0; i < limits->override_count; i++) {
        char host[HOST_MAX + 1];
        struct count *count = mem_calloc(1, sizeof(*count));
        count->count = limits->overrides[i].connections_max;
        normalize_address(limits->overrides[i].address, host);
        free(map_put(&a->overrides, map_key_str(str_of(host)), count));
    }
    if (limits->creations_per_s_max != a->rate.per_s_max)
        rate_set(&a->rate, limits->creations_per_s_max, env_now_us(env_of(a)));
    a->limits = *limits;
    a->limits.overrides = NULL;
}

struct acceptor *acceptor_new(struct loop *loop, const struct acceptor_limits *limits)
{
    struct acceptor *a = mem_calloc(1, sizeof(*a));
    a->loop = loop;
    a->last_log_ms = INT64_MIN / 2;
    map_init(&a->addresses, MAP_STR);
    map_init(&a->overrides, MAP_STR);
    timer_init(&a->held_timer, loop, held_timer_fired);
    set_limits(a, limits);
    return a;
}

void acceptor_set_limits(struct acceptor *a, const struct acceptor_limits *limits)
{
    set_limits(a, limits);
    serve_held(a);
    if (!a->shedding)
        shed(a);
}

void acceptor_open_doors(struct acceptor *a)
{
    for (size_t i = 0; i < a->listener_count; i++)
        a->listeners[i]->options.closed_door = false;
    serve_held(a);
}

int acceptor_listen(struct acceptor *a, const struct acceptor_listener_options *options,
                    int *ret_index)
{
    CHECK(a->state == ACCEPTOR_OPEN);
    struct env *env = env_of(a);
    struct acceptor_listener *l = mem_calloc(1, sizeof(*l));
    int rv =
        env->net->listen(a->loop, &options->endpoint, options->backlog, on_accept, l, &l->listener);
    if (rv != 0) {
        free(l);
        return rv;
    }
    l->acceptor = a;
    l->options = *options;
    l->name = mem_strdup(options->name);
    l->port = env->net->listener_port(l->listener);
    list_init(&l->held);
    rate_set(&l->rate, options->creations_per_s_max, env_now_us(env));
    l->groups = mem_calloc((size_t)env->loop_count, sizeof(*l->groups));
    for (int i = 0; i < env->loop_count; i++) {
        connection_group_init(&l->groups[i], env->loops[i], options->handler,
                              &options->connection_limits, options->ctx);
        l->groups[i].on_gone = hand_back;
    }
    *ret_index = (int)a->listener_count;
    VEC_PUSH(a->listeners, a->listener_count, a->listener_capacity) = l;
    return 0;
}

static void orders_given(struct task *task)
{
    struct acceptor *a = CONTAINER_OF(task, struct acceptor, end_task);
    a->end_posted = false;
    check_end(a);
}

static void end(struct acceptor *a, int state, int order, const char *reason,
                void (*ended)(void *ctx), void *ctx)
{
    a->state = state;
    a->ended = ended;
    a->ended_ctx = ctx;
    stop_listening(a);
    order_all(a, order, reason);
    a->end_task.run = orders_given;
    if (!a->end_posted)
        loop_post(a->loop, &a->end_task);
    a->end_posted = true;
}

void acceptor_drain(struct acceptor *a, const char *reason, void (*drained)(void *ctx), void *ctx)
{
    CHECK(a->state == ACCEPTOR_OPEN);
    end(a, ACCEPTOR_DRAINING, ORDER_DRAIN, reason, drained, ctx);
}

void acceptor_close(struct acceptor *a, const char *reason, void (*closed)(void *ctx), void *ctx)
{
    CHECK(a->state <= ACCEPTOR_DRAINING);
    end(a, ACCEPTOR_CLOSING, ORDER_CLOSE, reason, closed, ctx);
}

int acceptor_listener_count(const struct acceptor *a)
{
    return (int)a->listener_count;
}

const char *acceptor_listener_name(const struct acceptor *a, int index)
{
    return a->listeners[index]->name;
}

uint16_t acceptor_port(const struct acceptor *a, int index)
{
    return a->listeners[index]->port;
}

struct connection_group *acceptor_group(const struct acceptor *a, int index, int loop_index)
{
    return &a->listeners[index]->groups[loop_index];
}

struct acceptor_stats acceptor_stats(const struct acceptor *a, int index)
{
    const struct acceptor_listener *l = a->listeners[index];
    return (struct acceptor_stats){.refused_total = atomic_load(&l->refused_total),
                                   .held_count = atomic_load(&l->held_count)};
}
