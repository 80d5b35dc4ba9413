#include "tests/sim/sim_net_internal.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_FREE_PORT 32768

struct sim_net *sim_net_new(struct sim *sim)
{
    struct sim_net *net = mem_calloc(1, sizeof(*net));
    net->sim = sim;
    net->random = sim_random_fork(&sim->random);
    net->latency_us = 300;
    net->bandwidth = 100 * 1000 * 1000;
    net->next_port = FIRST_FREE_PORT;
    list_init(&net->listeners);
    list_init(&net->ends);
    list_init(&net->connecting);
    return net;
}

/* All nodes are dead. */
void sim_net_free(struct sim_net *net)
{
    LIST_FOR_EACH (link, &net->ends)
        sim_end_drop(LIST_ITEM(link, struct sim_end, link));
    CHECK(list_empty(&net->listeners) && list_empty(&net->connecting));
    free(net);
}

/* --- Links --- */

bool sim_link_is_cut(const struct sim_node *from, const struct sim_node *to)
{
    return (size_t)to->index < from->cut_count && from->cut_to[to->index];
}

int64_t sim_link_delay(struct sim_net *net, const struct sim_node *from, const struct sim_node *to)
{
    struct sim_random *random = &net->random;
    if (from == to)
        return sim_random_range(random, 5, 40);
    int64_t us = net->latency_us / 2 + sim_random_below(random, net->latency_us + 1);
    if (sim_random_chance(random, 10000))
        us += sim_random_below(random, 20 * net->latency_us + 1);
    if (net->spike_us > 0 && sim_random_chance(random, 100000))
        us += net->spike_us;
    return us;
}

void sim_net_cut(struct sim_node *from, struct sim_node *to, bool cut)
{
    while (from->cut_count <= (size_t)to->index)
        VEC_PUSH(from->cut_to, from->cut_count, from->cut_capacity) = false;
    from->cut_to[to->index] = cut;
}

void sim_net_heal(struct sim *sim)
{
    for (size_t i = 0; i < sim->node_count; i++)
        sim->nodes[i]->cut_count = 0;
}

bool sim_net_reset_one(struct sim *sim)
{
    struct sim_net *net = sim->net;
    int64_t count = 0;
    struct sim_end *chosen = NULL;
    LIST_FOR_EACH (link, &net->ends) {
        struct sim_end *end = LIST_ITEM(link, struct sim_end, link);
        if (end->started && !end->ended && end->peer &&
            sim_random_below(&net->random, ++count) == 0)
            chosen = end;
    }
    if (!chosen)
        return false;
    sim_log(sim, "net", "resets a connection of %s with %s", chosen->home->name,
            chosen->remote->name);
    sim_end_reset(chosen->peer, -ECONNRESET);
    sim_end_reset(chosen, -ECONNRESET);
    return true;
}

void sim_net_set_speed(struct sim *sim, int64_t latency_us, int64_t bandwidth)
{
    sim->net->latency_us = latency_us;
    sim->net->bandwidth = bandwidth;
}

void sim_net_set_delay_spikes(struct sim *sim, int64_t spike_us)
{
    sim->net->spike_us = spike_us;
}

/* --- Listening --- */

static bool is_own_name(const struct sim_node *node, const char *host)
{
    static const char *const names[] = {"", "0.0.0.0", "::", "localhost", "127.0.0.1", "::1"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(host, names[i]) == 0)
            return true;
    return false;
}

static void address_of(const struct sim_node *node, char *ret_host)
{
    snprintf(ret_host, HOST_MAX + 1, "10.0.0.%d", node->index + 1);
}

/* NULL: no such host. */
static struct sim_node *resolve(struct sim_node *node, const char *host)
{
    if (is_own_name(node, host))
        return node;
    for (size_t i = 0; i < node->sim->node_count; i++) {
        struct sim_node *other = node->sim->nodes[i];
        char address[HOST_MAX + 1];
        address_of(other, address);
        if (strcmp(host, other->name) == 0 || strcmp(host, address) == 0)
            return other;
    }
    return NULL;
}

static struct listener *find_listener(struct sim_net *net, const struct sim_node *node,
                                      uint16_t port)
{
    LIST_FOR_EACH (link, &net->listeners) {
        struct listener *listener = LIST_ITEM(link, struct listener, link);
        if (listener->node == node && listener->port == port && !listener->closed)
            return listener;
    }
    return NULL;
}

static uint16_t free_port(struct sim_net *net, const struct sim_node *node)
{
    do
        net->next_port = net->next_port == UINT16_MAX ? FIRST_FREE_PORT : net->next_port + 1;
    while (find_listener(net, node, net->next_port));
    return net->next_port;
}

static int net_listen(struct loop *loop, const struct endpoint *endpoint, int backlog,
                      void (*on_accept)(void *owner, struct stream *), void *owner,
                      struct listener **ret_listener)
{
    struct sim_node *node = sim_node_of(loop->env);
    struct sim_net *net = node->sim->net;
    struct sim_node *named = resolve(node, endpoint->host);
    if (!named)
        return -ENOENT;
    if (named != node)
        return -EADDRNOTAVAIL;
    if (endpoint->port != 0 && find_listener(net, node, endpoint->port))
        return -EADDRINUSE;
    struct sim_heap *outer = sim_heap_enter(NULL);
    struct listener *listener = mem_calloc(1, sizeof(*listener));
    *listener = (struct listener){
        .node = node,
        .loop = loop,
        .port = endpoint->port ? endpoint->port : free_port(net, node),
        .on_accept = on_accept,
        .owner = owner,
    };
    list_push_back(&net->listeners, &listener->link);
    sim_heap_enter(outer);
    *ret_listener = listener;
    return 0;
}

static uint16_t net_listener_port(struct listener *listener)
{
    return listener->port;
}

void sim_listener_drop_closed(struct listener *listener)
{
    if (!listener->closed || listener->pending > 0)
        return;
    list_remove(&listener->link);
    free(listener);
}

static void net_listener_close(struct listener *listener)
{
    listener->closed = true;
    sim_listener_drop_closed(listener);
}

/* --- Connecting --- */

static void connecting_drop(struct connecting *c)
{
    sim_event_cancel(c->net->sim, &c->event);
    list_remove(&c->link);
    free(c);
}

static void connecting_task(struct task *task)
{
    struct connecting *c = CONTAINER_OF(task, struct connecting, task);
    struct sim_end *end = c->end;
    int status = c->status;
    void (*connected)(void *owner, struct stream *, int status) = c->connected;
    void *owner = c->owner;
    connecting_drop(c);
    connected(owner, end ? &end->base : NULL, status);
}

static void connecting_done(struct sim_event *event)
{
    struct connecting *c = CONTAINER_OF(event, struct connecting, event);
    c->task.run = connecting_task;
    loop_post(c->loop, &c->task);
}

static struct sim_end *connect_ends(struct connecting *c, struct sim_node *remote,
                                    struct listener *listener)
{
    struct sim_end *client = sim_end_new(c->net, c->home, remote);
    struct sim_end *server = sim_end_new(c->net, remote, c->home);
    client->peer = server;
    server->peer = client;
    client->base.loop = c->loop;
    server->base.loop = listener->loop;
    address_of(remote, client->base.peer.host);
    address_of(c->home, server->base.peer.host);
    client->base.peer.port = listener->port;
    server->base.peer.port = free_port(c->net, c->home);
    server->accepting = listener;
    listener->pending++;
    server->task_queued = true;
    loop_post(listener->loop, &server->task);
    return client;
}

/* The first packet reaches the other side, or tries again. */
static void connecting_arrives(struct sim_event *event)
{
    struct connecting *c = CONTAINER_OF(event, struct connecting, event);
    struct sim *sim = c->net->sim;
    struct sim_node *remote = resolve(c->home, c->endpoint.host);
    int64_t due = sim->now_us + (remote ? sim_link_delay(c->net, c->home, remote) : SIM_MS);
    bool silent = remote && (remote->state == SIM_NODE_OFF || sim_link_is_cut(c->home, remote) ||
                             sim_link_is_cut(remote, c->home));
    if (silent && sim->now_us < c->gives_up_us) {
        sim_event_set(sim, event, MIN(sim->now_us + SIM_SECOND, c->gives_up_us));
        return;
    }
    struct listener *listener = remote ? find_listener(c->net, remote, c->endpoint.port) : NULL;
    if (!remote)
        c->status = -ENOENT;
    else if (silent)
        c->status = -ETIMEDOUT;
    else if (!listener)
        c->status = -ECONNREFUSED;
    else
        c->end = connect_ends(c, remote, listener);
    sim_trace(sim, "connect", c->home, c->status, c->endpoint.port);
    event->run = connecting_done;
    sim_event_set(sim, event, due);
}

static void net_connect(struct loop *loop, const struct endpoint *endpoint, int timeout_ms,
                        void (*connected)(void *owner, struct stream *, int status), void *owner)
{
    struct sim_node *home = sim_node_of(loop->env);
    struct sim_net *net = home->sim->net;
    struct sim_node *remote = resolve(home, endpoint->host);
    struct sim_heap *outer = sim_heap_enter(NULL);
    struct connecting *c = mem_calloc(1, sizeof(*c));
    *c = (struct connecting){
        .net = net,
        .home = home,
        .loop = loop,
        .endpoint = *endpoint,
        .gives_up_us = net->sim->now_us + timeout_ms * SIM_MS,
        .event.run = connecting_arrives,
        .connected = connected,
        .owner = owner,
    };
    list_push_back(&net->connecting, &c->link);
    sim_event_set(net->sim, &c->event,
                  net->sim->now_us + (remote ? sim_link_delay(net, home, remote) : SIM_MS));
    sim_heap_enter(outer);
}

/* --- Death --- */

static void end_died(struct sim_end *end, bool power)
{
    bool unread = end->received_bytes > 0;
    sim_end_forget_output(end, false);
    if (power) {
        end->owned = false;
        sim_end_drop(end);
    } else if (end->owned) {
        sim_end_finish(end, unread ? -ECONNRESET : 0);
        sim_end_disown(end);
    }
}

void sim_net_node_died(struct sim_node *node, bool power)
{
    struct sim_net *net = node->sim->net;
    LIST_FOR_EACH (link, &net->connecting) {
        struct connecting *c = LIST_ITEM(link, struct connecting, link);
        if (c->home == node)
            connecting_drop(c);
    }
    /* Dropping one end never frees another. */
    LIST_FOR_EACH (link, &net->ends) {
        struct sim_end *end = LIST_ITEM(link, struct sim_end, link);
        if (end->home == node)
            end_died(end, power);
    }
    LIST_FOR_EACH (link, &net->listeners) {
        struct listener *listener = LIST_ITEM(link, struct listener, link);
        if (listener->node == node) {
            listener->pending = 0;
            net_listener_close(listener);
        }
    }
}

const struct net_ops sim_net_ops = {
    .listen = net_listen,
    .listener_port = net_listener_port,
    .listener_close = net_listener_close,
    .connect = net_connect,
    .start = sim_stream_start,
    .read_pause = sim_stream_read_pause,
    .read_resume = sim_stream_read_resume,
    .write = sim_stream_write,
    .close = sim_stream_close,
};
