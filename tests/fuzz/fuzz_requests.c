/*
 * Messages: what decodes, encodes; and from then on nothing changes (codec_check). It prints as
 * JSON that can be read.
 *
 * Input: kind (request, response, metadata record, coordinator record: key or value, whole frame of
 * a request), key, version, then the bytes.
 */
#include "common/protocol/frame.h"
#include "common/protocol/message_json.h"
#include "tests/unit/common/protocol/codec_property.h"

#include <stdint.h>

enum kind {
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_METADATA,
    KIND_GROUP,
    KIND_SHARE,
    KIND_TRANSACTION,
    KIND_FRAME,
    KIND_COUNT,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct message_desc *record_part(const struct coordinator_record *record, bool value)
{
    return !record ? NULL : value ? record->value : record->key;
}

/* The upper bit of the kind tells the value of a coordinator's record from its key. */
static const struct message_desc *find_desc(uint8_t kind, uint8_t key)
{
    const struct api *api = api_find(key);
    bool value = kind >= 0x80;
    switch ((enum kind)(kind % 0x80 % KIND_COUNT)) {
    case KIND_REQUEST:
        return api ? api->request : NULL;
    case KIND_RESPONSE:
        return api ? api->response : NULL;
    case KIND_METADATA:
        return metadata_record_find(key);
    case KIND_GROUP:
        return record_part(group_record_find(key), value);
    case KIND_SHARE:
        return record_part(share_record_find(key), value);
    case KIND_TRANSACTION:
        return record_part(transaction_record_find(key), value);
    default:
        return NULL;
    }
}

static void check_json(const struct message_desc *desc, int16_t version, const void *msg)
{
    struct bytebuf text;
    bytebuf_init(&text);
    for (int style = MESSAGE_JSON_WIRE; style <= MESSAGE_JSON_KAFKA; style++) {
        text.len = 0;
        message_to_json(desc, version, msg, (enum message_json_style)style, &text);
        json_t *json = json_loadb((char *)text.data, text.len, JSON_ALLOW_NUL, NULL);
        CHECK(json);
        json_decref(json);
    }
    bytebuf_release(&text);
}

static void check_message(const struct message_desc *desc, int16_t version, struct bytes input)
{
    if (codec_check(desc, version, input) != 0)
        return;
    struct arena arena;
    arena_init(&arena, 0);
    void *msg = arena_alloc(&arena, desc->body->size_bytes);
    CHECK(message_decode(desc, version, &input, &arena, msg) == 0);
    check_json(desc, version, msg);
    arena_release(&arena);
}

static void check_frame(struct bytes input)
{
    struct arena arena;
    struct request_header header;
    const struct api *api;
    arena_init(&arena, 0);
    if (request_header_decode(&input, &arena, &header, &api) == 0)
        check_message(api->request, header.request_api_version, input);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 1 << 20)
        return 0;
    struct bytes input = {data + 3, (int32_t)size - 3};
    const struct message_desc *desc = find_desc(data[0], data[1]);
    if (desc)
        check_message(desc, data[2], input);
    else if (data[0] % 0x80 % KIND_COUNT == KIND_FRAME)
        check_frame(input);
    return 0;
}
