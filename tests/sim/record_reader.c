/*
 * Readers of the record load: one per partition, without fetch sessions. Where the promise of a
 * partition has ended (replica_watch.h) a reader may stand behind what is left, and begins anew.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/fetch.h"
#include "tests/sim/record_client.h"
#include "tests/sim/workload.h"

#include <errno.h>
#include <stdio.h>

struct reader {
    struct reader_app *app;
    int partition;
    struct timer tick;
    bool waiting;
    int at;               /* the broker that is asked */
    int preferred;        /* where the leader sent us; -1 */
    int32_t leader_epoch; /* that was named; -1 */
    int life;             /* of the topic */
};

struct reader_app {
    struct record_client client;
    struct reader readers[RECORD_LOAD_PARTITIONS];
};

static struct record_load *load_of(const struct reader *r)
{
    return r->app->client.load;
}

static const struct record_partition *partition_of(const struct reader *r)
{
    return &load_of(r)->partitions[r->partition];
}

static void out_of_range(struct reader *r)
{
    struct record_load *load = load_of(r);
    const struct record_partition *p = partition_of(r);
    int64_t *at = &load->positions[r->partition];
    int64_t deleted = MIN(p->watched->asked_start, watched_partition_committed_end(p->watched));
    if (*at < deleted) {
        *at = deleted;
        return;
    }
    /* A follower that leads by now may have given more than the leader that we know has. */
    if (p->watched->losses == 0 && r->preferred < 0 && r->leader_epoch == p->watched->leader_epoch)
        sim_fail(load->sim, "%s-%d: %s of epoch %d has nothing at %lld, which was read",
                 p->topic->name, p->index, sim_node_name(load->brokers[r->at]), r->leader_epoch,
                 (long long)*at);
    *at = 0;
}

static void take(struct reader *r, const struct fetch_response_partition_data *part)
{
    struct record_load *load = load_of(r);
    const struct record_partition *p = partition_of(r);
    if (part->error_code == 0 && part->preferred_read_replica >= 0) {
        r->preferred = record_client_broker(&r->app->client, part->preferred_read_replica);
        return;
    }
    if (part->error_code == 0) {
        int64_t *at = &load->positions[r->partition];
        *at = watched_partition_read(p->watched, *at, part->records);
        load->read += part->records.len > 0;
        return;
    }
    if (part->error_code == KAFKA_ERROR_OFFSET_OUT_OF_RANGE)
        out_of_range(r);
    else if (!workload_retriable(part->error_code))
        sim_fail(load->sim, "%s-%d: Fetch is answered with error %d", p->topic->name, p->index,
                 part->error_code);
    r->preferred = -1;
    record_client_ask(&r->app->client);
}

static void fetched(void *ctx, int status, const void *response)
{
    struct reader *r = ctx;
    const struct fetch_response *answer = response;
    r->waiting = false;
    if (r->life != partition_of(r)->watched->life)
        return;
    if (status == -EPROTO)
        sim_fail(load_of(r)->sim, "an answer to Fetch cannot be decoded");
    if (status == 0 && answer->error_code == 0 && answer->responses_count == 1 &&
        answer->responses[0].partitions_count == 1) {
        take(r, &answer->responses[0].partitions[0]);
        return;
    }
    if (status == 0 && !workload_retriable(answer->error_code))
        sim_fail(load_of(r)->sim, "Fetch is answered with error %d", answer->error_code);
    r->preferred = -1;
    record_client_ask(&r->app->client);
}

static void fetch(struct reader *r, struct session *session)
{
    struct record_client *c = &r->app->client;
    const struct record_partition *p = partition_of(r);
    struct fetch_request request;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition part;
    char rack[16];
    int16_t version = p->topic->churns ? (int16_t)(13 + workload_random(c->env, 5))
                                       : (int16_t)(11 + workload_random(c->env, 7));
    message_init(&fetch_request_desc, &request);
    message_struct_init(&fetch_request_fetch_topic_struct, &topic, 1);
    message_struct_init(&fetch_request_fetch_partition_struct, &part, 1);
    topic.topic = str_of(p->topic->name);
    topic.topic_id = p->watched->topic_id;
    topic.partitions = &part;
    topic.partitions_count = 1;
    r->leader_epoch = workload_random(c->env, 2) ? c->leaders[r->partition].epoch : -1;
    part.partition = p->index;
    part.current_leader_epoch = r->leader_epoch;
    part.fetch_offset = c->load->positions[r->partition];
    part.partition_max_bytes = (int32_t)(1 + workload_random(c->env, 30000));
    /* Each reader sits with one of the brokers. */
    snprintf(rack, sizeof(rack), "rack%d", r->partition % c->load->broker_count);
    request.rack_id = r->partition % 2 ? str_of(rack) : STR("");
    if (version < 15)
        request.replica_id = -1;
    request.max_wait_ms = (int32_t)(100 + workload_random(c->env, 900));
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.session_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    r->waiting = session_call(session, API_FETCH, version, &request, 3000, fetched, r) == 0;
}

static void tick(struct timer *timer)
{
    struct reader *r = CONTAINER_OF(timer, struct reader, tick);
    struct record_client *c = &r->app->client;
    timer_start_in_ms(timer, 10 + workload_random(c->env, 150));
    if (r->waiting || uuid_is_zero(partition_of(r)->watched->topic_id))
        return;
    if (r->life != partition_of(r)->watched->life) {
        r->life = partition_of(r)->watched->life;
        r->preferred = -1;
        c->load->positions[r->partition] = 0;
    }
    struct session *session = record_client_leader(c, r->partition);
    r->at = c->leaders[r->partition].at;
    if (r->preferred >= 0) {
        r->at = r->preferred;
        session = session_is_up(c->sessions[r->at]) ? c->sessions[r->at] : NULL;
    }
    if (session) {
        fetch(r, session);
        return;
    }
    r->preferred = -1;
    record_client_ask(c);
}

void *record_reader_boot(struct env *env, void *ctx)
{
    struct reader_app *app = mem_calloc(1, sizeof(*app));
    record_client_init(&app->client, env, ctx, "reader");
    for (int i = 0; i < app->client.load->partition_count; i++) {
        struct reader *r = &app->readers[i];
        *r = (struct reader){.app = app, .partition = i, .preferred = -1};
        timer_init(&r->tick, env->loops[0], tick);
        timer_start_in_ms(&r->tick, 500 + workload_random(env, 500));
    }
    return app;
}
