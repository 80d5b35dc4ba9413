/*
 * The metadata of a directory that Kafka wrote, at each of its offsets; and files that are not what
 * they should be.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/unit/metadata/metadata_dir.h"
#include "tools/batch_file.h"
#include "tools/metadata_replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define SINGLE     TEST_DATA "/metadata/single-clean"
#define CHECKPOINT "00000000000000000706-0000000002.checkpoint"
#define SEGMENT    "00000000000000000000.log"

enum { LOG_END = 713 };

/* --- files of a test -------------------------------------------------------------------------- */

struct scratch {
    char path[64];
    struct bytebuf checkpoint, segment;
};

static int set_up(void **state)
{
    struct scratch *s = mem_calloc(1, sizeof(*s));
    snprintf(s->path, sizeof(s->path), "/tmp/test-metadata-replay-XXXXXX");
    CHECK(mkdtemp(s->path) != NULL);
    CHECK(read_file(SINGLE "/" CHECKPOINT, &s->checkpoint));
    CHECK(read_file(SINGLE "/" SEGMENT, &s->segment));
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scratch *s = *state;
    DIR *dir = opendir(s->path);
    CHECK(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    rmdir(s->path);
    bytebuf_release(&s->checkpoint);
    bytebuf_release(&s->segment);
    free(s);
    return 0;
}

static char *write_file(const struct scratch *s, const char *name, const void *data, size_t len)
{
    char *path = mem_printf("%s/%s", s->path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* --- what a test asks ------------------------------------------------------------------------- */

struct opened {
    struct metadata_source *source;
    struct metadata_replay *replay;
};

static bool try_open(struct opened *o, const char *path, int64_t offset, struct failure *failure)
{
    *o = (struct opened){0};
    return metadata_files_open(path, &o->source, failure) &&
           metadata_replay_new(o->source, offset, &o->replay, failure);
}

static void opened_release(struct opened *o)
{
    metadata_replay_free(o->replay);
    metadata_source_free(o->source);
}

static void expect_failure(const char *path, int64_t offset, const char *words)
{
    struct opened o;
    struct failure failure = {0};
    assert_false(try_open(&o, path, offset, &failure));
    if (strstr(failure.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", failure.text, words);
    opened_release(&o);
}

/* --- tests ------------------------------------------------------------------------------------ */

/* From the snapshot before it or from the beginning of the log: the same. */
static void every_offset_is_the_log_up_to_there(void **state)
{
    struct scratch *s = *state;
    char *alone = write_file(s, "lone", s->segment.data, s->segment.len);
    for (int64_t offset = 0; offset < LOG_END; offset += 13) {
        struct opened from_snapshot, from_log;
        struct failure failure;
        assert_true(try_open(&from_snapshot, SINGLE, offset, &failure));
        assert_true(metadata_replay_next_offset(from_snapshot.replay) > offset);
        /* The first segment ends at 218. */
        if (offset < 218) {
            assert_true(try_open(&from_log, alone, offset, &failure));
            assert_true(image_equal(metadata_replay_view(from_snapshot.replay)->image,
                                    metadata_replay_view(from_log.replay)->image));
            assert_int_equal(metadata_replay_next_offset(from_snapshot.replay),
                             metadata_replay_next_offset(from_log.replay));
            opened_release(&from_log);
        }
        opened_release(&from_snapshot);
    }
    free(alone);
}

static void the_newest_is_the_end_of_the_log(void **state)
{
    struct opened o;
    struct failure failure;
    assert_true(try_open(&o, SINGLE, METADATA_REPLAY_NEWEST, &failure));
    const struct shell_view *view = metadata_replay_view(o.replay);
    assert_int_equal(view->last_offset, LOG_END - 1);
    assert_int_equal(view->leader_epoch, 2);
    assert_null(o.source->ops->warning(o.source));
    opened_release(&o);
    /* A log directory that has the metadata's directory will do as well, and so will a segment
     * from the middle with what is before it. */
    assert_true(try_open(&o, SINGLE "/00000000000000000464.log", METADATA_REPLAY_NEWEST, &failure));
    assert_int_equal(metadata_replay_view(o.replay)->last_offset, 661);
    opened_release(&o);
}

static void steps_are_commits(void **state)
{
    struct opened o, at;
    struct failure failure;
    int64_t offset = 400;
    assert_true(try_open(&o, SINGLE, offset, &failure));
    for (bool applied = true; applied;) {
        const struct shell_view *before = metadata_replay_hold(o.replay);
        int64_t held = before->last_offset;
        assert_true(metadata_replay_step(o.replay, 0, &applied, &failure));
        assert_int_equal(before->last_offset, held);
        if (!applied)
            break;
        assert_true(metadata_replay_view(o.replay)->last_offset > held);
        offset = metadata_replay_view(o.replay)->last_offset;
        if (offset % 5 != 0)
            continue;
        assert_true(try_open(&at, SINGLE, offset, &failure));
        assert_true(image_equal(metadata_replay_view(at.replay)->image,
                                metadata_replay_view(o.replay)->image));
        opened_release(&at);
    }
    assert_int_equal(offset, LOG_END - 1);
    opened_release(&o);
}

static void offsets_that_are_not_there_are_refused(void **state)
{
    struct scratch *s = *state;
    char *snapshot = write_file(s, "lone.checkpoint", s->checkpoint.data, s->checkpoint.len);
    expect_failure(SINGLE, LOG_END, "the log ends at offset 712");
    expect_failure(snapshot, 10, "A snapshot alone shows one moment only");
    free(snapshot);
    /* A directory whose first segment is gone. */
    struct bytebuf later = {0};
    assert_true(read_file(SINGLE "/00000000000000000464.log", &later));
    free(write_file(s, "00000000000000000464.log", later.data, later.len));
    expect_failure(s->path, METADATA_REPLAY_NEWEST,
                   "begins at offset 464 and there is no snapshot");
    free(write_file(s, "00000000000000000458-0000000002.checkpoint", s->checkpoint.data,
                    s->checkpoint.len));
    expect_failure(s->path, 300, "Offset 300 is no longer there");
    bytebuf_release(&later);
}

/* A file that is written meanwhile: its end is not there yet, later it is. */
static void a_growing_log_is_followed(void **state)
{
    struct scratch *s = *state;
    size_t half = 9000;
    struct opened o;
    struct failure failure;
    free(write_file(s, SEGMENT, s->segment.data, half));
    assert_true(try_open(&o, s->path, METADATA_REPLAY_NEWEST, &failure));
    assert_non_null(strstr(o.source->ops->warning(o.source), "no whole batch"));
    int64_t end = metadata_replay_next_offset(o.replay);
    free(write_file(s, SEGMENT, s->segment.data, s->segment.len));
    assert_true(metadata_replay_catch_up(o.replay, &failure));
    assert_true(metadata_replay_next_offset(o.replay) > end);
    assert_int_equal(metadata_replay_next_offset(o.replay), 218);
    /* The next segment comes. */
    struct bytebuf later = {0};
    assert_true(read_file(SINGLE "/00000000000000000218.log", &later));
    free(write_file(s, "00000000000000000218.log", later.data, later.len));
    assert_true(metadata_replay_catch_up(o.replay, &failure));
    assert_int_equal(metadata_replay_next_offset(o.replay), 464);
    bytebuf_release(&later);
    opened_release(&o);
}

/* The node took a snapshot and deleted the log before it, while nobody looked. */
static void a_log_that_moved_on_is_caught_up_with(void **state)
{
    struct scratch *s = *state;
    struct opened o;
    struct failure failure;
    struct bytebuf later = {0};
    bool applied;
    char *first = write_file(s, SEGMENT, s->segment.data, s->segment.len);
    assert_true(try_open(&o, s->path, METADATA_REPLAY_NEWEST, &failure));
    assert_int_equal(metadata_replay_next_offset(o.replay), 218);
    const struct shell_view *before = metadata_replay_hold(o.replay);
    assert_int_equal(unlink(first), 0);
    free(write_file(s, CHECKPOINT, s->checkpoint.data, s->checkpoint.len));
    assert_true(read_file(SINGLE "/00000000000000000662.log", &later));
    free(write_file(s, "00000000000000000662.log", later.data, later.len));
    assert_true(metadata_replay_step(o.replay, 0, &applied, &failure));
    assert_true(applied);
    assert_int_equal(metadata_replay_next_offset(o.replay), 706);
    assert_int_equal(before->last_offset, 217);
    assert_false(image_equal(before->image, metadata_replay_view(o.replay)->image));
    assert_true(metadata_replay_catch_up(o.replay, &failure));
    assert_int_equal(metadata_replay_next_offset(o.replay), LOG_END);
    bytebuf_release(&later);
    opened_release(&o);
    free(first);
}

static void a_preallocated_end_is_the_end(void **state)
{
    struct scratch *s = *state;
    struct opened o;
    struct failure failure;
    struct bytebuf longer = {0};
    bytebuf_append(&longer, s->segment.data, s->segment.len);
    memset(bytebuf_reserve(&longer, 4096), 0, 4096);
    longer.len += 4096;
    free(write_file(s, SEGMENT, longer.data, longer.len));
    assert_true(try_open(&o, s->path, METADATA_REPLAY_NEWEST, &failure));
    assert_int_equal(metadata_replay_next_offset(o.replay), 218);
    bytebuf_release(&longer);
    opened_release(&o);
}

static void damage_is_named(void **state)
{
    struct scratch *s = *state;
    uint8_t *segment = s->segment.data;
    segment[s->segment.len / 2] ^= 1;
    char *path = write_file(s, SEGMENT, segment, s->segment.len);
    expect_failure(path, METADATA_REPLAY_NEWEST, "has a wrong checksum");
    expect_failure(s->path, METADATA_REPLAY_NEWEST, "has a wrong checksum");
    free(path);
    path = write_file(s, "garbage", "this is no record batch, whatever it is called", 46);
    expect_failure(path, METADATA_REPLAY_NEWEST, "neither a snapshot nor a segment");
    free(path);
    path = write_file(s, "empty", "", 0);
    expect_failure(path, METADATA_REPLAY_NEWEST, "is empty");
    free(path);
    path = write_file(s, "forty", s->checkpoint.data, 40);
    expect_failure(path, METADATA_REPLAY_NEWEST, "is truncated");
    free(path);
    expect_failure("/nonexistent/file", METADATA_REPLAY_NEWEST, "No such file or directory");
    expect_failure(TEST_DATA "/cli", METADATA_REPLAY_NEWEST, "holds no metadata log");
    expect_failure("/dev/null", METADATA_REPLAY_NEWEST, "is no regular file");
}

/* Wherever a snapshot is cut off, it is refused: not even its last byte may be missing. */
static void a_truncated_snapshot_is_refused(void **state)
{
    struct scratch *s = *state;
    for (size_t len = 1; len < s->checkpoint.len; len += len < 200 ? 1 : 97) {
        char *path = write_file(s, "cut.checkpoint", s->checkpoint.data, len);
        expect_failure(path, METADATA_REPLAY_NEWEST, "truncated");
        free(path);
    }
    char *path = write_file(s, "cut.checkpoint", s->checkpoint.data, s->checkpoint.len - 1);
    expect_failure(path, METADATA_REPLAY_NEWEST, "truncated");
    free(path);
}

/* Any one byte that is wrong: refused, or a batch header field that no checksum covers. */
static void a_flipped_byte_never_crashes(void **state)
{
    struct scratch *s = *state;
    for (size_t at = 0; at < s->checkpoint.len; at += 61) {
        struct opened o;
        struct failure failure = {0};
        s->checkpoint.data[at] ^= 0x41;
        char *path = write_file(s, "bad.checkpoint", s->checkpoint.data, s->checkpoint.len);
        if (!try_open(&o, path, METADATA_REPLAY_NEWEST, &failure))
            assert_true(failure.text[0] != '\0');
        opened_release(&o);
        s->checkpoint.data[at] ^= 0x41;
        free(path);
    }
}

static void unknown_records_are_named(void **state)
{
    struct scratch *s = *state;
    struct record_batch batch;
    /* The first data batch: its first record's frame is behind the batch header. */
    struct record_batches run = record_batches_of(bytebuf_bytes(&s->checkpoint));
    assert_int_equal(record_batches_next(&run, &batch), 1);
    assert_int_equal(record_batches_next(&run, &batch), 1);
    uint8_t *bytes = (uint8_t *)(uintptr_t)batch.bytes.data;
    /* length, attributes, timestamp, offset, key, value length (2 bytes), frame, record key */
    uint8_t *frame = bytes + RECORD_BATCH_HEADER_SIZE;
    while (!(frame[0] == 1 && frame[1] == 12))
        frame++;
    static const struct {
        int at;
        uint8_t value;
    } cases[] = {{0, 2}, {1, 0x7f}, {2, 9}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t old = frame[cases[i].at];
        frame[cases[i].at] = cases[i].value;
        record_batch_seal(bytes, (size_t)batch.bytes.len);
        char *path = write_file(s, "unknown", s->checkpoint.data, s->checkpoint.len);
        expect_failure(path, METADATA_REPLAY_NEWEST,
                       "is of a kind or version that this build does not know");
        frame[cases[i].at] = old;
        free(path);
    }
}

int main(void)
{
#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FILES(every_offset_is_the_log_up_to_there),
        cmocka_unit_test(the_newest_is_the_end_of_the_log),
        cmocka_unit_test(steps_are_commits),
        WITH_FILES(offsets_that_are_not_there_are_refused),
        WITH_FILES(a_growing_log_is_followed),
        WITH_FILES(a_log_that_moved_on_is_caught_up_with),
        WITH_FILES(a_preallocated_end_is_the_end),
        WITH_FILES(damage_is_named),
        WITH_FILES(a_truncated_snapshot_is_refused),
        WITH_FILES(a_flipped_byte_never_crashes),
        WITH_FILES(unknown_records_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
