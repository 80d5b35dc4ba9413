#include "broker/server/broker_lifecycle.h"

#define LOG_MODULE "broker_lifecycle"

#include "broker/server/controller_call.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "metadata/feature.h"

#include <stdlib.h>

#define RETRY_MS             50
#define REFUSAL_DELAY_MAX_MS 1000
/* What a request says is out of date after this: it is made anew. */
#define CALL_TIMEOUT_MS 2000
/* How often a registration of a former life may come late before it is taken for another node's. */
#define FORMER_LIVES_MAX 3

CONTROLLER_DECIDE(broker_registration)
CONTROLLER_DECIDE(broker_heartbeat)

struct broker_lifecycle {
    struct node *node;
    enum broker_state state;
    _Atomic int64_t epoch;
    struct timer timer;
    bool asking, ask_again;
    int64_t asked_ms;
    int64_t answered_ms;        /* when that was sent which was answered well last */
    _Atomic int64_t touched_ms; /* when the last heartbeat was sent that shows that we are heard */
    int former_lives;           /* that registered behind this process, */
    int64_t former_epoch;       /* the epoch that the last of them got, */
    struct uuid former_id;      /* and its incarnation */
    int16_t refusal;            /* the last one of a registration; 0: none */
    int64_t refusal_delay_ms;
    struct arena arena; /* of the request under way */
    struct controller_call call;
    struct broker_registration_request registration;
    struct broker_registration_response registered;
    struct broker_heartbeat_request heartbeat;
    struct broker_heartbeat_response heard;
    struct uuid *offline_dirs;
    size_t offline_count, offline_capacity;
    void (*running)(void *ctx);
    void *running_ctx;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    int64_t stop_due_ms;
};

static void ask(struct broker_lifecycle *l);

static const struct server_config *config_of(const struct broker_lifecycle *l)
{
    return node_config(l->node);
}

static void add_listeners(struct broker_lifecycle *l, struct broker_registration_request *r)
{
    const struct server_config *config = config_of(l);
    r->listeners =
        MESSAGE_ARRAY(&l->arena, broker_registration_request_listener, config->listeners_count);
    for (int i = 0; i < config->listeners_count; i++) {
        const struct server_listener *listener = &config->listeners[i];
        if (listener->is_controller || !listener->is_advertised)
            continue;
        struct broker_registration_request_listener *out = &r->listeners[r->listeners_count++];
        out->name = listener->name;
        out->host = str_of(listener->advertised.host);
        out->port = listener->advertised.port ? listener->advertised.port
                                              : node_listener_port(l->node, listener->name);
        out->security_protocol = (int16_t)listener->protocol;
    }
}

static void add_features(struct broker_lifecycle *l, struct broker_registration_request *r)
{
    r->features =
        MESSAGE_ARRAY(&l->arena, broker_registration_request_feature, (int32_t)feature_table_size);
    r->features_count = (int32_t)feature_table_size;
    for (size_t i = 0; i < feature_table_size; i++) {
        r->features[i].name = str_of(feature_table[i].name);
        r->features[i].min_supported_version = feature_table[i].min_level;
        r->features[i].max_supported_version = feature_table[i].max_level;
    }
}

static void finish(struct broker_lifecycle *l)
{
    timer_stop(&l->timer);
    l->state = BROKER_SHUTTING_DOWN;
    void (*stopped)(void *) = l->stopped;
    l->stopped = NULL;
    if (stopped != NULL)
        stopped(l->stopped_ctx);
}

static void again_in(struct broker_lifecycle *l, int64_t delay_ms)
{
    timer_start_in_ms(&l->timer, delay_ms);
}

/* Said once; tried less and less often, as only time or people can help. */
static void refused(struct broker_lifecycle *l, int16_t error)
{
    bool looks_on = error == KAFKA_ERROR_NOT_CONTROLLER || error == KAFKA_ERROR_REQUEST_TIMED_OUT;
    bool again = error == l->refusal;
    if (!looks_on && !again)
        log_warn(node_env(l->node)->logger,
                 "The controller refused the registration of broker %d, trying again: %s",
                 node_id(l->node), kafka_error_message(error));
    l->refusal_delay_ms =
        again && !looks_on ? MIN(2 * l->refusal_delay_ms, REFUSAL_DELAY_MAX_MS) : RETRY_MS;
    l->refusal = error;
    again_in(l, l->refusal_delay_ms);
}

static void registered(struct controller_call *call)
{
    struct broker_lifecycle *l = call->ctx;
    l->asking = false;
    if (l->state == BROKER_SHUTTING_DOWN)
        return;
    int16_t error =
        call->error != KAFKA_ERROR_NONE ? (int16_t)call->error : l->registered.error_code;
    if (l->state == BROKER_PENDING_SHUTDOWN) {
        finish(l);
        return;
    }
    if (error != KAFKA_ERROR_NONE) {
        refused(l, error);
        return;
    }
    l->refusal = KAFKA_ERROR_NONE;
    l->answered_ms = l->asked_ms;
    l->epoch = l->registered.broker_epoch;
    l->state = BROKER_RECOVERY;
    log_info(node_env(l->node)->logger, "Registered broker=%d epoch=%lld", node_id(l->node),
             (long long)l->epoch);
    ask(l);
}

static void now_running(struct broker_lifecycle *l)
{
    l->state = BROKER_RUNNING;
    void (*running)(void *) = l->running;
    l->running = NULL;
    if (running != NULL)
        running(l->running_ctx);
}

static int64_t touch_ms(const struct broker_lifecycle *l)
{
    return server_config_integer(config_of(l), CONFIG_BROKER_BROKER_HEARTBEAT_INTERVAL_MS) * 3 / 2;
}

/* Who was frozen may be answered by a controller of its own that leads no more and has not read
 * that yet, or before the news of its partitions: the second answer in a row counts. */
static void note_answer(struct broker_lifecycle *l)
{
    if (l->asked_ms - l->answered_ms <= touch_ms(l))
        atomic_store(&l->touched_ms, l->asked_ms);
    l->answered_ms = l->asked_ms;
}

static void heard(struct controller_call *call)
{
    struct broker_lifecycle *l = call->ctx;
    l->asking = false;
    if (l->state == BROKER_SHUTTING_DOWN)
        return;
    int16_t error = call->error != KAFKA_ERROR_NONE ? (int16_t)call->error : l->heard.error_code;
    bool now = l->ask_again;
    l->ask_again = false;
    if (error == KAFKA_ERROR_NONE)
        note_answer(l);
    if (error == KAFKA_ERROR_NONE && !l->heard.is_fenced && l->state == BROKER_RECOVERY)
        now_running(l);
    if (l->state == BROKER_PENDING_SHUTDOWN &&
        (error != KAFKA_ERROR_NONE || l->heard.should_shut_down ||
         env_now_ms(node_env(l->node)) >= l->stop_due_ms)) {
        finish(l);
        return;
    }
    if (error == KAFKA_ERROR_STALE_BROKER_EPOCH || error == KAFKA_ERROR_BROKER_ID_NOT_REGISTERED) {
        log_warn(node_env(l->node)->logger, "The controller does not know epoch %lld: registering",
                 (long long)l->epoch);
        l->state = BROKER_STARTING;
        now = true;
    }
    bool settled = l->state == BROKER_RUNNING && error == KAFKA_ERROR_NONE;
    if (now)
        ask(l);
    else
        again_in(l, settled ? server_config_integer(config_of(l),
                                                    CONFIG_BROKER_BROKER_HEARTBEAT_INTERVAL_MS)
                            : RETRY_MS);
}

static void send_call(struct broker_lifecycle *l, int16_t api_key, const void *body, void *response,
                      controller_decide_fn decide, void (*reply)(struct controller_call *))
{
    l->asking = true;
    l->asked_ms = env_now_ms(node_env(l->node));
    l->call = (struct controller_call){.shard = node_shard(l->node, 0),
                                       .arena = &l->arena,
                                       .api = api_find(api_key),
                                       .version = -1,
                                       .timeout_ms = CALL_TIMEOUT_MS,
                                       .body = body,
                                       .response = response,
                                       .decide = decide,
                                       .reply = reply,
                                       .ctx = l};
    controller_call_start(&l->call);
}

static void send_registration(struct broker_lifecycle *l)
{
    struct broker_registration_request *r = &l->registration;
    message_init(&broker_registration_request_desc, r);
    message_init(&broker_registration_response_desc, &l->registered);
    r->broker_id = node_id(l->node);
    r->cluster_id = node_cluster_id(l->node);
    r->incarnation_id = node_incarnation_id(l->node);
    r->rack = server_config_text(config_of(l), CONFIG_BROKER_BROKER_RACK);
    r->previous_broker_epoch = node_previous_broker_epoch(l->node);
    r->log_dirs = ARENA_ARRAY(&l->arena, struct uuid, config_of(l)->log_dirs_count);
    r->log_dirs_count = node_directory_ids(l->node, r->log_dirs);
    add_listeners(l, r);
    add_features(l, r);
    send_call(l, API_BROKER_REGISTRATION, r, &l->registered, decide_broker_registration,
              registered);
}

static void send_heartbeat(struct broker_lifecycle *l)
{
    struct broker_heartbeat_request *h = &l->heartbeat;
    message_init(&broker_heartbeat_request_desc, h);
    message_init(&broker_heartbeat_response_desc, &l->heard);
    h->broker_id = node_id(l->node);
    h->broker_epoch = l->epoch;
    h->current_metadata_offset = node_shard(l->node, 0)->image->offset;
    h->want_shut_down = l->state == BROKER_PENDING_SHUTDOWN;
    h->offline_log_dirs = l->offline_dirs;
    h->offline_log_dirs_count = (int32_t)l->offline_count;
    /* None is not the same as not saying so. */
    h->cordoned_log_dirs = ARENA_ARRAY(&l->arena, struct uuid, config_of(l)->log_dirs_count);
    h->cordoned_log_dirs_count = node_cordoned_ids(l->node, h->cordoned_log_dirs);
    send_call(l, API_BROKER_HEARTBEAT, h, &l->heard, decide_broker_heartbeat, heard);
}

static void ask(struct broker_lifecycle *l)
{
    if (l->asking) {
        l->ask_again = true;
        return;
    }
    timer_stop(&l->timer);
    arena_reset(&l->arena);
    if (l->state == BROKER_STARTING)
        send_registration(l);
    else
        send_heartbeat(l);
}

static void time_to_ask(struct timer *timer)
{
    struct broker_lifecycle *l = CONTAINER_OF(timer, struct broker_lifecycle, timer);
    if (l->asking && l->state == BROKER_PENDING_SHUTDOWN)
        finish(l); /* the answer will find nobody */
    else
        ask(l);
}

struct broker_lifecycle *broker_lifecycle_new(struct node *node)
{
    struct broker_lifecycle *l = mem_calloc(1, sizeof(*l));
    l->node = node;
    l->epoch = -1;
    arena_init(&l->arena, 0);
    timer_init(&l->timer, node_env(node)->loops[0], time_to_ask);
    return l;
}

void broker_lifecycle_free(struct broker_lifecycle *l)
{
    if (l == NULL)
        return;
    CHECK(!l->asking);
    arena_release(&l->arena);
    free(l->offline_dirs);
    free(l);
}

void broker_lifecycle_start(struct broker_lifecycle *l, void (*running)(void *ctx), void *ctx)
{
    l->running = running;
    l->running_ctx = ctx;
    l->state = BROKER_STARTING;
    ask(l);
}

void broker_lifecycle_stop(struct broker_lifecycle *l, int64_t timeout_ms,
                           void (*stopped)(void *ctx), void *ctx)
{
    l->running = NULL;
    l->stopped = stopped;
    l->stopped_ctx = ctx;
    l->stop_due_ms = env_now_ms(node_env(l->node)) + timeout_ms;
    bool registered_now = l->state == BROKER_RECOVERY || l->state == BROKER_RUNNING;
    l->state = BROKER_PENDING_SHUTDOWN;
    if (!registered_now && !l->asking) {
        finish(l);
        return;
    }
    ask(l);
    if (l->asking)
        timer_start_in_ms(&l->timer, timeout_ms);
}

void broker_lifecycle_controller_found(struct broker_lifecycle *l)
{
    if (l->state == BROKER_STARTING && timer_running(&l->timer))
        ask(l);
}

/* It registered with our directory, of which there is one lock, and our end points. */
static bool is_former_life(const struct broker_lifecycle *l, const struct broker_image *other)
{
    const struct server_config *config = config_of(l);
    struct uuid *ids = mem_calloc((size_t)config->log_dirs_count, sizeof(*ids));
    int32_t count = node_directory_ids(l->node, ids);
    bool same_disk = false, same_place = other->endpoint_count > 0;
    for (int32_t i = 0; i < count; i++)
        for (int32_t j = 0; j < other->directory_count; j++)
            same_disk |= uuid_eq(ids[i], other->directories[j]);
    free(ids);
    for (int i = 0; i < config->listeners_count; i++) {
        const struct server_listener *listener = &config->listeners[i];
        if (listener->is_controller || !listener->is_advertised)
            continue;
        const struct endpoint_image *place = broker_image_endpoint(other, listener->name);
        uint16_t port = listener->advertised.port ? listener->advertised.port
                                                  : node_listener_port(l->node, listener->name);
        same_place &=
            place && place->port == port && str_eq(place->host, str_of(listener->advertised.host));
    }
    return same_disk && same_place;
}

/* What a process of ours sent before it died may arrive behind our own registration. Whatever
 * follows from it is as after any unclean restart; our place is ours again with a new epoch. But
 * who registers once more is alive. */
static bool register_again(struct broker_lifecycle *l, const struct broker_image *other)
{
    if (other->epoch == l->former_epoch)
        return true;
    if (l->former_lives >= FORMER_LIVES_MAX || uuid_eq(other->incarnation_id, l->former_id) ||
        !is_former_life(l, other))
        return false;
    l->former_lives++;
    l->former_id = other->incarnation_id;
    l->former_epoch = other->epoch;
    log_warn(node_env(l->node)->logger,
             "A registration of an earlier process of broker %d came late, epoch %lld: registering",
             node_id(l->node), (long long)other->epoch);
    l->state = BROKER_STARTING;
    ask(l);
    return true;
}

void broker_lifecycle_image(struct broker_lifecycle *l)
{
    const struct image *image = node_shard(l->node, 0)->image;
    const struct broker_image *self = cluster_image_broker(&image->cluster, node_id(l->node));
    /* Also while it registers again: one that was frozen hears first that its epoch is old. */
    bool active =
        l->state == BROKER_STARTING || l->state == BROKER_RECOVERY || l->state == BROKER_RUNNING;
    if (!active || l->epoch < 0 || self == NULL || self->epoch <= l->epoch ||
        uuid_eq(self->incarnation_id, node_incarnation_id(l->node)) || register_again(l, self))
        return;
    l->state = BROKER_SHUTTING_DOWN; /* there is nothing to be let go of */
    timer_stop(&l->timer);
    bool has_place = self->endpoint_count > 0;
    log_at(node_env(l->node)->logger, LOG_FATAL,
           "Another process registered as broker %d, at %.*s:%u: two live nodes have this node.id, "
           "or one log directory is a copy of the other; this one stops",
           node_id(l->node), STR_FMT(has_place ? self->endpoints[0].host : STR_EMPTY),
           has_place ? self->endpoints[0].port : 0u);
    node_fatal(l->node);
}

void broker_lifecycle_dir_failed(struct broker_lifecycle *l, struct uuid directory_id)
{
    VEC_PUSH(l->offline_dirs, l->offline_count, l->offline_capacity) = directory_id;
    if (l->state == BROKER_RECOVERY || l->state == BROKER_RUNNING)
        ask(l);
}

void broker_lifecycle_dirs_cordoned(struct broker_lifecycle *l)
{
    if (l->state == BROKER_RECOVERY || l->state == BROKER_RUNNING)
        ask(l);
}

enum broker_state broker_lifecycle_state(const struct broker_lifecycle *l)
{
    return l->state;
}

int64_t broker_lifecycle_epoch(const struct broker_lifecycle *l)
{
    return l->epoch;
}

bool broker_lifecycle_out_of_touch(const struct broker_lifecycle *l)
{
    return env_now_ms(node_env(l->node)) - atomic_load(&l->touched_ms) > touch_ms(l);
}
