#include "metadata/record_codec.h"

#include "common/protocol/codec.h"
#include "common/protocol/record_iter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The bytes that Kafka 4.4 wrote for this record. */
static void a_record_is_framed_as_kafka_does(void **state)
{
    static const uint8_t expected[] = {1,   12,  0,   17,  'm', 'e', 't', 'a', 'd', 'a', 't', 'a',
                                       '.', 'v', 'e', 'r', 's', 'i', 'o', 'n', 0,   33,  0};
    struct arena arena;
    struct bytebuf out;
    struct metadata_records records = {0};
    struct metadata_record decoded;
    arena_init(&arena, 0);
    bytebuf_init(&out);
    struct feature_level_record *level =
        METADATA_RECORD_ADD(&records, &arena, feature_level_record, FEATURE_LEVEL, 0);
    level->name = STR("metadata.version");
    level->feature_level = 33;
    assert_int_equal(record_codec_encode(&records.items[0], &out), 0);
    assert_int_equal(out.len, sizeof(expected));
    assert_memory_equal(out.data, expected, sizeof(expected));
    struct bytes value = {out.data, (int32_t)out.len};
    assert_int_equal(record_codec_decode(value, &arena, &decoded), 0);
    assert_int_equal(decoded.key, METADATA_FEATURE_LEVEL_RECORD);
    const struct feature_level_record *read = decoded.data;
    assert_true(str_eq(read->name, STR("metadata.version")));
    assert_int_equal(read->feature_level, 33);
    bytebuf_release(&out);
    arena_release(&arena);
}

static void what_cannot_be_written_leaves_no_trace(void **state)
{
    struct arena arena;
    struct bytebuf out;
    struct metadata_records records = {0};
    arena_init(&arena, 0);
    bytebuf_init(&out);
    bytebuf_append(&out, "x", 1);
    struct topic_record *topic = METADATA_RECORD_ADD(&records, &arena, topic_record, TOPIC, 0);
    topic->name = STR_NULL;
    assert_int_equal(record_codec_encode(&records.items[0], &out), -EINVAL);
    assert_int_equal(out.len, 1);
    assert_int_equal(record_codec_encode_batch(records.items, 1, 0, 0, 0, &out), -EINVAL);
    assert_int_equal(out.len, 1);
    bytebuf_release(&out);
    arena_release(&arena);
}

static void a_batch_holds_all_records_in_order(void **state)
{
    struct arena arena;
    struct bytebuf out;
    struct metadata_records records = {0};
    arena_init(&arena, 0);
    bytebuf_init(&out);
    for (int i = 0; i < 100; i++) {
        struct producer_ids_record *record =
            METADATA_RECORD_ADD(&records, &arena, producer_ids_record, PRODUCER_IDS, 0);
        record->next_producer_id = i;
    }
    assert_int_equal(record_codec_encode_batch(records.items, records.count, 1234, 5, 777, &out),
                     0);
    struct record_batch batch;
    assert_int_equal(record_batch_parse(out.data, out.len, &batch), 0);
    assert_true(record_batch_crc_ok(&batch));
    assert_int_equal(batch.header.base_offset, 1234);
    assert_int_equal(batch.header.partition_leader_epoch, 5);
    assert_int_equal(batch.header.max_timestamp, 777);
    assert_int_equal(record_batch_last_offset(&batch.header), 1333);
    struct record_iter iter;
    struct record record;
    assert_int_equal(record_iter_init(&iter, &batch, 1 << 20, NULL), 0);
    for (int i = 0; i < 100; i++) {
        struct metadata_record decoded;
        assert_int_equal(record_iter_next(&iter, &record), 1);
        assert_true(record.key.len < 0);
        assert_int_equal(record_codec_decode(record.value, &arena, &decoded), 0);
        assert_int_equal(((const struct producer_ids_record *)decoded.data)->next_producer_id, i);
    }
    assert_int_equal(record_iter_next(&iter, &record), 0);
    record_iter_release(&iter);
    bytebuf_release(&out);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_framed_as_kafka_does),
        cmocka_unit_test(what_cannot_be_written_leaves_no_trace),
        cmocka_unit_test(a_batch_holds_all_records_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
