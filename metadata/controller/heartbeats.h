/*
 * When each broker was last heard of: the controller's memory of heartbeats, which is not in the
 * log. It is made anew from the image when a controller becomes active; every broker then gets a
 * whole session to be heard of. Metadata loop.
 */
#ifndef KRAFTD_METADATA_HEARTBEATS_H
#define KRAFTD_METADATA_HEARTBEATS_H

#include "common/base/map.h"
#include "metadata/image.h"

struct heartbeat {
    int32_t broker;
    int64_t epoch;
    int64_t last_contact_ms;
    int64_t metadata_offset; /* what it said it had; -1 before it said */
    /* The log's end when it entered controlled shutdown; -1 when it is not. It may stop once every
     * active broker knows the log up to here. */
    int64_t shutdown_offset;
};

struct heartbeats {
    int64_t session_timeout_ms;
    struct map by_broker; /* struct heartbeat */
};

void heartbeats_init(struct heartbeats *heartbeats, int64_t session_timeout_ms);
void heartbeats_release(struct heartbeats *heartbeats);
/* Forgets all, then gives each registered broker that is not fenced a session from now on. */
void heartbeats_reset(struct heartbeats *heartbeats, const struct image *image, int64_t now_ms);

/* NULL when nothing was heard of it. */
struct heartbeat *heartbeats_find(const struct heartbeats *heartbeats, int32_t broker);
/* Heard of this incarnation. */
struct heartbeat *heartbeats_touch(struct heartbeats *heartbeats, int32_t broker, int64_t epoch,
                                   int64_t now_ms);
/* It was heard of for the last time then, if its session has not ended since. */
void heartbeats_last_heard(struct heartbeats *heartbeats, int32_t broker, int64_t heard_ms,
                           int64_t now_ms);
/* Its session ends now. False when it had none. */
bool heartbeats_end_session(struct heartbeats *heartbeats, int32_t broker, int64_t epoch,
                            int64_t now_ms);
void heartbeats_remove(struct heartbeats *heartbeats, int32_t broker);
bool heartbeats_session_valid(const struct heartbeats *heartbeats, int32_t broker, int64_t epoch,
                              int64_t now_ms);

/* A broker that is not fenced in the image and whose session has ended; NULL when there is none.
 * *ret_next_ms: when the next session may end, INT64_MAX for never. */
const struct broker_image *heartbeats_expired(const struct heartbeats *heartbeats,
                                              const struct image *image, int64_t now_ms,
                                              int64_t *ret_next_ms);
/* The lowest offset that the active brokers say they have, leaving out one; INT64_MAX for none. */
int64_t heartbeats_lowest_active_offset(const struct heartbeats *heartbeats,
                                        const struct image *image, int32_t except_broker);

#endif
