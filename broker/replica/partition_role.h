/*
 * What the metadata says of a partition, in the form that its replica here works with. A role that
 * comes with a call borrows its lists; a kept one owns a copy (partition_role_set). Owner loop.
 */
#ifndef KRAFTD_BROKER_REPLICA_PARTITION_ROLE_H
#define KRAFTD_BROKER_REPLICA_PARTITION_ROLE_H

#include "metadata/partition_image.h"

struct partition_role {
    int32_t leader_id; /* -1: none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int8_t recovery_state; /* enum leader_recovery_state */
    struct node_list replicas, isr;
    struct uuid directory; /* where the replica here lies, or a reserved id (KIP-858) */
};

/* Borrows the image's lists. */
struct partition_role partition_role_of(const struct partition_image *image, int32_t node_id);
/* Makes `kept` an owned copy of `from`, which may borrow from `kept` itself. Starts from zero. */
void partition_role_set(struct partition_role *kept, const struct partition_role *from);
void partition_role_release(struct partition_role *kept);

#endif
