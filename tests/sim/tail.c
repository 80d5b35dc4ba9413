/*
 * The tail of the workload: a consumer that follows all partitions through incremental fetch
 * sessions (KIP-227) with long polls, and starts again where it cannot go on.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/list_offsets.h"
#include "tests/sim/session.h"
#include "tests/sim/workload.h"

#include <errno.h>

#define PARTITIONS (WORKLOAD_TOPICS * WORKLOAD_PARTITIONS)

struct position {
    struct workload_topic *topic;
    int32_t index;
    int64_t offset; /* -1: not known */
    int64_t told;   /* the offset that the fetch session knows; -1: none */
};

struct tail {
    struct env *env;
    struct workload *workload;
    struct session *session;
    struct timer tick;
    bool waiting;
    int16_t version;
    int32_t session_id, session_epoch;
    int power_cuts;
    struct position positions[PARTITIONS];
    struct position *asked; /* by the ListOffsets under way */
    int count;
    /* Of the request under way. */
    struct fetch_request_fetch_topic topics[PARTITIONS];
    struct fetch_request_fetch_partition parts[PARTITIONS];
};

static void forget_session(struct tail *t)
{
    t->session_id = t->session_epoch = 0;
    for (int i = 0; i < t->count; i++)
        t->positions[i].told = -1;
}

static struct position *find(struct tail *t,
                             const struct fetch_response_fetchable_topic_response *r, int32_t index)
{
    for (int i = 0; i < t->count; i++) {
        struct position *p = &t->positions[i];
        bool same = t->version >= 13 ? uuid_eq(r->topic_id, p->topic->id)
                                     : str_eq_z(r->topic, p->topic->name);
        if (same && p->index == index)
            return p;
    }
    return NULL;
}

static void take_partition(struct tail *t, struct position *p,
                           const struct fetch_response_partition_data *part)
{
    struct checker_partition *checked = &p->topic->parts[p->index];
    if (part->error_code == KAFKA_ERROR_OFFSET_OUT_OF_RANGE) {
        p->offset = -1;
        return;
    }
    if (part->error_code != 0) {
        if (!workload_retriable(part->error_code))
            sim_fail(t->workload->sim, "%s: a fetch session is answered with error %d",
                     checked->name, part->error_code);
        forget_session(t);
        return;
    }
    if (part->records.len > 0)
        p->offset = checker_read(checked, p->offset, part->records, t->power_cuts);
}

static void fetched(void *ctx, int status, const void *response)
{
    struct tail *t = ctx;
    const struct fetch_response *r = response;
    t->waiting = false;
    if (status == -EPROTO)
        sim_fail(t->workload->sim, "an answer to Fetch cannot be decoded");
    if (status != 0 || r->error_code != 0) {
        if (status == 0 && !workload_retriable(r->error_code) &&
            r->error_code != KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND &&
            r->error_code != KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH)
            sim_fail(t->workload->sim, "Fetch is answered with error %d", r->error_code);
        forget_session(t);
        return;
    }
    t->session_id = r->session_id;
    t->session_epoch = r->session_id != 0 ? t->session_epoch + 1 : 0;
    for (int32_t i = 0; i < r->responses_count; i++) {
        for (int32_t j = 0; j < r->responses[i].partitions_count; j++) {
            const struct fetch_response_partition_data *part = &r->responses[i].partitions[j];
            struct position *p = find(t, &r->responses[i], part->partition_index);
            if (p && p->offset >= 0)
                take_partition(t, p, part);
            else if (!p)
                sim_fail(t->workload->sim, "Fetch answers for what was not asked");
        }
    }
}

static void fetch(struct tail *t)
{
    struct fetch_request request;
    message_init(&fetch_request_desc, &request);
    if (t->session_id == 0)
        forget_session(t);
    for (int i = 0; i < t->count; i++) {
        struct position *p = &t->positions[i];
        if (p->offset < 0 || p->offset == p->told)
            continue;
        int at = request.topics_count++;
        message_struct_init(&fetch_request_fetch_topic_struct, &t->topics[at], 1);
        message_struct_init(&fetch_request_fetch_partition_struct, &t->parts[at], 1);
        if (t->version >= 13)
            t->topics[at].topic_id = p->topic->id;
        else
            t->topics[at].topic = str_of(p->topic->name);
        t->topics[at].partitions = &t->parts[at];
        t->topics[at].partitions_count = 1;
        t->parts[at].partition = p->index;
        t->parts[at].fetch_offset = p->told = p->offset;
        t->parts[at].partition_max_bytes = 50000;
    }
    request.topics = t->topics;
    if (t->version < 15)
        request.replica_id = -1;
    request.max_wait_ms = (int32_t)(50 + workload_random(t->env, 1000));
    request.min_bytes = 1;
    request.max_bytes = 200000;
    request.session_id = t->session_id;
    request.session_epoch = t->session_epoch;
    t->power_cuts = session_power_cuts(t->session);
    t->waiting = session_call(t->session, API_FETCH, t->version, &request, 8000, fetched, t) == 0;
}

static void listed(void *ctx, int status, const void *response)
{
    struct tail *t = ctx;
    const struct list_offsets_response *r = response;
    t->waiting = false;
    if (status == 0 && r->topics_count == 1 && r->topics[0].partitions_count == 1 &&
        r->topics[0].partitions[0].error_code == 0)
        t->asked->offset = r->topics[0].partitions[0].offset;
}

static void find_start(struct tail *t, struct position *p)
{
    struct list_offsets_request request;
    struct list_offsets_request_list_offsets_topic topic;
    struct list_offsets_request_list_offsets_partition part;
    message_init(&list_offsets_request_desc, &request);
    message_struct_init(&list_offsets_request_list_offsets_topic_struct, &topic, 1);
    message_struct_init(&list_offsets_request_list_offsets_partition_struct, &part, 1);
    part.partition_index = p->index;
    part.timestamp = -2;
    topic.name = str_of(p->topic->name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    t->asked = p;
    t->waiting = session_call(t->session, API_LIST_OFFSETS, 7, &request, 6000, listed, t) == 0;
}

static void act(struct tail *t)
{
    if (!t->workload->created || t->waiting || !session_is_up(t->session))
        return;
    for (int i = 0; i < t->count; i++) {
        struct position *p = &t->positions[i];
        if (p->offset < 0 && p->index < p->topic->partitions) {
            find_start(t, p);
            return;
        }
    }
    fetch(t);
}

static void tick(struct timer *timer)
{
    struct tail *t = CONTAINER_OF(timer, struct tail, tick);
    act(t);
    timer_start_in_ms(timer, 1 + workload_random(t->env, 50));
}

static void changed(void *owner, bool up)
{
    struct tail *t = owner;
    t->version = (int16_t)(7 + workload_random(t->env, 11));
    forget_session(t);
}

void *tail_boot(struct env *env, void *ctx)
{
    struct tail *t = mem_calloc(1, sizeof(*t));
    t->env = env;
    t->workload = ctx;
    t->session = workload_session(t->workload, env, "tail", changed, t);
    for (int i = 0; i < WORKLOAD_TOPICS; i++)
        for (int32_t j = 0; !t->workload->topics[i].churns && j < WORKLOAD_PARTITIONS; j++)
            t->positions[t->count++] =
                (struct position){.topic = &t->workload->topics[i], .index = j, .offset = -1};
    timer_init(&t->tick, env->loops[0], tick);
    timer_start_in_ms(&t->tick, 200);
    return t;
}
