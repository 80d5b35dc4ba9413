#include "broker/server/admin_port.h"

#include "broker/admin/admin_http.h"
#include "broker/admin/loop_gather.h"
#include "broker/server/node.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "metadata/config/server_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_MODULE "admin_port"

/* A loop that is away for longer is stuck, and the process should be restarted. */
#define LOOP_TIMEOUT_MS 5000

struct admin_port {
    struct node *node;
    struct metrics *metrics;
    struct admin_http *http;
};

static void come_round(struct loop *loop, void *ctx, struct bytebuf *text)
{
}

static bool is_healthy(void *ctx, struct bytebuf *text)
{
    struct admin_port *port = ctx;
    if (loop_gather(node_env(port->node), come_round, NULL, LOOP_TIMEOUT_MS, text) == 0) {
        bytebuf_printf(text, "ok\n");
        return true;
    }
    bytebuf_printf(text, "an event loop has not come round for %d ms\n", LOOP_TIMEOUT_MS);
    return false;
}

static bool is_ready(void *ctx, struct bytebuf *text)
{
    struct admin_port *port = ctx;
    bool ready = node_is_ready(port->node);
    bytebuf_printf(text, ready ? "ready\n" : "not ready: starting or stopping\n");
    return ready;
}

static void render_metrics(void *ctx, struct bytebuf *text)
{
    struct admin_port *port = ctx;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    metrics_render(port->metrics, now.tv_sec * 1000000 + now.tv_nsec / 1000, text);
}

int admin_port_start(struct node *node, struct metrics *metrics, struct admin_port **ret_port)
{
    const struct server_config *config = node_config(node);
    struct logger *logger = node_env(node)->logger;
    *ret_port = NULL;
    if (!config->has_admin)
        return 0;
    struct admin_port *port = mem_calloc(1, sizeof(*port));
    port->node = node;
    port->metrics = metrics;
    const struct admin_http_handlers handlers = {
        .is_healthy = is_healthy, .is_ready = is_ready, .metrics = render_metrics, .ctx = port};
    char text[HOST_MAX + 9];
    endpoint_format(&config->admin, text);
    int rv = admin_http_start(&config->admin, &handlers, &port->http);
    if (rv == 0) {
        *ret_port = port;
        return 0;
    }
    free(port);
    const struct config_def *def = &config_defs[CONFIG_KRAFTD_ADMIN_LISTENER];
    if (properties_find(&config->properties, def->name) == NULL) {
        log_warn(logger, "No admin port: %s, the default of %s: %s", text, def->name.data,
                 strerror(-rv));
        return 0;
    }
    log_error(logger, "Cannot serve %s=%s: %s", def->name.data, text, strerror(-rv));
    return rv;
}

void admin_port_stop(struct admin_port *port)
{
    if (port == NULL)
        return;
    admin_http_stop(port->http);
    free(port);
}
