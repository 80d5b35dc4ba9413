/*
 * A loop's supply of producer ids: a block from the controller at a time (AllocateProducerIds),
 * given out one by one. An id is never given out twice, also not after a restart: what is left of a
 * block then is lost. On the shard's loop.
 */
#ifndef KRAFTD_BROKER_SERVER_PRODUCER_IDS_H
#define KRAFTD_BROKER_SERVER_PRODUCER_IDS_H

#include "broker/server/controller_call.h"

struct producer_id_wait {
    struct list link;
    void (*given)(struct producer_id_wait *, enum kafka_error error, int64_t producer_id);
};

struct producer_ids {
    struct shard *shard;
    int64_t next, end;
    struct list waits;
    bool asking;
    struct arena arena; /* of the request to the controller */
    struct controller_call call;
    struct allocate_producer_ids_request body;
    struct allocate_producer_ids_response response;
};

void producer_ids_init(struct producer_ids *ids, struct shard *shard);
void producer_ids_release(struct producer_ids *ids);
/* given comes at once when there is one at hand. */
void producer_ids_take(struct producer_ids *ids, struct producer_id_wait *wait);

#endif
