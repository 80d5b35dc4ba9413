/*
 * Whether a change of dynamic configuration may be made, with the error and the sentence that
 * Kafka gives. `entries` is what the resource would have after the change (for a broker: what the
 * change sets); texts of sentences lie in the caller's arena. Pure.
 *
 * KAFKA_ERROR_NONE, or INVALID_CONFIG, or INVALID_REQUEST, with *ret_message set.
 */
#ifndef KRAFTD_METADATA_CONFIG_VALIDATE_H
#define KRAFTD_METADATA_CONFIG_VALIDATE_H

#include "common/protocol/kafka_error.h"
#include "metadata/config/config_entry.h"
#include "metadata/config/config_layers.h"

struct server_config;

/* CreateTopics, AlterConfigs. `brokers` holds what the topic does not set. */
enum kafka_error config_validate_topic(const struct config_entry *entries, int count,
                                       const struct config_layers *brokers, struct arena *arena,
                                       struct str *ret_message);
/* `brokers` holds the bounds that the groups' keys have to keep. */
enum kafka_error config_validate_group(const struct config_entry *entries, int count,
                                       const struct config_layers *brokers, struct arena *arena,
                                       struct str *ret_message);
enum kafka_error config_validate_client_metrics(const struct config_entry *entries, int count,
                                                struct arena *arena, struct str *ret_message);

struct broker_change {
    const struct config_entry *entries; /* what is set; what is removed shows in `after` only */
    int count;
    bool is_default;                     /* for all brokers, else for one */
    const struct config_layers *current; /* before the change */
    const struct config_layers *after;   /* with it */
    const struct server_config *server;  /* of the node that is asked */
};
enum kafka_error config_validate_broker(const struct broker_change *change, struct arena *arena,
                                        struct str *ret_message);

#endif
