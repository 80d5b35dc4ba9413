/*
 * What happens to the partitions of a broker that comes, goes, or lost data: records for those
 * whose ISR, leader or eligible replicas change. The work follows what the broker hosts. Pure.
 */
#ifndef KRAFTD_METADATA_PARTITIONS_H
#define KRAFTD_METADATA_PARTITIONS_H

#include "metadata/controller/controller.h"
#include "metadata/controller/partition_change.h"

/* Fenced: leaves every ISR and leads nothing. */
void partitions_broker_fenced(struct controller *controller, int32_t broker, struct arena *arena,
                              struct metadata_records *records);
/* Unfenced: may lead what has no leader, but for what lies in directories that failed meanwhile. */
void partitions_broker_unfenced(struct controller *controller, int32_t broker,
                                const struct uuid *lost, int32_t lost_count, struct arena *arena,
                                struct metadata_records *records);
/* Came back without a clean stop: whatever it did not flush may be lost, so it is no eligible
 * replica any more either. */
void partitions_broker_lost_data(struct controller *controller, int32_t broker, struct arena *arena,
                                 struct metadata_records *records);
/* Some of its log directories failed: their replicas leave every ISR and lead nothing. */
void partitions_directories_lost(struct controller *controller, int32_t broker,
                                 const struct uuid *directories, int32_t count, struct arena *arena,
                                 struct metadata_records *records);
/* Whether it leads a partition. */
bool partitions_broker_leads(const struct controller *controller, int32_t broker);

#endif
