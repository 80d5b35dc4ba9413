/*
 * AlterPartitionReassignments and ListPartitionReassignments (KIP-455).
 *
 * While a partition is reassigned its replicas are those that it shall have, in that order, and
 * then those that are to go. `adding` are the ones that it did not have before, `removing` those
 * that it shall not have. It is done when all that it shall have are in sync (partition_change.h).
 * Another target on the way keeps what it had before in mind: cancelling always goes back to that.
 */
#include "common/base/map.h"
#include "common/protocol/codec.h"
#include "metadata/controller/assignments.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/effective_configs.h"
#include "metadata/controller/partition_decider.h"

typedef struct alter_partition_reassignments_request_reassignable_topic wanted_topic;
typedef struct alter_partition_reassignments_request_reassignable_partition wanted_partition;
typedef struct alter_partition_reassignments_response_reassignable_topic_response topic_result;
typedef struct alter_partition_reassignments_response_reassignable_partition_response
    partition_result;
typedef struct list_partition_reassignments_response_ongoing_topic_reassignment ongoing_topic;
typedef struct list_partition_reassignments_response_ongoing_partition_reassignment
    ongoing_partition;

struct reassignment {
    struct controller *c;
    bool may_change_factor;
    struct arena *arena;
    struct metadata_records *records;
    struct partition_decider decider;
    struct map seen; /* partitions that the request named already */
};

static struct node_list joined(struct node_list a, struct node_list b, struct arena *arena)
{
    int32_t *ids = ARENA_ARRAY(arena, int32_t, a.count + b.count);
    if (a.count > 0)
        memcpy(ids, a.ids, (size_t)a.count * sizeof(*ids));
    if (b.count > 0)
        memcpy(ids + a.count, b.ids, (size_t)b.count * sizeof(*ids));
    return (struct node_list){ids, a.count + b.count};
}

static struct api_error check_factor(const struct reassignment *r, const struct partition_image *p,
                                     struct node_list target)
{
    struct node_list kept = node_list_minus(partition_replicas(p), partition_removing(p), r->arena);
    if (r->may_change_factor || kept.count == target.count)
        return API_OK;
    return api_error(r->arena, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                     "The replication factor is changed from %d to %d", kept.count, target.count);
}

static struct api_error change_target(struct reassignment *r, const struct topic_image *topic,
                                      const struct partition_image *p, struct node_list target)
{
    struct partition_change change;
    struct node_list now = partition_replicas(p);
    struct api_error error = assignments_check(r->c, target, -1, r->arena);
    if (!api_failed(error))
        error = check_factor(r, p, target);
    if (api_failed(error))
        return error;
    struct node_list before = node_list_minus(now, partition_adding(p), r->arena);
    partition_decider_begin(&r->decider, topic, p, &change);
    change.removing = node_list_sorted(node_list_minus(now, target, r->arena), r->arena);
    change.replicas = joined(target, change.removing, r->arena);
    change.adding = node_list_sorted(node_list_minus(change.replicas, before, r->arena), r->arena);
    partition_decider_finish(&r->decider, &change, r->arena, r->records);
    return API_OK;
}

/* Whether somebody of `list` who stays may lead. */
static bool some_may_lead(const struct partition_change *change, struct node_list list)
{
    bool found = false;
    for (int32_t i = 0; !found && i < list.count; i++)
        found = node_list_contains(change->replicas, list.ids[i]) &&
                change->may_lead(change->ctx, list.ids[i]);
    return found;
}

static bool some_remain(struct node_list from, struct node_list list)
{
    for (int32_t i = 0; i < list.count; i++)
        if (node_list_contains(from, list.ids[i]))
            return true;
    return false;
}

/* Whether those that have all records are new replicas only. Without anybody in sync these are who
 * may be elected: the eligible, or where there is none the last leader. */
static bool loses_records(const struct partition_image *p, const struct partition_change *change)
{
    if (change->isr.count > 0)
        return false;
    if (p->isr_count > 0)
        return !(change->elr_enabled && some_may_lead(change, partition_elr(p)));
    struct node_list left = p->elr_count > 0 ? partition_elr(p) : partition_last_known_elr(p);
    return left.count > 0 && !some_remain(change->replicas, left);
}

/* Back to what it had before, unless that costs what the old ones lack. */
static struct api_error cancel(struct reassignment *r, const struct topic_image *topic,
                               const struct partition_image *p)
{
    struct partition_change change;
    struct node_list adding = partition_adding(p);
    if (!partition_is_reassigning(p))
        return (struct api_error){KAFKA_ERROR_NO_REASSIGNMENT_IN_PROGRESS, STR_NULL};
    partition_decider_begin(&r->decider, topic, p, &change);
    change.isr = node_list_minus(partition_isr(p), adding, r->arena);
    change.replicas = node_list_minus(partition_replicas(p), adding, r->arena);
    change.removing = change.adding = (struct node_list){NULL, 0};
    if (change.replicas.count == 0)
        return api_error(r->arena, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                         "Invalid replica assignment: addingReplicas contains all replicas.");
    if (loses_records(p, &change) &&
        !(r->decider.unclean_allowed && some_may_lead(&change, change.replicas)))
        return api_error(r->arena, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                         "Unable to revert partition assignment for %.*s:%d because it would "
                         "require an unclean leader election.",
                         STR_FMT(topic_name(topic)), p->id);
    partition_decider_finish(&r->decider, &change, r->arena, r->records);
    return API_OK;
}

static struct api_error alter_one(struct reassignment *r, const struct topic_image *topic,
                                  struct str name, const wanted_partition *wanted)
{
    if (!topic)
        return api_error(r->arena, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                         "Unable to find a topic named %.*s.", STR_FMT(name));
    const struct partition_image *p = topic_image_partition(topic, wanted->partition_index);
    if (!p)
        return api_error(r->arena, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                         "Unable to find partition %.*s:%d.", STR_FMT(name),
                         wanted->partition_index);
    if (map_put(&r->seen, map_key_uuid_int(topic->id, p->id), r))
        return api_error(r->arena, KAFKA_ERROR_INVALID_REQUEST,
                         "Partition %.*s:%d is named more than once.", STR_FMT(name), p->id);
    if (wanted->replicas_count < 0)
        return cancel(r, topic, p);
    return change_target(r, topic, p, (struct node_list){wanted->replicas, wanted->replicas_count});
}

static void alter_topic(struct reassignment *r, const wanted_topic *wanted, topic_result *result)
{
    const struct topic_image *topic =
        topics_image_find(&controller_image(r->c)->topics, wanted->name);
    result->name = wanted->name;
    result->partitions = MESSAGE_ARRAY(
        r->arena, alter_partition_reassignments_response_reassignable_partition_response,
        wanted->partitions_count);
    result->partitions_count = wanted->partitions_count;
    for (int32_t i = 0; i < wanted->partitions_count; i++) {
        partition_result *one = &result->partitions[i];
        struct api_error error = alter_one(r, topic, wanted->name, &wanted->partitions[i]);
        one->partition_index = wanted->partitions[i].partition_index;
        one->error_code = (int16_t)error.code;
        one->error_message = error.message;
    }
}

CONTROLLER_API(alter_partition_reassignments)
{
    *ret_result = (struct controller_result){.atomic = true};
    message_init(&alter_partition_reassignments_response_desc, ret_response);
    struct reassignment r = {
        .c = controller,
        .may_change_factor = request->allow_replication_factor_change,
        .arena = arena,
        .records = &ret_result->records,
    };
    partition_decider_init(&r.decider, controller);
    map_init(&r.seen, MAP_UUID);
    ret_response->allow_replication_factor_change = request->allow_replication_factor_change;
    ret_response->error_message = request->topics_count > 0 ? STR_NULL : STR("");
    ret_response->responses =
        MESSAGE_ARRAY(arena, alter_partition_reassignments_response_reassignable_topic_response,
                      request->topics_count);
    ret_response->responses_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++)
        alter_topic(&r, &request->topics[i], &ret_response->responses[i]);
    map_release(&r.seen);
}

/* --- what is under way -------------------------------------------------------------------- */

static int32_t *copy_ids(struct node_list list, struct arena *arena)
{
    int32_t *ids = ARENA_ARRAY(arena, int32_t, list.count);
    if (list.count > 0)
        memcpy(ids, list.ids, (size_t)list.count * sizeof(*ids));
    return ids;
}

/* Copied: the answer outlives the image. */
static void list_partition(const struct partition_image *p, struct arena *arena,
                           ongoing_partition *out)
{
    out->partition_index = p->id;
    out->replicas = copy_ids(partition_replicas(p), arena);
    out->replicas_count = p->replica_count;
    out->adding_replicas = copy_ids(partition_adding(p), arena);
    out->adding_replicas_count = p->adding_count;
    out->removing_replicas = copy_ids(partition_removing(p), arena);
    out->removing_replicas_count = p->removing_count;
}

static void list_given(const struct topics_image *topics,
                       const struct list_partition_reassignments_request *request,
                       struct arena *arena, struct list_partition_reassignments_response *response)
{
    response->topics =
        MESSAGE_ARRAY(arena, list_partition_reassignments_response_ongoing_topic_reassignment,
                      request->topics_count);
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct list_partition_reassignments_request_list_partition_reassignments_topics
            *given = &request->topics[i];
        const struct topic_image *topic = topics_image_find(topics, given->name);
        ongoing_topic *out = &response->topics[response->topics_count];
        if (!topic)
            continue;
        out->name = given->name;
        out->partitions = MESSAGE_ARRAY(
            arena, list_partition_reassignments_response_ongoing_partition_reassignment,
            given->partition_indexes_count);
        for (int32_t k = 0; k < given->partition_indexes_count; k++) {
            const struct partition_image *p =
                topic_image_partition(topic, given->partition_indexes[k]);
            if (p && partition_is_reassigning(p))
                list_partition(p, arena, &out->partitions[out->partitions_count++]);
        }
        response->topics_count += out->partitions_count > 0;
    }
}

static void list_all(const struct topics_image *topics, struct arena *arena,
                     struct list_partition_reassignments_response *response)
{
    int32_t count = (int32_t)topics->unsettled.count;
    ongoing_partition *partitions = MESSAGE_ARRAY(
        arena, list_partition_reassignments_response_ongoing_partition_reassignment, count);
    response->topics = MESSAGE_ARRAY(
        arena, list_partition_reassignments_response_ongoing_topic_reassignment, count);
    const struct topic_image *topic = NULL;
    ongoing_topic *out = NULL;
    struct pmap_iter iter;
    topics_image_unsettled(topics, UUID_ZERO, 0, &iter);
    for (const struct unsettled_image *unsettled; (unsettled = pmap_iter_next(&iter)) != NULL;) {
        struct uuid id = unsettled_image_topic_id(unsettled);
        if (!topic || !uuid_eq(topic->id, id)) {
            topic = topics_image_find_id(topics, id);
            out = NULL;
        }
        const struct partition_image *p =
            topic_image_partition(topic, unsettled_image_partition(unsettled));
        if (!partition_is_reassigning(p))
            continue;
        if (!out) {
            out = &response->topics[response->topics_count++];
            out->name = arena_str(arena, topic_name(topic));
            out->partitions = partitions;
        }
        list_partition(p, arena, partitions++);
        out->partitions_count++;
    }
}

CONTROLLER_API(list_partition_reassignments)
{
    const struct topics_image *topics = &controller_image(controller)->topics;
    *ret_result = (struct controller_result){0};
    message_init(&list_partition_reassignments_response_desc, ret_response);
    ret_response->error_message = STR_NULL;
    if (request->topics_count < 0)
        list_all(topics, arena, ret_response);
    else
        list_given(topics, request, arena, ret_response);
}
