#include "metadata/image.h"

#include "common/protocol/codec.h"

static int apply_producer_ids(struct image *image, struct image_edit *edit,
                              const struct producer_ids_record *record)
{
    if (record->next_producer_id < 0)
        return image_fault(edit, "next producer id %lld", (long long)record->next_producer_id);
    image->next_producer_id = record->next_producer_id;
    return 0;
}

/* A topic takes its configs with it. */
static int apply_remove_topic(struct image *image, struct image_edit *edit,
                              const struct remove_topic_record *record)
{
    const struct topic_image *topic = topics_image_find_id(&image->topics, record->topic_id);
    if (topic)
        configs_image_remove(&image->configs, edit, CONFIG_RESOURCE_TOPIC, topic_name(topic));
    return topics_image_remove_topic(&image->topics, edit, record);
}

static int apply_cluster(struct cluster_image *cluster, struct image_edit *edit,
                         const struct metadata_record *record)
{
    switch (record->key) {
    case METADATA_REGISTER_BROKER_RECORD:
        return cluster_image_register_broker(cluster, edit, record->data);
    case METADATA_UNREGISTER_BROKER_RECORD:
        return cluster_image_unregister_broker(cluster, edit, record->data);
    case METADATA_FENCE_BROKER_RECORD: {
        const struct fence_broker_record *fence = record->data;
        return cluster_image_set_fenced(cluster, edit, fence->id, fence->epoch, true);
    }
    case METADATA_UNFENCE_BROKER_RECORD: {
        const struct unfence_broker_record *unfence = record->data;
        return cluster_image_set_fenced(cluster, edit, unfence->id, unfence->epoch, false);
    }
    case METADATA_BROKER_REGISTRATION_CHANGE_RECORD:
        return cluster_image_change_broker(cluster, edit, record->data);
    case METADATA_REGISTER_CONTROLLER_RECORD:
        return cluster_image_register_controller(cluster, edit, record->data);
    case METADATA_UNREGISTER_CONTROLLER_RECORD:
        return cluster_image_unregister_controller(cluster, edit, record->data);
    default:
        return image_fault(edit, "record key %d is unknown", record->key);
    }
}

static int apply_security(struct image *image, struct image_edit *edit,
                          const struct metadata_record *record)
{
    switch (record->key) {
    case METADATA_ACCESS_CONTROL_ENTRY_RECORD:
        return acls_image_add(&image->acls, edit, record->data);
    case METADATA_REMOVE_ACCESS_CONTROL_ENTRY_RECORD:
        return acls_image_remove(&image->acls, edit, record->data);
    case METADATA_USER_SCRAM_CREDENTIAL_RECORD:
        return scram_image_put(&image->scram, edit, record->data);
    case METADATA_REMOVE_USER_SCRAM_CREDENTIAL_RECORD:
        return scram_image_remove(&image->scram, edit, record->data);
    case METADATA_DELEGATION_TOKEN_RECORD:
        return delegation_tokens_image_put(&image->delegation_tokens, edit, record->data);
    case METADATA_REMOVE_DELEGATION_TOKEN_RECORD:
        return delegation_tokens_image_remove(&image->delegation_tokens, edit, record->data);
    default:
        return apply_cluster(&image->cluster, edit, record);
    }
}

int image_apply(struct image *image, struct image_edit *edit, const struct metadata_record *record)
{
    switch (record->key) {
    case METADATA_TOPIC_RECORD:
        return topics_image_add_topic(&image->topics, edit, record->data);
    case METADATA_PARTITION_RECORD:
        return topics_image_put_partition(&image->topics, edit, record->data);
    case METADATA_PARTITION_CHANGE_RECORD:
        return topics_image_change_partition(&image->topics, edit, record->data);
    case METADATA_REMOVE_TOPIC_RECORD:
        return apply_remove_topic(image, edit, record->data);
    case METADATA_CLEAR_ELR_RECORD:
        return topics_image_clear_elr(&image->topics, edit, record->data);
    case METADATA_CONFIG_RECORD:
        return configs_image_apply(&image->configs, edit, record->data);
    case METADATA_FEATURE_LEVEL_RECORD:
        return features_image_apply(&image->features, edit, record->data);
    case METADATA_CLIENT_QUOTA_RECORD:
        return client_quotas_image_apply(&image->client_quotas, edit, record->data);
    case METADATA_PRODUCER_IDS_RECORD:
        return apply_producer_ids(image, edit, record->data);
    case METADATA_NO_OP_RECORD:
    case METADATA_ZK_MIGRATION_STATE_RECORD: /* history of clusters that once used ZooKeeper */
    case METADATA_BEGIN_TRANSACTION_RECORD:
    case METADATA_END_TRANSACTION_RECORD:
    case METADATA_ABORT_TRANSACTION_RECORD:
        return 0;
    default:
        return apply_security(image, edit, record);
    }
}

bool image_equal(const struct image *a, const struct image *b)
{
    return features_image_equal(&a->features, &b->features) &&
           cluster_image_equal(&a->cluster, &b->cluster) &&
           topics_image_equal(&a->topics, &b->topics) &&
           configs_image_equal(&a->configs, &b->configs) &&
           client_quotas_image_equal(&a->client_quotas, &b->client_quotas) &&
           a->next_producer_id == b->next_producer_id && acls_image_equal(&a->acls, &b->acls) &&
           scram_image_equal(&a->scram, &b->scram) &&
           delegation_tokens_image_equal(&a->delegation_tokens, &b->delegation_tokens);
}

int image_write(const struct image *image,
                int (*write)(void *ctx, const struct metadata_record *record), void *ctx)
{
    struct image_writer writer = {
        .write = write,
        .ctx = ctx,
        .metadata_version = features_image_metadata_version(&image->features),
    };
    features_image_write(&image->features, &writer);
    cluster_image_write(&image->cluster, &writer);
    topics_image_write(&image->topics, &writer);
    configs_image_write(&image->configs, &writer);
    client_quotas_image_write(&image->client_quotas, &writer);
    if (image->next_producer_id > 0) {
        struct producer_ids_record record;
        message_init(&producer_ids_record_desc, &record);
        record.broker_id = -1;
        record.broker_epoch = -1;
        record.next_producer_id = image->next_producer_id;
        IMAGE_WRITE(&writer, PRODUCER_IDS, 0, &record);
    }
    acls_image_write(&image->acls, &writer);
    scram_image_write(&image->scram, &writer);
    delegation_tokens_image_write(&image->delegation_tokens, &writer);
    return writer.error;
}

/* Every map of the image with its kind; indexes before the maps that own their values. */
static void for_each_map(struct image *image,
                         void (*visit)(const struct pmap_kind *kind, struct pmap *map, void *ctx),
                         void *ctx)
{
    visit(&feature_image_kind, &image->features.by_name, ctx);
    visit(&broker_image_kind, &image->cluster.brokers, ctx);
    visit(&controller_image_kind, &image->cluster.controllers, ctx);
    visit(&hosted_image_kind, &image->topics.hosted, ctx);
    visit(&unsettled_image_kind, &image->topics.unsettled, ctx);
    visit(&topic_by_id_kind, &image->topics.by_id, ctx);
    visit(&topic_by_name_kind, &image->topics.by_name, ctx);
    for (int i = 0; i < CONFIG_RESOURCE_TYPES; i++)
        visit(&config_image_kind, &image->configs.by_type[i], ctx);
    visit(&client_quota_image_kind, &image->client_quotas.by_entity, ctx);
    visit(&acl_image_kind, &image->acls.by_id, ctx);
    for (int i = 0; i < SCRAM_MECHANISMS; i++)
        visit(&scram_credential_image_kind, &image->scram.by_mechanism[i], ctx);
    visit(&delegation_token_image_kind, &image->delegation_tokens.by_id, ctx);
}

static void discard_map(const struct pmap_kind *kind, struct pmap *map, void *ctx)
{
    pmap_discard(kind, map, *(const uint64_t *)ctx);
}

void image_discard(struct image *image, uint64_t newer_than)
{
    for_each_map(image, discard_map, &newer_than);
}

static void clear_map(const struct pmap_kind *kind, struct pmap *map, void *ctx)
{
    pmap_clear(kind, map, ctx);
}

void image_clear(struct image *image, struct pmap_edit *edit)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, image->topics.by_name);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&iter)) != NULL;) {
        struct pmap partitions = topic->partitions;
        pmap_clear(&partition_image_kind, &partitions, edit);
    }
    for_each_map(image, clear_map, edit);
    image->topics.partition_count = 0;
    image->next_producer_id = 0;
    image->offset = -1;
    image->epoch = -1;
    image->timestamp_ms = -1;
}
