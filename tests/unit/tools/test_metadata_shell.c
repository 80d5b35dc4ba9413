/* kafka-metadata-shell as it is called: what it prints, and how it ends. */
#include "common/base/check.h"
#include "tests/unit/tools/capture.h"
#include "tools/tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DIRECTORY TEST_DATA "/metadata/single-clean"
#define SNAPSHOT  DIRECTORY "/00000000000000000706-0000000002.checkpoint"

/* Words behind "--snapshot WHERE", separated by spaces. */
static struct capture run(const char *where, const char *line)
{
    const char *words[32] = {"--snapshot", where};
    char copy[512];
    size_t count = 2;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *at = copy; *at != '\0' && count < ARRAY_LEN(words) - 1;) {
        words[count++] = at;
        at += strcspn(at, " ");
        while (*at == ' ')
            *at++ = '\0';
    }
    return capture_run(metadata_shell_main, words);
}

static void expect_on(const char *where, const char *line, int code, const char *out)
{
    struct capture capture = run(where, line);
    assert_string_equal((const char *)capture.out.data, out);
    assert_int_equal(capture.code, code);
    capture_release(&capture);
}

static void expect(const char *line, int code, const char *out)
{
    expect_on(SNAPSHOT, line, code, out);
}

static void expect_error(const char *line, const char *words)
{
    struct capture capture = run(SNAPSHOT, line);
    assert_int_equal(capture.code, 1);
    assert_non_null(strstr((const char *)capture.err.data, words));
    capture_release(&capture);
}

static void files_and_folders_are_listed_as_kafka_does(void **state)
{
    expect("ls", 0, "image\nlocal\n");
    expect("ls /local/version image/cluster nope image/scram", 0,
           "ls: nope: no such file or directory.\n"
           "version\n\ncluster:\nbrokers\ncontrollers\n\nscram:\nSCRAM-SHA-256\nSCRAM-SHA-512\n");
    expect("ls --all image/producerIds /topics/txn/0", 0,
           "producerIds:\nnextProducerId\n\n0:\ndata\n");
    expect("cat image/features/finalized_s* image nope", 0,
           "2\n1\ncat: image: Is a directory\ncat: nope: No such file or directory.\n");
    expect("cat image/{producerIds,s*}", 0,
           "cat: /image/producerIds: Is a directory\ncat: /image/scram: Is a directory\n");
    expect("tree image/scram/SCRAM-SHA-1", 0,
           "tree: image/scram/SCRAM-SHA-1: No such file or directory.\n");
    expect("tree /image/producerIds /image/configs/BROKER:1", 0,
           "nextProducerId:\n  2000\nlog.cleaner.io.max.bytes.per.second:\n  10000000\n"
           "max.connections:\n  500\n");
    expect("find image/producerIds nope", 0,
           "image/producerIds\nimage/producerIds/nextProducerId\n"
           "find: nope: no such file or directory.\n");
}

static void find_looks_at_names_and_values(void **state)
{
    expect("find /image/configs --value ^compact,", 0,
           "/image/configs/TOPIC:compact-delete/cleanup.policy\n");
    expect("find -name flush* /image/configs", 0,
           "/image/configs/TOPIC:max-message/flush.messages\n");
    expect("find --name=TOPIC:txn image/configs", 0, "image/configs/TOPIC:txn\n");
    expect("find --name zookeeper", 0, "");
    expect_error("find --value ( /image", "is no regular expression");
}

static void options_may_be_cut_and_ended(void **state)
{
    expect("ls -- /local", 0, "commitId\nversion\n");
    expect("ls -- --all", 0, "ls: --all: no such file or directory.\n");
    expect("-- cat image/producerIds/nextProducerId", 0, "2000\n");
    expect("--form json ls /local", 0, "{\"/local\":[\"commitId\",\"version\"]}\n");
    expect("find --nam TOPIC:txn image/configs", 0, "image/configs/TOPIC:txn\n");
    expect_error("--bootstrap a:1 ls", "unrecognized arguments: '--bootstrap'");
}

static void wrong_commands_are_said_to_be(void **state)
{
    expect("tree", 0, "too few arguments\n");
    expect("pwd", 0,
           "invalid choice: 'pwd' (choose from 'cat', 'diff', 'find', 'log', 'ls', 'tree', "
           "'watch')\n");
    expect("diff 1", 0, "too few arguments\n");
    expect("diff 1 2 3 4", 0, "unrecognized arguments: '4'\n");
    expect("find --value", 0, "argument --value: expected one argument\n");
    expect_error("ls --long", "error: unrecognized arguments: '--long'");
    expect_error("--at-offset x ls", "argument --at-offset: 'x' is no offset");
    expect_error("--bootstrap-server a:1 ls", "only one of the arguments");
    expect_error("--format xml ls", "Format xml is neither text nor json");
    expect_error("--at-offset 5 ls", "A snapshot alone shows one moment only");
    expect_error("watch", "watch: a file does not change");
    expect_error("log x", "'x' is no offset");
}

static void documents_are_printed_for_programs(void **state)
{
    expect("--format json ls /local image/producerIds/nextProducerId", 0,
           "{\"/local\":[\"commitId\",\"version\"],\"/image/producerIds/nextProducerId\":null}\n");
    expect("cat image/producerIds/* --format=json", 0,
           "{\"/image/producerIds/nextProducerId\":2000}\n");
    expect("--format json tree image/scram/SCRAM-SHA-1", 1,
           "{\"error\":{\"code\":\"RESOURCE_NOT_FOUND\",\"message\":\"tree: "
           "image/scram/SCRAM-SHA-1: No such file or directory.\"}}\n");
    expect("--format json find /image/configs --value ^compact,", 0,
           "{\"/image/configs/TOPIC:compact-delete/cleanup.policy\":\"compact,delete\"}\n");
    expect("--format json nope", 1,
           "{\"error\":{\"code\":\"INVALID_REQUEST\",\"message\":\"invalid choice: 'nope' (choose "
           "from 'cat', 'diff', 'find', 'log', 'ls', 'tree', 'watch')\"}}\n");
}

static void the_log_is_read_as_records(void **state)
{
    expect_on(DIRECTORY, "log 0 1", 0,
              "{\"offset\":0,\"epoch\":1,\"timestamp\":1795249864263,\"type\":\"LEADER_CHANGE\","
              "\"version\":0,\"data\":{\"version\":0,\"leaderId\":1,\"voters\":[{\"voterId\":1}],"
              "\"grantingVoters\":[{\"voterId\":1}]}}\n"
              "{\"offset\":1,\"epoch\":1,\"timestamp\":1795249864654,\"type\":"
              "\"BEGIN_TRANSACTION_RECORD\",\"version\":0,\"data\":{\"name\":\"Bootstrap "
              "records\"}}\n");
    expect_on(DIRECTORY, "log --type producer_ids_record 0 100", 0, "");
    struct capture capture = run(SNAPSHOT, "log --type SNAPSHOT_FOOTER");
    assert_non_null(strstr((const char *)capture.out.data, "\"type\":\"SNAPSHOT_FOOTER\""));
    assert_int_equal(capture.code, 0);
    capture_release(&capture);
}

static void two_moments_are_compared(void **state)
{
    expect_on(DIRECTORY, "diff 400 400", 0, "");
    expect_on(DIRECTORY, "diff now " SNAPSHOT " /image/c{onfigs,lientQuotas}", 0, "");
    struct capture capture = run(DIRECTORY, "--format json diff 0 20 /image/features");
    json_t *changes = json_loads((const char *)capture.out.data, 0, NULL);
    assert_int_equal(json_array_size(changes), 6);
    assert_string_equal(json_string_value(json_object_get(json_array_get(changes, 5), "after")),
                        "4.4-IV2");
    json_decref(changes);
    capture_release(&capture);
}

static void a_session_reads_commands_until_its_end(void **state)
{
    FILE *file = tmpfile();
    int old = dup(0);
    fputs("cd image/topics\npwd\n\nls\ncd nope\ncd byName/txn/id\nls /local\nhistory 2\nman pwd\n"
          "nope\ncd\npwd\n",
          file);
    rewind(file);
    dup2(fileno(file), 0);
    struct capture capture = run(SNAPSHOT, "");
    dup2(old, 0);
    close(old);
    fclose(file);
    assert_string_equal(
        (const char *)capture.out.data,
        "Loading...\nStarting...\n[ Kafka Metadata Shell ]\n"
        ">> >> /image/topics\n>> >> byId\nbyName\n>> cd: nope: no such directory.\n"
        ">> cd: byName/txn/id: not a directory.\n>> commitId\nversion\n"
        ">>     5  ls /local\n    6  history 2\n"
        ">> pwd: Print the current working directory.\n\nusage: pwd\n"
        ">> invalid choice: 'nope' (choose from 'cat', 'cd', 'diff', 'exit', 'find', 'help', "
        "'history', 'log', 'ls', 'man', 'pwd', 'tree', 'watch')\n>> >> /\n>> ");
    assert_int_equal(capture.code, 0);
    capture_release(&capture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_and_folders_are_listed_as_kafka_does),
        cmocka_unit_test(find_looks_at_names_and_values),
        cmocka_unit_test(options_may_be_cut_and_ended),
        cmocka_unit_test(wrong_commands_are_said_to_be),
        cmocka_unit_test(documents_are_printed_for_programs),
        cmocka_unit_test(the_log_is_read_as_records),
        cmocka_unit_test(two_moments_are_compared),
        cmocka_unit_test(a_session_reads_commands_until_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
