/*
 * What a consumer gets from directories that Apache Kafka wrote, at both isolation levels, with the
 * last stable offset and the largest timestamp, is what Kafka served.
 */
#include "tests/unit/common/storage/log_node.h"

#include "common/protocol/control_record.h"
#include "common/storage/log_offsets.h"
#include "common/storage/log_txn.h"

#define FULL SHARED_DATA "/kafka-data/log-dirs"
#define MINI TEST_DATA "/log-dirs-mini"

/* topic, partition, topic_id, leader, leader_epoch, log_start_offset, high_watermark,
 * last_stable_offset, max_timestamp, max_timestamp_offset, then records and their sha256,
 * uncommitted and committed */
enum {
    TOPIC,
    PARTITION,
    TOPIC_ID,
    START = 5,
    HIGH_WATERMARK,
    STABLE,
    MAX_TIMESTAMP,
    MAX_OFFSET,
    RECORDS,
    DIGEST,
    COMMITTED_RECORDS,
    COMMITTED_DIGEST,
    COLUMNS,
};

struct consumer {
    struct fixture *f;
    bool committed;
    int64_t offset, records;
    EVP_MD_CTX *digest;
    struct record_scratch scratch;
    int64_t skipped[16]; /* producers within an aborted transaction */
    int skipped_count;
};

static bool skips(struct consumer *c, int64_t producer_id, bool forget)
{
    for (int i = 0; i < c->skipped_count; i++) {
        if (c->skipped[i] != producer_id)
            continue;
        if (forget)
            c->skipped[i] = c->skipped[--c->skipped_count];
        return true;
    }
    return false;
}

static void consume_batch(struct consumer *c, const struct record_batch *batch,
                          struct log_aborted_txn *aborted, size_t aborted_count)
{
    const struct record_batch_header *h = &batch->header;
    struct record_iter it;
    struct record record;
    for (size_t i = 0; c->committed && i < aborted_count; i++) {
        if (aborted[i].first_offset > record_batch_last_offset(h) || aborted[i].first_offset < 0)
            continue;
        if (!skips(c, aborted[i].producer_id, false))
            c->skipped[c->skipped_count++] = aborted[i].producer_id;
        aborted[i].first_offset = -1;
    }
    bool control = h->attributes & RECORD_BATCH_CONTROL;
    bool transactional = h->attributes & RECORD_BATCH_TRANSACTIONAL;
    if (h->count == 0 || (!control && transactional && skips(c, h->producer_id, false)))
        return;
    assert_int_equal(record_iter_init(&it, batch, 100 << 20, &c->scratch), 0);
    while (record_iter_next(&it, &record) == 1) {
        int type;
        if (control) {
            assert_int_equal(control_record_parse_key(record.key, &type), 0);
            if (type == CONTROL_ABORT)
                skips(c, h->producer_id, true);
            break;
        }
        if (record.offset < log_start_offset(c->f->log))
            continue;
        c->records++;
        if (record.key.len > 0)
            EVP_DigestUpdate(c->digest, record.key.data, (size_t)record.key.len);
        if (record.value.len > 0)
            EVP_DigestUpdate(c->digest, record.value.data, (size_t)record.value.len);
    }
    record_iter_release(&it);
}

/* One fetch; false at the end. */
static bool fetch(struct consumer *c, int64_t upper)
{
    struct log *log = c->f->log;
    struct log_read_args args = {c->offset, upper, 700, true};
    struct log_read_result read;
    struct log_aborted_txn *aborted;
    size_t aborted_count;
    assert_int_equal(log_read(log, &args, &read), 0);
    if (read.size_bytes == 0)
        return false;
    assert_int_equal(log_aborted_txns(log, c->offset, &read, &aborted, &aborted_count), 0);
    uint8_t *data = mem_alloc((size_t)read.size_bytes);
    assert_int_equal(disk_pread(read.file, data, (size_t)read.size_bytes, read.position),
                     read.size_bytes);
    disk_file_unref(read.file);
    struct record_batches run = record_batches_of((struct bytes){data, read.size_bytes});
    struct record_batch batch;
    c->skipped_count = 0; /* each answer names all that were aborted around it */
    while (record_batches_next(&run, &batch) == 1) {
        consume_batch(c, &batch, aborted, aborted_count);
        c->offset = record_batch_next_offset(&batch.header);
    }
    free(data);
    free(aborted);
    return true;
}

static void consume(struct fixture *f, bool committed, struct str records, struct str digest)
{
    struct consumer c = {.f = f, .committed = committed, .offset = log_start_offset(f->log)};
    c.digest = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(c.digest, EVP_sha256(), NULL), 1);
    record_scratch_init(&c.scratch);
    int64_t upper = committed ? log_last_stable_offset(f->log) : log_high_watermark(f->log);
    while (fetch(&c, upper))
        ;
    char text[65];
    int64_t expected;
    digest_text(c.digest, text);
    EVP_MD_CTX_free(c.digest);
    record_scratch_release(&c.scratch);
    assert_int_equal(str_to_i64(records, &expected), 0);
    assert_int_equal(c.records, expected);
    assert_true(str_eq_z(digest, text));
}

static int64_t number(struct str text)
{
    int64_t n;
    assert_int_equal(str_to_i64(text, &n), 0);
    return n;
}

static void check_log(struct fixture *f, struct str column[COLUMNS])
{
    struct log_offset_found found;
    char id[UUID_TEXT_LEN + 1];
    uuid_format(log_topic_id(f->log), id);
    assert_true(str_eq_z(column[TOPIC_ID], id));
    assert_int_equal(log_start_offset(f->log), number(column[START]));
    assert_int_equal(log_last_stable_offset(f->log), number(column[STABLE]));
    assert_int_equal(log_offset_for_timestamp(f->log, LOG_TIMESTAMP_MAX, &found), 0);
    assert_int_equal(found.timestamp, number(column[MAX_TIMESTAMP]));
    assert_int_equal(found.offset, number(column[MAX_OFFSET]));
    consume(f, false, column[RECORDS], column[DIGEST]);
    consume(f, true, column[COMMITTED_RECORDS], column[COMMITTED_DIGEST]);
}

/* False: starting Kafka for the table added records to this one. */
static bool check_served(struct node *node, struct str column[COLUMNS])
{
    struct fixture *f = node->f;
    struct str t = column[TOPIC], p = column[PARTITION];
    char *name = mem_printf("%.*s-%.*s", STR_FMT(t), STR_FMT(p));
    bool same = true;
    const enum log_trust trusts[] = {node->clean ? LOG_TRUST_CLEAN : LOG_TRUST_NONE,
                                     LOG_TRUST_SAME_BOOT, LOG_TRUST_NONE};
    for (size_t i = 0; same && i < ARRAY_LEN(trusts); i++) {
        open_partition(node, name, trusts[i]);
        same = log_end_offset(f->log) == number(column[HIGH_WATERMARK]);
        log_set_high_watermark(f->log, log_end_offset(f->log));
        if (same)
            check_log(f, column);
        fixture_kill(f);
    }
    free(name);
    return same;
}

static int check_node(struct fixture *f, const char *source, const char *table)
{
    char *text;
    size_t len;
    struct node node;
    int checked = 0;
    assert_int_equal(disk_read_file(f->disk, table, 1 << 20, &text, &len), 0);
    node_open(&node, f, source);
    struct str rest = str_from(text, len), line;
    str_split(&rest, '\n', &line);
    while (rest.len > 0) {
        struct str column[COLUMNS];
        str_split(&rest, '\n', &line);
        for (int i = 0; i < COLUMNS; i++)
            str_split(&line, '\t', &column[i]);
        checked += check_served(&node, column);
    }
    node_close(&node);
    free(text);
    return checked;
}

static void samples(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(check_node(f, MINI "/clean", MINI "/clean-served.tsv"), 5);
    assert_int_equal(check_node(f, MINI "/torn", MINI "/torn-served.tsv"), 3);
}

static void damage(struct node *node, const char *name, int64_t position)
{
    char *path = mem_printf("%s/%s", node->directory, name);
    struct disk_file *file;
    assert_int_equal(disk_open(node->f->disk, path, DISK_WRITE, &file), 0);
    assert_int_equal(disk_pwrite(file, "\x7f", 1, position), 0);
    disk_file_unref(file);
    free(path);
}

static void broken_transaction_indexes_are_made_again(void **state)
{
    struct fixture *f = *state;
    struct node node;
    char *text;
    size_t len;
    assert_int_equal(disk_read_file(f->disk, MINI "/clean-served.tsv", 1 << 20, &text, &len), 0);
    node_open(&node, f, MINI "/clean");
    damage(&node, "txn-0/00000000000000000006.txnindex", 1);  /* the version */
    damage(&node, "txn-0/00000000000000000058.txnindex", 18); /* an offset of another segment */
    struct str rest = str_from(text, len), line;
    while (rest.len > 0) {
        struct str column[COLUMNS];
        str_split(&rest, '\n', &line);
        for (int i = 0; i < COLUMNS; i++)
            str_split(&line, '\t', &column[i]);
        if (str_eq_z(column[TOPIC], "txn"))
            assert_true(check_served(&node, column));
    }
    node_close(&node);
    free(text);
}

static void all(void **state)
{
    struct fixture *f = *state;
    if (!disk_exists(f->disk, FULL))
        skip();
    static const struct {
        const char *name;
        int count;
    } cases[] = {{"single-clean", 39}, {"single-killed", 15}, {"single-torn", 15}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *source = mem_printf(FULL "/%s", cases[i].name);
        char *table = mem_printf(FULL "/%s.expected/served.tsv", cases[i].name);
        assert_int_equal(check_node(f, source, table), cases[i].count);
        free(source);
        free(table);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {T(samples), T(broken_transaction_indexes_are_made_again),
                                       T(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
