#include "common/storage/producer_state.h"

#include "common/protocol/record_batch_builder.h"
#include "common/storage/producer_snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct fixture {
    struct producer_state state;
    struct record_batch_builder builder;
    struct bytebuf bytes;
    int64_t next_offset;
    struct producer_change change;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    producer_state_init(&f->state, 0);
    record_batch_builder_init(&f->builder);
    bytebuf_init(&f->bytes);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    producer_state_release(&f->state);
    record_batch_builder_release(&f->builder);
    bytebuf_release(&f->bytes);
    free(f);
    return 0;
}

struct send {
    int64_t producer_id;
    int16_t epoch;
    int32_t sequence;
    int count;
    bool transactional;
    int64_t timestamp;
};

static struct record_batch build(struct fixture *f, const struct send *s, int marker,
                                 int32_t coordinator_epoch)
{
    struct record_batch_options o = RECORD_BATCH_OPTIONS_INIT;
    uint8_t value[CONTROL_END_TXN_SIZE];
    o.base_offset = f->next_offset;
    o.producer_id = s->producer_id;
    o.producer_epoch = s->epoch;
    o.base_sequence = marker >= 0 ? -1 : s->sequence;
    o.transactional = s->transactional;
    o.control = marker >= 0;
    record_batch_builder_start(&f->builder, &o);
    control_end_txn_value(coordinator_epoch, value);
    for (int i = 0; i < s->count; i++)
        assert_int_equal(
            marker >= 0 ? record_batch_builder_append_control(&f->builder, s->timestamp,
                                                              (enum control_record_type)marker,
                                                              (struct bytes){value, sizeof(value)})
                        : record_batch_builder_append(&f->builder, s->timestamp, BYTES_NULL,
                                                      BYTES_NULL, NULL, 0),
            0);
    f->bytes.len = 0;
    record_batch_builder_close(&f->builder, &f->bytes);
    struct record_batch batch;
    assert_int_equal(record_batch_parse(f->bytes.data, f->bytes.len, &batch), 0);
    return batch;
}

/* Checks and, when it is good, commits. */
static enum kafka_error put(struct fixture *f, struct record_batch batch, bool client)
{
    enum kafka_error error = producer_state_check(&f->state, &batch, client, &f->change);
    if (error == KAFKA_ERROR_NONE && !f->change.duplicate) {
        producer_state_commit(&f->state, &f->change);
        f->next_offset = record_batch_next_offset(&batch.header);
        f->state.end_offset = f->next_offset;
    }
    return error;
}

static enum kafka_error put_data(struct fixture *f, struct send s)
{
    return put(f, build(f, &s, -1, 0), true);
}

static enum kafka_error put_marker(struct fixture *f, struct send s, int type, int32_t coordinator)
{
    s.count = 1;
    s.transactional = true;
    return put(f, build(f, &s, type, coordinator), false);
}

static void sequences_must_follow_each_other(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_data(f, (struct send){7, 0, 5, 3}), KAFKA_ERROR_NONE); /* unknown: any */
    assert_int_equal(put_data(f, (struct send){7, 0, 8, 1}), KAFKA_ERROR_NONE);
    assert_int_equal(put_data(f, (struct send){7, 0, 10, 1}),
                     KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(put_data(f, (struct send){7, 0, 6, 1}),
                     KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(put_data(f, (struct send){7, 1, 9, 1}),
                     KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER); /* a new epoch begins at 0 */
    assert_int_equal(put_data(f, (struct send){7, 1, 0, 1}), KAFKA_ERROR_NONE);
    assert_int_equal(put_data(f, (struct send){7, 0, 9, 1}), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
}

static void sequences_wrap(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_data(f, (struct send){7, 0, INT32_MAX - 1, 4}), KAFKA_ERROR_NONE);
    assert_int_equal(put_data(f, (struct send){7, 0, INT32_MAX - 1, 4}), KAFKA_ERROR_NONE);
    assert_true(f->change.duplicate);
    assert_int_equal(put_data(f, (struct send){7, 0, 2, 1}), KAFKA_ERROR_NONE);
    assert_int_equal(put_data(f, (struct send){8, 0, INT32_MAX, 1}), KAFKA_ERROR_NONE);
    assert_int_equal(put_data(f, (struct send){8, 0, 0, 1}), KAFKA_ERROR_NONE);
}

static void the_last_five_batches_are_recognised(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 7; i++)
        assert_int_equal(put_data(f, (struct send){7, 0, 2 * i, 2, .timestamp = i}),
                         KAFKA_ERROR_NONE);
    for (int i = 2; i < 7; i++) {
        assert_int_equal(put_data(f, (struct send){7, 0, 2 * i, 2}), KAFKA_ERROR_NONE);
        assert_true(f->change.duplicate);
        assert_int_equal(f->change.duplicate_first_offset, 2 * i);
        assert_int_equal(f->change.duplicate_last_offset, 2 * i + 1);
        assert_int_equal(f->change.duplicate_timestamp, i);
    }
    assert_int_equal(put_data(f, (struct send){7, 0, 2, 2}),
                     KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER); /* forgotten */
    assert_int_equal(put_data(f, (struct send){7, 0, 10, 1}),
                     KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER); /* another length */
}

static void transactions_bound_what_is_stable(void **state)
{
    struct fixture *f = *state;
    put_data(f, (struct send){1, 0, 0, 1});
    assert_int_equal(producer_state_first_unstable(&f->state), -1);
    put_data(f, (struct send){2, 0, 0, 2, true}); /* at 1 */
    put_data(f, (struct send){3, 0, 0, 1, true}); /* at 3 */
    assert_int_equal(producer_state_first_unstable(&f->state), 1);
    assert_int_equal(put_data(f, (struct send){2, 0, 2, 1}), KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(put_marker(f, (struct send){2, 0}, CONTROL_ABORT, 5), KAFKA_ERROR_NONE);
    assert_true(f->change.completes && f->change.aborts);
    assert_int_equal(f->change.txn.first_offset, 1);
    assert_int_equal(f->change.txn.last_offset, 4);
    struct aborted_txn txn = producer_state_aborted(&f->state, &f->change);
    assert_int_equal(txn.last_stable_offset, 3);
    /* Decided, but the marker may still be lost. */
    assert_int_equal(producer_state_first_unstable(&f->state), 1);
    producer_state_high_watermark(&f->state, 4);
    assert_int_equal(producer_state_first_unstable(&f->state), 1);
    producer_state_high_watermark(&f->state, 5);
    assert_int_equal(producer_state_first_unstable(&f->state), 3);
    assert_int_equal(put_marker(f, (struct send){3, 0}, CONTROL_COMMIT, 5), KAFKA_ERROR_NONE);
    assert_false(f->change.aborts);
    producer_state_high_watermark(&f->state, 6);
    assert_int_equal(producer_state_first_unstable(&f->state), -1);
}

static void old_coordinators_and_producers_are_fenced(void **state)
{
    struct fixture *f = *state;
    put_data(f, (struct send){2, 3, 0, 1, true});
    assert_int_equal(put_marker(f, (struct send){2, 4}, CONTROL_COMMIT, 5), KAFKA_ERROR_NONE);
    assert_int_equal(put_marker(f, (struct send){2, 4}, CONTROL_COMMIT, 4),
                     KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(put_marker(f, (struct send){2, 3}, CONTROL_COMMIT, 6),
                     KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    /* A marker without data behind it completes nothing; the marker's epoch is the new one. */
    assert_int_equal(put_marker(f, (struct send){2, 4}, CONTROL_ABORT, 6), KAFKA_ERROR_NONE);
    assert_false(f->change.completes);
    assert_int_equal(put_data(f, (struct send){2, 3, 1, 1, true}),
                     KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(put_data(f, (struct send){2, 4, 1, 1, true}),
                     KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(put_data(f, (struct send){2, 4, 0, 1, true}), KAFKA_ERROR_NONE);
}

static void idle_producers_expire_but_not_within_a_transaction(void **state)
{
    struct fixture *f = *state;
    put_data(f, (struct send){1, 0, 0, 1, false, 1000});
    put_data(f, (struct send){2, 0, 0, 1, true, 1000});
    put_data(f, (struct send){3, 0, 0, 1, false, 2000});
    assert_int_equal(producer_state_expire(&f->state, 1999, 1000), 0);
    assert_int_equal(producer_state_expire(&f->state, 2000, 1000), 1);
    assert_null(producer_state_find(&f->state, 1));
    assert_non_null(producer_state_find(&f->state, 2));
    assert_non_null(producer_state_find(&f->state, 3));
}

static void copy_producer(void *ctx, const struct producer *producer)
{
    producer_state_add(ctx, producer);
}

static void a_snapshot_keeps_what_matters(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 8; i++)
        put_data(f, (struct send){1, 2, i, 1, false, 1000 + i});
    put_data(f, (struct send){2, 0, 0, 3, true, 1500});
    put_marker(f, (struct send){3, 1, .timestamp = 1600}, CONTROL_ABORT, 9);
    struct bytebuf out;
    bytebuf_init(&out);
    producer_snapshot_encode(&f->state, &out);
    assert_int_equal(out.len, 10 + 3 * 46);
    struct producer_state copy;
    producer_state_init(&copy, f->state.end_offset);
    struct bytes bytes = {out.data, (int32_t)out.len};
    assert_int_equal(producer_snapshot_decode(bytes, copy_producer, &copy), 0);
    const struct producer *p = producer_state_find(&copy, 1);
    assert_int_equal(p->epoch, 2);
    assert_int_equal(p->batch_count, 1);
    assert_int_equal(p->batches[0].last_sequence, 7);
    assert_int_equal(p->batches[0].last_offset, 7);
    assert_int_equal(p->last_timestamp, 1007);
    p = producer_state_find(&copy, 3);
    assert_int_equal(p->coordinator_epoch, 9);
    assert_int_equal(p->batch_count, 0);
    assert_int_equal(producer_state_first_unstable(&copy), 8);
    producer_state_release(&copy);
    for (size_t i = 0; i < out.len; i++) { /* any flipped bit is noticed */
        out.data[i] ^= 4;
        producer_state_init(&copy, 0);
        assert_true(producer_snapshot_decode(bytes, copy_producer, &copy) < 0);
        producer_state_release(&copy);
        out.data[i] ^= 4;
    }
    bytes.len -= 46;
    assert_true(producer_snapshot_decode(bytes, copy_producer, &copy) < 0);
    bytebuf_release(&out);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(sequences_must_follow_each_other),
        T(sequences_wrap),
        T(the_last_five_batches_are_recognised),
        T(transactions_bound_what_is_stable),
        T(old_coordinators_and_producers_are_fenced),
        T(idle_producers_expire_but_not_within_a_transaction),
        T(a_snapshot_keeps_what_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
