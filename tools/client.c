#include "tools/client.h"

#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "tools/client_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int64_t clock_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t client_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

bool client_new(const char *bootstrap, enum client_kind kind, const struct client_config *config,
                struct client **ret_client, struct failure *failure)
{
    struct client *client = mem_calloc(1, sizeof(*client));
    client->config = config;
    client->kind = kind;
    client->controller_id = -1;
    if (!client_check_timeouts(client, failure) ||
        !client_parse_bootstrap(client, bootstrap, failure)) {
        client_free(client);
        return false;
    }
    *ret_client = client;
    return true;
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    client_release_nodes(client);
    free(client);
}

void client_op_begin(struct client_op *op, struct client *client, const char *name,
                     struct arena *arena)
{
    *op = (struct client_op){
        .client = client,
        .name = name,
        .arena = arena,
        .deadline_ms = client_now_ms() + client->config->default_api_timeout_ms,
        .backoff_ms = client->config->retry_backoff_ms,
    };
}

int client_time_left(const struct client_op *op, int64_t limit_ms)
{
    int64_t left_ms = op->deadline_ms - client_now_ms();
    if (left_ms > limit_ms)
        left_ms = limit_ms;
    return left_ms > 0 ? (int)left_ms : 0;
}

bool client_backoff(struct client_op *op)
{
    int wait_ms = client_time_left(op, op->backoff_ms);
    struct timespec pause = {wait_ms / 1000, wait_ms % 1000 * 1000000L};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
        ;
    if (op->backoff_ms < op->client->config->retry_backoff_max_ms / 2)
        op->backoff_ms *= 2;
    else
        op->backoff_ms = op->client->config->retry_backoff_max_ms;
    return client_time_left(op, 1) > 0;
}

bool client_timed_out(const struct client_op *op, struct failure *failure)
{
    if (op->tries == 0)
        return failure_set(failure, KAFKA_ERROR_REQUEST_TIMED_OUT,
                           "Timed out waiting for a node assignment. Call: %s", op->name);
    int64_t now_ms = clock_ms(CLOCK_REALTIME);
    int64_t deadline_ms = now_ms + op->deadline_ms - client_now_ms();
    return failure_set(failure, KAFKA_ERROR_REQUEST_TIMED_OUT,
                       "Call(callName=%s, deadlineMs=%lld, tries=%d, nextAllowedTryMs=%lld) timed "
                       "out at %lld after %d attempt(s)",
                       op->name, (long long)deadline_ms, op->tries,
                       (long long)(now_ms + op->backoff_ms), (long long)now_ms, op->tries);
}

bool client_peer(struct client_op *op, int32_t node, struct peer **ret_peer,
                 struct failure *failure)
{
    do {
        struct failure problem = {0};
        struct peer *peer = client_connect(op, node, &problem);
        if (peer != NULL) {
            *ret_peer = peer;
            return true;
        }
        if (problem.error != KAFKA_ERROR_NONE) {
            *failure = problem;
            return false;
        }
    } while (client_backoff(op));
    return client_timed_out(op, failure);
}

/* "DescribeCluster" as Kafka's messages write it: DESCRIBE_CLUSTER. */
static void upper_snake(const char *name, char *text, size_t size)
{
    size_t len = 0;
    for (const char *at = name; *at != '\0' && len + 2 < size; at++) {
        if (isupper((unsigned char)*at) && at != name)
            text[len++] = '_';
        text[len++] = (char)toupper((unsigned char)*at);
    }
    text[len] = '\0';
}

static bool unsupported(const struct api *api, struct failure *failure)
{
    char name[64];
    upper_snake(api->name, name, sizeof(name));
    return failure_set(failure, KAFKA_ERROR_UNSUPPORTED_VERSION, "The node does not support %s",
                       name);
}

bool client_version(struct client_op *op, int32_t node, enum api_key key, int16_t *ret_version,
                    struct failure *failure)
{
    const struct api *api = api_find(key);
    struct peer *peer;
    if (!client_peer(op, node, &peer, failure))
        return false;
    return peer_version(peer, api, INT16_MAX, ret_version) == 0 || unsupported(api, failure);
}

bool client_exchange(struct client_op *op, struct peer *peer, const struct api *api,
                     const void *request, void *ret_response, struct failure *failure)
{
    int32_t timeout_ms = op->client->config->request_timeout_ms;
    int16_t version;
    if (peer_version(peer, api, INT16_MAX, &version) != 0)
        return unsupported(api, failure);
    int rv = peer_send(peer, api, version, request, client_time_left(op, timeout_ms));
    if (rv == -EINVAL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Version %d of %s, which the node speaks, cannot express this request",
                           version, api->name);
    if (rv == 0)
        rv = peer_receive(peer, api, version, client_time_left(op, timeout_ms), op->arena,
                          ret_response);
    if (rv == 0)
        return true;
    client_drop_peer(op->client, peer);
    if (rv == -EPROTO || rv == -EBADMSG || rv == -EMSGSIZE || rv == -ENOMEM)
        return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                           "The answer to %s cannot be read: %s", api->name, strerror(-rv));
    op->tries++;
    return failure_set(failure, KAFKA_ERROR_NONE, "%s", strerror(-rv));
}

bool client_call(struct client_op *op, int32_t node, enum api_key key, const void *request,
                 void *ret_response, struct failure *failure)
{
    const struct api *api = api_find(key);
    do {
        struct peer *peer;
        struct failure problem;
        if (!client_peer(op, node, &peer, failure))
            return false;
        if (client_exchange(op, peer, api, request, ret_response, &problem))
            return true;
        if (problem.error != KAFKA_ERROR_NONE) {
            *failure = problem;
            return false;
        }
        client_forget_nodes(op->client);
    } while (client_backoff(op));
    return client_timed_out(op, failure);
}

bool client_try(struct client_op *op, int32_t node, enum api_key key, const void *request,
                void *ret_response, struct failure *failure)
{
    *failure = (struct failure){0};
    struct peer *peer = client_connect(op, node, failure);
    if (peer == NULL)
        return false;
    if (client_exchange(op, peer, api_find(key), request, ret_response, failure))
        return true;
    if (failure->error == KAFKA_ERROR_NONE)
        client_forget_nodes(op->client);
    return false;
}

bool client_try_later(struct client_op *op, struct failure *failure)
{
    return client_backoff(op) || client_timed_out(op, failure);
}

bool client_retry(struct client_op *op, int16_t error, struct str message, struct failure *failure)
{
    op->tries++;
    if (!kafka_error_retriable(error))
        return failure_set_error(failure, error, message);
    client_forget_nodes(op->client);
    return client_try_later(op, failure);
}

bool client_ask(struct client_op *op, int32_t node, enum api_key key, const void *request,
                void *ret_response, const int16_t *error, const struct str *message,
                struct failure *failure)
{
    do {
        if (!client_call(op, node, key, request, ret_response, failure))
            return false;
        if (*error == KAFKA_ERROR_NONE)
            return true;
    } while (client_retry(op, *error, message != NULL ? *message : STR_NULL, failure));
    return false;
}
