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
    bool is_admin;                  /* Kafka's tool uses its admin client; true at first */
    const char *failed_to_create;   /* said before why a client cannot be made; NULL: nothing */
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
/* A file of properties alone, for whatever they are meant. */
bool client_config_read_file(struct properties *properties, const char *path,
                             struct failure *failure);
/* As client_config_read for one "key=value", such as an argument of --command-property. */
bool client_config_set(struct client_config *config, struct str key, struct str value,
                       struct failure *failure);

/*
 * What a tool of its own reads from the properties: *in_out_value stays as it is where the key is
 * not there. "Invalid value x for configuration k: Not a number of type INT", "... Value must be
 * at least 1".
 */
bool client_config_int(const struct client_config *config, const char *key, int32_t min,
                       int32_t *in_out_value, struct failure *failure);
bool client_config_long(const struct client_config *config, const char *key, int64_t min,
                        int64_t *in_out_value, struct failure *failure);
bool client_config_bool(const struct client_config *config, const char *key, bool *in_out_value,
                        struct failure *failure);

#endif
