#include "broker/handlers/auto_create.h"

#define LOG_MODULE "auto_create"

#include "broker/server/controller_call.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/logger.h"
#include "common/base/mem.h"

#include <stdlib.h>

CONTROLLER_DECIDE(create_topics)

/* A request of our own making; it lives on after the client's is answered. */
struct auto_create {
    struct controller_call call;
    struct arena arena;
    struct create_topics_request body;
    struct create_topics_request_creatable_topic topic;
    struct create_topics_response response;
};

static void reply(struct controller_call *call)
{
    struct auto_create *op = call->ctx;
    int16_t error = (int16_t)call->error;
    if (error == KAFKA_ERROR_NONE && op->response.topics_count == 1)
        error = op->response.topics[0].error_code;
    if (error != KAFKA_ERROR_NONE && error != KAFKA_ERROR_TOPIC_ALREADY_EXISTS)
        log_warn(call->shard->loop->env->logger,
                 "Topic %.*s was asked for and could not be created: %s", STR_FMT(op->topic.name),
                 kafka_error_name(error));
    map_remove(&call->shard->auto_creating, map_key_str(op->topic.name));
    arena_release(&op->arena);
    free(op);
}

void auto_create_topic(struct shard *shard, struct str name)
{
    if (map_get(&shard->auto_creating, map_key_str(name)) != NULL)
        return;
    struct auto_create *op = mem_calloc(1, sizeof(*op));
    arena_init(&op->arena, 0);
    message_init(&create_topics_request_desc, &op->body);
    message_init(&create_topics_response_desc, &op->response);
    message_struct_init(&create_topics_request_creatable_topic_struct, &op->topic, 1);
    op->topic.name = arena_str(&op->arena, name);
    op->topic.num_partitions = -1;
    op->topic.replication_factor = -1;
    op->body.topics = &op->topic;
    op->body.topics_count = 1;
    op->body.timeout_ms = 30000;
    map_put(&shard->auto_creating, map_key_str(op->topic.name), op);
    op->call = (struct controller_call){.shard = shard,
                                        .arena = &op->arena,
                                        .api = api_find(API_CREATE_TOPICS),
                                        .version = -1,
                                        .body = &op->body,
                                        .response = &op->response,
                                        .decide = decide_create_topics,
                                        .reply = reply,
                                        .ctx = op};
    controller_call_start(&op->call);
}
