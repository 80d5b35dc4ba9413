/*
 * Every message and record in every version, filled with random values: encoding and decoding give
 * the same again, through JSON too. With KRAFTD_DUMP_MESSAGES=1 in the environment each is printed
 * as name, version, hex and JSON, to be compared with another implementation.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/codec_internal.h"
#include "common/protocol/message_json.h"
#include "common/protocol/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROUNDS 4

struct filler {
    struct arena *arena;
    uint64_t random;
    int16_t version;
    bool unknown_tags;
};

static void fill_struct(struct filler *f, const struct struct_desc *desc, void *out);

static uint64_t next_random(struct filler *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random;
}

static struct bytes random_bytes(struct filler *f, const char *alphabet)
{
    int32_t len = (int32_t)(next_random(f) % (next_random(f) % 8 == 0 ? 300 : 6));
    uint8_t *data = arena_alloc(f->arena, (size_t)len + 1);
    for (int32_t i = 0; i < len; i++) {
        uint64_t r = next_random(f);
        data[i] = alphabet ? (uint8_t)alphabet[r % strlen(alphabet)] : (uint8_t)r;
    }
    return (struct bytes){data, len};
}

/* Of all sizes, not only large ones. */
static int64_t random_integer(struct filler *f)
{
    uint64_t bits = next_random(f) % 65;
    return bits == 0 ? 0 : (int64_t)(next_random(f) << (64 - bits)) >> (64 - bits);
}

static void fill_value(struct filler *f, const struct field_desc *field, enum field_type type,
                       bool nullable, void *out)
{
    struct bytes text;
    if (nullable && type >= FIELD_STRING && type <= FIELD_RECORDS && next_random(f) % 3 == 0) {
        *(struct bytes *)out = BYTES_NULL;
        return;
    }
    switch (type) {
    case FIELD_STRUCT:
        fill_struct(f, field->sub, out);
        break;
    case FIELD_BOOL:
        *(bool *)out = next_random(f) % 2;
        break;
    case FIELD_FLOAT64:
        *(double *)out = (double)(int32_t)random_integer(f) / 8;
        break;
    case FIELD_UUID:
        for (int i = 0; i < 16; i++)
            ((struct uuid *)out)->b[i] = (uint8_t)next_random(f);
        break;
    case FIELD_STRING:
        text = random_bytes(f, "abc.-_ \"\\/\n\x01\x7f");
        *(struct str *)out = str_from((const char *)text.data, (size_t)text.len);
        break;
    case FIELD_BYTES:
    case FIELD_RECORDS:
        *(struct bytes *)out = random_bytes(f, NULL);
        break;
    default: {
        int64_t value = random_integer(f);
        static const uint8_t sizes[] = {[FIELD_INT8] = 1,  [FIELD_INT16] = 2,  [FIELD_UINT16] = 2,
                                        [FIELD_INT32] = 4, [FIELD_UINT32] = 4, [FIELD_INT64] = 8};
        memcpy(out, &value, sizes[type]); /* little-endian machines only, as everything here */
        break;
    }
    }
}

static void fill_field(struct filler *f, const struct field_desc *field, void *out)
{
    bool nullable = field_nullable_in(field, f->version);
    bool null = nullable && next_random(f) % 3 == 0;
    if (field->type == FIELD_ARRAY) {
        struct array *array = out;
        array->count = null ? -1 : (int32_t)(next_random(f) % 4);
        array->items = NULL;
        if (array->count <= 0)
            return;
        size_t size = element_size(field);
        array->items = arena_calloc(f->arena, (size_t)array->count, size);
        for (int32_t i = 0; i < array->count; i++)
            fill_value(f, field, field->element, false, (char *)array->items + (size_t)i * size);
    } else if (field->type == FIELD_STRUCT_PTR) {
        void **ptr = out;
        *ptr = null ? NULL : arena_calloc(f->arena, 1, field->sub->size_bytes);
        if (*ptr)
            fill_struct(f, field->sub, *ptr);
    } else {
        fill_value(f, field, field->type, nullable, out);
    }
}

static void fill_struct(struct filler *f, const struct struct_desc *desc, void *out)
{
    message_struct_init(desc, out, 1);
    for (int i = 0; i < desc->field_count + desc->tagged_count; i++) {
        const struct field_desc *field = &desc->fields[i];
        bool skip = (field->flags & FIELD_TAGGED) && next_random(f) % 2;
        if (field_in_version(field, f->version) && !skip)
            fill_field(f, field, (char *)out + field->offset);
    }
    if (!f->unknown_tags || next_random(f) % 4 != 0)
        return;
    struct unknown_tag *tag = ARENA_NEW(f->arena, struct unknown_tag);
    *tag =
        (struct unknown_tag){NULL, 100 + (uint32_t)(next_random(f) % 1000), random_bytes(f, NULL)};
    *(struct unknown_tag **)(void *)((char *)out + desc->unknown_tags_offset) = tag;
}

static void dump(const struct message_desc *desc, int16_t version, const void *msg,
                 const struct bytebuf *wire)
{
    struct bytebuf json;
    bytebuf_init(&json);
    message_to_json(desc, version, msg, MESSAGE_JSON_KAFKA, &json);
    printf("%s\t%d\t", desc->name, version);
    for (size_t i = 0; i < wire->len; i++)
        printf("%02x", wire->data[i]);
    printf("\t%.*s\n", (int)json.len, (char *)json.data);
    bytebuf_release(&json);
}

static void check_same(const struct message_desc *desc, int16_t version, const void *msg,
                       const struct bytebuf *wire)
{
    struct bytebuf again;
    bytebuf_init(&again);
    int error = message_encode(desc, version, msg, &again);
    if (error || again.len != wire->len || memcmp(again.data, wire->data, wire->len) != 0)
        fail_msg("%s v%d: error %d or other bytes", desc->name, version, error);
    bytebuf_release(&again);
}

static void check_json(const struct message_desc *desc, int16_t version, const void *msg,
                       struct arena *arena, const struct bytebuf *wire)
{
    struct bytebuf text;
    struct str problem = STR_EMPTY;
    void *back = arena_calloc(arena, 1, desc->body->size_bytes);
    bytebuf_init(&text);
    message_to_json(desc, version, msg, MESSAGE_JSON_WIRE, &text);
    json_t *json = json_loadb((char *)text.data, text.len, 0, NULL);
    int error = message_from_json(desc, version, json, MESSAGE_JSON_WIRE, arena, back, &problem);
    if (error)
        fail_msg("%s v%d: %.*s", desc->name, version, STR_FMT(problem));
    check_same(desc, version, back, wire);
    json_decref(json);
    bytebuf_release(&text);
}

static void check_message(const struct message_desc *desc, int16_t version, uint64_t seed)
{
    struct arena arena;
    struct bytebuf wire;
    arena_init(&arena, 0);
    bytebuf_init(&wire);
    struct filler filler = {&arena, seed, version, version >= desc->flexible_from};
    void *msg = arena_calloc(&arena, 1, desc->body->size_bytes);
    void *back = arena_calloc(&arena, 1, desc->body->size_bytes);
    fill_struct(&filler, desc->body, msg);
    int error = message_encode(desc, version, msg, &wire);
    if (error)
        fail_msg("%s v%d: encode: %d", desc->name, version, error);
    if (getenv("KRAFTD_DUMP_MESSAGES"))
        dump(desc, version, msg, &wire);
    struct bytes input = {wire.data, (int32_t)wire.len};
    error = message_decode(desc, version, &input, &arena, back);
    if (error || input.len != 0)
        fail_msg("%s v%d: decode: %d, %d bytes left", desc->name, version, error, input.len);
    check_same(desc, version, back, &wire);
    check_json(desc, version, back, &arena, &wire);
    message_copy(desc, back, &arena, msg);
    memset(wire.data, 0, wire.len); /* the copy must not need the input */
    wire.len = 0;
    CHECK(message_encode(desc, version, msg, &wire) == 0);
    check_json(desc, version, msg, &arena, &wire);
    bytebuf_release(&wire);
    arena_release(&arena);
}

static void check_versions(const struct message_desc *desc)
{
    static uint64_t seed = 1;
    for (int16_t version = desc->min_version; version <= desc->max_version; version++) {
        for (int round = 0; round < ROUNDS; round++)
            check_message(desc, version, seed++ * 0x9e3779b97f4a7c15);
    }
}

static void requests_and_responses(void **state)
{
    for (int16_t key = 0; key < api_table_size; key++) {
        if (api_find(key)) {
            check_versions(api_find(key)->request);
            check_versions(api_find(key)->response);
        }
    }
    check_versions(&request_header_desc);
    check_versions(&response_header_desc);
}

static void metadata_records(void **state)
{
    for (int16_t key = 0; key < metadata_record_table_size; key++) {
        if (metadata_record_find(key))
            check_versions(metadata_record_find(key));
    }
}

static void check_coordinator(const struct coordinator_record *(*find)(int16_t), int size)
{
    for (int16_t type = 0; type < size; type++) {
        if (find(type)) {
            check_versions(find(type)->key);
            check_versions(find(type)->value);
        }
    }
}

static void coordinator_records(void **state)
{
    check_coordinator(group_record_find, group_record_table_size);
    check_coordinator(share_record_find, share_record_table_size);
    check_coordinator(transaction_record_find, transaction_record_table_size);
}

static void other_data(void **state)
{
    static const struct message_desc *const descs[] = {
        &aborted_txn_desc,
        &consumer_protocol_assignment_desc,
        &consumer_protocol_subscription_desc,
        &control_record_type_schema_desc,
        &default_principal_data_desc,
        &end_txn_marker_desc,
        &kraft_version_record_desc,
        &leader_change_message_desc,
        &quorum_state_data_desc,
        &snapshot_footer_record_desc,
        &snapshot_header_record_desc,
        &voters_record_desc,
    };
    for (size_t i = 0; i < ARRAY_LEN(descs); i++)
        check_versions(descs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_responses),
        cmocka_unit_test(metadata_records),
        cmocka_unit_test(coordinator_records),
        cmocka_unit_test(other_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
