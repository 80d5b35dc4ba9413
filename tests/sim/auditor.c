/*
 * The auditor of the workload: round after round it asks each partition for its start and end and
 * reads all that is between.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/list_offsets.h"
#include "tests/sim/session.h"
#include "tests/sim/workload.h"

#include <errno.h>

enum step { ASK_START, ASK_END, READ };

struct auditor {
    struct env *env;
    struct workload *workload;
    struct session *session;
    struct timer tick;
    bool waiting; /* for an answer */
    int topic, index;
    enum step step;
    int64_t round_began_us;
    int64_t clock, start, end, next;
    int power_cuts; /* of the connection that this partition is read on */
};

static struct workload_topic *topic_of(struct auditor *a)
{
    return &a->workload->topics[a->topic];
}

static struct checker_partition *part_of(struct auditor *a)
{
    return &topic_of(a)->parts[a->index];
}

static void again(struct auditor *a)
{
    a->step = ASK_START;
}

static void next_partition(struct auditor *a)
{
    struct workload *w = a->workload;
    a->step = ASK_START;
    a->index++;
    while (a->topic < WORKLOAD_TOPICS &&
           (topic_of(a)->churns || a->index >= topic_of(a)->partitions)) {
        a->topic++;
        a->index = 0;
    }
    if (a->topic < WORKLOAD_TOPICS)
        return;
    w->audits++;
    w->audit_started = a->round_began_us;
    a->round_began_us = env_now_us(a->env);
    a->topic = 0;
    a->index = 0;
}

static bool answer_is_good(struct auditor *a, const char *what, int status, int16_t error)
{
    a->waiting = false;
    if (status == -EPROTO)
        sim_fail(a->workload->sim, "an answer to %s cannot be decoded", what);
    if (status == 0 && error == 0)
        return true;
    if (status == 0 && !workload_retriable(error) && error != KAFKA_ERROR_OFFSET_OUT_OF_RANGE)
        sim_fail(a->workload->sim, "%s: %s is answered with error %d", part_of(a)->name, what,
                 error);
    again(a);
    return false;
}

static void listed(void *ctx, int status, const void *response)
{
    struct auditor *a = ctx;
    const struct list_offsets_response *r = response;
    const struct list_offsets_response_list_offsets_partition_response *part =
        status == 0 && r->topics_count == 1 && r->topics[0].partitions_count == 1
            ? &r->topics[0].partitions[0]
            : NULL;
    if (!answer_is_good(a, "ListOffsets", status == 0 && !part ? -EPROTO : status,
                        part ? part->error_code : 0))
        return;
    if (a->step == ASK_START) {
        a->start = a->next = part->offset;
        a->step = ASK_END;
        return;
    }
    a->end = part->offset;
    a->step = READ;
}

static void list_offsets(struct auditor *a)
{
    struct list_offsets_request request;
    struct list_offsets_request_list_offsets_topic topic;
    struct list_offsets_request_list_offsets_partition part;
    message_init(&list_offsets_request_desc, &request);
    message_struct_init(&list_offsets_request_list_offsets_topic_struct, &topic, 1);
    message_struct_init(&list_offsets_request_list_offsets_partition_struct, &part, 1);
    part.partition_index = a->index;
    part.timestamp = a->step == ASK_START ? -2 : -1;
    topic.name = str_of(topic_of(a)->name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    if (a->step == ASK_START) {
        a->clock = checker_clock(&a->workload->checker);
        a->power_cuts = session_power_cuts(a->session);
    }
    a->waiting =
        session_call(a->session, API_LIST_OFFSETS, (int16_t)(1 + workload_random(a->env, 8)),
                     &request, 6000, listed, a) == 0;
}

static void fetched(void *ctx, int status, const void *response)
{
    struct auditor *a = ctx;
    const struct fetch_response *r = response;
    const struct fetch_response_partition_data *part =
        status == 0 && r->responses_count == 1 && r->responses[0].partitions_count == 1
            ? &r->responses[0].partitions[0]
            : NULL;
    if (!answer_is_good(a, "Fetch", status == 0 && !part && r->error_code == 0 ? -EPROTO : status,
                        part ? part->error_code
                        : r  ? r->error_code
                             : 0))
        return;
    int64_t next = checker_read(part_of(a), a->next, part->records, a->power_cuts);
    /* An empty answer below the end would go on for ever. */
    if (next == a->next)
        again(a);
    a->next = next;
}

static void fetch(struct auditor *a)
{
    struct fetch_request request;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition part;
    int16_t version = (int16_t)(4 + workload_random(a->env, 14));
    message_init(&fetch_request_desc, &request);
    message_struct_init(&fetch_request_fetch_topic_struct, &topic, 1);
    message_struct_init(&fetch_request_fetch_partition_struct, &part, 1);
    if (version >= 13)
        topic.topic_id = topic_of(a)->id;
    else
        topic.topic = str_of(topic_of(a)->name);
    part.partition = a->index;
    part.fetch_offset = a->next;
    part.partition_max_bytes = (int32_t)(1 + workload_random(a->env, 100000));
    topic.partitions = &part;
    topic.partitions_count = 1;
    if (version < 15)
        request.replica_id = -1;
    request.max_wait_ms = 100;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.session_epoch = version >= 7 ? -1 : request.session_epoch;
    request.topics = &topic;
    request.topics_count = 1;
    a->waiting = session_call(a->session, API_FETCH, version, &request, 6000, fetched, a) == 0;
}

static void act(struct auditor *a)
{
    if (!a->workload->created || a->waiting || !session_is_up(a->session))
        return;
    if (a->step != ASK_START && a->power_cuts != session_power_cuts(a->session))
        again(a);
    if (a->step == READ && a->next >= a->end) {
        checker_read_all(part_of(a), a->clock, a->start, a->end, a->power_cuts);
        next_partition(a);
        return;
    }
    if (a->step == READ)
        fetch(a);
    else
        list_offsets(a);
}

static void tick(struct timer *timer)
{
    struct auditor *a = CONTAINER_OF(timer, struct auditor, tick);
    act(a);
    timer_start_in_ms(timer, 1 + workload_random(a->env, 30));
}

void *auditor_boot(struct env *env, void *ctx)
{
    struct auditor *a = mem_calloc(1, sizeof(*a));
    a->env = env;
    a->workload = ctx;
    a->session = workload_session(a->workload, env, "auditor", NULL, NULL);
    timer_init(&a->tick, env->loops[0], tick);
    timer_start_in_ms(&a->tick, 100);
    return a;
}
