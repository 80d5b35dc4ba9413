/*
 * Frames: what a request and its answer look like on a connection.
 *
 *   int32 length of all that follows | header | body
 *
 * Request header 1: api key, version, correlation id, client id; version 2 adds tagged fields (the
 * client id keeps its 2-byte length). Response header 0: correlation id; version 1 adds tagged
 * fields. Flexible versions of a request use 2 and 1, with one exception: the answer to ApiVersions
 * always has header 0, because the client does not know yet what the broker speaks. No state; any
 * thread.
 */
#ifndef KRAFTD_PROTOCOL_FRAME_H
#define KRAFTD_PROTOCOL_FRAME_H

#include "common/protocol/codec.h"
#include "common/protocol/messages/headers.h"

/* Of a request that api_find knows; the version need not exist. */
int16_t api_request_header_version(const struct api *api, int16_t version);
int16_t api_response_header_version(const struct api *api, int16_t version);

/*
 * Takes the header off the front of a frame (without its length); the body remains. *ret_api is
 * what request_api_key names. The version is not checked. -EPROTONOSUPPORT: no such API; -EBADMSG:
 * malformed; -ENOMEM as in message_decode.
 */
int request_header_decode(struct bytes *in_out_frame, struct arena *arena,
                          struct request_header *ret_header, const struct api **ret_api);
/* The same for an answer to a request of this API and version. */
int response_header_decode(const struct api *api, int16_t version, struct bytes *in_out_frame,
                           struct arena *arena, struct response_header *ret_header);

/*
 * Append a whole frame, length first. Errors are message_encode's; -EMSGSIZE: over 2 GiB. On
 * failure `out` and `parts` are as they were. `out` may hold other frames already. `parts` may be
 * NULL: then no records may be external.
 */
int frame_encode_request(const struct api *api, int16_t version, int32_t correlation_id,
                         struct str client_id, const void *request, struct bytebuf *out,
                         struct encode_parts *parts);
int frame_encode_response(const struct api *api, int16_t version, int32_t correlation_id,
                          const void *response, struct bytebuf *out, struct encode_parts *parts);

#endif
