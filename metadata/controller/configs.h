/*
 * Dynamic configs in the controller: what may be set on which resource, and the records. The
 * requests are in controller_api.h; this is what other concerns need. Pure.
 *
 * Values of broker keys are checked by the brokers, who know what they can change while running.
 */
#ifndef KRAFTD_METADATA_CONTROLLER_CONFIGS_H
#define KRAFTD_METADATA_CONTROLLER_CONFIGS_H

#include "metadata/controller/controller_internal.h"

struct config_change {
    struct str name;
    struct str value; /* null: delete */
};

/* All that a topic would then set. */
struct api_error configs_check_topic(const struct controller *controller,
                                     const struct config_entry *entries, int32_t count,
                                     struct arena *arena);
/* The same for any resource; its name too. */
struct api_error configs_check(const struct controller *controller, int8_t type, struct str name,
                               const struct config_entry *entries, int32_t count,
                               struct arena *arena);

/* Records of the changes, and with ELR what a new min.insync.replicas needs. */
void configs_add_records(const struct controller *controller, int8_t type, struct str name,
                         const struct config_change *changes, int32_t count, struct arena *arena,
                         struct metadata_records *records);
/* Before ELR is turned on: min.insync.replicas of the cluster into the log, that of single brokers
 * out of it. */
void configs_prepare_elr(const struct controller *controller, struct arena *arena,
                         struct metadata_records *records);

#endif
