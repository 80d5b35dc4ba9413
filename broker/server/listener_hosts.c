#include "broker/server/listener_hosts.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct host {
    struct list link;
    struct endpoint endpoint; /* what was asked, then the answer's host */
    char name[HOST_MAX + 1];
    int status;
};

/* IPv4 first where a name has both, as a JVM does. */
static int look_up(const struct endpoint *endpoint, bool numeric_only,
                   struct endpoint *ret_endpoint)
{
    struct addrinfo *list;
    int rv = resolve_endpoint(endpoint, numeric_only, true, &list);
    if (rv != 0)
        return rv;
    const struct addrinfo *chosen = list;
    for (const struct addrinfo *at = list; at != NULL && chosen->ai_family != AF_INET;
         at = at->ai_next)
        if (at->ai_family == AF_INET)
            chosen = at;
    endpoint_of_address(chosen->ai_addr, ret_endpoint);
    freeaddrinfo(list);
    return 0;
}

static void run(struct work *work)
{
    struct listener_hosts *hosts = CONTAINER_OF(work, struct listener_hosts, work);
    LIST_FOR_EACH (item, &hosts->asked) {
        struct host *host = LIST_ITEM(item, struct host, link);
        host->status = look_up(&host->endpoint, false, &host->endpoint);
    }
}

static void move_all(struct list *from, struct list *to)
{
    while (!list_empty(from))
        list_push_back(to, list_pop_front(from));
}

static void start(struct listener_hosts *hosts)
{
    if (hosts->busy || list_empty(&hosts->waiting))
        return;
    move_all(&hosts->waiting, &hosts->asked);
    hosts->busy = true;
    work_submit(&hosts->work, WORK_DISK);
}

static void done(struct work *work)
{
    struct listener_hosts *hosts = CONTAINER_OF(work, struct listener_hosts, work);
    hosts->busy = false;
    move_all(&hosts->asked, &hosts->known);
    start(hosts);
    hosts->changed(hosts->ctx);
}

void listener_hosts_init(struct listener_hosts *hosts, struct loop *loop,
                         void (*changed)(void *ctx), void *ctx)
{
    *hosts = (struct listener_hosts){.changed = changed, .ctx = ctx};
    hosts->work = (struct work){.run = run, .done = done, .loop = loop};
    list_init(&hosts->known);
    list_init(&hosts->waiting);
    list_init(&hosts->asked);
}

void listener_hosts_release(struct listener_hosts *hosts)
{
    CHECK(!hosts->busy);
    move_all(&hosts->waiting, &hosts->known);
    LIST_FOR_EACH (item, &hosts->known)
        free(LIST_ITEM(item, struct host, link));
}

bool listener_hosts_busy(const struct listener_hosts *hosts)
{
    return hosts->busy;
}

static struct host *find(const struct list *list, const char *name)
{
    LIST_FOR_EACH (item, list) {
        struct host *host = LIST_ITEM(item, struct host, link);
        if (strcmp(host->name, name) == 0)
            return host;
    }
    return NULL;
}

int listener_hosts_resolve(struct listener_hosts *hosts, const struct endpoint *endpoint,
                           struct endpoint *ret_endpoint)
{
    struct endpoint literal = *endpoint;
    if (endpoint->host[0] == '\0' || look_up(endpoint, true, &literal) == 0) {
        *ret_endpoint = *endpoint;
        return 0;
    }
    struct host *host = find(&hosts->known, endpoint->host);
    if (host == NULL) {
        if (find(&hosts->waiting, endpoint->host) != NULL ||
            (hosts->busy && find(&hosts->asked, endpoint->host) != NULL))
            return -EINPROGRESS;
        host = mem_calloc(1, sizeof(*host));
        host->endpoint = *endpoint;
        memcpy(host->name, endpoint->host, sizeof(host->name));
        list_push_back(&hosts->waiting, &host->link);
        start(hosts);
        return -EINPROGRESS;
    }
    int status = host->status;
    if (status == 0) {
        *ret_endpoint = host->endpoint;
        ret_endpoint->port = endpoint->port;
    }
    list_remove(&host->link);
    free(host);
    return status;
}
