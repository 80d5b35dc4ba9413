#include "common/storage/log_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void files(void **state)
{
    static const struct {
        const char *name;
        struct log_file_name expected;
    } cases[] = {
        {"00000000000000000000.log", {LOG_FILE_LOG, LOG_FILE_LIVE, 0, -1}},
        {"00000000000000000511.index", {LOG_FILE_INDEX, LOG_FILE_LIVE, 511, -1}},
        {"09223372036854775807.timeindex", {LOG_FILE_TIME_INDEX, LOG_FILE_LIVE, INT64_MAX, -1}},
        {"09223372036854775808.timeindex", {LOG_FILE_OTHER, LOG_FILE_LIVE, -1, -1}},
        {"00000000000000000006.txnindex", {LOG_FILE_TXN_INDEX, LOG_FILE_LIVE, 6, -1}},
        {"00000000000000000006.snapshot.deleted", {LOG_FILE_SNAPSHOT, LOG_FILE_DELETED, 6, -1}},
        {"00000000000000000006.log.cleaned", {LOG_FILE_LOG, LOG_FILE_CLEANED, 6, -1}},
        {"00000000000000000006.index.swap", {LOG_FILE_INDEX, LOG_FILE_SWAP, 6, -1}},
        {"00000000000000000095-0000000001.checkpoint", {LOG_FILE_CHECKPOINT, LOG_FILE_LIVE, 95, 1}},
        {"00000000000000000095-0000000001.checkpoint.part",
         {LOG_FILE_CHECKPOINT, LOG_FILE_TEMPORARY, 95, 1}},
        {"leader-epoch-checkpoint", {LOG_FILE_LEADER_EPOCHS, LOG_FILE_LIVE, -1, -1}},
        {"leader-epoch-checkpoint.tmp", {LOG_FILE_LEADER_EPOCHS, LOG_FILE_TEMPORARY, -1, -1}},
        {"partition.metadata", {LOG_FILE_PARTITION_METADATA, LOG_FILE_LIVE, -1, -1}},
        {"quorum-state", {LOG_FILE_QUORUM_STATE, LOG_FILE_LIVE, -1, -1}},
        {"0.log", {LOG_FILE_OTHER, LOG_FILE_LIVE, -1, -1}},
        {"-0000000000000000001.log", {LOG_FILE_OTHER, LOG_FILE_LIVE, -1, -1}},
        {"00000000000000000000x.log", {LOG_FILE_OTHER, LOG_FILE_LIVE, -1, -1}},
        {"00000000000000000095.checkpoint", {LOG_FILE_OTHER, LOG_FILE_LIVE, -1, -1}},
        {"", {LOG_FILE_OTHER, LOG_FILE_LIVE, -1, -1}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct log_file_name name = log_file_parse(cases[i].name);
        assert_int_equal(name.kind, cases[i].expected.kind);
        assert_int_equal(name.state, cases[i].expected.state);
        assert_int_equal(name.offset, cases[i].expected.offset);
        assert_int_equal(name.epoch, cases[i].expected.epoch);
    }
    char path[PATH_MAX];
    assert_true(log_file_path(path, "/d/t-0", LOG_FILE_TIME_INDEX, 42, LOG_FILE_DELETED));
    assert_string_equal(path, "/d/t-0/00000000000000000042.timeindex.deleted");
}

#define HEX "5996589c4c744daaa06ff94a72def12e"

static void directories(void **state)
{
    struct log_dir_name name;
    assert_true(log_dir_name_parse("my-topic.x_1-12", &name));
    assert_true(str_eq_z(name.topic, "my-topic.x_1"));
    assert_int_equal(name.partition, 12);
    assert_int_equal(name.kind, LOG_DIR_LIVE);
    assert_true(log_dir_name_parse("doomed-late-0." HEX "-delete", &name));
    assert_true(str_eq_z(name.topic, "doomed-late"));
    assert_int_equal(name.kind, LOG_DIR_DELETE);
    assert_true(log_dir_name_parse("t-3." HEX "-future", &name));
    assert_int_equal(name.kind, LOG_DIR_FUTURE);
    assert_true(log_dir_name_parse("t-3." HEX "-stray", &name));
    assert_int_equal(name.kind, LOG_DIR_STRAY);
    assert_true(log_dir_name_parse("odd-delete-0", &name)); /* a topic may be called so */
    assert_true(str_eq_z(name.topic, "odd-delete"));
    assert_false(log_dir_name_parse("-0", &name));
    assert_false(log_dir_name_parse("t-", &name));
    assert_false(log_dir_name_parse("t", &name));
    assert_false(log_dir_name_parse("t-0." HEX, &name));
    assert_false(log_dir_name_parse("t-2147483648", &name));
    assert_true(log_dir_name_is_metadata("__cluster_metadata-0"));
}

static void long_names_are_cut(void **state)
{
    char topic[249], name[LOG_DIR_NAME_MAX + 1];
    memset(topic, 'L', sizeof(topic));
    struct str t = str_from(topic, sizeof(topic));
    struct uuid unique = {{0x59, 0x96, 0x58, 0x9c}};
    log_dir_name_format(name, t, 0, LOG_DIR_LIVE, UUID_ZERO);
    assert_int_equal(strlen(name), 251);
    log_dir_name_format(name, t, 12, LOG_DIR_DELETE, unique);
    assert_int_equal(strlen(name), 255);
    struct log_dir_name parsed;
    assert_true(log_dir_name_parse(name, &parsed));
    assert_int_equal(parsed.kind, LOG_DIR_DELETE);
    assert_int_equal(parsed.partition, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(directories),
        cmocka_unit_test(long_names_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
