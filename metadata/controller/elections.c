/* ElectLeaders (KIP-460), and the elections that nobody asked for. */
#include "metadata/controller/elections.h"

#include "common/base/map.h"
#include "common/protocol/codec.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"
#include "metadata/controller/partition_decider.h"

/* Of one part of a walk, so that no decision holds the loop for long. */
#define PART_RECORDS 1000
#define PART_VISITS  20000

enum { ELECT_PREFERRED = 0, ELECT_UNCLEAN = 1 }; /* on the wire */

typedef struct elect_leaders_response_replica_election_result topic_result;
typedef struct elect_leaders_response_partition_result partition_result;

/* --- by itself ---------------------------------------------------------------------------- */

void election_sweep_begin_at(struct election_sweep *sweep, int64_t due_ms)
{
    *sweep = (struct election_sweep){.due_ms = due_ms, .topic_id = UUID_ZERO};
}

static void elect(struct partition_decider *decider, const struct topic_image *topic,
                  const struct partition_image *p, bool balance, struct arena *arena,
                  struct metadata_records *records)
{
    struct partition_change change;
    partition_decider_begin(decider, topic, p, &change);
    if (balance)
        change.election = ELECTION_PREFERRED;
    partition_decider_finish(decider, &change, arena, records);
}

/* True at the end of the walk. */
static bool sweep_part(struct controller *c, struct election_sweep *sweep, bool balance,
                       struct arena *arena, struct metadata_records *records)
{
    const struct topics_image *topics = &controller_image(c)->topics;
    const struct topic_image *topic = NULL;
    struct partition_decider decider;
    struct pmap_iter iter;
    partition_decider_init(&decider, c);
    topics_image_unsettled(topics, sweep->topic_id, sweep->partition, &iter);
    for (int visits = 0;; visits++) {
        const struct unsettled_image *unsettled = pmap_iter_next(&iter);
        if (!unsettled)
            return true;
        struct uuid id = unsettled_image_topic_id(unsettled);
        int32_t partition = unsettled_image_partition(unsettled);
        if (visits >= PART_VISITS || records->count >= PART_RECORDS) {
            sweep->topic_id = id;
            sweep->partition = partition;
            return false;
        }
        if (!topic || !uuid_eq(topic->id, id))
            topic = topics_image_find_id(topics, id);
        CHECK(topic != NULL);
        const struct partition_image *p = topic_image_partition(topic, partition);
        CHECK(p != NULL);
        if (balance ? p->leader >= 0 && p->leader != p->nodes[0] : p->leader < 0)
            elect(&decider, topic, p, balance, arena, records);
    }
}

static void sweep_due(struct controller *c, struct election_sweep *sweep, bool balance,
                      int64_t interval_ms, int64_t now_ms, struct arena *arena,
                      struct metadata_records *records)
{
    if (now_ms < sweep->due_ms)
        return;
    if (sweep_part(c, sweep, balance, arena, records))
        election_sweep_begin_at(sweep, interval_ms > 0 ? now_ms + interval_ms : INT64_MAX);
    else
        sweep->due_ms = now_ms;
}

void elections_balance(struct controller *c, int64_t now_ms, struct arena *arena,
                       struct metadata_records *records)
{
    sweep_due(c, &c->balance, true, c->config.imbalance_check_interval_ms, now_ms, arena, records);
}

void elections_leaderless(struct controller *c, int64_t now_ms, struct arena *arena,
                          struct metadata_records *records)
{
    sweep_due(c, &c->leaderless, false, c->config.unclean_interval_ms, now_ms, arena, records);
}

/* --- asked for ---------------------------------------------------------------------------- */

static bool is_known(int8_t type)
{
    return type == ELECT_PREFERRED || type == ELECT_UNCLEAN;
}

struct wanted_election {
    struct controller *c;
    int8_t type;
    bool unclean;
    struct arena *arena;
    struct metadata_records *records;
    struct partition_decider decider;
    struct map seen; /* partitions that have had their election */
};

static struct api_error elect_one(struct wanted_election *wanted, const struct topic_image *topic,
                                  const struct partition_image *p)
{
    struct partition_change change;
    bool not_needed =
        wanted->unclean ? p->leader >= 0 : p->replica_count > 0 && p->leader == p->nodes[0];
    if (not_needed || map_put(&wanted->seen, map_key_uuid_int(topic->id, p->id), wanted))
        return api_error_plain(KAFKA_ERROR_ELECTION_NOT_NEEDED);
    partition_decider_begin(&wanted->decider, topic, p, &change);
    change.election = wanted->unclean ? ELECTION_UNCLEAN : ELECTION_PREFERRED;
    if (!partition_decider_finish(&wanted->decider, &change, wanted->arena, wanted->records))
        return api_error_plain(wanted->unclean ? KAFKA_ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE
                                               : KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    return API_OK;
}

static struct api_error elect_named(struct wanted_election *wanted, struct str name,
                                    int32_t partition)
{
    if (!is_known(wanted->type))
        return api_error(wanted->arena, KAFKA_ERROR_INVALID_REQUEST, "Unknown election type %d",
                         wanted->type);
    const struct topic_image *topic = topics_image_find(&controller_image(wanted->c)->topics, name);
    if (!topic)
        return api_error(wanted->arena, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                         "No such topic as %.*s", STR_FMT(name));
    const struct partition_image *p = topic_image_partition(topic, partition);
    if (!p)
        return api_error(wanted->arena, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                         "No such partition as %.*s-%d", STR_FMT(name), partition);
    return elect_one(wanted, topic, p);
}

static void set_result(partition_result *result, int32_t partition, struct api_error error)
{
    result->partition_id = partition;
    result->error_code = (int16_t)error.code;
    result->error_message = error.message;
}

static void elect_given(struct wanted_election *wanted, const struct elect_leaders_request *request,
                        struct elect_leaders_response *response)
{
    response->replica_election_results =
        MESSAGE_ARRAY(wanted->arena, elect_leaders_response_replica_election_result,
                      request->topic_partitions_count);
    response->replica_election_results_count = request->topic_partitions_count;
    for (int32_t i = 0; i < request->topic_partitions_count; i++) {
        const struct elect_leaders_request_topic_partitions *given = &request->topic_partitions[i];
        topic_result *result = &response->replica_election_results[i];
        result->topic = given->topic;
        result->partition_result = MESSAGE_ARRAY(
            wanted->arena, elect_leaders_response_partition_result, given->partitions_count);
        result->partition_result_count = given->partitions_count;
        for (int32_t k = 0; k < given->partitions_count; k++)
            set_result(&result->partition_result[k], given->partitions[k],
                       elect_named(wanted, given->topic, given->partitions[k]));
    }
}

/* All partitions: those that need no election have no result, and the others are unsettled. */
static void elect_all(struct wanted_election *wanted, struct elect_leaders_response *response)
{
    const struct topics_image *topics = &controller_image(wanted->c)->topics;
    const struct topic_image *topic = NULL;
    topic_result *result = NULL;
    uint32_t count = topics->unsettled.count;
    partition_result *results =
        MESSAGE_ARRAY(wanted->arena, elect_leaders_response_partition_result, (int32_t)count);
    struct pmap_iter iter;
    response->replica_election_results = MESSAGE_ARRAY(
        wanted->arena, elect_leaders_response_replica_election_result, (int32_t)count);
    topics_image_unsettled(topics, UUID_ZERO, 0, &iter);
    for (const struct unsettled_image *unsettled; (unsettled = pmap_iter_next(&iter)) != NULL;) {
        struct uuid id = unsettled_image_topic_id(unsettled);
        int32_t partition = unsettled_image_partition(unsettled);
        if (!topic || !uuid_eq(topic->id, id)) {
            topic = topics_image_find_id(topics, id);
            result = NULL;
        }
        struct api_error error = elect_one(wanted, topic, topic_image_partition(topic, partition));
        if (error.code == KAFKA_ERROR_ELECTION_NOT_NEEDED)
            continue;
        if (!result) {
            result =
                &response->replica_election_results[response->replica_election_results_count++];
            result->topic = arena_str(wanted->arena, topic_name(topic)); /* outlives the image */
            result->partition_result = results;
        }
        set_result(results++, partition, error);
        result->partition_result_count++;
    }
}

CONTROLLER_API(elect_leaders)
{
    *ret_result = (struct controller_result){0};
    message_init(&elect_leaders_response_desc, ret_response);
    struct wanted_election wanted = {
        .c = controller,
        .type = request->election_type,
        .unclean = request->election_type == ELECT_UNCLEAN,
        .arena = arena,
        .records = &ret_result->records,
    };
    if (!is_known(request->election_type))
        ret_response->error_code = KAFKA_ERROR_INVALID_REQUEST;
    partition_decider_init(&wanted.decider, controller);
    map_init(&wanted.seen, MAP_UUID);
    if (request->topic_partitions_count < 0 && is_known(request->election_type))
        elect_all(&wanted, ret_response);
    else if (request->topic_partitions_count > 0)
        elect_given(&wanted, request, ret_response);
    map_release(&wanted.seen);
}
