/*
 * Where the value of a key comes from: the resource itself (a topic, a group, a client-metrics
 * subscription), else this broker's dynamic configuration, else the cluster's dynamic default, else
 * server.properties, else the default (KIP-226). A topic or group key takes the last four from its
 * synonyms among the broker keys (KIP-524): retention.ms from log.retention.ms, else from
 * log.retention.minutes, else from log.retention.hours.
 *
 * Pure: the layers are read through callbacks, results lie in the caller's arena.
 */
#ifndef KRAFTD_METADATA_CONFIG_LAYERS_H
#define KRAFTD_METADATA_CONFIG_LAYERS_H

#include "metadata/config/config_value.h"

/* Numbers of DescribeConfigs' ConfigSource. */
enum config_level {
    CONFIG_LEVEL_NONE = 0,
    CONFIG_LEVEL_TOPIC = 1,
    CONFIG_LEVEL_BROKER = 2,
    CONFIG_LEVEL_CLUSTER = 3,
    CONFIG_LEVEL_FILE = 4,
    CONFIG_LEVEL_DEFAULT = 5,
    CONFIG_LEVEL_LOGGER = 6,
    CONFIG_LEVEL_CLIENT_METRICS = 7,
    CONFIG_LEVEL_GROUP = 8,
};

/* get may be NULL: the layer holds nothing. It returns null for what is not set. */
struct config_layer {
    struct str (*get)(const void *ctx, struct str name);
    const void *ctx;
};

struct config_layers {
    struct config_layer own; /* of the topic, group or subscription; empty for a broker */
    struct config_layer broker, cluster, file;
    /* What is in `file`, or the default, by enum config_id, so that nothing has to be parsed for
     * what stands there; NULL: not at hand. */
    const struct config_value *file_values;
};

/* The value that counts. A text that cannot be read (from a newer version, say) counts as if it
 * were not there. Null where the default is null. */
struct config_value config_layers_get(const struct config_layers *layers, enum config_id id,
                                      struct arena *arena);
/* The same for keys that are whole numbers and never null, or booleans. */
int64_t config_layers_integer(const struct config_layers *layers, enum config_id id);
bool config_layers_boolean(const struct config_layers *layers, enum config_id id);

/* Of a listener alone: what "listener.name.<listener>." in front of the key says. The type is
 * unknown where nothing does; then the key without prefix counts. */
struct config_value config_layers_of_listener(const struct config_layers *layers,
                                              struct str listener, enum config_id id,
                                              struct arena *arena);

struct config_origin {
    struct str name;
    struct str value; /* null when it is sensitive */
    enum config_level level;
};

/* What DescribeConfigs says of one key. */
struct config_description {
    struct str name;
    struct str value; /* null for a null default and for what is sensitive */
    enum config_type type;
    enum config_level level;
    bool is_read_only, is_sensitive;
    struct config_origin *origins; /* the synonyms, nearest first */
    int origins_count;
    struct str doc; /* null for a key that is not known */
};

/*
 * `name` as it was asked for. A key of a broker may carry a listener prefix, or be one that nobody
 * knows: then it is sensitive. False when a scope other than the broker has no such key.
 */
bool config_describe(const struct config_layers *layers, enum config_scope scope, struct str name,
                     struct arena *arena, struct config_description *ret_description);

/* Whether DescribeConfigs lists the key when it is asked for all of them. */
static inline bool config_is_listed(const struct config_def *def)
{
    return def->flag == CONFIG_FLAG_NONE;
}

#endif
