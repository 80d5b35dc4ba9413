/*
 * The shifter of the record load: a person who moves replicas to the other log directory of their
 * broker, asks twice, and changes his mind while the copy is under way. What is asked of a broker
 * that does not have the replica says where it is to be made. What he asked for in vain is asked
 * for no more.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/alter_replica_log_dirs.h"
#include "tests/sim/record_client.h"
#include "tests/sim/workload.h"

#include <errno.h>

typedef struct alter_replica_log_dirs_request_alter_replica_log_dir wanted_dir;
typedef struct alter_replica_log_dirs_request_alter_replica_log_dir_topic wanted_topic;

struct shifter {
    struct record_client client;
    struct timer tick;
    int broker, partition, dir; /* of the last request */
};

/* A broker may not know the topic, not have the replica, or have lost the disk. */
static bool may_be_answered(int16_t error)
{
    return error == KAFKA_ERROR_NONE || error == KAFKA_ERROR_REPLICA_NOT_AVAILABLE ||
           error == KAFKA_ERROR_KAFKA_STORAGE_ERROR || workload_retriable(error);
}

static void answered(void *ctx, int status, const void *response)
{
    struct shifter *s = ctx;
    struct sim *sim = s->client.load->sim;
    const struct alter_replica_log_dirs_response *r = response;
    if (status == -EPROTO)
        sim_fail(sim, "an answer to the shifter cannot be decoded");
    if (status != 0)
        return;
    for (int32_t i = 0; i < r->results_count; i++)
        for (int32_t j = 0; j < r->results[i].partitions_count; j++)
            if (!may_be_answered(r->results[i].partitions[j].error_code))
                sim_fail(sim, "AlterReplicaLogDirs is answered with error %d",
                         r->results[i].partitions[j].error_code);
}

static void shift(struct shifter *s)
{
    const struct record_load *load = s->client.load;
    const struct record_partition *p = &load->partitions[s->partition];
    struct alter_replica_log_dirs_request request;
    wanted_dir dir;
    wanted_topic topic;
    int32_t index = p->index;
    message_init(&alter_replica_log_dirs_request_desc, &request);
    message_struct_init(&alter_replica_log_dirs_request_alter_replica_log_dir_struct, &dir, 1);
    message_struct_init(&alter_replica_log_dirs_request_alter_replica_log_dir_topic_struct, &topic,
                        1);
    topic.name = str_of(p->topic->name);
    topic.partitions = &index;
    topic.partitions_count = 1;
    dir.path = str_of(watched_dirs[s->dir]);
    dir.topics = &topic;
    dir.topics_count = 1;
    request.dirs = &dir;
    request.dirs_count = 1;
    if (session_call(s->client.sessions[s->broker], API_ALTER_REPLICA_LOG_DIRS, 2, &request, 4000,
                     answered, s) == 0)
        sim_log(load->sim, "shifter", "wants %s-%d of broker %d in %s", p->topic->name, p->index,
                load->ids[s->broker], watched_dirs[s->dir]);
}

static void tick(struct timer *timer)
{
    struct shifter *s = CONTAINER_OF(timer, struct shifter, tick);
    const struct record_load *load = s->client.load;
    struct env *env = s->client.env;
    if (load->quiet)
        return;
    int64_t dice = workload_random(env, 4);
    if (dice > 1) {
        s->broker = (int)workload_random(env, load->broker_count);
        s->partition = (int)workload_random(env, load->partition_count);
        s->dir = (int)workload_random(env, WATCHED_DIRS);
    } else if (dice == 1) {
        s->dir = !s->dir;
    }
    shift(s);
    timer_start_in_ms(timer, workload_random(env, workload_random(env, 2) ? 20 : 600));
}

void *record_shifter_boot(struct env *env, void *ctx)
{
    struct shifter *s = mem_calloc(1, sizeof(*s));
    record_client_init(&s->client, env, ctx, "shifter");
    timer_init(&s->tick, env->loops[0], tick);
    timer_start_in_ms(&s->tick, 2000);
    return s;
}
