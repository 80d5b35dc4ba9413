/*
 * For tests: brokers and topics in the cluster of a controller_harness.h.
 */
#ifndef KRAFTD_TESTS_CONTROLLER_CLUSTER_H
#define KRAFTD_TESTS_CONTROLLER_CLUSTER_H

#include "tests/unit/metadata/controller/controller_harness.h"

static inline uint32_t harness_below(struct harness *h, uint32_t bound)
{
    return (uint32_t)(harness_random(h) >> 8) % bound;
}

static inline struct uuid harness_directory(int32_t broker, int number)
{
    struct uuid id = {{0}};
    id.b[0] = 0xd1;
    id.b[1] = (uint8_t)broker;
    id.b[2] = (uint8_t)number;
    return id;
}

static inline struct broker_registration_request
harness_registration(struct harness *h, int32_t broker, int directories, const char *rack)
{
    struct broker_registration_request request;
    message_init(&broker_registration_request_desc, &request);
    request.broker_id = broker;
    request.cluster_id = h->config.cluster_id;
    request.incarnation_id.b[0] = (uint8_t)harness_random(h);
    request.incarnation_id.b[1] = (uint8_t)harness_random(h);
    request.rack = str_of(rack);
    request.listeners_count = 1;
    request.listeners = MESSAGE_ARRAY(&h->arena, broker_registration_request_listener, 1);
    request.listeners[0].name = STR("PLAINTEXT");
    request.listeners[0].host = STR("localhost");
    request.listeners[0].port = (uint16_t)(9092 + broker);
    request.features_count = (int32_t)feature_table_size;
    request.features =
        MESSAGE_ARRAY(&h->arena, broker_registration_request_feature, feature_table_size);
    for (size_t i = 0; i < feature_table_size; i++) {
        request.features[i].name = str_of(feature_table[i].name);
        request.features[i].min_supported_version = feature_table[i].min_level;
        request.features[i].max_supported_version = feature_table[i].max_level;
    }
    request.log_dirs_count = directories;
    request.log_dirs = ARENA_ARRAY(&h->arena, struct uuid, directories);
    for (int i = 0; i < directories; i++)
        request.log_dirs[i] = harness_directory(broker, i);
    return request;
}

static inline struct broker_heartbeat_response
harness_heartbeat(struct harness *h, int32_t broker, bool want_fence, bool want_shut_down)
{
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    const struct broker_image *image = cluster_image_broker(&harness_image(h)->cluster, broker);
    message_init(&broker_heartbeat_request_desc, &request);
    request.broker_id = broker;
    request.broker_epoch = image ? image->epoch : -1;
    request.current_metadata_offset = h->ctx.next_offset - 1;
    request.want_fence = want_fence;
    request.want_shut_down = want_shut_down;
    controller_broker_heartbeat(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    harness_commit(h);
    return response;
}

/* Registers it and lets it in; returns its epoch. */
static inline int64_t harness_add_broker(struct harness *h, int32_t broker, int directories,
                                         const char *rack)
{
    struct broker_registration_request request = harness_registration(h, broker, directories, rack);
    struct broker_registration_response response;
    controller_broker_registration(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    assert_int_equal(response.error_code, 0);
    harness_commit(h);
    assert_false(harness_heartbeat(h, broker, false, false).is_fenced);
    return response.broker_epoch;
}

/* The error code; *ret_message may be NULL. */
static inline int16_t harness_create_topic(struct harness *h, const char *name, int32_t partitions,
                                           int16_t factor, struct str *ret_message)
{
    struct create_topics_request request;
    struct create_topics_response response;
    message_init(&create_topics_request_desc, &request);
    request.topics_count = 1;
    request.topics = MESSAGE_ARRAY(&h->arena, create_topics_request_creatable_topic, 1);
    request.topics[0].name = arena_str(&h->arena, str_of(name));
    request.topics[0].num_partitions = partitions;
    request.topics[0].replication_factor = factor;
    controller_create_topics(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    harness_commit(h);
    assert_int_equal(response.topics_count, 1);
    if (ret_message)
        *ret_message = response.topics[0].error_message;
    return response.topics[0].error_code;
}

static inline const struct partition_image *harness_partition(const struct harness *h,
                                                              const char *topic, int32_t id)
{
    const struct topic_image *found = topics_image_find(&harness_image(h)->topics, str_of(topic));
    return found ? topic_image_partition(found, id) : NULL;
}

/* The process died and came back; what it had not flushed may be gone. */
static inline void harness_restart(struct harness *h, int32_t broker)
{
    struct broker_registration_request request = harness_registration(h, broker, 2, NULL);
    struct broker_registration_response response;
    controller_broker_registration(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    assert_int_equal(response.error_code, 0);
    harness_commit(h);
    assert_false(harness_heartbeat(h, broker, false, false).is_fenced);
}

#endif
