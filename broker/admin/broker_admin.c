#include "broker/admin/broker_admin.h"

#define LOG_MODULE "admin"

#include "broker/admin/admin_http.h"
#include "broker/admin/loop_gather.h"
#include "broker/admin/process_metrics.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/node.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A loop that does not come round for this long is stuck. */
#define HEALTH_TIMEOUT_MS 5000

struct broker_admin {
    struct node *node;
    struct admin_http *http;
};

static void come_round(struct loop *loop, void *ctx, struct bytebuf *text)
{
}

static bool is_healthy(void *ctx, struct bytebuf *text)
{
    struct broker_admin *admin = ctx;
    bool healthy =
        loop_gather(node_env(admin->node), come_round, NULL, HEALTH_TIMEOUT_MS, text) == 0;
    bytebuf_printf(text, healthy ? "ok\n" : "an event loop is stuck\n");
    return healthy;
}

static bool is_ready(void *ctx, struct bytebuf *text)
{
    struct broker_admin *admin = ctx;
    bool ready = node_is_ready(admin->node);
    bytebuf_printf(text, ready ? "ready\n" : "not ready\n");
    return ready;
}

static struct metrics *registry_of(const struct broker_admin *admin)
{
    return broker_metrics_registry(node_metrics(admin->node));
}

static void render(void *ctx, struct bytebuf *text)
{
    struct broker_admin *admin = ctx;
    metrics_render(registry_of(admin), env_now_us(node_env(admin->node)), text);
}

/* Two nodes on one machine with nothing said about the admin port: the second goes without. */
static int cannot_listen(struct broker_admin *admin, const struct endpoint *endpoint, int status)
{
    const struct config_def *def = &config_defs[CONFIG_KRAFTD_ADMIN_LISTENER];
    bool chosen = properties_find(&node_config(admin->node)->properties, def->name) != NULL;
    char where[HOST_MAX + 16];
    endpoint_format(endpoint, where);
    log_at(node_env(admin->node)->logger, chosen ? LOG_FATAL : LOG_WARN,
           "Cannot serve the admin port %s: %s: %s", where, strerror(-status),
           chosen ? "correct kraftd.admin.listener, or leave it empty for none"
                  : "going on without it; choose another one in kraftd.admin.listener");
    return chosen ? status : 0;
}

int broker_admin_start(struct node *node, struct broker_admin **ret_admin)
{
    const struct server_config *config = node_config(node);
    *ret_admin = NULL;
    if (!config->has_admin)
        return 0;
    struct broker_admin *admin = mem_calloc(1, sizeof(*admin));
    admin->node = node;
    struct admin_http_handlers handlers = {
        .is_healthy = is_healthy, .is_ready = is_ready, .metrics = render, .ctx = admin};
    metrics_add_collector(registry_of(admin), process_metrics_collect, admin);
    int rv = admin_http_start(&config->admin, &handlers, &admin->http);
    if (rv != 0) {
        rv = cannot_listen(admin, &config->admin, rv);
        metrics_remove_collector(registry_of(admin), admin);
        free(admin);
        return rv;
    }
    *ret_admin = admin;
    return 0;
}

uint16_t broker_admin_port(const struct broker_admin *admin)
{
    return admin_http_port(admin->http);
}

void broker_admin_stop(struct broker_admin *admin)
{
    if (admin == NULL)
        return;
    admin_http_stop(admin->http);
    metrics_remove_collector(registry_of(admin), admin);
    free(admin);
}
