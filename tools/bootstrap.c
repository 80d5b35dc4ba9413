#include "tools/bootstrap.h"

#include "tools/tool.h"

bool bootstrap_open(struct bootstrap *bootstrap, const struct args *args, const char *config_path,
                    struct failure *failure)
{
    const char *brokers = args_value(args, "bootstrap-server");
    const char *servers = brokers ? brokers : args_value(args, "bootstrap-controller");
    *bootstrap = (struct bootstrap){0};
    arena_init(&bootstrap->arena, 0);
    client_config_init(&bootstrap->config, "admin-1");
    if (servers == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "You must specify either --bootstrap-controller or --bootstrap-server.");
    return client_config_read(&bootstrap->config, config_path, failure) &&
           client_new(servers, brokers ? CLIENT_OF_BROKERS : CLIENT_OF_CONTROLLERS,
                      &bootstrap->config, &bootstrap->client, failure);
}

void bootstrap_close(struct bootstrap *bootstrap)
{
    client_free(bootstrap->client);
    client_config_release(&bootstrap->config);
    arena_release(&bootstrap->arena);
}

int bootstrap_run(const struct args *args, const char *config_path,
                  const struct bootstrap_command *commands, size_t count)
{
    struct failure failure;
    struct bootstrap bootstrap;
    bool ok = bootstrap_open(&bootstrap, args, config_path, &failure);
    for (size_t i = 0; ok && i < count; i++) {
        if (strcmp(commands[i].name, args->command->name) != 0)
            continue;
        struct client_op op;
        client_op_begin(&op, bootstrap.client, commands[i].call, &bootstrap.arena);
        ok = commands[i].run(args, &op, &failure);
    }
    bootstrap_close(&bootstrap);
    return ok ? 0 : tool_fail(&(struct tool){.json = args->json}, &failure);
}
