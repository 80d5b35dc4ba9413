/* AllocateProducerIds: blocks of producer ids for brokers (KIP-730). */
#include "common/protocol/codec.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"

#define BLOCK_LEN 1000

CONTROLLER_API(allocate_producer_ids)
{
    const struct image *image = controller_image(controller);
    const struct broker_image *broker = cluster_image_broker(&image->cluster, request->broker_id);
    *ret_result = (struct controller_result){0};
    message_init(&allocate_producer_ids_response_desc, ret_response);
    if (!has_broker_epoch(controller, broker, request->broker_epoch)) {
        ret_response->error_code = KAFKA_ERROR_STALE_BROKER_EPOCH;
        return;
    }
    if (image->next_producer_id > INT64_MAX - BLOCK_LEN) {
        ret_response->error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
        return;
    }
    struct producer_ids_record *record =
        METADATA_RECORD_ADD(&ret_result->records, arena, producer_ids_record, PRODUCER_IDS, 0);
    record->broker_id = broker->id;
    record->broker_epoch = broker->epoch;
    record->next_producer_id = image->next_producer_id + BLOCK_LEN;
    ret_response->producer_id_start = image->next_producer_id;
    ret_response->producer_id_len = BLOCK_LEN;
}
