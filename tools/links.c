#include "tools/links.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "tools/tool_log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* Of the descriptors that one wait takes without memory of its own. */
enum { WAIT_FDS = 64 };

void links_init(struct links *links, struct client *client, const struct client_config *config)
{
    *links = (struct links){.client = client, .config = config};
}

void links_release(struct links *links)
{
    for (size_t i = 0; i < links->count; i++) {
        peer_free(links->items[i]->peer);
        free(links->items[i]->requests);
        free(links->items[i]);
    }
    free(links->items);
    *links = (struct links){0};
}

static struct link *find(struct links *links, int32_t node)
{
    for (size_t i = 0; i < links->count; i++)
        if (links->items[i]->node == node)
            return links->items[i];
    struct link *link = mem_calloc(1, sizeof(*link));
    link->node = node;
    VEC_PUSH(links->items, links->count, links->capacity) = link;
    return link;
}

static void put_off(struct link *link, const struct links *links)
{
    int64_t most_ms = links->config->retry_backoff_max_ms;
    link->backoff_ms =
        link->backoff_ms == 0 ? links->config->retry_backoff_ms : link->backoff_ms * 2;
    link->backoff_ms = MIN(link->backoff_ms, most_ms);
    link->retry_at_ms = client_now_ms() + link->backoff_ms;
}

struct link *links_get(struct links *links, int32_t node)
{
    struct link *link = find(links, node);
    if (link->peer != NULL)
        return link;
    if (link->request_count > 0 || client_now_ms() < link->retry_at_ms)
        return NULL;
    struct arena arena;
    struct client_op op;
    struct endpoint endpoint;
    struct failure failure;
    arena_init(&arena, 0);
    client_op_begin(&op, links->client, "connect", &arena);
    int rv = -EHOSTUNREACH;
    bool known = client_find_node(&op, node, &endpoint, &failure);
    if (known)
        rv = peer_open(&endpoint, links->config->client_id, links->config->connect_timeout_ms,
                       &link->peer);
    arena_release(&arena);
    if (rv == 0) {
        link->backoff_ms = 0;
        return link;
    }
    if (known && link->backoff_ms == 0)
        tool_log(LOG_WARN, "client", "Connection to node %d (%s:%d) could not be established: %s",
                 node, endpoint.host, endpoint.port, strerror(-rv));
    put_off(link, links);
    client_forget_nodes(links->client);
    return NULL;
}

int64_t links_retry_at(const struct links *links)
{
    int64_t at_ms = INT64_MAX;
    for (size_t i = 0; i < links->count; i++)
        if (links->items[i]->peer == NULL && links->items[i]->backoff_ms > 0)
            at_ms = MIN(at_ms, links->items[i]->retry_at_ms);
    return at_ms;
}

int link_send(struct link *link, const struct links *links, enum api_key key, int16_t version,
              const void *request, bool answered, void *what)
{
    int rv =
        peer_send(link->peer, api_find(key), version, request, links->config->request_timeout_ms);
    if (rv != 0)
        return rv;
    if (answered)
        VEC_PUSH(link->requests, link->request_count, link->request_capacity) =
            (struct link_request){what, version, client_now_ms()};
    return 0;
}

static void *take_oldest(struct link *link)
{
    void *what = link->requests[0].what;
    link->request_count--;
    memmove(link->requests, link->requests + 1, link->request_count * sizeof(*link->requests));
    return what;
}

int link_receive(struct link *link, const struct links *links, enum api_key key,
                 struct arena *arena, void *ret_response, void **ret_what)
{
    if (link->request_count == 0)
        return -ECONNRESET; /* nothing was asked: it can only be the end */
    int rv = peer_receive(link->peer, api_find(key), link->requests[0].version,
                          links->config->request_timeout_ms, arena, ret_response);
    if (rv != 0)
        return rv;
    *ret_what = take_oldest(link);
    return 0;
}

void link_drop(struct link *link, const struct links *links)
{
    peer_free(link->peer);
    link->peer = NULL;
    put_off(link, links);
    client_forget_nodes(links->client);
}

void *link_lost(struct link *link)
{
    CHECK(link->peer == NULL);
    return link->request_count > 0 ? take_oldest(link) : NULL;
}

bool link_readable(const struct link *link)
{
    if (link->peer == NULL)
        return false;
    struct pollfd p = {.fd = peer_fd(link->peer), .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

void links_wait(struct links *links, struct links_wait *wait, int64_t timeout_ms)
{
    struct pollfd room[WAIT_FDS];
    size_t size = links->count + ARRAY_LEN(wait->fds), count = ARRAY_LEN(wait->fds);
    struct pollfd *fds = size <= WAIT_FDS ? room : mem_calloc(size, sizeof(*fds));
    /* poll skips negative descriptors. */
    for (size_t i = 0; i < ARRAY_LEN(wait->fds); i++)
        fds[i] = (struct pollfd){.fd = wait->fds[i], .events = POLLIN};
    for (size_t i = 0; i < links->count; i++)
        if (links->items[i]->peer != NULL)
            fds[count++] = (struct pollfd){.fd = peer_fd(links->items[i]->peer), .events = POLLIN};
    (void)poll(fds, (nfds_t)count, (int)MAX(0, MIN(timeout_ms, INT32_MAX)));
    for (size_t i = 0; i < ARRAY_LEN(wait->fds); i++)
        wait->ready[i] = fds[i].revents != 0;
    if (fds != room)
        free(fds);
}
