#include "broker/server/request.h"

#define LOG_MODULE "request"

#include "broker/server/envelope.h"
#include "broker/server/node.h"
#include "broker/server/peer_requests.h"
#include "broker/server/request_metrics.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/connection.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/envelope.h"
#include "common/protocol/endian.h"
#include "common/protocol/frame.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What one request may take in memory while it is decoded, beside its frame. */
#define DECODE_FACTOR     64
#define DECODE_BASE_BYTES (1 << 20)
/* Requests that a loop keeps for reuse. */
#define FREE_REQUESTS_MAX 64

static struct request *request_get(struct shard *shard)
{
    struct request *request;
    if (!list_empty(&shard->free_requests)) {
        request = LIST_ITEM(list_pop_front(&shard->free_requests), struct request, link);
        shard->free_request_count--;
    } else {
        request = mem_calloc(1, sizeof(*request));
        arena_init(&request->arena, 0);
    }
    request->shard = shard;
    list_push_back(&shard->requests, &request->link);
    shard->request_count++;
    return request;
}

static void request_put(struct request *request)
{
    struct shard *shard = request->shard;
    list_remove(&request->link);
    shard->request_count--;
    buf_unref(request->frame);
    arena_reset(&request->arena);
    struct arena arena = request->arena;
    *request = (struct request){.arena = arena};
    if (shard->free_request_count < FREE_REQUESTS_MAX) {
        list_push_front(&shard->free_requests, &request->link);
        shard->free_request_count++;
        return;
    }
    arena_release(&request->arena);
    free(request);
}

void request_free_all(struct shard *shard)
{
    struct list *node;
    while ((node = list_pop_front(&shard->free_requests)) != NULL) {
        struct request *request = LIST_ITEM(node, struct request, link);
        arena_release(&request->arena);
        free(request);
    }
}

void request_refuse(struct request *request, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (request->envelope != NULL) {
        log_info(request->shard->loop->env->logger, "Refusing a request forwarded for %.*s: %s",
                 STR_FMT(request->client_host), text);
        request_fail_envelope(request, KAFKA_ERROR_INVALID_REQUEST);
        return;
    }
    log_info(request->shard->loop->env->logger, "Closing the connection of %.*s: %s",
             STR_FMT(request->client_host), text);
    connection_fail(request->slot, "the request was refused");
    request_put(request);
}

void request_skip(struct request *request)
{
    connection_respond(request->slot, NULL, 0);
    request_put(request);
}

/* The answer of ApiVersions has no tags in its header, so that every client can read it. */
static int16_t response_header_version(const struct request *request)
{
    return request->header.request_api_key != API_API_VERSIONS &&
                   request->header.request_api_version >= request->api->response->flexible_from
               ? 1
               : 0;
}

/* Bytes [from, to) of the encoded answer as a chunk. */
static int add_bytes(struct out_chunk *chunks, int count, struct buf *buf, size_t from, size_t to)
{
    if (from == to)
        return count;
    chunks[count] =
        (struct out_chunk){.buf = buf_ref(buf), .position = (int64_t)from, .len = to - from};
    return count + 1;
}

static void send_parts(struct request *request, struct buf *head, const struct encode_parts *parts,
                       const struct response_file *files)
{
    struct out_chunk *chunks = ARENA_ARRAY(&request->arena, struct out_chunk, 2 * parts->count + 1);
    int count = 0;
    size_t at = 0;
    int32_t file = 0;
    for (size_t i = 0; i < parts->count; i++) {
        const struct encode_part *part = &parts->items[i];
        count = add_bytes(chunks, count, head, at, part->at);
        at = part->at;
        if (part->payload.data == NULL) {
            chunks[count++] = (struct out_chunk){.file = files[file].file,
                                                 .position = files[file].position,
                                                 .len = (size_t)part->payload.len};
            file++;
        } else {
            struct buf *copy = buf_copy(part->payload.data, (size_t)part->payload.len);
            chunks[count++] = (struct out_chunk){.buf = copy, .len = (size_t)part->payload.len};
        }
    }
    count = add_bytes(chunks, count, head, at, head->size_bytes);
    connection_respond(request->slot, chunks, count);
}

/* Ends the envelope with this error, or with this answer of what was in it. */
static void respond_envelope(struct request *request, enum kafka_error error, struct bytes data)
{
    struct request *envelope = request->envelope;
    struct envelope_response response;
    message_init(&envelope_response_desc, &response);
    response.error_code = (int16_t)error;
    if (error == KAFKA_ERROR_NONE)
        response.response_data = data;
    request_put(request);
    request_respond(envelope, &response);
}

void request_fail_envelope(struct request *request, enum kafka_error error)
{
    respond_envelope(request, error, BYTES_NULL);
}

/* What is forwarded is answered without files. */
static void respond_enveloped(struct request *request, const void *response)
{
    struct bytebuf out;
    bytebuf_init(&out);
    int rv = frame_encode_response(request->api, request->header.request_api_version,
                                   request->header.correlation_id, response, &out, NULL);
    if (rv != 0)
        request_refuse(request, "its answer cannot be encoded");
    else
        respond_envelope(request, KAFKA_ERROR_NONE,
                         (struct bytes){out.data + 4, (int32_t)out.len - 4});
    bytebuf_release(&out);
}

void request_respond_files(struct request *request, const void *response,
                           const struct response_file *files, int32_t file_count)
{
    struct bytebuf out;
    struct encode_parts parts;
    request_metrics_answer(request->shard->metrics, request->api,
                           request->header.request_api_version, response);
    if (request->envelope != NULL) {
        CHECK(file_count == 0);
        respond_enveloped(request, response);
        return;
    }
    bytebuf_init(&out);
    encode_parts_init(&parts);
    bytebuf_reserve(&out, 4);
    out.len = 4;
    struct response_header header = {.correlation_id = request->header.correlation_id};
    int rv = message_encode(&response_header_desc, response_header_version(request), &header, &out);
    if (rv == 0)
        rv = message_encode_parts(request->api->response, request->header.request_api_version,
                                  response, &out, &parts);
    if (rv != 0) {
        for (int32_t i = 0; i < file_count; i++)
            disk_file_unref(files[i].file);
        log_error(request->shard->loop->env->logger,
                  "The answer of %s version %d cannot be encoded", request->api->name,
                  (int)request->header.request_api_version);
        bytebuf_release(&out);
        encode_parts_release(&parts);
        request_refuse(request, "its answer cannot be encoded");
        return;
    }
    put_u32(out.data, (uint32_t)((int64_t)out.len - 4 + parts.payload_bytes));
    struct buf *head = bytebuf_to_buf(&out);
    send_parts(request, head, &parts, files);
    buf_unref(head);
    encode_parts_release(&parts);
    request_put(request);
}

void request_respond(struct request *request, const void *response)
{
    request_respond_files(request, response, NULL, 0);
}

/* A version that we lack: version 0 of the answer, which names the versions that there are. */
static void respond_unsupported(struct request *request)
{
    request->header.request_api_version = 0;
    struct api_versions_response response;
    message_init(&api_versions_response_desc, &response);
    response.error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
    const struct api_handler *handler = api_handler_find(API_API_VERSIONS, API_ON_BROKER);
    response.api_keys = MESSAGE_ARRAY(&request->arena, api_versions_response_api_version, 1);
    response.api_keys_count = 1;
    response.api_keys[0].api_key = handler->api_key;
    response.api_keys[0].min_version = handler->min_version;
    response.api_keys[0].max_version = handler->max_version;
    request_respond(request, &response);
}

static bool version_served(const struct request *request, struct bytes frame)
{
    int16_t version = (int16_t)get_u16(frame.data + 2);
    const struct api_handler *handler =
        api_handler_find((int16_t)get_u16(frame.data), request->listener->api_mask);
    return handler != NULL && version >= handler->min_version && version <= handler->max_version;
}

/* Reads the header; false when the request was ended. */
static bool decode_header(struct request *request, struct bytes *in_out_frame)
{
    const uint8_t *frame = in_out_frame->data;
    if (in_out_frame->len < 8) {
        request_refuse(request, "a frame of %d bytes holds no request header", in_out_frame->len);
        return false;
    }
    int16_t key = (int16_t)get_u16(frame), version = (int16_t)get_u16(frame + 2);
    request->api = api_find(key);
    const struct api_handler *handler = api_handler_find(key, request->listener->api_mask);
    bool served =
        handler != NULL && version >= handler->min_version && version <= handler->max_version;
    if (handler == NULL || (!served && key != API_API_VERSIONS)) {
        request_refuse(request, "it asked for API key %d version %d, which is not served here",
                       (int)key, (int)version);
        return false;
    }
    int16_t header_version = version >= request->api->request->flexible_from ? 2 : 1;
    if (message_decode(&request_header_desc, header_version, in_out_frame, &request->arena,
                       &request->header) != 0) {
        request_refuse(request, "its request header cannot be read");
        return false;
    }
    request->handler = handler;
    if (served)
        return true;
    respond_unsupported(request);
    return false;
}

static bool decode_body(struct request *request, struct bytes input)
{
    const struct message_desc *desc = request->api->request;
    void *body = arena_calloc(&request->arena, 1, desc->body->size_bytes);
    int rv =
        message_decode(desc, request->header.request_api_version, &input, &request->arena, body);
    if (rv != 0) {
        request_refuse(request, "a %s request of version %d cannot be read (%s)",
                       request->api->name, (int)request->header.request_api_version,
                       rv == -ENOMEM ? "too large" : "malformed");
        return false;
    }
    request->arena.limit_bytes = 0;
    request->body = body;
    return true;
}

void request_receive(struct shard *shard, struct request_slot *slot, struct buf *frame,
                     const struct listener_info *listener, struct str principal,
                     struct str client_host)
{
    request_metrics_begin(shard->metrics, slot);
    if (peer_request_is(frame, listener)) {
        peer_request_receive(shard, slot, frame);
        return;
    }
    struct request *request = request_get(shard);
    request->slot = slot;
    request->frame = frame;
    request->listener = listener;
    request->principal = principal;
    request->client_host = client_host;
    request->received_us = slot->received_us;
    request->arena.limit_bytes = frame->size_bytes * DECODE_FACTOR + DECODE_BASE_BYTES;
    struct bytes input = {frame->data, (int32_t)frame->size_bytes};
    if (decode_header(request, &input) && decode_body(request, input))
        request_metrics_handle(request);
}

void request_receive_enveloped(struct request *envelope, struct bytes frame, struct str principal,
                               struct str client_host)
{
    struct request *request = request_get(envelope->shard);
    request->envelope = envelope;
    request->listener = envelope->listener;
    request->principal = principal;
    request->client_host = client_host;
    request->received_us = envelope->received_us;
    request->arena.limit_bytes = (size_t)frame.len * DECODE_FACTOR + DECODE_BASE_BYTES;
    if (frame.len < 8 || !envelope_may_hold((int16_t)get_u16(frame.data))) {
        request_refuse(request, "it is none that may be forwarded");
        return;
    }
    if (!version_served(request, frame)) {
        request_fail_envelope(request, KAFKA_ERROR_UNSUPPORTED_VERSION);
        return;
    }
    if (decode_header(request, &frame) && decode_body(request, frame))
        request->handler->handle(request);
}
