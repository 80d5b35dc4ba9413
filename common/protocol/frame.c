#include "common/protocol/frame.h"

#include "common/protocol/wire.h"

#include <errno.h>

#define LENGTH_BYTES 4

int16_t api_request_header_version(const struct api *api, int16_t version)
{
    return version >= api->request->flexible_from ? 2 : 1;
}

int16_t api_response_header_version(const struct api *api, int16_t version)
{
    return version >= api->response->flexible_from && api->key != API_API_VERSIONS ? 1 : 0;
}

int request_header_decode(struct bytes *in_out_frame, struct arena *arena,
                          struct request_header *ret_header, const struct api **ret_api)
{
    if (in_out_frame->len < 4)
        return -EBADMSG;
    const struct api *api = api_find(get_i16(in_out_frame->data));
    if (!api)
        return -EPROTONOSUPPORT;
    int16_t version = get_i16(in_out_frame->data + 2);
    int error = message_decode(&request_header_desc, api_request_header_version(api, version),
                               in_out_frame, arena, ret_header);
    if (error)
        return error;
    *ret_api = api;
    return 0;
}

int response_header_decode(const struct api *api, int16_t version, struct bytes *in_out_frame,
                           struct arena *arena, struct response_header *ret_header)
{
    return message_decode(&response_header_desc, api_response_header_version(api, version),
                          in_out_frame, arena, ret_header);
}

static int encode_frame(const struct message_desc *header_desc, int16_t header_version,
                        const void *header, const struct message_desc *desc, int16_t version,
                        const void *body, struct bytebuf *out, struct encode_parts *parts)
{
    size_t start = out->len;
    size_t parts_before = parts ? parts->count : 0;
    int64_t payload_before = parts ? parts->payload_bytes : 0;
    int64_t payload_bytes = 0;
    bytebuf_append(out, "\0\0\0\0", LENGTH_BYTES);
    int error = message_encode(header_desc, header_version, header, out);
    if (error)
        goto err_restore;
    error = message_encode_parts(desc, version, body, out, parts);
    if (error)
        goto err_restore;
    if (parts)
        payload_bytes = parts->payload_bytes - payload_before;
    int64_t size_bytes = (int64_t)(out->len - start - LENGTH_BYTES) + payload_bytes;
    if (size_bytes > INT32_MAX) {
        error = -EMSGSIZE;
        goto err_restore;
    }
    put_i32(out->data + start, (int32_t)size_bytes);
    return 0;

err_restore:
    out->len = start;
    if (parts) {
        parts->count = parts_before;
        parts->payload_bytes = payload_before;
    }
    return error;
}

int frame_encode_request(const struct api *api, int16_t version, int32_t correlation_id,
                         struct str client_id, const void *request, struct bytebuf *out,
                         struct encode_parts *parts)
{
    struct request_header header;
    message_init(&request_header_desc, &header);
    header.request_api_key = api->key;
    header.request_api_version = version;
    header.correlation_id = correlation_id;
    header.client_id = client_id;
    return encode_frame(&request_header_desc, api_request_header_version(api, version), &header,
                        api->request, version, request, out, parts);
}

int frame_encode_response(const struct api *api, int16_t version, int32_t correlation_id,
                          const void *response, struct bytebuf *out, struct encode_parts *parts)
{
    struct response_header header;
    message_init(&response_header_desc, &header);
    header.correlation_id = correlation_id;
    return encode_frame(&response_header_desc, api_response_header_version(api, version), &header,
                        api->response, version, response, out, parts);
}
