#include "broker/server/controller_lifecycle.h"

#define LOG_MODULE "controller_lifecycle"

#include "broker/server/controller_call.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "metadata/feature.h"

#include <stdlib.h>

#define RETRY_MS 500
/* Two nodes of one id take each other's place: ever more slowly. */
#define DISPLACED_MAX_MS 60000

CONTROLLER_DECIDE(controller_registration)

struct controller_lifecycle {
    struct node *node;
    struct uuid incarnation_id;
    struct timer timer;
    bool started, asking;
    bool registered;      /* seen in the metadata */
    int64_t displaced_ms; /* how long the next registration waits that takes another one's place */
    struct arena arena;   /* of the request under way */
    struct controller_call call;
    struct controller_registration_request request;
    struct controller_registration_response response;
};

static void add_listeners(struct controller_lifecycle *l)
{
    const struct server_config *config = node_config(l->node);
    struct controller_registration_request *r = &l->request;
    r->listeners =
        MESSAGE_ARRAY(&l->arena, controller_registration_request_listener, config->listeners_count);
    for (int i = 0; i < config->listeners_count; i++) {
        const struct server_listener *listener = &config->listeners[i];
        if (!listener->is_controller)
            continue;
        struct controller_registration_request_listener *out = &r->listeners[r->listeners_count++];
        out->name = listener->name;
        out->host = str_of(listener->advertised.host);
        out->port = listener->advertised.port ? listener->advertised.port
                                              : node_listener_port(l->node, listener->name);
        out->security_protocol = (int16_t)listener->protocol;
    }
}

static void add_features(struct controller_lifecycle *l)
{
    struct controller_registration_request *r = &l->request;
    r->features = MESSAGE_ARRAY(&l->arena, controller_registration_request_feature,
                                (int32_t)feature_table_size);
    r->features_count = (int32_t)feature_table_size;
    for (size_t i = 0; i < feature_table_size; i++) {
        r->features[i].name = str_of(feature_table[i].name);
        r->features[i].min_supported_version = feature_table[i].min_level;
        r->features[i].max_supported_version = feature_table[i].max_level;
    }
}

static bool is_known(const struct controller_lifecycle *l, const struct image *image)
{
    const struct controller_image *known =
        cluster_image_controller(&image->cluster, node_id(l->node));
    return known != NULL && uuid_eq(known->incarnation_id, l->incarnation_id);
}

static void replied(struct controller_call *call)
{
    struct controller_lifecycle *l = call->ctx;
    int16_t error = call->error != KAFKA_ERROR_NONE ? (int16_t)call->error : l->response.error_code;
    l->asking = false;
    if (!l->started)
        return;
    if (error == KAFKA_ERROR_NONE)
        log_info(node_env(l->node)->logger, "Registered controller=%d", node_id(l->node));
    else if (error != KAFKA_ERROR_NOT_CONTROLLER && error != KAFKA_ERROR_REQUEST_TIMED_OUT)
        log_warn(node_env(l->node)->logger,
                 "The active controller refused the registration of controller %d: %s",
                 node_id(l->node), kafka_error_message(error));
    timer_start_in_ms(&l->timer, RETRY_MS);
}

static void ask(struct controller_lifecycle *l)
{
    const struct image *image = node_shard(l->node, 0)->image;
    if (l->asking || !l->started || is_known(l, image) ||
        features_image_metadata_version(&image->features) <
            METADATA_VERSION_CONTROLLER_REGISTRATION)
        return;
    l->asking = true;
    timer_stop(&l->timer);
    arena_reset(&l->arena);
    message_init(&controller_registration_request_desc, &l->request);
    message_init(&controller_registration_response_desc, &l->response);
    l->request.controller_id = node_id(l->node);
    l->request.incarnation_id = l->incarnation_id;
    add_listeners(l);
    add_features(l);
    l->call = (struct controller_call){.shard = node_shard(l->node, 0),
                                       .arena = &l->arena,
                                       .api = api_find(API_CONTROLLER_REGISTRATION),
                                       .version = -1,
                                       .body = &l->request,
                                       .response = &l->response,
                                       .decide = decide_controller_registration,
                                       .reply = replied,
                                       .ctx = l};
    controller_call_start(&l->call);
}

static void time_to_ask(struct timer *timer)
{
    ask(CONTAINER_OF(timer, struct controller_lifecycle, timer));
}

struct controller_lifecycle *controller_lifecycle_new(struct node *node)
{
    struct controller_lifecycle *l = mem_calloc(1, sizeof(*l));
    l->node = node;
    l->incarnation_id = env_random_uuid(node_env(node));
    arena_init(&l->arena, 0);
    timer_init(&l->timer, node_env(node)->loops[0], time_to_ask);
    return l;
}

void controller_lifecycle_free(struct controller_lifecycle *l)
{
    if (l == NULL)
        return;
    CHECK(!l->asking);
    arena_release(&l->arena);
    free(l);
}

void controller_lifecycle_start(struct controller_lifecycle *l)
{
    l->started = true;
    ask(l);
}

void controller_lifecycle_stop(struct controller_lifecycle *l)
{
    l->started = false;
    timer_stop(&l->timer);
}

void controller_lifecycle_image(struct controller_lifecycle *l)
{
    bool known = is_known(l, node_shard(l->node, 0)->image);
    l->registered = l->registered || known;
    if (!l->started || l->asking || timer_running(&l->timer) || known)
        return;
    int64_t wait_ms = 0; /* not from inside of a commit */
    if (l->registered) {
        wait_ms = l->displaced_ms;
        l->displaced_ms = MIN(MAX(2 * wait_ms, RETRY_MS), DISPLACED_MAX_MS);
        l->registered = false;
        log_warn(
            node_env(l->node)->logger,
            "Controller %d was registered by another process: two live nodes have this node.id",
            node_id(l->node));
    }
    timer_start_in_ms(&l->timer, wait_ms);
}
