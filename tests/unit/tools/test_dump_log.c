/*
 * Every file of the recorded directories prints as Kafka's tool printed it: a small set in
 * tests/data/dump, all of them where the recordings stand beside the project. <set>.expected holds
 * one <dir>.dump.txt[.gz] per directory: "==> file <==" and what was printed.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/unit/tools/capture.h"
#include "tools/tool.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cmocka.h>

/* nftw has no context. */
static struct {
    const char *root;   /* holds the sets */
    char scratch[64];   /* for files that are restored to the size they had */
    int files, refused; /* of these, what Kafka's tool could not read on */
} run;

/* A file, compressed or not, with a zero byte behind it. */
static struct bytebuf read_file(const char *path)
{
    struct bytebuf out;
    gzFile file = gzopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot read %s", path);
    bytebuf_init(&out);
    int len;
    while ((len = gzread(file, bytebuf_reserve(&out, 65537), 65536)) > 0)
        out.len += (size_t)len;
    out.data[out.len] = '\0';
    gzclose(file);
    return out;
}

static char *format_path(const char *a, const char *b, const char *c)
{
    return mem_printf("%s/%s%s%s", a, b, c[0] ? "/" : "", c);
}

/* The size that a file had where it is stored without the zeros at its end; -1: as it is. */
static int64_t size_before(const char *set, const char *path)
{
    char *name = mem_printf("%s/%s.expected/PREALLOCATED.tsv", run.root, set);
    int64_t size = -1;
    if (access(name, R_OK) == 0) {
        struct bytebuf table = read_file(name);
        struct str rest = str_from((const char *)table.data, table.len), line, field;
        while (str_split(&rest, '\n', &line)) {
            str_split(&line, '\t', &field);
            bool found = str_eq_z(field, path);
            str_split(&line, '\t', &field);
            if (found)
                assert_int_equal(str_to_i64(field, &size), 0);
        }
        bytebuf_release(&table);
    }
    free(name);
    return size;
}

static void make_dirs(char *path)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
}

/* Copies the log and the indexes of a segment, in their old size. */
static void restore_segment(const char *set, const char *path)
{
    static const char *const suffixes[] = {".log", ".index", ".timeindex"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        const char *dot = strrchr(path, '.');
        char *name = mem_printf("%.*s%s", (int)(dot - path), path, suffixes[i]);
        char *from = format_path(run.root, set, name), *to = format_path(run.scratch, name, "");
        if (access(from, R_OK) == 0) {
            struct bytebuf data = read_file(from);
            int64_t size = size_before(set, name);
            make_dirs(to);
            FILE *file = fopen(to, "w");
            assert_non_null(file);
            assert_int_equal(fwrite(data.data, 1, data.len, file), data.len);
            fclose(file);
            if (size >= 0)
                assert_int_equal(truncate(to, size), 0);
            bytebuf_release(&data);
        }
        free(name);
        free(from);
        free(to);
    }
}

static const char *decoder_of(const char *path)
{
    static const char *const decoders[][2] = {
        {"__consumer_offsets", "--offsets-decoder"},
        {"__transaction_state", "--transaction-log-decoder"},
        {"__share_group_state", "--share-group-state-decoder"},
        {"__cluster_metadata", "--cluster-metadata-decoder"},
    };
    for (size_t i = 0; i < ARRAY_LEN(decoders); i++)
        if (strstr(path, decoders[i][0]) != NULL)
            return decoders[i][1];
    return NULL;
}

static struct capture dump(const char *path)
{
    const char *words[8] = {"--files", path};
    int count = 2;
    if (strstr(path, ".log") != NULL || strstr(path, ".checkpoint") != NULL) {
        words[count++] = "--deep-iteration";
        words[count++] = "--print-data-log";
        words[count] = decoder_of(path);
    }
    return capture_run(dump_log_main, words);
}

/* The recording shortens this one. */
static struct bytebuf replace_long_name(struct str text)
{
    static const char shortened[] = "L-x249";
    const char *at;
    struct bytebuf out;
    bytebuf_init(&out);
    while ((at = memmem(text.data, (size_t)text.len, shortened, strlen(shortened))) != NULL) {
        bytebuf_append(&out, text.data, (size_t)(at - text.data));
        memset(bytebuf_reserve(&out, 249), 'L', 249);
        out.len += 249;
        at += strlen(shortened);
        text = str_from(at, (size_t)(text.data + text.len - at));
    }
    bytebuf_append(&out, text.data, (size_t)text.len);
    *bytebuf_reserve(&out, 1) = '\0';
    return out;
}

static void compare(const char *path, const struct bytebuf *want, const struct capture *got)
{
    size_t same = 0;
    while (same < want->len && same < got->out.len && want->data[same] == got->out.data[same])
        same++;
    if (same == want->len && same == got->out.len && got->code == 0)
        return;
    while (same > 0 && want->data[same - 1] != '\n')
        same--;
    fail_msg("%s (exit code %d, %s)\nwant %.300s\ngot  %.300s", path, got->code, got->err.data,
             want->data + same, got->out.data + same);
}

/* Kafka's tool ended with an exception: where ours ends too it says why, and its words are Kafka's
 * where Kafka's are a sentence. */
static void compare_refusal(const char *path, const struct bytebuf *want, const char *exception,
                            const struct capture *got)
{
    static const char corrupt[] = "CorruptRecordException: ";
    const char *sentence = strstr(exception, corrupt);
    size_t before = (size_t)(exception - (const char *)want->data);
    run.refused++;
    if (got->out.len < before || memcmp(want->data, got->out.data, before) != 0)
        fail_msg("%s: differs before the exception", path);
    /* A time index is compared with the intact batches only: no need to fail. */
    if (sentence != NULL && strstr(path, ".log") != NULL)
        assert_string_equal((char *)got->err.data, sentence + sizeof(corrupt) - 1);
    else if (got->code == 0)
        assert_int_equal(got->err.len, 0);
    if (got->code != 0)
        assert_true(got->err.len > 0);
}

static void check_file(const char *set, const char *path, struct str text)
{
    struct bytebuf want = replace_long_name(text), full_path = replace_long_name(str_of(path));
    char *root = format_path(run.root, set, "");
    const char *dot = strrchr(path, '.'), *name = (const char *)full_path.data;
    if (strcmp(dot, ".index") == 0 || strcmp(dot, ".timeindex") == 0) {
        restore_segment(set, name);
        assert_int_equal(chdir(run.scratch), 0);
    } else {
        assert_int_equal(chdir(root), 0);
    }
    struct capture got = dump(name);
    const char *exception = memmem(want.data, want.len, "EXCEPTION ", 10);
    run.files++;
    if (exception != NULL)
        compare_refusal(path, &want, exception, &got);
    else
        compare(path, &want, &got);
    capture_release(&got);
    free(root);
    bytebuf_release(&want);
    bytebuf_release(&full_path);
}

static const char *find(struct str in, const char *text)
{
    return memmem(in.data, (size_t)in.len, text, strlen(text));
}

static struct str behind(struct str in, const char *at)
{
    return str_from(at, (size_t)(in.data + in.len - at));
}

/* One <dir>.dump.txt, perhaps in the folder of a node. */
static void check_recording(const char *path)
{
    const char *set = path + strlen(run.root) + 1;
    const char *dir = strstr(set, ".expected/");
    assert_non_null(dir);
    char *set_name = mem_strndup(set, (size_t)(dir - set));
    dir += strlen(".expected/");
    char *dir_name = mem_strndup(dir, (size_t)(strstr(dir, ".dump.txt") - dir));
    struct bytebuf recording = read_file(path);
    struct str rest = str_from((const char *)recording.data, recording.len);
    assert_true(str_starts_with(rest, STR("==> ")));
    while (rest.len > 0) {
        rest = behind(rest, rest.data + 4);
        const char *end = find(rest, " <==\n");
        assert_non_null(end);
        char *name = mem_strndup(rest.data, (size_t)(end - rest.data));
        rest = behind(rest, end + 5);
        const char *next = find(behind(rest, rest.data - 1), "\n==> ");
        next = next ? next + 1 : rest.data + rest.len;
        char *file = format_path(dir_name, name, "");
        check_file(set_name, file, str_from(rest.data, (size_t)(next - rest.data)));
        free(file);
        free(name);
        rest = behind(rest, next);
    }
    bytebuf_release(&recording);
    free(set_name);
    free(dir_name);
}

static int visit(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    if (type == FTW_F && strstr(path, ".dump.txt") != NULL)
        check_recording(path);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    return remove(path);
}

static void check_all(const char *root)
{
    run.root = root;
    run.files = run.refused = 0;
    snprintf(run.scratch, sizeof(run.scratch), "/tmp/kraftd-dump-XXXXXX");
    assert_non_null(mkdtemp(run.scratch));
    int rv = nftw(root, visit, 16, FTW_PHYS);
    nftw(run.scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(rv, 0);
}

static void test_committed(void **state)
{
    check_all(TEST_DATA "/dump");
    assert_true(run.files >= 20);
}

static void test_recorded(void **state)
{
    if (access(SHARED_DATA "/kafka-data/log-dirs", R_OK) != 0)
        skip();
    check_all(SHARED_DATA "/kafka-data/log-dirs");
    assert_true(run.files > 1300);
    assert_true(run.refused >= 10);
}

static struct capture dump_words(const char *path, const char *a, const char *b)
{
    const char *words[] = {"--files", path, a, b, NULL};
    assert_int_equal(chdir(TEST_DATA "/dump/single-clean"), 0);
    return capture_run(dump_log_main, words);
}

static void expect(struct capture got, int code, const char *out, const char *err)
{
    assert_int_equal(got.code, code);
    if (strstr((char *)got.out.data, out) == NULL)
        fail_msg("standard output is not as expected: %s", got.out.data);
    if (strstr((char *)got.err.data, err) == NULL || (err[0] == '\0' && got.err.len > 0))
        fail_msg("standard error is not as expected: %s", got.err.data);
    capture_release(&got);
}

#define LOG_FILE "compacted-txn-0/00000000000000000000.log"

static void test_options(void **state)
{
    expect(dump_words("none.log", NULL, NULL), 1, "Dumping none.log\n",
           "none.log: the name must begin with an offset, but \"none\" is no number\n");
    expect(dump_words("7.log", NULL, NULL), 1, "Log starting offset: 7\n",
           "Cannot read 7.log: No such file or directory\n");
    expect(dump_words("leader-epoch-checkpoint", NULL, NULL), 0, "Dumping ",
           "Ignoring unknown file leader-epoch-checkpoint\n");
    expect(dump_words(LOG_FILE, "--value-decoder-class", "no.Such"), 1, "Dumping ",
           "Failed to load decoder class\nno.Such\n");
    expect(dump_words(LOG_FILE, "--value-decoder-class", "org.apache.kafka.tools.api.LongDecoder"),
           0, " payload: 8367743281612599854\n", "Non-consecutive offsets in ");
    expect(dump_words(LOG_FILE, "--key-decoder-class", "org.apache.kafka.tools.api.LongDecoder"), 1,
           "headerKeys: []", "has 2 of the 8 bytes that its decoder reads\n");
    expect(dump_words(LOG_FILE, "--key-decoder-class", "org.apache.kafka.tools.api.DefaultDecoder"),
           0, " key: 6332 payload: t 2.0.2.0\n", "  133 is followed by 136\n");
    expect(dump_words(LOG_FILE, "--print-data-log", "--skip-record-metadata"), 0, "\n| key: c5\n",
           "followed");
    expect(dump_words(LOG_FILE, "--max-bytes", "200"), 0, "baseOffset: 101 ", "");
    expect(dump_words(LOG_FILE, "--offsets-decoder", NULL), 0,
           " key: Unknown record type 25394 at offset 132, skipping.\n", "followed");
}

static void test_json(void **state)
{
    struct capture got = dump_words(LOG_FILE, "--deep-iteration", "--format=json");
    char *line = (char *)got.out.data;
    int lines = 0;
    assert_int_equal(got.code, 0);
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
        json_t *object = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(object);
        assert_string_equal(json_string_value(json_object_get(object, "file")), LOG_FILE);
        assert_int_equal(json_array_size(json_object_get(object, "records")),
                         json_integer_value(json_object_get(object, "count")));
        json_decref(object);
    }
    assert_int_equal(lines, 9);
    capture_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_committed),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
