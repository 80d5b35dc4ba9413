/* CreateTopics (KIP-4, KIP-525, KIP-590). */
#include "common/base/map.h"
#include "common/protocol/codec.h"
#include "metadata/controller/assignments.h"
#include "metadata/controller/configs.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/effective_configs.h"
#include "metadata/controller/topics.h"
#include "metadata/topic_name.h"

typedef struct create_topics_request_creatable_topic new_topic;
typedef struct create_topics_response_creatable_topic_result topic_result;
typedef struct create_topics_response_creatable_topic_configs topic_config;

struct creation {
    struct controller *c;
    const struct controller_context *ctx;
    struct arena *arena;
    struct metadata_records *records;
    topic_config *defaults; /* of a topic that sets nothing; made when first needed */
    int32_t defaults_count;
};

/* --- checks ------------------------------------------------------------------------------- */

/*
 * Tries both letters at every '.' and '_', giving up a branch as soon as no topic begins with it;
 * names in use hardly ever mix them, so this is a few look-ups, not a walk over all topics.
 */
static bool find_colliding(const struct topics_image *topics, struct str name, char *variant,
                           int32_t from, struct str *ret_existing)
{
    int32_t at = from;
    while (at < name.len && name.data[at] != '.' && name.data[at] != '_')
        at++;
    if (at == name.len) {
        const struct topic_image *topic =
            topics_image_find(topics, str_from(variant, (size_t)name.len));
        if (topic)
            *ret_existing = topic_name(topic);
        return topic != NULL;
    }
    for (const char *letter = "._"; *letter; letter++) {
        variant[at] = *letter;
        struct str prefix = str_from(variant, (size_t)at + 1);
        struct pmap_iter iter;
        pmap_iter_seek(&topic_by_name_kind, &iter, topics->by_name, pmap_key_str(prefix));
        const struct topic_image *next = pmap_iter_next(&iter);
        if (next && str_starts_with(topic_name(next), prefix) &&
            find_colliding(topics, name, variant, at + 1, ret_existing))
            return true;
    }
    return false;
}

static struct api_error check_name(const struct creation *creation, struct str name)
{
    const struct topics_image *topics = &controller_image(creation->c)->topics;
    struct arena *arena = creation->arena;
    struct str fault = topic_name_fault(name, arena);
    if (!str_is_null(fault))
        return (struct api_error){KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, fault};
    if (topics_image_find(topics, name))
        return api_error(arena, KAFKA_ERROR_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.",
                         STR_FMT(name));
    struct str existing;
    if (topic_name_may_collide(name) &&
        find_colliding(topics, name, arena_str_z(arena, name), 0, &existing))
        return api_error(arena, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION,
                         "Topic '%.*s' collides with existing topic: %.*s", STR_FMT(name),
                         STR_FMT(existing));
    return API_OK;
}

static int32_t partitions_of(const struct controller *c, const new_topic *topic)
{
    if (topic->assignments_count > 0)
        return topic->assignments_count;
    return topic->num_partitions == -1 ? c->config.num_partitions : MAX(topic->num_partitions, 0);
}

/* --- replicas ----------------------------------------------------------------------------- */

struct plan {
    int32_t count;
    struct node_list *replicas, *isr; /* by partition */
};

static void plan_init(struct plan *plan, int32_t count, struct arena *arena)
{
    plan->count = count;
    plan->replicas = ARENA_ARRAY(arena, struct node_list, count);
    plan->isr = ARENA_ARRAY(arena, struct node_list, count);
}

static struct api_error plan_given(const struct creation *creation, const new_topic *topic,
                                   struct plan *ret_plan)
{
    struct arena *arena = creation->arena;
    struct plan plan = {0};
    if (topic->replication_factor != -1)
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                         "A manual partition assignment was specified, but replication factor was "
                         "not set to -1.");
    if (topic->num_partitions != -1)
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                         "A manual partition assignment was specified, but numPartitions was not "
                         "set to -1.");
    plan_init(&plan, topic->assignments_count, arena);
    bool gap = false;
    int32_t expected = -1;
    for (int32_t i = 0; i < topic->assignments_count; i++) {
        int32_t id = topic->assignments[i].partition_index;
        struct node_list replicas = {topic->assignments[i].broker_ids,
                                     topic->assignments[i].broker_ids_count};
        if (id >= 0 && id < plan.count && plan.replicas[id].count > 0)
            return api_error(arena, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                             "Found multiple manual partition assignments for partition %d", id);
        struct api_error error = assignments_check(creation->c, replicas, expected, arena);
        if (api_failed(error))
            return error;
        expected = replicas.count;
        struct node_list isr = assignments_active(creation->c, replicas, arena);
        if (isr.count == 0)
            return api_error(arena, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                             "All brokers specified in the manual partition assignment for "
                             "partition %d are fenced or in controlled shutdown.",
                             id);
        if (id < 0 || id >= plan.count) {
            gap = true;
            continue;
        }
        plan.replicas[id] = replicas;
        plan.isr[id] = isr;
    }
    if (gap)
        return api_error(arena, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                         "partitions should be a consecutive 0-based integer sequence");
    *ret_plan = plan;
    return API_OK;
}

static struct api_error plan_placed(const struct creation *creation, const new_topic *topic,
                                    struct plan *ret_plan)
{
    struct arena *arena = creation->arena;
    const struct controller_config *config = &creation->c->config;
    if (topic->replication_factor < -1 || topic->replication_factor == 0)
        return api_error(arena, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                         "Replication factor must be larger than 0, or -1 to use the default "
                         "value.");
    if (topic->num_partitions < -1 || topic->num_partitions == 0)
        return api_error(arena, KAFKA_ERROR_INVALID_PARTITIONS,
                         "Number of partitions was set to an invalid non-positive value.");
    int32_t factor = topic->replication_factor == -1 ? config->default_replication_factor
                                                     : topic->replication_factor;
    int32_t *ids;
    struct plan plan = {0};
    plan_init(&plan, partitions_of(creation->c, topic), arena);
    struct api_error error = assignments_place(creation->c, plan.count, factor, arena, &ids);
    if (api_failed(error))
        return error;
    for (int32_t i = 0; i < plan.count; i++) {
        plan.replicas[i] = (struct node_list){ids + (size_t)i * (size_t)factor, factor};
        plan.isr[i] = assignments_active(creation->c, plan.replicas[i], arena);
        if (plan.isr[i].count == 0)
            return api_error(arena, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                             "Unable to replicate the partition %d time(s): All brokers are "
                             "currently fenced or in controlled shutdown.",
                             factor);
    }
    *ret_plan = plan;
    return API_OK;
}

/* --- the response ------------------------------------------------------------------------- */

static void make_defaults(struct creation *creation)
{
    int32_t room = CONFIG_LAST_TOPIC - CONFIG_FIRST_TOPIC + 1;
    struct config_layers layers = effective_layers(creation->c);
    creation->defaults =
        MESSAGE_ARRAY(creation->arena, create_topics_response_creatable_topic_configs, room);
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const struct config_def *def = &config_defs[config_ids_by_name[i]];
        struct config_description d;
        if (def->scope != CONFIG_SCOPE_TOPIC || !config_is_listed(def) ||
            !config_describe(&layers, CONFIG_SCOPE_TOPIC, def->name, creation->arena, &d))
            continue;
        topic_config *config = &creation->defaults[creation->defaults_count++];
        config->name = d.name;
        config->value = arena_str(creation->arena, d.value); /* outlives the image */
        config->config_source = (int8_t)d.level;
        config->is_sensitive = d.is_sensitive;
    }
}

static void describe_configs(struct creation *creation, const new_topic *topic,
                             topic_result *result)
{
    if (!creation->defaults)
        make_defaults(creation);
    result->configs = creation->defaults;
    result->configs_count = creation->defaults_count;
    if (topic->configs_count <= 0)
        return;
    result->configs = MESSAGE_ARRAY(creation->arena, create_topics_response_creatable_topic_configs,
                                    creation->defaults_count);
    memcpy(result->configs, creation->defaults,
           (size_t)creation->defaults_count * sizeof(*result->configs));
    for (int32_t i = 0; i < topic->configs_count; i++) {
        for (int32_t k = 0; k < result->configs_count; k++) {
            if (!str_eq(result->configs[k].name, topic->configs[i].name))
                continue;
            result->configs[k].value = topic->configs[i].value;
            result->configs[k].config_source = CONFIG_LEVEL_TOPIC;
        }
    }
}

static void fail_result(topic_result *result, struct api_error error)
{
    result->error_code = (int16_t)error.code;
    result->error_message = error.message;
}

static void add_records(const struct creation *creation, const new_topic *topic,
                        struct uuid topic_id, const struct plan *plan)
{
    struct topic_record *record =
        METADATA_RECORD_ADD(creation->records, creation->arena, topic_record, TOPIC, 0);
    record->name = topic->name;
    record->topic_id = topic_id;
    struct config_change *changes =
        ARENA_ARRAY(creation->arena, struct config_change, topic->configs_count);
    for (int32_t i = 0; i < topic->configs_count; i++)
        changes[i] = (struct config_change){topic->configs[i].name, topic->configs[i].value};
    configs_add_records(creation->c, CONFIG_RESOURCE_TOPIC, topic->name, changes,
                        topic->configs_count, creation->arena, creation->records);
    for (int32_t i = 0; i < plan->count; i++)
        assignments_add_record(creation->c, topic_id, i, plan->replicas[i], plan->isr[i],
                               creation->arena, creation->records);
}

static struct api_error check_configs(const struct creation *creation, const new_topic *topic)
{
    struct config_entry *entries =
        ARENA_ARRAY(creation->arena, struct config_entry, topic->configs_count);
    for (int32_t i = 0; i < topic->configs_count; i++)
        entries[i] = (struct config_entry){topic->configs[i].name, topic->configs[i].value};
    return configs_check_topic(creation->c, entries, topic->configs_count, creation->arena);
}

static void create_one(struct creation *creation, const new_topic *topic, topic_result *result)
{
    struct plan plan = {0};
    struct api_error error = check_name(creation, topic->name);
    if (!api_failed(error))
        error = check_configs(creation, topic);
    if (!api_failed(error))
        error = topic->assignments_count > 0 ? plan_given(creation, topic, &plan)
                                             : plan_placed(creation, topic, &plan);
    if (api_failed(error)) {
        fail_result(result, error);
        return;
    }
    const struct controller_context *ctx = creation->ctx;
    result->topic_id = controller_random_uuid(creation->c);
    add_records(creation, topic, result->topic_id, &plan);
    if (ctx->may_describe_configs &&
        !ctx->may_describe_configs(ctx->may_describe_configs_ctx, topic->name)) {
        result->topic_config_error_code = KAFKA_ERROR_TOPIC_AUTHORIZATION_FAILED;
        result->configs_count = -1;
        return;
    }
    result->num_partitions = plan.count;
    result->replication_factor = (int16_t)plan.replicas[0].count;
    describe_configs(creation, topic, result);
}

/* --- the request -------------------------------------------------------------------------- */

/* What all topics of the request share. */
static struct api_error check_request(const struct controller *c,
                                      const struct create_topics_request *request,
                                      new_topic *const *topics, int32_t count, struct arena *arena)
{
    int64_t partitions = 0;
    if (request->timeout_ms <= 0)
        return (struct api_error){KAFKA_ERROR_REQUEST_TIMED_OUT, STR_NULL};
    for (int32_t i = 0; i < count; i++)
        partitions += partitions_of(c, topics[i]);
    if (partitions > CONTROLLER_BATCH_RECORDS)
        return api_error(arena, KAFKA_ERROR_POLICY_VIOLATION,
                         "Excessively large number of partitions per request.");
    return API_OK;
}

static topic_result *add_result(struct create_topics_response *response, struct str name)
{
    topic_result *result = &response->topics[response->topics_count++];
    result->name = name;
    result->error_message = STR_NULL;
    return result;
}

CONTROLLER_API(create_topics)
{
    *ret_result = (struct controller_result){.atomic = true};
    message_init(&create_topics_response_desc, ret_response);
    ret_response->topics =
        MESSAGE_ARRAY(arena, create_topics_response_creatable_topic_result, request->topics_count);
    new_topic **topics = ARENA_ARRAY(arena, new_topic *, request->topics_count);
    int32_t count = 0;
    struct name_counts names;
    name_counts_init(&names);
    for (int32_t i = 0; i < request->topics_count; i++)
        name_counts_add(&names, request->topics[i].name);
    for (int32_t i = 0; i < request->topics_count; i++) {
        struct str name = request->topics[i].name;
        if (name_counts_of(&names, name) == 1 && !str_eq(name, STR("__cluster_metadata")))
            topics[count++] = &request->topics[i];
    }
    struct creation creation = {controller, ctx, arena, &ret_result->records, NULL, 0};
    struct api_error error = check_request(controller, request, topics, count, arena);
    for (int32_t i = 0; i < count; i++) {
        topic_result *result = add_result(ret_response, topics[i]->name);
        if (api_failed(error))
            fail_result(result, error);
        else
            create_one(&creation, topics[i], result);
    }
    for (int32_t i = 0; i < request->topics_count; i++) {
        struct str name = request->topics[i].name;
        if (name_counts_take(&names, name) > 1)
            fail_result(add_result(ret_response, name),
                        api_error(arena, KAFKA_ERROR_INVALID_REQUEST, "Duplicate topic name."));
        else if (str_eq(name, STR("__cluster_metadata")) && name_counts_of(&names, name) == 1)
            fail_result(add_result(ret_response, name),
                        api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                                  "Creation of internal topic __cluster_metadata is prohibited."));
    }
    name_counts_release(&names);
    if (request->validate_only)
        ret_result->records.count = 0;
}
