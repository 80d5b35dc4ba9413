/*
 * Asks controllers which cluster they are of (DescribeCluster, KIP-919): what a broker with empty
 * disks has to know before it can follow them; or, where somebody leads them, whether the quorum
 * goes on. It asks one after the other, for ever; a controller that has no cluster yet, or knows no
 * leader, has no answer.
 *
 * One loop. `found` comes once, on it, never from inside of a call.
 */
#ifndef KRAFTD_RAFT_CLUSTER_LOOKUP_H
#define KRAFTD_RAFT_CLUSTER_LOOKUP_H

#include "common/base/stream.h"

struct cluster_lookup;

struct cluster_lookup_config {
    struct loop *loop;
    const struct endpoint *controllers; /* copied */
    size_t count;
    int timeout_ms;
    int64_t backoff_ms;
    /* Only the answer of a controller of this cluster counts that knows a leader other than
     * node_id; NULL: any cluster. */
    const char *led_cluster_id;
    int32_t node_id;
    void (*found)(void *ctx, struct str cluster_id);
    void *ctx;
};

/* Begins to ask. */
struct cluster_lookup *cluster_lookup_new(const struct cluster_lookup_config *config);
/* Nothing comes after it but `stopped`, on a later turn. Once. */
void cluster_lookup_stop(struct cluster_lookup *lookup, void (*stopped)(void *ctx), void *ctx);
void cluster_lookup_free(struct cluster_lookup *lookup); /* stopped; NULL is fine */

#endif
