#include "metadata/controller/heartbeats.h"

#include "tests/unit/metadata/image_builder.h"

static void add_broker(struct image_draft *draft, int32_t id, int64_t epoch, bool fenced)
{
    struct register_broker_record record;
    message_init(&register_broker_record_desc, &record);
    record.broker_id = id;
    record.broker_epoch = epoch;
    record.fenced = fenced;
    record.rack = STR_NULL;
    assert_int_equal(apply(draft, METADATA_REGISTER_BROKER_RECORD, &record), 0);
}

static void sessions_begin_and_end(void **state)
{
    struct image_chain *chain = image_chain_new(false);
    struct image_draft *draft = image_chain_draft(chain);
    struct heartbeats hb;
    int64_t next_ms;
    add_broker(draft, 1, 10, false);
    add_broker(draft, 2, 20, true);
    add_broker(draft, 3, 30, false);
    heartbeats_init(&hb, 1000);
    heartbeats_touch(&hb, 9, 90, 0);
    heartbeats_reset(&hb, draft->image, 5000);
    assert_null(heartbeats_find(&hb, 9));
    assert_null(heartbeats_find(&hb, 2)); /* fenced: nothing is expected of it */
    assert_true(heartbeats_session_valid(&hb, 1, 10, 5999));
    assert_false(heartbeats_session_valid(&hb, 1, 10, 6000));
    assert_false(heartbeats_session_valid(&hb, 1, 11, 5000));
    assert_null(heartbeats_expired(&hb, draft->image, 5999, &next_ms));
    assert_int_equal(next_ms, 6000);
    heartbeats_touch(&hb, 1, 10, 5500);
    assert_int_equal(heartbeats_expired(&hb, draft->image, 6000, &next_ms)->id, 3);
    heartbeats_remove(&hb, 3);
    assert_null(heartbeats_expired(&hb, draft->image, 6499, &next_ms));
    assert_int_equal(next_ms, 6500);
    /* A new incarnation is another session. */
    heartbeats_touch(&hb, 1, 11, 6000)->metadata_offset = 7;
    assert_int_equal(heartbeats_touch(&hb, 1, 12, 6000)->metadata_offset, -1);
    assert_null(heartbeats_expired(&hb, draft->image, 99999, &next_ms));
    assert_int_equal(next_ms, INT64_MAX);
    heartbeats_release(&hb);
    image_chain_free(chain);
}

static void the_slowest_active_broker_counts(void **state)
{
    struct image_chain *chain = image_chain_new(false);
    struct image_draft *draft = image_chain_draft(chain);
    struct heartbeats hb;
    heartbeats_init(&hb, 1000);
    for (int32_t id = 1; id <= 4; id++) {
        add_broker(draft, id, id, id == 4);
        heartbeats_touch(&hb, id, id, 0)->metadata_offset = 100 * id;
    }
    assert_int_equal(heartbeats_lowest_active_offset(&hb, draft->image, 2), 100);
    assert_int_equal(heartbeats_lowest_active_offset(&hb, draft->image, 1), 200);
    heartbeats_remove(&hb, 1);
    heartbeats_remove(&hb, 2);
    assert_int_equal(heartbeats_lowest_active_offset(&hb, draft->image, 3), INT64_MAX);
    heartbeats_release(&hb);
    image_chain_free(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_begin_and_end),
        cmocka_unit_test(the_slowest_active_broker_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
