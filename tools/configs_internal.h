/*
 * kafka-configs' own memory, shared by configs.c (the command line), configs_changes.c (what
 * --add-config and --delete-config say), configs_describe.c, configs_alter.c, configs_quotas.c and
 * configs_scram.c.
 *
 * Two ways to fail: the command itself is wrong (configs_refuse; its sentence is all that is
 * printed), or somebody else said no (any other failure; the command line is repeated before it).
 */
#ifndef KRAFTD_TOOLS_CONFIGS_INTERNAL_H
#define KRAFTD_TOOLS_CONFIGS_INTERNAL_H

#include "metadata/config/config_layers.h"
#include "metadata/configs_image.h"
#include "tools/admin.h"
#include "tools/tool.h"

enum configs_type {
    CONFIGS_TOPICS,
    CONFIGS_CLIENTS,
    CONFIGS_USERS,
    CONFIGS_BROKERS,
    CONFIGS_IPS,
    CONFIGS_CLIENT_METRICS,
    CONFIGS_GROUPS,
    CONFIGS_BROKER_LOGGERS,
    CONFIGS_TYPES,
};

/* "topics" ..., and without the s where one is meant. */
extern const char *const configs_type_names[CONFIGS_TYPES];
struct str configs_type_singular(enum configs_type type);
/* In the numbers of the protocol; only of those that are resources. */
int8_t configs_resource_type(enum configs_type type);

struct configs_change {
    struct str key, value; /* value null: the key goes */
};

struct configs_changes {
    struct configs_change *items; /* what is added, in order of a Java map, then what goes */
    size_t added, deleted;
};

struct configs_command {
    struct tool tool;
    int argc;
    char **argv;
    enum configs_type *types;
    const char **names; /* "": the default */
    size_t types_count, names_count;
    struct client_config config;
    struct client *client;
    enum client_kind kind;
    struct arena arena;
    bool refused;
    json_t *json; /* what is printed at the end with --format json; NULL: text */
};

/* Always returns false. */
__attribute__((format(printf, 3, 4))) bool
configs_refuse(struct configs_command *command, struct failure *failure, const char *format, ...);

/*
 * Splits "k1=v1,k2=[v,w]" at commas and equal signs that are not in brackets and takes the brackets
 * away. False: an entry is not key=value. Pure.
 */
bool configs_parse_pairs(struct str text, struct arena *arena, struct configs_change **ret_items,
                         size_t *ret_count);
/* From the command line and the file that it names. */
bool configs_read_changes(struct configs_command *command, struct configs_changes *ret_changes,
                          struct failure *failure);

bool configs_describe(struct configs_command *command, struct failure *failure);
bool configs_alter(struct configs_command *command, struct failure *failure);

/* Where the configuration of a resource is asked for and changed. */
bool configs_find_node(struct configs_command *command, enum configs_type type, const char *name,
                       int32_t *ret_node, struct failure *failure);
/* Entries of one resource by name. */
bool configs_ask(struct configs_command *command, enum configs_type type, const char *name,
                 struct describe_configs_response_describe_configs_result *ret_result,
                 struct failure *failure);

/* Quotas of users, clients and addresses. */
bool configs_describe_quotas(struct configs_command *command, struct failure *failure);
bool configs_alter_quotas(struct configs_command *command, const struct configs_changes *changes,
                          struct failure *failure);
/* Passwords of users. */
bool configs_is_scram(struct str key);
bool configs_describe_scram(struct configs_command *command, struct failure *failure);
bool configs_alter_scram(struct configs_command *command, const struct configs_changes *changes,
                         struct failure *failure);

#endif
