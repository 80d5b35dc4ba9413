#include "broker/server/envelope.h"

#include "common/protocol/endian.h"
#include "common/protocol/frame.h"
#include "common/protocol/messages/principal.h"

#include <arpa/inet.h>
#include <errno.h>

bool envelope_may_hold(int16_t api_key)
{
    switch (api_key) {
    case API_CREATE_TOPICS:
    case API_DELETE_TOPICS:
    case API_CREATE_ACLS:
    case API_DELETE_ACLS:
    case API_ALTER_CONFIGS:
    case API_CREATE_PARTITIONS:
    case API_CREATE_DELEGATION_TOKEN:
    case API_RENEW_DELEGATION_TOKEN:
    case API_EXPIRE_DELEGATION_TOKEN:
    case API_ELECT_LEADERS:
    case API_INCREMENTAL_ALTER_CONFIGS:
    case API_ALTER_PARTITION_REASSIGNMENTS:
    case API_LIST_PARTITION_REASSIGNMENTS:
    case API_ALTER_CLIENT_QUOTAS:
    case API_ALTER_USER_SCRAM_CREDENTIALS:
    case API_DESCRIBE_QUORUM:
    case API_UPDATE_FEATURES:
    case API_UNREGISTER_BROKER:
    case API_ADD_RAFT_VOTER:
    case API_REMOVE_RAFT_VOTER:
    case API_UNREGISTER_CONTROLLER:
        return true;
    default:
        return false;
    }
}

static int encode_principal(struct str principal, struct arena *arena, struct bytes *ret)
{
    struct default_principal_data data;
    struct str type, name = principal;
    message_init(&default_principal_data_desc, &data);
    str_split(&name, ':', &type);
    data.type = type;
    data.name = str_is_null(name) ? STR_EMPTY : name;
    struct bytebuf out;
    bytebuf_init(&out);
    bytebuf_reserve(&out, 2);
    put_u16(out.data, (uint16_t)default_principal_data_desc.max_version);
    out.len = 2;
    int rv = message_encode(&default_principal_data_desc, default_principal_data_desc.max_version,
                            &data, &out);
    if (rv == 0)
        *ret = arena_bytes(arena, (struct bytes){out.data, (int32_t)out.len});
    bytebuf_release(&out);
    return rv;
}

/* A peer without a literal address (there is none in production) is nobody in particular. */
static struct bytes encode_host(struct str host, struct arena *arena)
{
    uint8_t *address = arena_calloc(arena, 1, 16);
    const char *text = arena_str_z(arena, host);
    if (inet_pton(AF_INET6, text, address) == 1)
        return (struct bytes){address, 16};
    memset(address, 0, 16);
    inet_pton(AF_INET, text, address);
    return (struct bytes){address, 4};
}

int envelope_make(const struct request *request, const void *body, struct arena *arena,
                  struct envelope_request *ret_envelope)
{
    struct bytebuf out;
    struct envelope_request envelope;
    message_init(&envelope_request_desc, &envelope);
    bytebuf_init(&out);
    int rv = frame_encode_request(request->api, request->header.request_api_version,
                                  request->header.correlation_id, request->header.client_id, body,
                                  &out, NULL);
    if (rv == 0)
        rv = encode_principal(request->principal, arena, &envelope.request_principal);
    if (rv == 0) {
        envelope.request_data =
            arena_bytes(arena, (struct bytes){out.data + 4, (int32_t)out.len - 4});
        envelope.client_host_address = encode_host(request->client_host, arena);
        *ret_envelope = envelope;
    }
    bytebuf_release(&out);
    return rv;
}

static int decode_principal(struct bytes bytes, struct arena *arena, struct str *ret_principal)
{
    struct default_principal_data data;
    if (bytes.len < 2)
        return -EINVAL;
    int16_t version = (int16_t)get_u16(bytes.data);
    struct bytes input = {bytes.data + 2, bytes.len - 2};
    if (message_decode(&default_principal_data_desc, version, &input, arena, &data) != 0)
        return -EINVAL;
    *ret_principal = arena_printf(arena, "%.*s:%.*s", STR_FMT(data.type), STR_FMT(data.name));
    return 0;
}

int envelope_read(const struct envelope_request *envelope, struct arena *arena,
                  struct str *ret_principal, struct str *ret_host, enum kafka_error *ret_error)
{
    char text[INET6_ADDRSTRLEN];
    int32_t len = envelope->client_host_address.len;
    struct str principal;
    if (decode_principal(envelope->request_principal, arena, &principal) != 0) {
        *ret_error = KAFKA_ERROR_PRINCIPAL_DESERIALIZATION_FAILURE;
        return -EINVAL;
    }
    if (len != 4 && len != 16) {
        *ret_error = KAFKA_ERROR_INVALID_REQUEST;
        return -EINVAL;
    }
    inet_ntop(len == 4 ? AF_INET : AF_INET6, envelope->client_host_address.data, text,
              sizeof(text));
    *ret_host = arena_str(arena, str_of(text));
    *ret_principal = principal;
    return 0;
}
