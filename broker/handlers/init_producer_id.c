/*
 * InitProducerId: an id for an idempotent producer. Ids come in blocks from the controller, one
 * block for each loop (producer_ids.h), so that most requests are answered at once.
 *
 * A transactional id belongs to the transaction coordinator: its requests are checked as Kafka does
 * and then sent back with COORDINATOR_NOT_AVAILABLE, since this node has none.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/producer_ids.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/protocol/messages/init_producer_id.h"

struct init_op {
    struct producer_id_wait wait;
    struct request *request;
};

static enum kafka_error check(const struct init_producer_id_request *body)
{
    if ((body->producer_id == -1) != (body->producer_epoch == -1))
        return KAFKA_ERROR_INVALID_REQUEST;
    if (str_is_null(body->transactional_id))
        return KAFKA_ERROR_NONE;
    if (body->transactional_id.len == 0)
        return KAFKA_ERROR_INVALID_REQUEST;
    return KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
}

static void respond(struct request *request, enum kafka_error error, int64_t producer_id)
{
    struct init_producer_id_response response;
    message_init(&init_producer_id_response_desc, &response);
    response.error_code = (int16_t)error;
    response.producer_id = producer_id;
    response.producer_epoch = error == KAFKA_ERROR_NONE ? 0 : -1;
    request_respond(request, &response);
}

static void given(struct producer_id_wait *wait, enum kafka_error error, int64_t producer_id)
{
    struct init_op *op = CONTAINER_OF(wait, struct init_op, wait);
    respond(op->request, error, error == KAFKA_ERROR_NONE ? producer_id : -1);
}

void handle_init_producer_id(struct request *request)
{
    enum kafka_error error = check(request->body);
    if (error != KAFKA_ERROR_NONE) {
        respond(request, error, -1);
        return;
    }
    struct init_op *op = ARENA_NEW(&request->arena, struct init_op);
    op->request = request;
    op->wait.given = given;
    producer_ids_take(&request->shard->producer_ids, &op->wait);
}
