/*
 * What changed between two images: every object as a pair, the one before and the one after, NULL
 * where it did not exist. Made by comparing the images, at a cost that follows the size of the
 * change, so a batch of the log, a loaded snapshot and a jump over several batches look the same.
 *
 * Pairs come in order of keys. Objects that were written anew with equal contents are not left out.
 * Read-only once made; what it points to lives as long as the two images.
 */
#ifndef KRAFTD_METADATA_DELTA_H
#define KRAFTD_METADATA_DELTA_H

#include "metadata/image.h"

/* One list of pairs, with the type of what they point to. */
#define DELTA_PAIRS(name)                                                                          \
    struct {                                                                                       \
        struct {                                                                                   \
            const struct name *before, *after;                                                     \
        } * items;                                                                                 \
        size_t count, capacity;                                                                    \
    }

struct partition_delta {
    const struct topic_image *topic; /* after, or before where the topic is gone */
    const struct partition_image *before, *after;
};

struct image_delta {
    const struct image *before, *after;
    DELTA_PAIRS(feature_image) features;
    DELTA_PAIRS(broker_image) brokers;
    DELTA_PAIRS(controller_image) controllers;
    /* By id: a name that was deleted and made again is two pairs. A topic whose partitions changed
     * is here too. */
    DELTA_PAIRS(topic_image) topics;
    struct {
        struct partition_delta *items; /* in the order of `topics` */
        size_t count, capacity;
    } partitions;
    DELTA_PAIRS(config_image) configs; /* by type, then name */
    DELTA_PAIRS(client_quota_image) client_quotas;
    DELTA_PAIRS(acl_image) acls;
    DELTA_PAIRS(scram_credential_image) scram;
    DELTA_PAIRS(delegation_token_image) delegation_tokens;
};

struct image_delta *image_delta_new(const struct image *before, const struct image *after);
/* NULL is fine. */
void image_delta_free(struct image_delta *delta);
/* Whether anything but the place in the log differs. */
bool image_delta_empty(const struct image_delta *delta);

#endif
