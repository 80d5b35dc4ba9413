/*
 * AlterPartition: a leader says who is in sync with it (KIP-497). What a leader may not know yet is
 * checked here: that it still leads, in this epoch and on this state of the partition, and that who
 * it takes into the ISR is alive (KIP-841) and the process that it thinks it is (KIP-903).
 */
#include "common/base/map.h"
#include "common/protocol/codec.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"
#include "metadata/controller/partition_decider.h"

typedef struct alter_partition_request_partition_data wanted_partition;
typedef struct alter_partition_request_broker_state wanted_member;
typedef struct alter_partition_response_partition_data partition_answer;

struct alteration {
    const struct controller *c;
    int32_t broker;
    struct arena *arena;
    struct metadata_records *records;
    struct partition_decider decider;
    struct map seen; /* partitions that the request named already */
};

/* The ISR of either version of the request; epoch -1: not said. */
static int32_t members_of(const wanted_partition *wanted, struct arena *arena,
                          const wanted_member **ret_members)
{
    if (wanted->new_isr_count <= 0) {
        *ret_members = wanted->new_isr_with_epochs;
        return MAX(wanted->new_isr_with_epochs_count, 0);
    }
    wanted_member *members = ARENA_ARRAY(arena, wanted_member, wanted->new_isr_count);
    for (int32_t i = 0; i < wanted->new_isr_count; i++)
        members[i] = (wanted_member){.broker_id = wanted->new_isr[i], .broker_epoch = -1};
    *ret_members = members;
    return wanted->new_isr_count;
}

/* A replica in a directory that is not online could not be elected, so it does not come into the
 * ISR either: its broker has to say first where it lies (AssignReplicasToDirs). */
static bool may_join_isr(const struct controller *c, const struct partition_image *p,
                         const wanted_member *member)
{
    const struct broker_image *broker =
        cluster_image_broker(&controller_image(c)->cluster, member->broker_id);
    bool is_active = broker && !broker->fenced && !broker->in_controlled_shutdown;
    return broker && (is_active || MUTATED(&c->config, FENCED_IN_ISR)) &&
           (member->broker_epoch == -1 || member->broker_epoch == broker->epoch ||
            MUTATED(&c->config, FORMER_LIFE_IN_ISR)) &&
           (node_list_contains(partition_isr(p), broker->id) ||
            broker_image_has_directory(broker, partition_directory_of(p, broker->id)));
}

/* A leader that knows more than this node: this node is no controller any more. */
static enum kafka_error check_epochs(int32_t broker, const struct partition_image *p,
                                     const wanted_partition *wanted)
{
    if (wanted->leader_epoch > p->leader_epoch || wanted->partition_epoch > p->partition_epoch)
        return KAFKA_ERROR_NOT_CONTROLLER;
    if (wanted->leader_epoch < p->leader_epoch)
        return KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (broker != p->leader)
        return KAFKA_ERROR_INVALID_REQUEST;
    if (wanted->partition_epoch < p->partition_epoch)
        return KAFKA_ERROR_INVALID_UPDATE_VERSION;
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check_isr(const struct partition_image *p, const wanted_partition *wanted,
                                  struct node_list isr)
{
    for (int32_t i = 0; i < isr.count; i++) {
        if (!node_list_contains(partition_replicas(p), isr.ids[i]) ||
            node_list_contains((struct node_list){isr.ids, i}, isr.ids[i]))
            return KAFKA_ERROR_INVALID_REQUEST;
    }
    if (!node_list_contains(isr, p->leader))
        return KAFKA_ERROR_INVALID_REQUEST;
    /* While the leader recovers nobody can be in sync with it, and it cannot begin that by itself.
     */
    bool recovering = wanted->leader_recovery_state == LEADER_RECOVERING;
    if (!recovering && wanted->leader_recovery_state != LEADER_RECOVERED)
        return KAFKA_ERROR_INVALID_REQUEST;
    if (recovering && (isr.count > 1 || p->recovery_state == LEADER_RECOVERED))
        return KAFKA_ERROR_INVALID_REQUEST;
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check(const struct alteration *alteration, const struct partition_image *p,
                              const wanted_partition *wanted, struct node_list *ret_isr)
{
    const wanted_member *members;
    enum kafka_error error = check_epochs(alteration->broker, p, wanted);
    if (error != KAFKA_ERROR_NONE)
        return error;
    int32_t count = members_of(wanted, alteration->arena, &members);
    int32_t *ids = ARENA_ARRAY(alteration->arena, int32_t, count);
    for (int32_t i = 0; i < count; i++)
        ids[i] = members[i].broker_id;
    struct node_list isr = {ids, count};
    error = check_isr(p, wanted, isr);
    for (int32_t i = 0; error == KAFKA_ERROR_NONE && i < count; i++) {
        if (!may_join_isr(alteration->c, p, &members[i]))
            error = KAFKA_ERROR_INELIGIBLE_REPLICA;
    }
    *ret_isr = isr;
    return error;
}

/* The partition as it will be; lists point into the record and the partition. */
static void answer(const struct partition_image *p, const struct partition_change_record *record,
                   partition_answer *answer)
{
    struct image_edit edit;
    struct partition_fields fields = partition_fields_of(p);
    if (record)
        CHECK(partition_fields_change(&edit, &fields, record) == 0);
    answer->leader_id = fields.leader;
    answer->leader_epoch = fields.leader_epoch;
    answer->partition_epoch = fields.partition_epoch;
    answer->leader_recovery_state = fields.recovery_state;
    answer->isr_count = fields.isr.count;
    answer->isr = (int32_t *)(uintptr_t)fields.isr.ids;
}

static enum kafka_error alter_one(struct alteration *alteration, const struct topic_image *topic,
                                  const wanted_partition *wanted, partition_answer *ret_answer)
{
    const struct partition_image *p = topic_image_partition(topic, wanted->partition_index);
    struct partition_change change;
    struct node_list isr;
    if (!p)
        return KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    enum kafka_error error = check(alteration, p, wanted, &isr);
    if (error != KAFKA_ERROR_NONE)
        return error;
    /* The first mention moved its partition epoch on. */
    if (map_put(&alteration->seen, map_key_uuid_int(topic->id, p->id), alteration))
        return KAFKA_ERROR_INVALID_UPDATE_VERSION;
    partition_decider_begin(&alteration->decider, topic, p, &change);
    change.isr = isr;
    change.recovery_state = wanted->leader_recovery_state;
    const struct partition_change_record *record = partition_decider_finish(
        &alteration->decider, &change, alteration->arena, alteration->records);
    /* A reassignment that this completed may have taken the leader away: done, but not its any
     * more. */
    if (record && record->leader != PARTITION_NO_LEADER_CHANGE && record->leader != p->leader)
        return KAFKA_ERROR_NEW_LEADER_ELECTED;
    answer(p, record, ret_answer);
    /* The answer outlives the image. */
    int32_t *ids = ARENA_ARRAY(alteration->arena, int32_t, ret_answer->isr_count);
    if (ret_answer->isr_count > 0)
        memcpy(ids, ret_answer->isr, (size_t)ret_answer->isr_count * sizeof(*ids));
    ret_answer->isr = ids;
    return KAFKA_ERROR_NONE;
}

static void alter_topic(struct alteration *alteration,
                        const struct alter_partition_request_topic_data *wanted,
                        struct alter_partition_response_topic_data *result)
{
    const struct topic_image *topic =
        topics_image_find_id(&controller_image(alteration->c)->topics, wanted->topic_id);
    result->topic_id = wanted->topic_id;
    result->partitions = MESSAGE_ARRAY(alteration->arena, alter_partition_response_partition_data,
                                       wanted->partitions_count);
    result->partitions_count = wanted->partitions_count;
    for (int32_t i = 0; i < wanted->partitions_count; i++) {
        partition_answer *one = &result->partitions[i];
        one->partition_index = wanted->partitions[i].partition_index;
        one->error_code =
            (int16_t)(topic ? alter_one(alteration, topic, &wanted->partitions[i], one)
                            : KAFKA_ERROR_UNKNOWN_TOPIC_ID);
    }
}

CONTROLLER_API(alter_partition)
{
    const struct broker_image *broker =
        cluster_image_broker(&controller_image(controller)->cluster, request->broker_id);
    *ret_result = (struct controller_result){0};
    message_init(&alter_partition_response_desc, ret_response);
    if (request->topics_count <= 0)
        return;
    if (!has_broker_epoch(controller, broker, request->broker_epoch)) {
        ret_response->error_code = KAFKA_ERROR_STALE_BROKER_EPOCH;
        return;
    }
    struct alteration alteration = {
        .c = controller,
        .broker = request->broker_id,
        .arena = arena,
        .records = &ret_result->records,
    };
    partition_decider_init(&alteration.decider, controller);
    map_init(&alteration.seen, MAP_UUID);
    ret_response->topics =
        MESSAGE_ARRAY(arena, alter_partition_response_topic_data, request->topics_count);
    ret_response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++)
        alter_topic(&alteration, &request->topics[i], &ret_response->topics[i]);
    map_release(&alteration.seen);
}
