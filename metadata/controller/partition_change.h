/*
 * One change of one partition: what the ISR, the leader and the eligible leader replicas become,
 * and the record that says so (KIP-455, KIP-966 in its "balanced" form). Pure.
 *
 * Eligible leader replicas (ELR) are those that left the ISR while it was below
 * min.insync.replicas: they hold everything that was committed, so they may lead when the ISR is
 * empty. The last known ELR holds the leader at the time the partition lost its last one; it is
 * elected, as unclean, when nothing else is left. Not when its disk is gone, and with it all that
 * made it the last to be trusted: then a person has to say who leads (Apache Kafka elects it).
 */
#ifndef KRAFTD_METADATA_PARTITION_CHANGE_H
#define KRAFTD_METADATA_PARTITION_CHANGE_H

#include "common/base/arena.h"
#include "metadata/topics_image.h"

enum election {
    ELECTION_ONLINE,    /* keep the leader where it may stay */
    ELECTION_PREFERRED, /* the first replica, where it may lead */
    ELECTION_UNCLEAN,   /* any live replica before none */
};

struct partition_change {
    /* Given. */
    struct uuid topic_id;
    const struct partition_image *partition;
    enum election election;
    bool (*may_lead)(void *ctx, int32_t node); /* alive, and not about to go */
    /* Where a new replica on this broker goes; needed when replicas are added. */
    struct uuid (*default_directory)(void *ctx, int32_t node);
    void *ctx;
    int32_t min_isr;
    bool elr_enabled;
    int16_t metadata_version;
    int32_t unclean_node; /* lost what it had not flushed: no ELR member; -1: none */

    /* What is wanted; partition_change_init sets them to what is. */
    struct node_list isr, replicas, removing, adding;
    int8_t recovery_state;
    int32_t moved_node; /* its replica's directory becomes moved_directory; -1: nobody's */
    struct uuid moved_directory;
    bool began_anew; /* that replica, with nothing: its directory was not moved, it is gone */
};

void partition_change_init(struct partition_change *change, struct uuid topic_id,
                           const struct partition_image *partition);
/* False when nothing would change. A reassignment that `isr` completes is completed. Lists of the
 * record lie in the arena. */
bool partition_change_make(struct partition_change *change, struct arena *arena,
                           struct partition_change_record *ret_record);
/* A list without some nodes, in the arena. */
struct node_list node_list_minus(struct node_list list, struct node_list minus,
                                 struct arena *arena);
/* The same nodes in ascending order. */
struct node_list node_list_sorted(struct node_list list, struct arena *arena);
struct node_list node_list_without(struct node_list list, int32_t node, struct arena *arena);

#endif
