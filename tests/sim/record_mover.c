/*
 * The mover of the record load: a person who moves replicas to other brokers, changes his mind, and
 * asks for the preferred leaders. What is asked for in vain is asked for no more.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/messages/alter_partition_reassignments.h"
#include "common/protocol/messages/elect_leaders.h"
#include "tests/sim/record_client.h"
#include "tests/sim/workload.h"

#include <errno.h>

#define PREFERRED 0

struct mover {
    struct record_client client;
    struct timer tick;
};

static void answered(void *ctx, int status, const void *response)
{
    struct mover *m = ctx;
    if (status == -EPROTO)
        sim_fail(m->client.load->sim, "an answer to the mover cannot be decoded");
}

static void elect(struct mover *m)
{
    struct elect_leaders_request request;
    message_init(&elect_leaders_request_desc, &request);
    request.election_type = PREFERRED;
    request.topic_partitions_count = -1; /* all */
    request.timeout_ms = 2000;
    (void)session_call(record_client_any(&m->client), API_ELECT_LEADERS, 2, &request, 3000,
                       answered, m);
}

/* To as many brokers as it has now, in any order; or back to where it came from. */
static void move(struct mover *m)
{
    const struct record_load *load = m->client.load;
    struct env *env = m->client.env;
    const struct record_partition *p =
        &load->partitions[workload_random(env, load->partition_count)];
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_request_reassignable_topic topic;
    struct alter_partition_reassignments_request_reassignable_partition part;
    int32_t ids[RECORD_LOAD_NODES];
    for (int i = 0; i < load->broker_count; i++) {
        int64_t at = workload_random(env, i + 1);
        ids[i] = ids[at];
        ids[at] = load->ids[i];
    }
    message_init(&alter_partition_reassignments_request_desc, &request);
    message_struct_init(&alter_partition_reassignments_request_reassignable_topic_struct, &topic,
                        1);
    message_struct_init(&alter_partition_reassignments_request_reassignable_partition_struct, &part,
                        1);
    part.partition_index = p->index;
    part.replicas = ids;
    part.replicas_count = workload_random(env, 5) == 0 ? -1 : p->topic->replicas;
    topic.name = str_of(p->topic->name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.timeout_ms = 2000;
    request.topics = &topic;
    request.topics_count = 1;
    (void)session_call(record_client_any(&m->client), API_ALTER_PARTITION_REASSIGNMENTS, 0,
                       &request, 3000, answered, m);
}

static void tick(struct timer *timer)
{
    struct mover *m = CONTAINER_OF(timer, struct mover, tick);
    if (m->client.load->quiet)
        return;
    if (workload_random(m->client.env, 3) == 0)
        elect(m);
    else
        move(m);
    timer_start_in_ms(timer, 200 + workload_random(m->client.env, 4000));
}

void *record_mover_boot(struct env *env, void *ctx)
{
    struct mover *m = mem_calloc(1, sizeof(*m));
    record_client_init(&m->client, env, ctx, "mover");
    timer_init(&m->tick, env->loops[0], tick);
    timer_start_in_ms(&m->tick, 3000);
    return m;
}
