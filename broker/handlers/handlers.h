/*
 * The handlers: one file per API, named after it. Each takes a decoded request on its connection's
 * loop and ends it (request.h). The table in api_handlers.c says which versions are served.
 */
#ifndef KRAFTD_BROKER_HANDLERS_HANDLERS_H
#define KRAFTD_BROKER_HANDLERS_HANDLERS_H

#include <stdbool.h>

struct request;

/* Who fetches or lists offsets under this replica id is told by any replica, leader or not, of all
 * that its own log holds. */
enum { DEBUGGING_REPLICA_ID = -2 };

/* A Fetch of a session that belongs to the life of a broker that the metadata knows; whoever else
 * says that it is a replica is a reader that will be refused, partition by partition. */
bool fetch_is_by_known_replica(const struct request *request);
void handle_fetch_by_replica(struct request *request);

void handle_add_raft_voter(struct request *request);
void handle_allocate_producer_ids(struct request *request);
void handle_alter_configs(struct request *request);
void handle_alter_partition(struct request *request);
void handle_alter_partition_reassignments(struct request *request);
void handle_alter_replica_log_dirs(struct request *request);
void handle_api_versions(struct request *request);
void handle_assign_replicas_to_dirs(struct request *request);
void handle_broker_heartbeat(struct request *request);
void handle_broker_registration(struct request *request);
void handle_controller_registration(struct request *request);
void handle_create_partitions(struct request *request);
void handle_create_topics(struct request *request);
void handle_delete_records(struct request *request);
void handle_delete_topics(struct request *request);
void handle_describe_cluster(struct request *request);
void handle_describe_configs(struct request *request);
void handle_describe_log_dirs(struct request *request);
void handle_describe_producers(struct request *request);
void handle_describe_quorum(struct request *request);
void handle_describe_topic_partitions(struct request *request);
void handle_elect_leaders(struct request *request);
void handle_envelope(struct request *request);
void handle_fetch(struct request *request);
void handle_fetch_metadata_log(struct request *request);
void handle_fetch_snapshot(struct request *request);
void handle_incremental_alter_configs(struct request *request);
void handle_init_producer_id(struct request *request);
void handle_list_config_resources(struct request *request);
void handle_list_offsets(struct request *request);
void handle_list_partition_reassignments(struct request *request);
void handle_metadata(struct request *request);
void handle_offset_for_leader_epoch(struct request *request);
void handle_produce(struct request *request);
void handle_remove_raft_voter(struct request *request);
void handle_unregister_broker(struct request *request);
void handle_unregister_controller(struct request *request);
void handle_update_features(struct request *request);
void handle_update_raft_voter(struct request *request);

#endif
