/*
 * What the checks of the kinds of resources share. Inside metadata/config only.
 */
#ifndef KRAFTD_METADATA_CONFIG_VALIDATE_INTERNAL_H
#define KRAFTD_METADATA_CONFIG_VALIDATE_INTERNAL_H

#include "metadata/config/config_validate.h"

struct validation {
    const struct config_entry *entries;
    int count;
    struct arena *arena;
    struct str *ret_message;
};

/* `error`, with the sentence set. */
__attribute__((format(printf, 3, 4))) enum kafka_error
validation_fail(const struct validation *v, enum kafka_error error, const char *format, ...);
/* NULL when the key is not set; the last one counts. */
const struct config_entry *validation_find(const struct validation *v, enum config_id id);
/* Every set key from first to last has a good value; in the order of the table, as Kafka does. */
enum kafka_error validation_values(const struct validation *v, enum config_id first,
                                   enum config_id last);
/* INVALID_REQUEST, as Kafka wraps what one of the parts of a broker throws. */
enum kafka_error validation_fail_part(const struct validation *v, struct str why);
/* Null where that many threads may become so many. */
struct str validation_threads_fault(enum config_id id, int64_t before, int64_t after,
                                    struct arena *arena);
/* "listener.name.<listener>.<key>". */
bool validation_listener_key(struct str name, struct str *ret_listener, struct str *ret_key);
/* Cannot be set for all brokers. */
bool validation_is_per_broker(struct str name);
/* Listeners, and the keys of single ones. */
enum kafka_error validation_listeners(const struct validation *v,
                                      const struct broker_change *change);
/* The value that the resource would have: set, or from the layers. Only after validation_values. */
int64_t validation_integer(const struct validation *v, enum config_id id,
                           const struct config_layers *layers);

#endif
