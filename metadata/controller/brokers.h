/*
 * Brokers in the controller: registration, heartbeats, fencing (KIP-631, KIP-841, KIP-858). The
 * requests are in controller_api.h; this is what other concerns of the controller need. Pure.
 */
#ifndef KRAFTD_METADATA_BROKERS_H
#define KRAFTD_METADATA_BROKERS_H

#include "metadata/controller/controller.h"

/* Records that fence a broker. */
void brokers_fence(struct controller *controller, const struct broker_image *broker,
                   struct arena *arena, struct metadata_records *records);

/* Registered, not fenced and not about to stop: may be in an ISR. */
bool brokers_is_active(const struct controller *controller, int32_t broker);
/* Where a new replica on this broker goes: its only directory, else UNASSIGNED, or MIGRATING where
 * the broker did not say (KIP-858). */
struct uuid brokers_default_directory(const struct controller *controller, int32_t broker);
/* Whether a directory takes new replicas (KIP-1066). */
bool broker_image_takes_replicas(const struct broker_image *broker);

#endif
