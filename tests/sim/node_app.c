#include "tests/sim/node_app.h"

#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"

#include <errno.h>

struct node_app {
    struct node_app_world *world;
    struct server_config config;
    struct node *node;
    struct timer stop;
    bool stopping;
};

static void stopped(void *ctx)
{
    struct node_app *app = ctx;
    app->world->stopped(app->world->ctx);
}

static void stop_now(struct timer *timer)
{
    struct node_app *app = CONTAINER_OF(timer, struct node_app, stop);
    if (app->stopping)
        return;
    app->stopping = true;
    node_stop(app->node, stopped, app);
}

static void started(void *ctx, int status)
{
    struct node_app *app = ctx;
    if (status == 0)
        app->world->started = true;
    else if (!app->stopping)
        app->world->gave_up(app->world->ctx, status);
}

/* Also where a formation is given up, or a damaged metadata log is set aside: that takes a stop in
 * order, and a start. */
static void on_fatal(void *ctx)
{
    struct node_app *app = ctx;
    if (app->node->reset_wanted || app->node->aside_wanted)
        timer_start_in_ms(&app->stop, 0);
    else
        started(ctx, -EIO);
}

void *node_app_boot(struct env *env, void *ctx)
{
    struct node_app *app = mem_calloc(1, sizeof(*app));
    app->world = ctx;
    app->world->started = false;
    server_config_init(&app->config);
    struct server_config_options options = {
        .text = app->world->properties,
        .source = STR("server.properties"),
        .hostname = str_of(sim_node_name(app->world->node)),
    };
    if (server_config_load(&app->config, &options) != 0) {
        sim_fail(app->world->sim, "the configuration is refused: %s", app->config.error);
        return app;
    }
    timer_init(&app->stop, env->loops[0], stop_now);
    app->node = node_new(env, &app->config);
    node_on_fatal(app->node, on_fatal, app);
    node_start(app->node, started, app);
    return app;
}

const struct node *node_app_node(struct sim_node *node)
{
    const struct node_app *app = sim_node_program(node);
    return app && !app->stopping ? app->node : NULL;
}

const struct node *node_app_node_to_the_end(struct sim_node *node)
{
    const struct node_app *app = sim_node_program(node);
    return app ? app->node : NULL;
}

void node_app_stop(struct sim_node *node)
{
    struct node_app *app = sim_node_program(node);
    if (app)
        timer_start_in_ms(&app->stop, 0);
}
