/*
 * What is served: key, versions, handler. An API that is not here is not advertised, and a request
 * for it closes the connection, as in Kafka.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/request.h"

#include <stddef.h>

const struct api_handler api_handlers[] = {
    {API_PRODUCE, 3, 13, handle_produce},
    {API_FETCH, 4, 18, handle_fetch},
    {API_LIST_OFFSETS, 1, 11, handle_list_offsets},
    {API_METADATA, 0, 13, handle_metadata},
    {API_API_VERSIONS, 0, 5, handle_api_versions},
    {API_CREATE_TOPICS, 2, 7, handle_create_topics},
    {API_DELETE_TOPICS, 1, 6, handle_delete_topics},
    {API_DELETE_RECORDS, 0, 2, handle_delete_records},
    {API_INIT_PRODUCER_ID, 0, 5, handle_init_producer_id},
    {API_OFFSET_FOR_LEADER_EPOCH, 2, 4, handle_offset_for_leader_epoch},
    {API_DESCRIBE_CONFIGS, 1, 4, handle_describe_configs},
    {API_ALTER_CONFIGS, 0, 2, handle_alter_configs},
    {API_ALTER_REPLICA_LOG_DIRS, 1, 2, handle_alter_replica_log_dirs},
    {API_DESCRIBE_LOG_DIRS, 1, 5, handle_describe_log_dirs},
    {API_CREATE_PARTITIONS, 0, 3, handle_create_partitions},
    {API_ELECT_LEADERS, 0, 2, handle_elect_leaders},
    {API_INCREMENTAL_ALTER_CONFIGS, 0, 1, handle_incremental_alter_configs},
    {API_ALTER_PARTITION_REASSIGNMENTS, 0, 1, handle_alter_partition_reassignments},
    {API_LIST_PARTITION_REASSIGNMENTS, 0, 0, handle_list_partition_reassignments},
    {API_DESCRIBE_QUORUM, 0, 2, handle_describe_quorum},
    {API_UPDATE_FEATURES, 0, 2, handle_update_features},
    {API_ENVELOPE, 0, 0, handle_envelope},
    {API_FETCH_SNAPSHOT, 0, 1, handle_fetch_snapshot},
    {API_ALTER_PARTITION, 2, 3, handle_alter_partition},
    {API_DESCRIBE_CLUSTER, 0, 2, handle_describe_cluster},
    {API_DESCRIBE_PRODUCERS, 0, 0, handle_describe_producers},
    {API_BROKER_REGISTRATION, 0, 4, handle_broker_registration},
    {API_BROKER_HEARTBEAT, 0, 2, handle_broker_heartbeat},
    {API_UNREGISTER_BROKER, 0, 0, handle_unregister_broker},
    {API_ALLOCATE_PRODUCER_IDS, 0, 0, handle_allocate_producer_ids},
    {API_CONTROLLER_REGISTRATION, 0, 0, handle_controller_registration},
    {API_ASSIGN_REPLICAS_TO_DIRS, 0, 0, handle_assign_replicas_to_dirs},
    {API_LIST_CONFIG_RESOURCES, 0, 1, handle_list_config_resources},
    {API_DESCRIBE_TOPIC_PARTITIONS, 0, 0, handle_describe_topic_partitions},
    {API_ADD_RAFT_VOTER, 0, 1, handle_add_raft_voter},
    {API_REMOVE_RAFT_VOTER, 0, 0, handle_remove_raft_voter},
    {API_UPDATE_RAFT_VOTER, 0, 0, handle_update_raft_voter},
    {API_UNREGISTER_CONTROLLER, 0, 0, handle_unregister_controller},
    {-1, 0, 0, NULL},
};

const struct api_handler *api_handler_find(int16_t api_key, uint8_t api_mask)
{
    const struct api *api = api_find(api_key);
    if (api == NULL || (api->listeners & api_mask) == 0)
        return NULL;
    for (const struct api_handler *handler = api_handlers; handler->api_key >= 0; handler++)
        if (handler->api_key == api_key)
            return handler;
    return NULL;
}
