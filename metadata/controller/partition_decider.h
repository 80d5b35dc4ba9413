/*
 * What changes of partitions are decided with: who may lead, the settings of the topic, the levels
 * of the cluster. One decider serves any number of partitions of one decision; partitions of one
 * topic one after the other cost one look at the topic's settings. Pure; on the stack, nothing to
 * release.
 *
 * A broker may lead when it is registered, not fenced, not about to stop, and its replica's
 * directory is online (KIP-841, KIP-858), in the image that the decision's records lead to: who
 * goes or comes by them is named.
 */
#ifndef KRAFTD_METADATA_PARTITION_DECIDER_H
#define KRAFTD_METADATA_PARTITION_DECIDER_H

#include "metadata/controller/controller.h"
#include "metadata/controller/partition_change.h"

struct partition_decider {
    const struct controller *controller;
    int32_t leaving; /* may not lead any more; -1: nobody */
    int32_t coming;  /* may lead from now on; -1: nobody */
    /* Directories of one broker that fail by this decision. */
    int32_t lost_broker;
    const struct uuid *lost;
    int32_t lost_count;
    const struct partition_change *change; /* the one at hand */
    const struct topic_image *topic;       /* whose settings these are */
    int32_t min_isr;
    bool unclean_allowed; /* unclean.leader.election.enable */
};

void partition_decider_init(struct partition_decider *decider, const struct controller *controller);
/* A change of the partition that wants what is, with everything that is given filled in. The
 * election is unclean where the topic allows it, as for all elections that nobody asked for. Both
 * must stay where they are until the change is made. */
void partition_decider_begin(struct partition_decider *decider, const struct topic_image *topic,
                             const struct partition_image *partition,
                             struct partition_change *ret_change);
/* Adds the record of the change and returns it, NULL when nothing changes. */
const struct partition_change_record *partition_decider_finish(struct partition_decider *decider,
                                                               struct partition_change *change,
                                                               struct arena *arena,
                                                               struct metadata_records *records);

#endif
