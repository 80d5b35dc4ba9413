/*
 * A request on its way through the broker: decoded on its connection's loop, handled there,
 * answered there. One arena holds everything it needs; it dies with the answer.
 *
 * Thread: the connection's loop, but where a shard_call carries it to another loop: then that loop
 * has it until the call comes back. Exactly one of request_respond, request_skip and request_refuse
 * ends it.
 */
#ifndef KRAFTD_BROKER_SERVER_REQUEST_H
#define KRAFTD_BROKER_SERVER_REQUEST_H

#include "broker/server/shard_call.h"
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/protocol/codec.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/headers.h"

struct api_handler;
struct disk_file;
struct node;
struct listener_info;
struct request_slot;
struct shard;

struct request {
    struct shard *shard; /* of the connection's loop */
    struct request_slot *slot;
    struct buf *frame; /* strings and records of body point into it */
    struct arena arena;
    struct request_header header;
    const struct api *api;
    const struct api_handler *handler;
    const void *body; /* struct x_request, in the arena */
    const struct listener_info *listener;
    struct str principal;   /* "User:ANONYMOUS" */
    struct str client_host; /* "/127.0.0.1" as Kafka writes it */
    int64_t received_us;
    int32_t throttle_ms;
    struct list link; /* the shard's requests, or its free ones */
    /* The Envelope that it came in; NULL: from its own connection. Then it has no slot. */
    struct request *envelope;
};

/* What a client talks to: one of `listeners`. Constant, and there as long as it has connections. */
struct listener_info {
    struct node *node;
    struct str name;  /* "PLAINTEXT" */
    uint8_t api_mask; /* API_ON_BROKER or API_ON_CONTROLLER */
};

/* Handles one API; body is decoded. Ends the request at once or later. */
struct api_handler {
    int16_t api_key;
    int16_t min_version, max_version; /* what is served; advertised as such */
    void (*handle)(struct request *);
};

/* A frame arrived: takes over the reference. */
void request_receive(struct shard *shard, struct request_slot *slot, struct buf *frame,
                     const struct listener_info *listener, struct str principal,
                     struct str client_host);

/* A request that a broker forwards for a client: header and body in `frame`, which the envelope
 * keeps. Its answer, or why it cannot be served, goes into the envelope's. */
void request_receive_enveloped(struct request *envelope, struct bytes frame, struct str principal,
                               struct str client_host);
/* Ends both with an error of the envelope. */
void request_fail_envelope(struct request *request, enum kafka_error error);

/* Encodes response (of the request's version) and sends it when its turn comes. */
void request_respond(struct request *request, const void *response);

/* A part of a response sent from a file; the reference is taken over. */
struct response_file {
    struct disk_file *file;
    int64_t position;
};
/* As request_respond, with one entry of files for each external records field, in their order. */
void request_respond_files(struct request *request, const void *response,
                           const struct response_file *files, int32_t file_count);
/* No answer is due (acks=0). */
void request_skip(struct request *request);
/* Closes the connection, as Kafka does with what it cannot serve; the reason is logged. */
__attribute__((format(printf, 2, 3))) void request_refuse(struct request *request,
                                                          const char *format, ...);

/* Frees the requests a loop keeps for reuse. */
void request_free_all(struct shard *shard);

/* The handler of an API on this listener, or NULL. */
const struct api_handler *api_handler_find(int16_t api_key, uint8_t api_mask);
/* All of them, in order of key; ends with api_key -1. */
extern const struct api_handler api_handlers[];

#endif
