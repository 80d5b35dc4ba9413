/*
 * Directories that Apache Kafka wrote open, recover and read back as recorded: the samples in
 * tests/data/log-dirs-mini, and all of ../shared/kafka-data/log-dirs where that is there.
 */
#include "tests/unit/common/storage/log_node.h"

#include "common/storage/log_retention.h"
#include "common/storage/log_scan.h"

#include <openssl/evp.h>

#define FULL SHARED_DATA "/kafka-data/log-dirs"
#define MINI TEST_DATA "/log-dirs-mini"

struct content {
    int64_t batches, control_batches, empty_batches, records, start_offset;
    EVP_MD_CTX *digest;
    struct record_scratch scratch;
};

static void digest_bytes(struct content *c, struct bytes bytes)
{
    if (bytes.len > 0)
        assert_int_equal(EVP_DigestUpdate(c->digest, bytes.data, (size_t)bytes.len), 1);
}

static int count_batch(void *ctx, const struct log_scan_batch *scanned)
{
    struct content *c = ctx;
    struct record_batch batch = {scanned->bytes, *scanned->header};
    assert_true(record_batch_crc_ok(&batch));
    bool control = batch.header.attributes & RECORD_BATCH_CONTROL;
    c->batches++;
    c->control_batches += control;
    c->empty_batches += batch.header.count == 0;
    if (control || batch.header.count == 0)
        return 0;
    struct record_iter it;
    struct record record;
    assert_int_equal(record_iter_init(&it, &batch, 100 << 20, &c->scratch), 0);
    int rv;
    while ((rv = record_iter_next(&it, &record)) == 1) {
        if (record.offset < c->start_offset)
            continue;
        c->records++;
        digest_bytes(c, record.key);
        digest_bytes(c, record.value);
    }
    assert_int_equal(rv, 0);
    record_iter_release(&it);
    return 0;
}

/* dir, log_start_offset, end_offset, segments, batches, control_batches, empty_batches, records,
 * sha256 */
enum { COLUMNS = 9 };

static void compare(struct fixture *f, struct str column[COLUMNS])
{
    struct content c = {.start_offset = log_start_offset(f->log), .digest = EVP_MD_CTX_new()};
    assert_int_equal(EVP_DigestInit_ex(c.digest, EVP_sha256(), NULL), 1);
    record_scratch_init(&c.scratch);
    assert_int_equal(log_scan(f->log, log_start_offset(f->log), true, count_batch, &c), 0);
    char text[65];
    digest_text(c.digest, text);
    EVP_MD_CTX_free(c.digest);
    record_scratch_release(&c.scratch);
    int64_t found[] = {log_start_offset(f->log),
                       log_end_offset(f->log),
                       log_segment_count(f->log),
                       c.batches,
                       c.control_batches,
                       c.empty_batches,
                       c.records};
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        int64_t expected;
        assert_int_equal(str_to_i64(column[i + 1], &expected), 0);
        /* The recorded batches are those of the files, also below the log start. */
        if (i >= 3 && i < 6 && log_start_offset_checkpointed(f->log))
            continue;
        if (expected != found[i])
            fail_msg("%.*s: column %zu is %lld, not %lld", STR_FMT(column[0]), i + 1,
                     (long long)found[i], (long long)expected);
    }
    assert_true(str_eq_z(column[8], text));
}

/* Opens, compares, closes, and once more: what we leave behind is as good as what we found. */
static void check_partition(struct node *node, struct str column[COLUMNS], bool recovered)
{
    char *name = str_dup_z(column[0]);
    enum log_trust first = node->clean ? LOG_TRUST_CLEAN : LOG_TRUST_NONE;
    /* Kafka checks the whole metadata log at every start. */
    if (log_dir_name_is_metadata(name))
        first = LOG_TRUST_NONE;
    open_partition(node, name, first);
    compare(node->f, column);
    if (!recovered)
        assert_int_equal(node->f->recovery.cut_segments, 0);
    fixture_kill(node->f);
    open_partition(node, name, LOG_TRUST_SAME_BOOT);
    compare(node->f, column);
    fixture_stop(node->f);
    open_partition(node, name, LOG_TRUST_CLEAN);
    compare(node->f, column);
    assert_int_equal(node->f->recovery.checked_bytes, 0);
    fixture_stop(node->f);
    open_partition(node, name, LOG_TRUST_NONE);
    compare(node->f, column);
    fixture_kill(node->f);
    free(name);
}

/* The lines of `table` whose directory begins with `prefix`, which is then left out. */
static int check_node(struct fixture *f, const char *source, const char *table, const char *prefix,
                      bool recovered)
{
    char *text;
    size_t len;
    assert_int_equal(disk_read_file(f->disk, table, 1 << 20, &text, &len), 0);
    struct node node;
    node_open(&node, f, source);
    struct str rest = str_from(text, len), line;
    str_split(&rest, '\n', &line);
    int checked = 0;
    while (rest.len > 0) {
        struct str column[COLUMNS];
        str_split(&rest, '\n', &line);
        for (int i = 0; i < COLUMNS; i++)
            str_split(&line, '\t', &column[i]);
        if (!str_starts_with(column[0], str_of(prefix)))
            continue;
        column[0].data += strlen(prefix);
        column[0].len -= (int32_t)strlen(prefix);
        checked++;
        /* After recovery the controller went on writing. */
        if (!recovered || !str_eq_z(column[0], "__cluster_metadata-0"))
            check_partition(&node, column, recovered);
    }
    node_close(&node);
    free(text);
    return checked;
}

static void samples(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(check_node(f, MINI "/clean", MINI "/clean.tsv", "", false), 5);
    assert_int_equal(check_node(f, MINI "/torn", MINI "/torn.tsv", "", true), 3);
}

static void all_of_a_single_node(void **state)
{
    struct fixture *f = *state;
    if (!disk_exists(f->disk, FULL))
        skip();
    assert_int_equal(check_node(f, FULL "/single-clean",
                                FULL "/single-clean.expected/partitions.tsv", "", false),
                     44);
    assert_int_equal(check_node(f, FULL "/single-killed",
                                FULL "/single-killed.expected/recovered.tsv", "", true),
                     16);
    assert_int_equal(
        check_node(f, FULL "/single-torn", FULL "/single-torn.expected/recovered.tsv", "", true),
        16);
}

static void all_of_several_disks_and_nodes(void **state)
{
    struct fixture *f = *state;
    if (!disk_exists(f->disk, FULL))
        skip();
    static const struct {
        const char *directory, *parts[3];
        int count;
    } cases[] = {
        {"jbod", {"d1", "d2"}, 11},
        {"three-static", {"node-1", "node-2", "node-3"}, 40},
        {"three-dynamic", {"node-1", "node-2", "node-3"}, 40},
        {"three-dynamic-formatted", {"node-1", "node-2"}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int checked = 0;
        for (size_t j = 0; j < 3 && cases[i].parts[j] != NULL; j++) {
            char *source = mem_printf(FULL "/%s/%s", cases[i].directory, cases[i].parts[j]);
            char *table = mem_printf(FULL "/%s.expected/partitions.tsv", cases[i].directory);
            char *prefix = mem_printf("%s/", cases[i].parts[j]);
            checked += check_node(f, source, table, prefix, false);
            free(source);
            free(table);
            free(prefix);
        }
        assert_int_equal(checked, cases[i].count);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(samples),
        T(all_of_a_single_node),
        T(all_of_several_disks_and_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
