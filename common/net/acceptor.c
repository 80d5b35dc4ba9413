#include "common/net/acceptor.h"

#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/address_counts.h"
#include "common/net/creation_rate.h"

#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "net"

enum { LOG_EVERY_MS = 10000 };

struct acceptor_listener {
    struct acceptor *acceptor;
    char *name;
    struct acceptor_listener_options options;
    struct listener *listener;
    uint16_t port;
    struct connection_group *groups; /* one per loop */
    struct creation_rate rate;
    int open_count;
    struct list held; /* admissions without a place */
    _Atomic int64_t held_count, refused_total;
    enum { LISTENER_OPEN, LISTENER_CLOSING, LISTENER_RELEASING } state;
    int orders_out; /* orders to its groups that have not come back */
    void (*closed)(void *ctx);
    void *closed_ctx;
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
    struct address_counts addresses;
    struct creation_rate rate;
    struct acceptor_listener **listeners; /* NULL: an index that is free */
    size_t listener_count, listener_capacity;
    int listening_count;
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

static struct env *env_of(const struct acceptor *a)
{
    return a->loop->env;
}

/* The limits of all listeners together are not its own as long as others can give way. */
static bool is_protected(const struct acceptor_listener *l)
{
    return l->options.essential && l->acceptor->listening_count > 1;
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
    address_counts_add(&a->addresses, admission->host);
    l->open_count++;
    a->open_count++;
    if (!is_protected(l))
        creation_rate_take(&a->rate);
    creation_rate_take(&l->rate);
    int loop_index = a->next_loop;
    a->next_loop = (a->next_loop + 1) % env_of(a)->loop_count;
    admission->group = &l->groups[loop_index];
    admission->task.run = hand_over;
    loop_post(env_of(a)->loops[loop_index], &admission->task);
}

/* An order to a loop about a group there. */
struct order {
    struct task task;
    struct acceptor_listener *listener;
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
    loop_post(order->listener->acceptor->loop, &order->task);
}

static void give_order(struct acceptor_listener *l, int loop_index, int what, const char *reason)
{
    struct order *order = mem_calloc(1, sizeof(*order));
    order->task.run = order_run;
    order->listener = l;
    order->group = &l->groups[loop_index];
    order->what = what;
    order->reason = reason;
    l->orders_out++;
    l->acceptor->orders_out++;
    loop_post(order->group->loop, &order->task);
}

static void order_groups(struct acceptor_listener *l, int what, const char *reason)
{
    for (int i = 0; i < env_of(l->acceptor)->loop_count; i++)
        give_order(l, i, what, reason);
}

static void order_all(struct acceptor *a, int what, const char *reason)
{
    for (size_t i = 0; i < a->listener_count; i++)
        if (a->listeners[i] != NULL && a->listeners[i]->state != LISTENER_RELEASING)
            order_groups(a->listeners[i], what, reason);
}

/* The fullest group of a listener that is not protected gives up a connection. */
static void make_room(struct acceptor *a, const char *reason)
{
    struct acceptor_listener *fullest = NULL;
    int loop_index = 0;
    int64_t most = 0;
    for (size_t i = 0; i < a->listener_count; i++) {
        struct acceptor_listener *l = a->listeners[i];
        if (l == NULL || l->state != LISTENER_OPEN || is_protected(l))
            continue;
        for (int j = 0; j < env_of(a)->loop_count; j++) {
            int64_t count =
                atomic_load_explicit(&l->groups[j].stats.open_count, memory_order_relaxed);
            if (count > most) {
                most = count;
                fullest = l;
                loop_index = j;
            }
        }
    }
    if (fullest != NULL)
        give_order(fullest, loop_index, ORDER_CLOSE_OLDEST, reason);
}

/* Microseconds until the listener may take one more; 0: now; INT64_MAX: when another has gone. */
static int64_t wait_for_place_us(struct acceptor_listener *l)
{
    struct acceptor *a = l->acceptor;
    int64_t now_us = env_now_us(env_of(a));
    if (l->options.closed_door)
        return INT64_MAX;
    if (l->options.limits.connections_max > 0 && l->open_count >= l->options.limits.connections_max)
        return INT64_MAX;
    if (a->limits.connections_max > 0 && a->open_count >= a->limits.connections_max &&
        !is_protected(l))
        return INT64_MAX;
    int64_t all_us = is_protected(l) ? 0 : creation_rate_wait_us(&a->rate, now_us);
    return MAX(all_us, creation_rate_wait_us(&l->rate, now_us));
}

/* Gives places to those who wait, as far as there are any. */
static void serve_held(struct acceptor *a)
{
    int64_t next_us = INT64_MAX;
    for (size_t i = 0; i < a->listener_count; i++) {
        struct acceptor_listener *l = a->listeners[i];
        while (l != NULL && !list_empty(&l->held)) {
            int64_t wait_us = wait_for_place_us(l);
            if (wait_us > 0) {
                next_us = MIN(next_us, wait_us);
                break;
            }
            struct admission *admission =
                LIST_ITEM(list_pop_front(&l->held), struct admission, link);
            atomic_fetch_sub(&l->held_count, 1);
            if (address_counts_full(&a->addresses, admission->host))
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
    if (address_counts_full(&a->addresses, admission->host)) {
        refuse(admission, "max.connections.per.ip is reached");
        return;
    }
    if (atomic_load(&l->held_count) >= ACCEPTOR_HELD_MAX) {
        refuse(admission, "no place for it yet, and many wait already");
        return;
    }
    if (is_protected(l) && a->limits.connections_max > 0 &&
        a->open_count >= a->limits.connections_max)
        make_room(a, "its place was needed by another listener");
    list_push_back(&l->held, &admission->link);
    atomic_fetch_add(&l->held_count, 1);
    serve_held(a);
}

/* NULL is fine. */
static void free_listener(struct acceptor_listener *l)
{
    if (l == NULL)
        return;
    free(l->groups);
    free(l->name);
    free(l);
}

static void free_acceptor(struct acceptor *a)
{
    for (size_t i = 0; i < a->listener_count; i++)
        free_listener(a->listeners[i]);
    free(a->listeners);
    address_counts_release(&a->addresses);
    free(a);
}

static void stop_listening(struct acceptor_listener *l, const char *reason)
{
    if (l->listener == NULL)
        return;
    env_of(l->acceptor)->net->listener_close(l->listener);
    l->listener = NULL;
    l->acceptor->listening_count--;
    while (!list_empty(&l->held)) {
        atomic_fetch_sub(&l->held_count, 1);
        refuse(LIST_ITEM(list_pop_front(&l->held), struct admission, link), reason);
    }
}

/* The end of one listener among others. What is left when the acceptor itself ends goes with it. */
static void check_listener_end(struct acceptor_listener *l)
{
    struct acceptor *a = l->acceptor;
    if (l->state == LISTENER_OPEN || l->open_count > 0 || l->orders_out > 0 ||
        a->state != ACCEPTOR_OPEN)
        return;
    if (l->state == LISTENER_CLOSING) {
        l->state = LISTENER_RELEASING;
        order_groups(l, ORDER_RELEASE, NULL);
        return;
    }
    for (size_t i = 0; i < a->listener_count; i++)
        if (a->listeners[i] == l)
            a->listeners[i] = NULL;
    l->closed(l->closed_ctx);
    free_listener(l);
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
    struct acceptor_listener *l = order->listener;
    struct acceptor *a = l->acceptor;
    free(order);
    a->orders_out--;
    l->orders_out--;
    check_listener_end(l);
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
    struct acceptor_listener *l = admission->listener;
    struct acceptor *a = l->acceptor;
    address_counts_remove(&a->addresses, admission->host);
    l->open_count--;
    a->open_count--;
    free(admission);
    serve_held(a);
    if (a->shedding)
        shed(a);
    check_listener_end(l);
    check_end(a);
}

static void set_limits(struct acceptor *a, const struct acceptor_limits *limits)
{
    address_counts_limit(&a->addresses, limits->connections_per_address_max, limits->overrides,
                         limits->override_count);
    if (limits->creations_per_s_max != a->rate.per_s_max)
        creation_rate_set(&a->rate, limits->creations_per_s_max, env_now_us(env_of(a)));
    a->limits = *limits;
    a->limits.overrides = NULL;
}

struct acceptor *acceptor_new(struct loop *loop, const struct acceptor_limits *limits)
{
    struct acceptor *a = mem_calloc(1, sizeof(*a));
    a->loop = loop;
    a->last_log_ms = INT64_MIN / 2;
    address_counts_init(&a->addresses);
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

void acceptor_set_listener_limits(struct acceptor *a, int index,
                                  const struct acceptor_listener_limits *limits)
{
    struct acceptor_listener *l = a->listeners[index];
    if (limits->creations_per_s_max != l->rate.per_s_max)
        creation_rate_set(&l->rate, limits->creations_per_s_max, env_now_us(env_of(a)));
    l->options.limits = *limits;
    serve_held(a);
}

void acceptor_open_doors(struct acceptor *a)
{
    for (size_t i = 0; i < a->listener_count; i++)
        if (a->listeners[i] != NULL)
            a->listeners[i]->options.closed_door = false;
    serve_held(a);
}

/* The first index that is free. */
static size_t take_index(struct acceptor *a)
{
    size_t index = 0;
    while (index < a->listener_count && a->listeners[index] != NULL)
        index++;
    if (index == a->listener_count)
        VEC_PUSH(a->listeners, a->listener_count, a->listener_capacity) = NULL;
    return index;
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
    creation_rate_set(&l->rate, options->limits.creations_per_s_max, env_now_us(env));
    l->groups = mem_calloc((size_t)env->loop_count, sizeof(*l->groups));
    for (int i = 0; i < env->loop_count; i++) {
        connection_group_init(&l->groups[i], env->loops[i], options->handler,
                              &options->connection_limits, options->ctx);
        l->groups[i].on_gone = hand_back;
    }
    size_t at = take_index(a);
    a->listeners[at] = l;
    a->listening_count++;
    *ret_index = (int)at;
    return 0;
}

void acceptor_unlisten(struct acceptor *a, int index, const char *reason, void (*closed)(void *ctx),
                       void *ctx)
{
    struct acceptor_listener *l = a->listeners[index];
    CHECK(a->state == ACCEPTOR_OPEN && l->state == LISTENER_OPEN);
    l->state = LISTENER_CLOSING;
    l->closed = closed;
    l->closed_ctx = ctx;
    stop_listening(l, reason);
    order_groups(l, ORDER_CLOSE, reason);
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
    timer_stop(&a->held_timer);
    for (size_t i = 0; i < a->listener_count; i++)
        if (a->listeners[i] != NULL)
            stop_listening(a->listeners[i], reason);
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
