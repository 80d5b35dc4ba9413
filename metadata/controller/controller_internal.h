/*
 * Inside metadata/controller: the controller's state, and what its concerns need of each other.
 */
#ifndef KRAFTD_METADATA_CONTROLLER_INTERNAL_H
#define KRAFTD_METADATA_CONTROLLER_INTERNAL_H

#include "common/base/mutation.h"
#include "common/protocol/kafka_error.h"
#include "metadata/controller/controller.h"
#include "metadata/controller/elections.h"
#include "metadata/controller/heartbeats.h"
#include "metadata/feature.h"

struct controller {
    struct controller_config config;
    struct loader *loader;
    struct image_chain *chain;
    bool active;
    int32_t epoch;
    struct heartbeats heartbeats;
    int64_t next_noop_ms;
    struct election_sweep balance, leaderless;
};

/* An error that goes into a response. */
struct api_error {
    enum kafka_error code;
    struct str message; /* null: none */
};

#define API_OK ((struct api_error){KAFKA_ERROR_NONE, STR_NULL})

/* Error with a text. */
__attribute__((format(printf, 3, 4))) struct api_error
api_error(struct arena *arena, enum kafka_error code, const char *format, ...);
/* Error with Kafka's own text for the code. */
struct api_error api_error_plain(enum kafka_error code);

static inline bool api_failed(struct api_error error)
{
    return error.code != KAFKA_ERROR_NONE;
}

/* What an earlier life of a broker sent is not its own any more (KIP-380). */
static inline bool has_broker_epoch(const struct controller *c, const struct broker_image *broker,
                                    int64_t epoch)
{
    return broker && (broker->epoch == epoch || MUTATED(&c->config, STALE_BROKER_EPOCH));
}

static inline int16_t controller_metadata_version(const struct controller *c)
{
    return features_image_metadata_version(&controller_image(c)->features);
}

/* Whether eligible leader replicas are on (KIP-966). */
bool controller_elr_enabled(const struct controller *c);
struct uuid controller_random_uuid(const struct controller *c);
uint32_t controller_random_below(const struct controller *c, uint32_t bound);

#endif
