#include "broker/server/producer_ids.h"

#include "broker/server/node.h"
#include "broker/server/shard.h"

/* Less than producers wait for an answer. */
#define CALL_TIMEOUT_MS 10000

CONTROLLER_DECIDE(allocate_producer_ids)

static void ask(struct producer_ids *ids);

static void give(struct producer_ids *ids, enum kafka_error error)
{
    struct list ready;
    list_init(&ready);
    while (!list_empty(&ids->waits))
        list_push_back(&ready, list_pop_front(&ids->waits));
    struct list *node;
    while ((node = list_pop_front(&ready)) != NULL) {
        struct producer_id_wait *wait = LIST_ITEM(node, struct producer_id_wait, link);
        if (error == KAFKA_ERROR_NONE && ids->next == ids->end)
            list_push_back(&ids->waits, node);
        else
            wait->given(wait, error, error == KAFKA_ERROR_NONE ? ids->next++ : -1);
    }
    if (!list_empty(&ids->waits) && !ids->asking)
        ask(ids);
}

static void reply(struct controller_call *call)
{
    struct producer_ids *ids = call->ctx;
    ids->asking = false;
    enum kafka_error error =
        call->error != KAFKA_ERROR_NONE ? call->error : kafka_error_of(ids->response.error_code);
    /* Producers try again on this one: the controller is only not there yet. */
    if (error == KAFKA_ERROR_NOT_CONTROLLER || error == KAFKA_ERROR_REQUEST_TIMED_OUT ||
        error == KAFKA_ERROR_STALE_BROKER_EPOCH)
        error = KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
    if (error == KAFKA_ERROR_NONE) {
        ids->next = ids->response.producer_id_start;
        ids->end = ids->next + ids->response.producer_id_len;
    }
    give(ids, error);
}

static void ask(struct producer_ids *ids)
{
    ids->asking = true;
    arena_reset(&ids->arena);
    message_init(&allocate_producer_ids_request_desc, &ids->body);
    message_init(&allocate_producer_ids_response_desc, &ids->response);
    ids->body.broker_id = node_id(ids->shard->node);
    ids->body.broker_epoch = node_broker_epoch(ids->shard->node);
    ids->call = (struct controller_call){.shard = ids->shard,
                                         .arena = &ids->arena,
                                         .api = api_find(API_ALLOCATE_PRODUCER_IDS),
                                         .version = -1,
                                         .timeout_ms = CALL_TIMEOUT_MS,
                                         .body = &ids->body,
                                         .response = &ids->response,
                                         .decide = decide_allocate_producer_ids,
                                         .reply = reply,
                                         .ctx = ids};
    controller_call_start(&ids->call);
}

void producer_ids_init(struct producer_ids *ids, struct shard *shard)
{
    *ids = (struct producer_ids){.shard = shard};
    list_init(&ids->waits);
    arena_init(&ids->arena, 0);
}

void producer_ids_release(struct producer_ids *ids)
{
    arena_release(&ids->arena);
}

void producer_ids_take(struct producer_ids *ids, struct producer_id_wait *wait)
{
    if (ids->next < ids->end) {
        wait->given(wait, KAFKA_ERROR_NONE, ids->next++);
        return;
    }
    list_push_back(&ids->waits, &wait->link);
    if (!ids->asking)
        ask(ids);
}
