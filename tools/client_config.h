/*
 * The settings of the admin client: what a file of client properties (--command-config) may say of
 * connections, time-outs and retries. Keys that tools have no use for are accepted and ignored, as
 * in Kafka; settings that would change how safe a connection is are refused unless they are
 * honoured. No state; one thread.
 */
#ifndef KRAFTD_TOOLS_CLIENT_CONFIG_H
#define KRAFTD_TOOLS_CLIENT_CONFIG_H

#include "common/base/properties.h"
#include "tools/failure.h"

struct client_config {
    struct properties properties; /* as read */
    struct str client_id;
    int32_t request_timeout_ms;     /* for one answer */
    int32_t default_api_timeout_ms; /* for a call with all its retries */
    int32_t connect_timeout_ms;
    int64_t retry_backoff_ms, retry_backoff_max_ms;
};

/* Kafka's defaults, no properties. */
void client_config_init(struct client_config *config, const char *client_id);
void client_config_release(struct client_config *config);
/* Reads the file on top of what is there; path NULL is fine and reads nothing. */
bool client_config_read(struct client_config *config, const char *path, struct failure *failure);
/* The same for one "key=value", such as an argument of --command-property. */
bool client_config_set(struct client_config *config, struct str key, struct str value,
                       struct failure *failure);

#endif
