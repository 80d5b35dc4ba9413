/*
 * What the parts of server_config share while a configuration is loaded. Each part returns 0 or
 * -EINVAL with config->error set by loader_fail.
 */
#ifndef KRAFTD_METADATA_SERVER_CONFIG_INTERNAL_H
#define KRAFTD_METADATA_SERVER_CONFIG_INTERNAL_H

#include "metadata/config/server_config.h"

struct loader {
    struct server_config *config;
    const struct server_config_options *options;
    bool dynamic; /* a change of a running node: sentences are Kafka's to the letter */
};

/* -EINVAL, always. `key` is what the sentence is about: its place goes in front. NULL: none. */
__attribute__((format(printf, 3, 4))) int loader_fail(struct loader *l, const char *key,
                                                      const char *format, ...);
__attribute__((format(printf, 3, 4))) void loader_note(struct loader *l, enum log_level level,
                                                       const char *format, ...);
/* The key stands in the file or among the overrides. */
bool loader_has(const struct loader *l, enum config_id id);
/* Sets a key as if it had been configured. */
int loader_set(struct loader *l, enum config_id id, struct str text);

/* Warnings about unknown keys, values of known ones, refusals. */
int server_values_load(struct loader *l);
/* Rules between values, and the lists in them. After all else. */
int server_values_check(struct loader *l);
/* process.roles, node.id, voters, bootstrap servers; what ZooKeeper's keys mean. */
int server_roles_load(struct loader *l);
int server_quorum_load(struct loader *l);
/* listeners, advertised.listeners and what names them. Between the two above. */
int server_listeners_load(struct loader *l);

#endif
