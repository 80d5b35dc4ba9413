/*
 * The metadata image: what the metadata log says at one offset. An image is immutable once it is
 * published; any number of loops read it while the metadata loop builds the next one, which shares
 * all that did not change (image_chain.h says who frees what, and when).
 *
 * Applying records in the order of the log is the only way to change an image, so two nodes that
 * applied the same records hold equal images (image_equal).
 */
#ifndef KRAFTD_METADATA_IMAGE_H
#define KRAFTD_METADATA_IMAGE_H

#include "metadata/client_quotas_image.h"
#include "metadata/cluster_image.h"
#include "metadata/configs_image.h"
#include "metadata/features_image.h"
#include "metadata/security_image.h"
#include "metadata/topics_image.h"

struct image {
    uint64_t version; /* of the chain; grows by one with each image that is sealed */

    /* The last record in it; offset -1 and epoch -1 in an empty image. */
    int64_t offset;
    int32_t epoch;
    int64_t timestamp_ms;

    struct features_image features;
    struct cluster_image cluster;
    struct topics_image topics;
    struct configs_image configs;
    struct client_quotas_image client_quotas;
    int64_t next_producer_id; /* the first one that no block holds */
    struct acls_image acls;
    struct scram_image scram;
    struct delegation_tokens_image delegation_tokens;
};

/*
 * Applies one record. Records that only frame others (NoOp, Begin-, End- and AbortTransaction)
 * change nothing here. -EBADMSG when it does not fit, with the reason in edit->fault; the image may
 * then be half changed and has to be given up.
 */
int image_apply(struct image *image, struct image_edit *edit, const struct metadata_record *record);

/* Same contents; where in the log they come from does not matter. */
bool image_equal(const struct image *a, const struct image *b);

/*
 * All of the image as records, features first, in an order in which they apply to an empty image.
 * Returns what write returned last.
 */
int image_write(const struct image *image,
                int (*write)(void *ctx, const struct metadata_record *record), void *ctx);

/* Frees all that is newer than `newer_than` (0: everything); not the struct itself. */
void image_discard(struct image *image, uint64_t newer_than);
/* Makes it empty, retiring what it held. */
void image_clear(struct image *image, struct pmap_edit *edit);

#endif
