#include "tools/bootstrap.h"

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
