/*
 * What is known of every configuration key: the table that metadata/config/configs.tsv describes.
 * Read-only data; any thread. Kafka's ConfigDef, its dynamic update modes (KIP-226) and topic
 * synonyms (KIP-524).
 */
#ifndef KRAFTD_METADATA_CONFIG_DEF_H
#define KRAFTD_METADATA_CONFIG_DEF_H

#include "common/base/str.h"
#include "metadata/config/config_ids.h" /* generated */

#include <stdbool.h>
#include <stdint.h>

enum config_scope {
    CONFIG_SCOPE_BROKER,
    CONFIG_SCOPE_TOPIC,
    CONFIG_SCOPE_GROUP,
    CONFIG_SCOPE_CLIENT_METRICS,
    CONFIG_SCOPE_CLIENT, /* quotas and credentials of users and client ids */
    CONFIG_SCOPE_IP,     /* quotas of addresses */
    CONFIG_SCOPE_KRAFTD, /* our own keys of server.properties */
    CONFIG_SCOPE_COUNT
};

/* As DescribeConfigs sends it; 0 is unknown. */
enum config_type {
    CONFIG_TYPE_UNKNOWN,
    CONFIG_TYPE_BOOLEAN,
    CONFIG_TYPE_STRING,
    CONFIG_TYPE_INT,
    CONFIG_TYPE_SHORT,
    CONFIG_TYPE_LONG,
    CONFIG_TYPE_DOUBLE,
    CONFIG_TYPE_LIST,
    CONFIG_TYPE_CLASS,
    CONFIG_TYPE_PASSWORD,
};

enum config_importance {
    CONFIG_IMPORTANCE_HIGH,
    CONFIG_IMPORTANCE_MEDIUM,
    CONFIG_IMPORTANCE_LOW,
};

enum config_update {
    CONFIG_UPDATE_NEVER,   /* read when the node starts */
    CONFIG_UPDATE_BROKER,  /* for one broker */
    CONFIG_UPDATE_CLUSTER, /* for one broker, or for all as the default */
};

enum config_flag {
    CONFIG_FLAG_NONE,
    CONFIG_FLAG_INTERNAL, /* not listed by DescribeConfigs */
    CONFIG_FLAG_HIDDEN,   /* the same; no key of Kafka's broker */
    CONFIG_FLAG_DYNAMIC,  /* cannot stand in server.properties */
};

enum config_effect {
    CONFIG_EFFECT_USED,
    CONFIG_EFFECT_LATER,   /* no effect yet */
    CONFIG_EFFECT_MOOT,    /* never an effect: Java's, or of threads that are not there */
    CONFIG_EFFECT_REFUSED, /* only the default is accepted: ignoring it would be unsafe */
};

/* How a value of the right type is checked; see config_rule.c. */
enum config_rule {
    CONFIG_RULE_NONE,
    CONFIG_RULE_RANGE,
    CONFIG_RULE_IN,
    CONFIG_RULE_ANYCASE,
    CONFIG_RULE_LIST,
    CONFIG_RULE_LIST_EMPTY, /* a list that may be empty */
    CONFIG_RULE_NONEMPTY,
    CONFIG_RULE_GZIP,
    CONFIG_RULE_REPLICAS,
    CONFIG_RULE_VOTERS,
    CONFIG_RULE_BOOTSTRAP,
    CONFIG_RULE_RESET,
};

/* A broker key that gives a topic or group key its default: that key's value times factor. */
struct config_synonym {
    enum config_id id;
    int64_t factor;
};

struct config_def {
    enum config_id id;
    enum config_scope scope;
    enum config_type type;
    enum config_importance importance;
    enum config_update update;
    enum config_flag flag;
    enum config_effect effect;
    enum config_rule rule;
    bool required;            /* no default */
    struct str name;          /* all texts here end in a zero byte */
    struct str default_value; /* null where required, or where the default is null */
    double min, max;
    struct str min_text, max_text; /* null: no bound */
    const struct str *choices;
    int choices_count;
    const struct config_synonym *synonyms;
    int synonyms_count;
    struct str doc;
};

/* Indexed by enum config_id; the ids of a scope are CONFIG_FIRST_x to CONFIG_LAST_x. */
extern const struct config_def config_defs[CONFIG_COUNT];
/* Ordered by scope, then by the bytes of the name. */
extern const enum config_id config_ids_by_name[CONFIG_COUNT];

/* NULL when the scope has no such key. */
const struct config_def *config_find(enum config_scope scope, struct str name);

/*
 * The same for a key of server.properties or of a broker's dynamic configuration: looks through
 * the prefix "listener.name.<listener>." (for SASL also "listener.name.<listener>.<mechanism>."),
 * so that *ret_base is shorter than name for such keys. ret_base may be NULL.
 */
const struct config_def *config_find_broker(struct str name, struct str *ret_base);

static inline bool config_is_sensitive(const struct config_def *def)
{
    return def == NULL || def->type == CONFIG_TYPE_PASSWORD;
}

/* "INT", "LIST": as Kafka's messages say it. */
const char *config_type_name(enum config_type type);
const char *config_scope_name(enum config_scope scope);

#endif
