/*
 * Replicas of new partitions: placed by the controller or given by the caller, checked as Kafka
 * checks them, and the records of the partitions. Pure.
 */
#ifndef KRAFTD_METADATA_ASSIGNMENTS_H
#define KRAFTD_METADATA_ASSIGNMENTS_H

#include "metadata/controller/controller_internal.h"

/* partition_count times replication_factor broker ids, or an error: too few brokers, none usable.
 */
struct api_error assignments_place(const struct controller *controller, int32_t partition_count,
                                   int32_t replication_factor, struct arena *arena,
                                   int32_t **ret_replicas);
/* One list that the caller gave; expected_count -1: any length. */
struct api_error assignments_check(const struct controller *controller, struct node_list replicas,
                                   int32_t expected_count, struct arena *arena);
/* The brokers of a list that may be in an ISR now. */
struct node_list assignments_active(const struct controller *controller, struct node_list replicas,
                                    struct arena *arena);
/* The record of a new partition; the first of isr leads. */
void assignments_add_record(const struct controller *controller, struct uuid topic_id,
                            int32_t partition_id, struct node_list replicas, struct node_list isr,
                            struct arena *arena, struct metadata_records *records);

#endif
