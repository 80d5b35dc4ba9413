/*
 * Recorded exchanges decode to the recorded fields, encode to the same bytes, and the fields, read
 * from JSON, encode to the same bytes too.
 */
#include "tests/unit/common/protocol/capture.h"

#include "common/protocol/message_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <zlib.h>

struct both {
    void *header, *body;
};

static void decode_capture(const struct capture *c, struct arena *arena, struct both *ret)
{
    struct bytes rest = c->frame;
    ret->header = arena_calloc(arena, 1, c->header_desc->body->size_bytes);
    ret->body = arena_calloc(arena, 1, c->desc->body->size_bytes);
    int error = message_decode(c->header_desc, c->header_version, &rest, arena, ret->header);
    if (!error)
        error = message_decode(c->desc, c->version, &rest, arena, ret->body);
    if (error || rest.len != c->extra_bytes)
        fail_msg("%s: error %d, %d bytes left", c->file, error, rest.len);
}

static void check_encoding(const struct capture *c, const struct both *both)
{
    struct bytebuf out;
    bytebuf_init(&out);
    int error = message_encode(c->header_desc, c->header_version, both->header, &out);
    if (!error)
        error = message_encode(c->desc, c->version, both->body, &out);
    size_t expected = (size_t)(c->frame.len - c->extra_bytes);
    if (error || out.len != expected || memcmp(out.data, c->frame.data, expected) != 0)
        fail_msg("%s: error %d, %zu bytes for %zu", c->file, error, out.len, expected);
    bytebuf_release(&out);
}

static void check_fields(const struct capture *c, const struct message_desc *desc, int16_t version,
                         const void *msg, const json_t *expected)
{
    struct bytebuf text;
    json_error_t error;
    bytebuf_init(&text);
    message_to_json(desc, version, msg, MESSAGE_JSON_WIRE, &text);
    json_t *json = json_loadb((char *)text.data, text.len, JSON_ALLOW_NUL, &error);
    if (!json)
        fail_msg("%s: %s: %.*s", c->file, error.text, (int)text.len, (char *)text.data);
    if (!json_equal(json, expected))
        fail_msg("%s: %.*s", c->file, (int)text.len, (char *)text.data);
    json_decref(json);
    bytebuf_release(&text);
}

static void *from_json(const struct capture *c, const struct message_desc *desc, int16_t version,
                       const json_t *json, struct arena *arena)
{
    struct str problem = STR_EMPTY;
    void *msg = arena_calloc(arena, 1, desc->body->size_bytes);
    int error = message_from_json(desc, version, json, MESSAGE_JSON_WIRE, arena, msg, &problem);
    if (error)
        fail_msg("%s: error %d: %.*s", c->file, error, STR_FMT(problem));
    return msg;
}

static void check_capture(const struct capture *c, const json_t *expected, struct arena *arena)
{
    struct both both;
    json_t *header = json_object_get(expected, "header"), *body = json_object_get(expected, "body");
    decode_capture(c, arena, &both);
    check_encoding(c, &both);
    check_fields(c, c->header_desc, c->header_version, both.header, header);
    check_fields(c, c->desc, c->version, both.body, body);
    both.header = from_json(c, c->header_desc, c->header_version, header, arena);
    both.body = from_json(c, c->desc, c->version, body, arena);
    check_encoding(c, &both);
}

/* The trees by file name. */
static json_t *load_trees(const char *folder)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/decoded.jsonl.gz", folder);
    gzFile in = gzopen(path, "rb");
    if (!in)
        return NULL;
    json_t *trees = json_object();
    size_t max = 16 << 20;
    char *line = mem_alloc(max);
    while (gzgets(in, line, (int)max)) {
        json_t *tree = json_loads(line, 0, NULL);
        assert_non_null(tree);
        json_object_set_new(trees, json_string_value(json_object_get(tree, "file")), tree);
    }
    free(line);
    gzclose(in);
    return trees;
}

static int check_folder(const char *folder)
{
    struct captures all;
    struct capture capture;
    struct arena arena;
    int count = 0;
    if (!captures_open(&all, folder))
        return 0;
    json_t *trees = load_trees(folder);
    assert_non_null(trees);
    arena_init(&arena, 0);
    while (captures_next(&all, &capture)) {
        check_capture(&capture, json_object_get(trees, capture.file), &arena);
        arena_reset(&arena);
        free((void *)(uintptr_t)capture.frame.data);
        count++;
    }
    json_decref(trees);
    arena_release(&arena);
    captures_close(&all);
    return count;
}

static void exchanges_of_this_repository(void **state)
{
    assert_true(check_folder(TEST_DATA "/wire") > 500);
}

static void every_recorded_exchange(void **state)
{
    int count = check_folder(SHARED_DATA "/kafka-data/wire");
    if (count == 0)
        skip();
    assert_int_equal(count, 1620);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchanges_of_this_repository),
        cmocka_unit_test(every_recorded_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
