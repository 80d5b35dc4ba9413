#include "metadata/delta.h"

#include "common/base/mem.h"

#include <stdlib.h>

/* One function per list, because each has a type of its own. */
#define REPORT_OF(function, list)                                                                  \
    static void function(void *ctx, void *before, void *after)                                     \
    {                                                                                              \
        struct image_delta *delta = ctx;                                                           \
        delta->list.items = mem_grow(delta->list.items, delta->list.count, &delta->list.capacity,  \
                                     sizeof(*delta->list.items));                                  \
        delta->list.items[delta->list.count].before = before;                                      \
        delta->list.items[delta->list.count++].after = after;                                      \
    }
REPORT_OF(report_feature, features)
REPORT_OF(report_broker, brokers)
REPORT_OF(report_controller, controllers)
REPORT_OF(report_config, configs)
REPORT_OF(report_client_quota, client_quotas)
REPORT_OF(report_acl, acls)
REPORT_OF(report_scram, scram)
REPORT_OF(report_delegation_token, delegation_tokens)
REPORT_OF(add_topic, topics)
#undef REPORT_OF

struct topic_partitions {
    struct image_delta *delta;
    const struct topic_image *topic;
};

static void report_partition(void *ctx, void *before, void *after)
{
    const struct topic_partitions *of = ctx;
    struct image_delta *delta = of->delta;
    VEC_PUSH(delta->partitions.items, delta->partitions.count, delta->partitions.capacity) =
        (struct partition_delta){of->topic, before, after};
}

static void report_topic(void *ctx, void *before, void *after)
{
    const struct topic_image *old = before, *new = after;
    struct topic_partitions of = {ctx, new ? new : old};
    add_topic(ctx, before, after);
    pmap_diff(&partition_image_kind, old ? old->partitions : PMAP_EMPTY,
              new ? new->partitions : PMAP_EMPTY, report_partition, &of);
}

struct image_delta *image_delta_new(const struct image *before, const struct image *after)
{
    struct image_delta *delta = mem_calloc(1, sizeof(*delta));
    delta->before = before;
    delta->after = after;
    pmap_diff(&feature_image_kind, before->features.by_name, after->features.by_name,
              report_feature, delta);
    pmap_diff(&broker_image_kind, before->cluster.brokers, after->cluster.brokers, report_broker,
              delta);
    pmap_diff(&controller_image_kind, before->cluster.controllers, after->cluster.controllers,
              report_controller, delta);
    pmap_diff(&topic_by_id_kind, before->topics.by_id, after->topics.by_id, report_topic, delta);
    for (int i = 0; i < CONFIG_RESOURCE_TYPES; i++)
        pmap_diff(&config_image_kind, before->configs.by_type[i], after->configs.by_type[i],
                  report_config, delta);
    pmap_diff(&client_quota_image_kind, before->client_quotas.by_entity,
              after->client_quotas.by_entity, report_client_quota, delta);
    pmap_diff(&acl_image_kind, before->acls.by_id, after->acls.by_id, report_acl, delta);
    for (int i = 0; i < SCRAM_MECHANISMS; i++)
        pmap_diff(&scram_credential_image_kind, before->scram.by_mechanism[i],
                  after->scram.by_mechanism[i], report_scram, delta);
    pmap_diff(&delegation_token_image_kind, before->delegation_tokens.by_id,
              after->delegation_tokens.by_id, report_delegation_token, delta);
    return delta;
}

void image_delta_free(struct image_delta *delta)
{
    if (!delta)
        return;
    free(delta->features.items);
    free(delta->brokers.items);
    free(delta->controllers.items);
    free(delta->topics.items);
    free(delta->partitions.items);
    free(delta->configs.items);
    free(delta->client_quotas.items);
    free(delta->acls.items);
    free(delta->scram.items);
    free(delta->delegation_tokens.items);
    free(delta);
}

bool image_delta_empty(const struct image_delta *delta)
{
    return delta->features.count + delta->brokers.count + delta->controllers.count +
                   delta->topics.count + delta->configs.count + delta->client_quotas.count +
                   delta->acls.count + delta->scram.count + delta->delegation_tokens.count ==
               0 &&
           delta->before->next_producer_id == delta->after->next_producer_id;
}
