/*
 * RequestMetrics: how many requests of each API and version there were, with which errors they were
 * answered, and where their time went:
 *
 *   frame complete --RequestQueue--> handler --Local--> it waits --Remote--> answered
 *     --ResponseQueue--> its turn to be written --ResponseSend--> gone out
 *
 * Total is all of it. Fetch is counted twice, as Fetch and as FetchConsumer or FetchFollower.
 *
 * On the connection's loop. A timing is the slot's, from the frame until the answer has gone out.
 */
#ifndef KRAFTD_BROKER_SERVER_REQUEST_METRICS_H
#define KRAFTD_BROKER_SERVER_REQUEST_METRICS_H

#include <stdbool.h>
#include <stdint.h>

struct api;
struct connection;
struct request;
struct request_slot;
struct shard_metrics;

void request_metrics_init(struct shard_metrics *metrics);
void request_metrics_release(struct shard_metrics *metrics);

/* A frame arrived: gives the slot its timing. */
void request_metrics_begin(struct shard_metrics *metrics, struct request_slot *slot);
/* Calls the request's handler. */
void request_metrics_handle(struct request *request);
/* The request is answered with `response`, of the version that it asks for. */
void request_metrics_answer(struct shard_metrics *metrics, const struct api *api, int16_t version,
                            const void *response);
/* A connection_handler's on_done. */
void request_metrics_done(struct connection *connection, struct request_slot *slot, bool sent);

#endif
