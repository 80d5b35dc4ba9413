#include "tests/sim/cluster_operator.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/add_raft_voter.h"
#include "common/protocol/messages/remove_raft_voter.h"
#include "tests/sim/session.h"
#include "tests/sim/workload.h"

#include <stdio.h>

#define REQUEST_TIME_MS 5000

struct changer {
    struct env *env;
    struct cluster_operator *world;
    struct session *sessions[CLUSTER_OPERATOR_NODES];
    struct timer tick;
    int at; /* the node that is asked */
    bool waiting, adding;
    int64_t rest_until_us;
};

static void rest(struct changer *o)
{
    o->rest_until_us =
        env_now_us(o->env) + (o->world->quiet ? 0 : (1 + workload_random(o->env, 4)) * SIM_SECOND);
}

static void answered(struct changer *o, int status, int16_t error)
{
    struct cluster_operator *world = o->world;
    o->waiting = false;
    o->at = (int)workload_random(o->env, world->broker_count);
    sim_log(world->sim, "operator", "%s voter %d: status %d, error %d",
            o->adding ? "adds" : "removes", world->out + 1, status, error);
    bool done = status == 0 && (error == 0 || error == (o->adding ? KAFKA_ERROR_DUPLICATE_VOTER
                                                                  : KAFKA_ERROR_VOTER_NOT_FOUND));
    if (!done)
        return;
    *(o->adding ? &world->added : &world->removed) += 1;
    if (o->adding)
        world->out = -1;
    o->adding = !o->adding;
    rest(o);
}

static void added(void *ctx, int status, const void *response)
{
    const struct add_raft_voter_response *r = response;
    answered(ctx, status, status == 0 ? r->error_code : 0);
}

static void removed(void *ctx, int status, const void *response)
{
    const struct remove_raft_voter_response *r = response;
    answered(ctx, status, status == 0 ? r->error_code : 0);
}

static bool add(struct changer *o, struct uuid directory_id)
{
    char host[16];
    struct add_raft_voter_request request;
    struct add_raft_voter_request_listener listener;
    message_init(&add_raft_voter_request_desc, &request);
    message_struct_init(&add_raft_voter_request_listener_struct, &listener, 1);
    snprintf(host, sizeof(host), "n%d", o->world->out + 1);
    listener.name = STR("CONTROLLER");
    listener.host = str_of(host);
    listener.port = 9093;
    request.timeout_ms = REQUEST_TIME_MS;
    request.cluster_id = STR_NULL;
    request.voter_id = o->world->out + 1;
    request.voter_directory_id = directory_id;
    request.listeners = &listener;
    request.listeners_count = 1;
    return session_call(o->sessions[o->at], API_ADD_RAFT_VOTER, 1, &request, REQUEST_TIME_MS + 1000,
                        added, o) == 0;
}

static bool take_out(struct changer *o, struct uuid directory_id)
{
    struct remove_raft_voter_request request;
    message_init(&remove_raft_voter_request_desc, &request);
    request.cluster_id = STR_NULL;
    request.voter_id = o->world->out + 1;
    request.voter_directory_id = directory_id;
    return session_call(o->sessions[o->at], API_REMOVE_RAFT_VOTER, 0, &request,
                        REQUEST_TIME_MS + 1000, removed, o) == 0;
}

static void tick(struct timer *timer)
{
    struct changer *o = CONTAINER_OF(timer, struct changer, tick);
    struct cluster_operator *world = o->world;
    timer_start_in_ms(timer, 100 + workload_random(o->env, 300));
    if (o->waiting || env_now_us(o->env) < o->rest_until_us)
        return;
    if (world->out < 0) {
        if (world->quiet || !world->may_remove(world->ctx))
            return;
        world->out = (int)workload_random(o->env, world->voter_count);
    }
    struct uuid directory_id;
    if (!world->directory_of(world->ctx, world->out, &directory_id))
        return;
    o->waiting = o->adding ? add(o, directory_id) : take_out(o, directory_id);
    if (!o->waiting)
        o->at = (int)workload_random(o->env, world->broker_count);
}

static void *boot(struct env *env, void *ctx)
{
    struct changer *o = mem_calloc(1, sizeof(*o));
    o->env = env;
    o->world = ctx;
    for (int i = 0; i < o->world->broker_count; i++) {
        o->sessions[i] = session_new(&(struct session_options){.loop = env->loops[0],
                                                               .server = o->world->brokers[i],
                                                               .port = WORKLOAD_PORT,
                                                               .client_id = "operator"});
    }
    timer_init(&o->tick, env->loops[0], tick);
    timer_start_in_ms(&o->tick, 3000);
    return o;
}

void cluster_operator_start(struct cluster_operator *o)
{
    o->out = -1;
    sim_node_start(sim_node_new(
        o->sim,
        &(struct sim_node_config){
            .name = "operator", .loops = 1, .log_level = LOG_INFO, .boot = boot, .ctx = o}));
}
