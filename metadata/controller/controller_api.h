/*
 * The requests that the controller decides. Each fills in the whole response, with defaults where
 * it says nothing, and adds the records to *ret_result (empty when nothing changes, or on an
 * error). Nothing is changed by the call; see controller.h for what comes next. Who may ask for
 * what was checked before. Responses and records live in the arena and point into the request.
 * Metadata loop; the controller must be active.
 */
#ifndef KRAFTD_METADATA_CONTROLLER_API_H
#define KRAFTD_METADATA_CONTROLLER_API_H

#include "common/protocol/messages/allocate_producer_ids.h"
#include "common/protocol/messages/alter_configs.h"
#include "common/protocol/messages/alter_partition.h"
#include "common/protocol/messages/alter_partition_reassignments.h"
#include "common/protocol/messages/assign_replicas_to_dirs.h"
#include "common/protocol/messages/broker_heartbeat.h"
#include "common/protocol/messages/broker_registration.h"
#include "common/protocol/messages/controller_registration.h"
#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/elect_leaders.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "common/protocol/messages/list_partition_reassignments.h"
#include "common/protocol/messages/unregister_broker.h"
#include "common/protocol/messages/unregister_controller.h"
#include "common/protocol/messages/update_features.h"
#include "metadata/controller/controller.h"

#define CONTROLLER_API(name)                                                                       \
    void controller_##name(struct controller *controller, const struct controller_context *ctx,    \
                           const struct name##_request *request, struct arena *arena,              \
                           struct name##_response *ret_response,                                   \
                           struct controller_result *ret_result)

/* topics.c */
CONTROLLER_API(create_topics);
/* topics_delete.c; all versions: names of up to version 5 stand in topic_names. */
CONTROLLER_API(delete_topics);
/* topics_grow.c */
CONTROLLER_API(create_partitions);
/* configs.c */
CONTROLLER_API(alter_configs);
CONTROLLER_API(incremental_alter_configs);
/* brokers.c. A new incarnation replaces a live one only from the same log directories: it holds
 * their locks, so the old process is gone. */
CONTROLLER_API(broker_registration);
CONTROLLER_API(broker_heartbeat);
CONTROLLER_API(unregister_broker);
/* alter_partition.c: versions 2 and 3. The member of an ISR whose epoch is -1 is taken as the one
 * that is registered. */
CONTROLLER_API(alter_partition);
/* elections.c */
CONTROLLER_API(elect_leaders);
/* reassignments.c */
CONTROLLER_API(alter_partition_reassignments);
CONTROLLER_API(list_partition_reassignments);
/* replica_directories.c */
CONTROLLER_API(assign_replicas_to_dirs);
/* controllers.c */
CONTROLLER_API(controller_registration);
CONTROLLER_API(unregister_controller);
/* features.c */
CONTROLLER_API(update_features);
/* producer_ids.c */
CONTROLLER_API(allocate_producer_ids);

#endif
