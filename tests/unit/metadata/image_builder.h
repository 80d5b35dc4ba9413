/*
 * For tests: records applied to a draft, one call each.
 */
#ifndef KRAFTD_TESTS_IMAGE_BUILDER_H
#define KRAFTD_TESTS_IMAGE_BUILDER_H

#include "common/protocol/codec.h"
#include "metadata/image_chain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static inline int apply(struct image_draft *draft, int16_t key, const void *data)
{
    struct metadata_record record = {.key = key, .data = data};
    return image_apply(draft->image, &draft->edit, &record);
}

static inline struct uuid test_id(uint32_t number)
{
    struct uuid id = {{0}};
    id.b[0] = 0x7e;
    for (int i = 0; i < 4; i++)
        id.b[15 - i] = (uint8_t)(number >> (8 * i));
    return id;
}

static inline int apply_topic(struct image_draft *draft, const char *name, uint32_t id)
{
    struct topic_record record;
    message_init(&topic_record_desc, &record);
    record.name = str_of(name);
    record.topic_id = test_id(id);
    return apply(draft, METADATA_TOPIC_RECORD, &record);
}

static inline int apply_remove_topic(struct image_draft *draft, uint32_t id)
{
    struct remove_topic_record record;
    message_init(&remove_topic_record_desc, &record);
    record.topic_id = test_id(id);
    return apply(draft, METADATA_REMOVE_TOPIC_RECORD, &record);
}

/* Replicas and ISR are `count` ids; the first one leads. */
static inline int apply_partition(struct image_draft *draft, uint32_t topic, int32_t partition,
                                  const int32_t *replicas, int32_t count)
{
    struct partition_record record;
    struct uuid directories[8];
    message_init(&partition_record_desc, &record);
    record.topic_id = test_id(topic);
    record.partition_id = partition;
    record.replicas = record.isr = (int32_t *)(uintptr_t)replicas;
    record.replicas_count = record.isr_count = count;
    record.leader = replicas[0];
    record.leader_epoch = record.partition_epoch = 0;
    for (int32_t i = 0; i < count; i++)
        directories[i] = test_id((uint32_t)replicas[i]);
    record.directories = directories;
    record.directories_count = count;
    return apply(draft, METADATA_PARTITION_RECORD, &record);
}

static inline int apply_leader(struct image_draft *draft, uint32_t topic, int32_t partition,
                               int32_t leader)
{
    struct partition_change_record record;
    message_init(&partition_change_record_desc, &record);
    record.topic_id = test_id(topic);
    record.partition_id = partition;
    record.leader = leader;
    return apply(draft, METADATA_PARTITION_CHANGE_RECORD, &record);
}

static inline int apply_config(struct image_draft *draft, int8_t type, const char *resource,
                               const char *name, const char *value)
{
    struct config_record record;
    message_init(&config_record_desc, &record);
    record.resource_type = type;
    record.resource_name = str_of(resource);
    record.name = str_of(name);
    record.value = str_of(value);
    return apply(draft, METADATA_CONFIG_RECORD, &record);
}

static inline const struct partition_image *partition_of(const struct image *image, uint32_t topic,
                                                         int32_t partition)
{
    const struct topic_image *found = topics_image_find_id(&image->topics, test_id(topic));
    return found ? topic_image_partition(found, partition) : NULL;
}

#endif
