/*
 * For tests: single partitions in the cluster of a controller_cluster.h, with broker ids as digits.
 */
#ifndef KRAFTD_TESTS_CONTROLLER_PARTITIONS_H
#define KRAFTD_TESTS_CONTROLLER_PARTITIONS_H

#include "tests/unit/metadata/controller/controller_cluster.h"

static inline struct node_list harness_ids(struct harness *h, const char *digits)
{
    int32_t count = (int32_t)strlen(digits);
    int32_t *ids = ARENA_ARRAY(&h->arena, int32_t, count);
    for (int32_t i = 0; i < count; i++)
        ids[i] = digits[i] - '0';
    return (struct node_list){ids, count};
}

/* One partition on the brokers of `replicas`, written as digits. */
static inline void harness_create_on(struct harness *h, const char *name, const char *replicas)
{
    struct create_topics_request request;
    struct create_topics_response response;
    message_init(&create_topics_request_desc, &request);
    request.topics_count = 1;
    request.topics = MESSAGE_ARRAY(&h->arena, create_topics_request_creatable_topic, 1);
    request.topics[0].name = arena_str(&h->arena, str_of(name));
    request.topics[0].num_partitions = -1;
    request.topics[0].replication_factor = -1;
    request.topics[0].assignments_count = 1;
    request.topics[0].assignments =
        MESSAGE_ARRAY(&h->arena, create_topics_request_creatable_replica_assignment, 1);
    struct node_list ids = harness_ids(h, replicas);
    request.topics[0].assignments[0].broker_ids_count = ids.count;
    request.topics[0].assignments[0].broker_ids = (int32_t *)(uintptr_t)ids.ids;
    controller_create_topics(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    assert_int_equal(response.topics[0].error_code, 0);
    harness_commit(h);
}

/* What the leader would ask for; the ISR is written in digits. */
static inline struct alter_partition_request harness_isr_request(struct harness *h,
                                                                 const struct topic_image *topic,
                                                                 const struct partition_image *p,
                                                                 struct node_list isr)
{
    struct alter_partition_request request;
    const struct cluster_image *cluster = &harness_image(h)->cluster;
    const struct broker_image *leader = cluster_image_broker(cluster, p->leader);
    message_init(&alter_partition_request_desc, &request);
    request.broker_id = p->leader;
    request.broker_epoch = leader ? leader->epoch : -1;
    request.topics_count = 1;
    request.topics = MESSAGE_ARRAY(&h->arena, alter_partition_request_topic_data, 1);
    request.topics[0].topic_id = topic->id;
    request.topics[0].partitions_count = 1;
    request.topics[0].partitions =
        MESSAGE_ARRAY(&h->arena, alter_partition_request_partition_data, 1);
    struct alter_partition_request_partition_data *data = &request.topics[0].partitions[0];
    data->partition_index = p->id;
    data->leader_epoch = p->leader_epoch;
    data->partition_epoch = p->partition_epoch;
    data->leader_recovery_state = p->recovery_state;
    data->new_isr_with_epochs_count = isr.count;
    data->new_isr_with_epochs =
        MESSAGE_ARRAY(&h->arena, alter_partition_request_broker_state, isr.count);
    for (int32_t i = 0; i < isr.count; i++) {
        const struct broker_image *member = cluster_image_broker(cluster, isr.ids[i]);
        data->new_isr_with_epochs[i].broker_id = isr.ids[i];
        data->new_isr_with_epochs[i].broker_epoch = member ? member->epoch : -1;
    }
    return request;
}

/* The error of the only partition, or of the whole. */
static inline int16_t harness_alter(struct harness *h,
                                    const struct alter_partition_request *request,
                                    struct alter_partition_response *ret_response)
{
    controller_alter_partition(h->c, &h->ctx, request, &h->arena, ret_response, &h->result);
    harness_commit(h);
    return ret_response->error_code ? ret_response->error_code
                                    : ret_response->topics[0].partitions[0].error_code;
}

/* The leader of partition 0 sets its ISR. */
static inline int16_t harness_set_isr(struct harness *h, const char *name, const char *isr)
{
    struct alter_partition_response response;
    const struct topic_image *topic = topics_image_find(&harness_image(h)->topics, str_of(name));
    struct alter_partition_request request =
        harness_isr_request(h, topic, topic_image_partition(topic, 0), harness_ids(h, isr));
    return harness_alter(h, &request, &response);
}

/* The broker's replica of partition 0 lies in this directory. */
static inline void harness_assign(struct harness *h, int32_t broker, struct uuid directory,
                                  const char *name)
{
    struct assign_replicas_to_dirs_request request;
    struct assign_replicas_to_dirs_response response;
    struct assign_replicas_to_dirs_request_partition_data partition = {0};
    struct assign_replicas_to_dirs_request_topic_data topic = {
        .topic_id = topics_image_find(&harness_image(h)->topics, str_of(name))->id,
        .partitions = &partition,
        .partitions_count = 1};
    struct assign_replicas_to_dirs_request_directory_data one = {
        .id = directory, .topics = &topic, .topics_count = 1};
    message_init(&assign_replicas_to_dirs_request_desc, &request);
    request.broker_id = broker;
    request.broker_epoch = cluster_image_broker(&harness_image(h)->cluster, broker)->epoch;
    request.directories = &one;
    request.directories_count = 1;
    controller_assign_replicas_to_dirs(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    harness_commit(h);
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.directories[0].topics[0].partitions[0].error_code, 0);
}

static inline void harness_set_topic(struct harness *h, const char *topic, const char *key,
                                     const char *value)
{
    struct config_record config = {.resource_type = CONFIG_RESOURCE_TOPIC,
                                   .resource_name = arena_str(&h->arena, str_of(topic)),
                                   .name = arena_str(&h->arena, str_of(key)),
                                   .value = arena_str(&h->arena, str_of(value))};
    struct metadata_record record = {METADATA_CONFIG_RECORD, 0, &config};
    h->result = (struct controller_result){.records = {&record, 1, 1}};
    harness_commit(h);
    h->last.count = 0;
}

/* Against a list written in digits. */
static inline void harness_assert_ids(struct node_list list, const char *digits)
{
    char text[32] = "";
    for (int32_t i = 0; i < list.count && i < 31; i++)
        text[i] = (char)('0' + list.ids[i]);
    assert_string_equal(text, digits);
}

#endif
