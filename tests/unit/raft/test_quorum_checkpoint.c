#include "raft/quorum_checkpoint.h"

#include "common/base/mem.h"
#include "common/protocol/record_batch_builder.h"
#include "tests/sim/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

struct seen {
    int32_t records;
    struct bytebuf bytes;
};

static int collect(void *ctx, struct bytes batches)
{
    struct seen *seen = ctx;
    struct record_batches run = record_batches_of(batches);
    struct record_batch batch;
    while (record_batches_next(&run, &batch) == 1) {
        assert_false(batch.header.attributes & RECORD_BATCH_CONTROL);
        seen->records += batch.header.count;
    }
    bytebuf_append(&seen->bytes, batches.data, (size_t)batches.len);
    return 0;
}

static void test_names(void **state)
{
    char name[QUORUM_CHECKPOINT_NAME_MAX];
    struct quorum_checkpoint_id id = {1623, 8}, back;
    quorum_checkpoint_name(id, name);
    assert_string_equal(name, "00000000000000001623-0000000008.checkpoint");
    assert_true(quorum_checkpoint_parse_name(name, &back));
    assert_int_equal(back.end_offset, 1623);
    assert_int_equal(back.epoch, 8);
    static const char *const others[] = {
        "00000000000000001623-0000000008.checkpoint.part",
        "00000000000000001623-0000000008.checkpoint.deleted",
        "0000000000000001623-0000000008.checkpoint",
        "00000000000000001623-9999999999.checkpoint",
        "00000000000000001623_0000000008.checkpoint",
        "-0000000000000000001-0000000008.checkpoint",
        ".checkpoint",
        "quorum-state",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(quorum_checkpoint_parse_name(others[i], &back));
}

static void read_real(const char *directory, struct quorum_checkpoint_id id, struct seen *seen,
                      struct quorum_checkpoint_info *info)
{
    struct disk *disk = disk_posix_new();
    char *path = mem_printf("%s/%s", TEST_DATA, directory);
    *seen = (struct seen){0};
    assert_int_equal(quorum_checkpoint_read(disk, path, id, collect, seen, info), 0);
    free(path);
    disk_posix_free(disk);
}

static void test_reads_what_kafka_wrote(void **state)
{
    struct seen seen;
    struct quorum_checkpoint_info info;
    read_real("raft/formatted-standalone", QUORUM_CHECKPOINT_BOOTSTRAP, &seen, &info);
    assert_int_equal(info.kraft_version, 1);
    assert_int_equal(info.last_contained_ms, 1795252013290);
    assert_int_equal(info.size_bytes, 494);
    assert_int_equal(seen.records, 6);
    assert_int_equal(info.voters->count, 1);
    assert_int_equal(info.voters->servers[0].node_id, 1);
    assert_string_equal(info.voters->servers[0].listeners[0].name, "CONTROLLER");
    assert_int_equal(info.voters->servers[0].listeners[0].port, 41411);
    quorum_voters_unref(info.voters);
    bytebuf_release(&seen.bytes);

    read_real("raft/formatted-observer", QUORUM_CHECKPOINT_BOOTSTRAP, &seen, &info);
    assert_int_equal(info.kraft_version, 1);
    assert_null(info.voters);
    assert_int_equal(seen.records, 6);
    bytebuf_release(&seen.bytes);

    read_real("raft/dynamic", (struct quorum_checkpoint_id){1623, 8}, &seen, &info);
    assert_int_equal(info.voters->count, 2);
    assert_true(seen.records > 6);
    quorum_voters_unref(info.voters);
    bytebuf_release(&seen.bytes);

    read_real("metadata/single-clean", (struct quorum_checkpoint_id){706, 2}, &seen, &info);
    assert_int_equal(info.kraft_version, 0);
    assert_null(info.voters);
    bytebuf_release(&seen.bytes);
}

/* Our writer, given Kafka's records and times, makes Kafka's file byte for byte. */
static void test_writes_what_kafka_wrote(void **state)
{
    struct seen seen;
    struct quorum_checkpoint_info info;
    read_real("raft/formatted-observer", QUORUM_CHECKPOINT_BOOTSTRAP, &seen, &info);
    struct disk *real = disk_posix_new();
    char *expected, *written;
    size_t expected_len, written_len;
    assert_int_equal(disk_read_file(real,
                                    TEST_DATA "/raft/formatted-observer/"
                                              "00000000000000000000-0000000000.checkpoint",
                                    1 << 20, &expected, &expected_len),
                     0);
    disk_posix_free(real);
    struct sim_disk *sim = sim_disk_new(1);
    struct disk *disk = sim_disk_base(sim);
    struct quorum_checkpoint_header header = {info.last_contained_ms, 1795252013289, true, NULL};
    struct quorum_checkpoint_writer *writer;
    assert_int_equal(
        quorum_checkpoint_create(disk, "/", QUORUM_CHECKPOINT_BOOTSTRAP, &header, &writer), 0);
    assert_int_equal(quorum_checkpoint_next_offset(writer), 2);
    struct bytes records = {seen.bytes.data, (int32_t)seen.bytes.len};
    assert_int_equal(quorum_checkpoint_write(writer, records), 0);
    assert_int_equal(quorum_checkpoint_finish(writer), 0);
    assert_int_equal(disk_read_file(disk, "/00000000000000000000-0000000000.checkpoint", 1 << 20,
                                    &written, &written_len),
                     0);
    assert_int_equal(written_len, expected_len);
    /* The footer has a time of its own (and so a checksum). */
    assert_memory_equal(written, expected, expected_len - 75);
    free(expected);
    free(written);
    bytebuf_release(&seen.bytes);
    sim_disk_free(sim);
}

static int fill(struct quorum_checkpoint_writer *writer, int batches)
{
    struct record_batch_builder b;
    struct bytebuf out;
    int rv = 0;
    record_batch_builder_init(&b);
    bytebuf_init(&out);
    for (int i = 0; i < batches && rv == 0; i++) {
        struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
        options.base_offset = quorum_checkpoint_next_offset(writer);
        record_batch_builder_start(&b, &options);
        for (int k = 0; k < 10; k++)
            record_batch_builder_append(&b, 1, BYTES_NULL, (struct bytes){(const uint8_t *)"v", 1},
                                        NULL, 0);
        out.len = 0;
        record_batch_builder_close(&b, &out);
        rv = quorum_checkpoint_write(writer, (struct bytes){out.data, (int32_t)out.len});
    }
    record_batch_builder_release(&b);
    bytebuf_release(&out);
    return rv;
}

static int write_one(struct disk *disk, struct quorum_checkpoint_id id, int batches)
{
    struct quorum_checkpoint_header header = {1, 2, false, NULL};
    struct quorum_checkpoint_writer *writer;
    int rv = quorum_checkpoint_create(disk, "/", id, &header, &writer);
    if (rv != 0)
        return rv;
    rv = fill(writer, batches);
    if (rv != 0) {
        quorum_checkpoint_abort(writer);
        return rv;
    }
    return quorum_checkpoint_finish(writer);
}

/* Under its name it is whole, whatever call the machine dies in; .part files are tidied away. */
static void test_crash_at_every_call(void **state)
{
    struct quorum_checkpoint_id id = {500, 3};
    bool crashed = true;
    for (int64_t n = 1; crashed; n++) {
        struct sim_disk *sim = sim_disk_new((uint64_t)n);
        struct disk *disk = sim_disk_base(sim);
        sim_disk_crash_at(sim, n);
        int rv = write_one(disk, id, 3);
        crashed = sim_disk_crashed(sim);
        assert_int_equal(rv == 0, !crashed);
        sim_disk_power_cut(sim, SIM_CUT_RANDOM);
        struct quorum_checkpoint_id *ids;
        size_t count;
        assert_int_equal(quorum_checkpoint_list(disk, "/", true, &ids, &count), 0);
        assert_true(count <= 1 && (rv != 0 || count == 1));
        struct seen seen = {0};
        if (count == 1)
            assert_int_equal(quorum_checkpoint_read(disk, "/", ids[0], collect, &seen, NULL), 0);
        if (count == 1)
            assert_int_equal(seen.records, 30);
        bytebuf_release(&seen.bytes);
        free(ids);
        assert_false(disk_exists(disk, "/00000000000000000500-0000000003.checkpoint.part"));
        sim_disk_free(sim);
    }
}

static void test_list_and_delete(void **state)
{
    struct sim_disk *sim = sim_disk_new(1);
    struct disk *disk = sim_disk_base(sim);
    assert_int_equal(write_one(disk, (struct quorum_checkpoint_id){90, 2}, 1), 0);
    assert_int_equal(write_one(disk, (struct quorum_checkpoint_id){100, 2}, 1), 0);
    assert_int_equal(write_one(disk, (struct quorum_checkpoint_id){7, 9}, 1), 0);
    struct quorum_checkpoint_id *ids;
    size_t count;
    assert_int_equal(quorum_checkpoint_list(disk, "/", true, &ids, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(ids[0].end_offset, 7);
    assert_int_equal(ids[1].end_offset, 90);
    assert_int_equal(ids[2].end_offset, 100);
    assert_int_equal(quorum_checkpoint_delete(disk, "/", ids[1]), 0);
    assert_int_equal(quorum_checkpoint_delete(disk, "/", ids[1]), 0);
    free(ids);
    assert_int_equal(quorum_checkpoint_list(disk, "/", true, &ids, &count), 0);
    assert_int_equal(count, 2);
    free(ids);
    sim_disk_free(sim);
}

static void test_damage_is_found(void **state)
{
    struct sim_disk *sim = sim_disk_new(1);
    struct disk *disk = sim_disk_base(sim);
    struct quorum_checkpoint_id id = {90, 2};
    static const char path[] = "/00000000000000000090-0000000002.checkpoint";
    assert_int_equal(write_one(disk, id, 4), 0);
    struct disk_stat stat;
    assert_int_equal(disk->ops->stat(disk, path, &stat), 0);
    /* From the first checksum on: offset, length and epoch before it are not covered. */
    for (int64_t at = 17; at < 83; at++) {
        assert_int_equal(sim_disk_corrupt(sim, path, at, 1), 0);
        int rv = quorum_checkpoint_read(disk, "/", id, NULL, NULL, NULL);
        assert_int_equal(rv, -EBADMSG);
        assert_int_equal(sim_disk_corrupt(sim, path, at, 1), 0);
    }
    assert_int_equal(quorum_checkpoint_read(disk, "/", id, NULL, NULL, NULL), 0);
    struct disk_file *file;
    assert_int_equal(disk_open(disk, path, DISK_WRITE, &file), 0);
    assert_int_equal(disk->ops->truncate(file, stat.size_bytes - 75), 0); /* without footer */
    disk_file_unref(file);
    assert_int_equal(quorum_checkpoint_read(disk, "/", id, NULL, NULL, NULL), -EBADMSG);
    id.end_offset = 91;
    assert_int_equal(quorum_checkpoint_read(disk, "/", id, NULL, NULL, NULL), -ENOENT);
    sim_disk_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_reads_what_kafka_wrote),
        cmocka_unit_test(test_writes_what_kafka_wrote),
        cmocka_unit_test(test_crash_at_every_call),
        cmocka_unit_test(test_list_and_delete),
        cmocka_unit_test(test_damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
