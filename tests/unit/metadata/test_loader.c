#include "metadata/loader.h"

#include "common/protocol/codec.h"
#include "common/protocol/record_batch_builder.h"
#include "metadata/delta.h"
#include "metadata/snapshot_writer.h"
#include "tests/unit/metadata/metadata_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
    struct image_chain *chain;
    struct loader loader;
    struct arena arena;
    const struct image_delta *delta;
};

static void fixture_init(struct fixture *f)
{
    f->chain = image_chain_new(true);
    loader_init(&f->loader, f->chain);
    arena_init(&f->arena, 0);
    f->delta = NULL;
}

static void fixture_release(struct fixture *f)
{
    loader_release(&f->loader);
    image_chain_free(f->chain);
    arena_release(&f->arena);
}

static void load_checkpoint(struct fixture *f, const struct checkpoint_file *checkpoint)
{
    assert_int_equal(loader_snapshot_begin(&f->loader), 0);
    if (loader_snapshot_add(&f->loader, bytebuf_bytes(&checkpoint->bytes)) != 0)
        fail_msg("%s", loader_error(&f->loader));
    assert_int_equal(
        loader_snapshot_end(&f->loader, checkpoint->end_offset, checkpoint->epoch, &f->delta), 0);
}

static int collect_batch(void *ctx, struct bytes batch)
{
    bytebuf_append(ctx, batch.data, (size_t)batch.len);
    return 0;
}

/* Image -> checkpoint -> image. */
static void assert_round_trip(const struct image *image)
{
    struct fixture copy;
    struct checkpoint_file file = {.end_offset = image->offset + 1, .epoch = image->epoch};
    int64_t next = -1;
    fixture_init(&copy);
    struct snapshot_options options = {
        .base_offset = 1, .leader_epoch = 3, .write = collect_batch, .ctx = &file.bytes};
    assert_int_equal(snapshot_write(image, &options, &next), 0);
    load_checkpoint(&copy, &file);
    assert_true(image_equal(image, image_chain_published(copy.chain)));
    assert_int_equal(image->offset, image_chain_published(copy.chain)->offset);
    bytebuf_release(&file.bytes);
    fixture_release(&copy);
}

/*
 * Replays the log from its first checkpoint; at the end offset of every later one the image must be
 * the one that Kafka wrote there.
 */
static void replay(const char *path)
{
    struct metadata_dir dir;
    if (!metadata_dir_read(&dir, path)) {
        print_message("%s is not there, skipped\n", path);
        return;
    }
    assert_true(dir.count >= 2);
    struct fixture f;
    fixture_init(&f);
    /* The first checkpoint of a new cluster says what the controller is to write, not what it
     * wrote. */
    bool from_start = dir.checkpoints[0].end_offset == 0;
    if (!from_start)
        load_checkpoint(&f, &dir.checkpoints[0]);
    for (int i = 1; i <= dir.count; i++) {
        int64_t to = i < dir.count ? dir.checkpoints[i].end_offset : INT64_MAX;
        struct bytes batches = metadata_dir_batches(&dir, f.loader.next_offset, to);
        if (batches.data && loader_commit(&f.loader, batches, &f.delta) != 0)
            fail_msg("%s: %s", path, loader_error(&f.loader));
        assert_round_trip(image_chain_published(f.chain));
        if (i == dir.count)
            break;
        struct fixture other;
        fixture_init(&other);
        load_checkpoint(&other, &dir.checkpoints[i]);
        const struct image *replayed = image_chain_published(f.chain);
        const struct image *loaded = image_chain_published(other.chain);
        assert_int_equal(replayed->offset, loaded->offset);
        assert_int_equal(replayed->epoch, loaded->epoch);
        assert_int_equal(replayed->timestamp_ms, loaded->timestamp_ms);
        if (!image_equal(replayed, loaded))
            fail_msg("%s: images differ at %lld", path, (long long)to);
        assert_int_equal(replayed->topics.partition_count, loaded->topics.partition_count);
        fixture_release(&other);
    }
    fixture_release(&f);
    metadata_dir_release(&dir);
}

static void kafkas_log_makes_kafkas_checkpoints(void **state)
{
    replay(TEST_DATA "/metadata/single-clean");
}

static void all_recorded_clusters(void **state)
{
    static const char *const dirs[] = {
        "single-clean",         "single-killed",        "jbod/d1",
        "three-static/node-1",  "three-static/node-2",  "three-static/node-3",
        "three-dynamic/node-1", "three-dynamic/node-2", "three-dynamic/node-3"};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        char *path =
            mem_printf(SHARED_DATA "/kafka-data/log-dirs/%s/__cluster_metadata-0", dirs[i]);
        replay(path);
        free(path);
    }
}

/* --- batches made here ---------------------------------------------------------------------- */

struct log_writer {
    struct fixture f;
    struct metadata_records records;
    struct bytebuf batches;
    int64_t next_offset;
};

static void log_init(struct log_writer *w)
{
    *w = (struct log_writer){0};
    fixture_init(&w->f);
}

static void log_release(struct log_writer *w)
{
    bytebuf_release(&w->batches);
    fixture_release(&w->f);
}

static void add_topic(struct log_writer *w, const char *name, uint8_t id, int partitions)
{
    struct topic_record *topic =
        METADATA_RECORD_ADD(&w->records, &w->f.arena, topic_record, TOPIC, 0);
    topic->name = arena_str(&w->f.arena, str_of(name));
    topic->topic_id.b[0] = id;
    for (int32_t i = 0; i < partitions; i++) {
        struct partition_record *p =
            METADATA_RECORD_ADD(&w->records, &w->f.arena, partition_record, PARTITION, 2);
        p->partition_id = i;
        p->topic_id = topic->topic_id;
        p->replicas = p->isr = ARENA_NEW(&w->f.arena, int32_t);
        p->replicas[0] = 1;
        p->replicas_count = p->isr_count = 1;
        p->leader = 1;
        p->leader_epoch = p->partition_epoch = 0;
        p->directories = ARENA_NEW(&w->f.arena, struct uuid);
        p->directories_count = 1;
    }
}

static void add_begin(struct log_writer *w)
{
    METADATA_RECORD_ADD(&w->records, &w->f.arena, begin_transaction_record, BEGIN_TRANSACTION, 0);
}

static void add_end(struct log_writer *w)
{
    METADATA_RECORD_ADD(&w->records, &w->f.arena, end_transaction_record, END_TRANSACTION, 0);
}

static void add_abort(struct log_writer *w)
{
    METADATA_RECORD_ADD(&w->records, &w->f.arena, abort_transaction_record, ABORT_TRANSACTION, 0);
}

/* What was added becomes one batch. */
static void end_batch(struct log_writer *w)
{
    assert_int_equal(record_codec_encode_batch(w->records.items, w->records.count, w->next_offset,
                                               1, 1000 + w->next_offset, &w->batches),
                     0);
    w->next_offset += (int64_t)w->records.count;
    w->records.count = 0;
}

static int commit(struct log_writer *w)
{
    struct bytebuf batches = w->batches;
    bytebuf_init(&w->batches);
    w->f.delta = NULL;
    int rv = loader_commit(&w->f.loader, bytebuf_bytes(&batches), &w->f.delta);
    bytebuf_release(&batches);
    return rv;
}

static bool has_topic(struct log_writer *w, const char *name)
{
    return topics_image_find(&image_chain_published(w->f.chain)->topics, str_of(name)) != NULL;
}

static void transactions_are_all_or_nothing(void **state)
{
    struct log_writer w;
    log_init(&w);
    add_topic(&w, "before", 1, 1);
    add_begin(&w);
    add_topic(&w, "inside", 2, 2);
    end_batch(&w);
    assert_int_equal(commit(&w), 0);
    assert_non_null(w.f.delta); /* what stands before the transaction is visible */
    assert_true(has_topic(&w, "before"));
    assert_false(has_topic(&w, "inside"));
    assert_int_equal(image_chain_published(w.f.chain)->offset, 1);

    add_topic(&w, "inside-too", 3, 1);
    end_batch(&w);
    assert_int_equal(commit(&w), 0);
    assert_null(w.f.delta);
    assert_false(has_topic(&w, "inside-too"));

    add_end(&w);
    end_batch(&w);
    assert_int_equal(commit(&w), 0);
    assert_int_equal(w.f.delta->topics.count, 2);
    assert_int_equal(w.f.delta->partitions.count, 3);
    assert_true(has_topic(&w, "inside") && has_topic(&w, "inside-too"));
    assert_int_equal(image_chain_published(w.f.chain)->offset, w.next_offset - 1);

    add_begin(&w);
    add_topic(&w, "undone", 4, 5);
    end_batch(&w);
    add_topic(&w, "undone-too", 5, 5);
    add_abort(&w);
    add_topic(&w, "after", 6, 1);
    end_batch(&w);
    assert_int_equal(commit(&w), 0);
    assert_int_equal(w.f.delta->topics.count, 1);
    assert_false(has_topic(&w, "undone") || has_topic(&w, "undone-too"));
    assert_true(has_topic(&w, "after"));
    assert_int_equal(image_chain_published(w.f.chain)->topics.partition_count, 5);
    log_release(&w);
}

static void expect_failure(struct log_writer *w, int error, const char *text)
{
    int64_t offset = image_chain_published(w->f.chain)->offset;
    assert_int_equal(commit(w), error);
    assert_non_null(strstr(loader_error(&w->f.loader), text));
    assert_int_equal(image_chain_published(w->f.chain)->offset, offset);
    /* It stays failed. */
    assert_int_equal(commit(w), error);
}

static void records_that_do_not_fit_stop_it(void **state)
{
    struct log_writer w;
    log_init(&w);
    add_topic(&w, "a", 1, 1);
    end_batch(&w);
    assert_int_equal(commit(&w), 0);
    struct partition_change_record *change =
        METADATA_RECORD_ADD(&w.records, &w.f.arena, partition_change_record, PARTITION_CHANGE, 2);
    change->topic_id.b[0] = 1;
    change->partition_id = 7;
    end_batch(&w);
    expect_failure(&w, -EBADMSG,
                   "PartitionChangeRecord at offset 2 does not fit: topic a has no partition 7");
    log_release(&w);

    log_init(&w);
    add_end(&w);
    end_batch(&w);
    expect_failure(&w, -EBADMSG, "no transaction is open at offset 0");
    log_release(&w);

    log_init(&w);
    add_begin(&w);
    add_begin(&w);
    end_batch(&w);
    expect_failure(&w, -EBADMSG, "offset 1 inside the one from offset 0");
    log_release(&w);

    log_init(&w);
    w.next_offset = 5;
    add_topic(&w, "a", 1, 1);
    end_batch(&w);
    expect_failure(&w, -EBADMSG, "offset 5 where 0 was expected");
    log_release(&w);
}

/* A record whose value was replaced by these bytes. */
static void add_raw_batch(struct log_writer *w, const void *value, size_t len)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    struct record_batch_builder builder;
    record_batch_builder_init(&builder);
    record_batch_builder_start(&builder, &options);
    assert_int_equal(record_batch_builder_append(&builder, 0, BYTES_NULL,
                                                 (struct bytes){value, (int32_t)len}, NULL, 0),
                     0);
    record_batch_builder_close(&builder, &w->batches);
    record_batch_builder_release(&builder);
}

static void records_that_cannot_be_read_stop_it(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int error;
        const char *text;
    } cases[] = {
        {"\1\24\0\0", 4, 0, ""},
        {"\2\24\0\0", 4, -EPROTONOSUPPORT, "offset 0 is of a kind or version"},
        {"\1\144\0\0", 4, -EPROTONOSUPPORT, "offset 0 is of a kind or version"},
        {"\1\24\1\0", 4, -EPROTONOSUPPORT, "offset 0 is of a kind or version"},
        {"\1\24\0\0x", 5, -EBADMSG, "offset 0 is damaged"},
        {"\1\24\0", 3, -EBADMSG, "offset 0 is damaged"},
        {"\1\24", 2, -EBADMSG, "offset 0 is damaged"},
        {"", 0, -EBADMSG, "offset 0 is damaged"},
        {"\1\2\0\377\377\377\377\17", 8, -EBADMSG, "offset 0 is damaged"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct log_writer w;
        log_init(&w);
        add_raw_batch(&w, cases[i].bytes, cases[i].len);
        if (cases[i].error)
            expect_failure(&w, cases[i].error, cases[i].text);
        else
            assert_int_equal(commit(&w), 0);
        log_release(&w);
    }
}

static void damaged_batches_stop_it(void **state)
{
    struct log_writer w;
    log_init(&w);
    add_topic(&w, "a", 1, 1);
    end_batch(&w);
    w.batches.data[70] ^= 1;
    expect_failure(&w, -EBADMSG, "offset 0 has a wrong checksum");
    log_release(&w);

    log_init(&w);
    add_topic(&w, "a", 1, 1);
    end_batch(&w);
    w.batches.len -= 3;
    expect_failure(&w, -EAGAIN, "no batch follows offset -1");
    log_release(&w);
}

static void failed_snapshot_leaves_the_image(void **state)
{
    struct log_writer w;
    log_init(&w);
    add_topic(&w, "a", 1, 1);
    end_batch(&w);
    assert_int_equal(commit(&w), 0);
    assert_int_equal(loader_snapshot_begin(&w.f.loader), 0);
    add_topic(&w, "b", 2, 1);
    end_batch(&w);
    assert_int_equal(loader_snapshot_add(&w.f.loader, bytebuf_bytes(&w.batches)), 0);
    w.batches.data[70] ^= 1;
    assert_int_equal(loader_snapshot_add(&w.f.loader, bytebuf_bytes(&w.batches)), -EBADMSG);
    loader_snapshot_abort(&w.f.loader);
    assert_true(has_topic(&w, "a"));
    assert_false(has_topic(&w, "b"));
    log_release(&w);
}

/* A loaded snapshot is told to readers as the difference to what they had. */
static void snapshot_delta_is_the_difference(void **state)
{
    struct log_writer w, other;
    log_init(&w);
    add_topic(&w, "same", 1, 2);
    add_topic(&w, "gone", 2, 3);
    end_batch(&w);
    assert_int_equal(commit(&w), 0);

    log_init(&other);
    add_topic(&other, "new", 3, 1);
    add_topic(&other, "same", 1, 2);
    end_batch(&other);
    assert_int_equal(loader_snapshot_begin(&w.f.loader), 0);
    assert_int_equal(loader_snapshot_add(&w.f.loader, bytebuf_bytes(&other.batches)), 0);
    assert_int_equal(loader_snapshot_end(&w.f.loader, 100, 4, &w.f.delta), 0);
    int gone = 0, added = 0;
    for (size_t i = 0; i < w.f.delta->partitions.count; i++) {
        const struct partition_delta *p = &w.f.delta->partitions.items[i];
        gone += p->after == NULL;
        added += p->before == NULL;
        assert_true(p->before != p->after);
    }
    assert_int_equal(gone, 3);
    assert_int_equal(added, 1);
    assert_int_equal(image_chain_published(w.f.chain)->offset, 99);
    /* The log goes on behind it. */
    w.next_offset = 100;
    add_topic(&w, "next", 4, 1);
    end_batch(&w);
    assert_int_equal(commit(&w), 0);
    assert_true(has_topic(&w, "next") && has_topic(&w, "new") && !has_topic(&w, "gone"));
    log_release(&other);
    log_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_log_makes_kafkas_checkpoints),
        cmocka_unit_test(all_recorded_clusters),
        cmocka_unit_test(transactions_are_all_or_nothing),
        cmocka_unit_test(records_that_do_not_fit_stop_it),
        cmocka_unit_test(records_that_cannot_be_read_stop_it),
        cmocka_unit_test(damaged_batches_stop_it),
        cmocka_unit_test(failed_snapshot_leaves_the_image),
        cmocka_unit_test(snapshot_delta_is_the_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
