#include "common/base/check.h"
#include "tests/unit/tools/capture.h"
#include "tools/tool.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#define ID "5L6g3nShT-eMCtK--X86sw"

static const char common[] = "node.id=1\n"
                             "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n"
                             "controller.listener.names=CONTROLLER\n"
                             "log.dirs=d1,d2\n"
                             "metadata.log.dir=d1\n";

static void write_config(const char *name, const char *more)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fprintf(file, "%s%s", common, more);
    fclose(file);
}

static int setup(void **state)
{
    static char folder[64];
    snprintf(folder, sizeof(folder), "/tmp/kraftd-storage-XXXXXX");
    *state = folder;
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    write_config("dynamic", "process.roles=broker,controller\n"
                            "controller.quorum.bootstrap.servers=127.0.0.1:9093\n");
    write_config("static", "process.roles=broker,controller\n"
                           "controller.quorum.voters=1@127.0.0.1:9093\n");
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    return remove(path);
}

static int teardown(void **state)
{
    return nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void expect(struct capture got, int code, const char *out, const char *err)
{
    if (strstr((char *)got.out.data, out) == NULL || (out[0] == '\0' && got.out.len > 0))
        fail_msg("standard output is not as expected: %s", got.out.data);
    if (strstr((char *)got.err.data, err) == NULL || (err[0] == '\0' && got.err.len > 0))
        fail_msg("standard error is not as expected: %s", got.err.data);
    assert_int_equal(got.code, code);
    capture_release(&got);
}

#define RUN(...)            capture_run(storage_main, (const char *[]){__VA_ARGS__, NULL})
#define FORMAT(config, ...) RUN("format", "-t", ID, "-c", config, __VA_ARGS__)

#define CHECKPOINT "d1/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"

static void test_standalone(void **state)
{
    expect(RUN("info", "--config=dynamic"), 1, "Found problems:\n  d1 does not exist\n", "");
    expect(FORMAT("dynamic", "--standalone"), 0,
           "Formatting data directory d2 with metadata.version 4.4-IV2.\nFormatting dynamic "
           "metadata voter directory d1 with metadata.version 4.4-IV2.\n",
           "");
    expect(RUN("info", "-cdynamic"), 0, "Found metadata: {cluster.id=" ID ", directory.id=", "");
    expect(capture_run(dump_log_main,
                       (const char *[]){"--files", CHECKPOINT, "--cluster-metadata-decoder", NULL}),
           0, "\"endpoints\":[{\"name\":\"CONTROLLER\",\"host\":\"127.0.0.1\",\"port\":9093}]", "");
    expect(FORMAT("dynamic", "-s"), 1, "",
           "Log directory d1 is already formatted. Use --ignore-formatted to");
    expect(FORMAT("dynamic", "-s", "-g"), 0, "All of the log directories are already formatted.\n",
           "");
    assert_int_equal(rename("d2", "elsewhere"), 0);
    expect(FORMAT("dynamic", "-s", "-g"), 0, "Formatting data directory d2 ", "");
    expect(RUN("format", "-t", "other", "-c", "dynamic", "-s"), 1, "",
           "Invalid cluster.id in: d1/meta.properties. Expected other, but read " ID "\n");
}

static void test_static(void **state)
{
    expect(FORMAT("static", "--standalone"), 1, "", "You cannot specify controller.quorum.voters");
    expect(FORMAT("static", "--feature", "kraft.version=1"), 1, "",
           "Cannot set kraft.version to 1 ");
    expect(FORMAT("static", "-r", "4.0", "-f", "transaction.version=0"), 0,
           "records=[ApiMessageAndVersion(FeatureLevelRecord(name='metadata.version', "
           "featureLevel=25) at version 0), ApiMessageAndVersion(FeatureLevelRecord("
           "name='group.version', featureLevel=1) at version 0)], metadataVersionLevel=25",
           "");
    struct capture got = capture_run(
        dump_log_main, (const char *[]){"--files", CHECKPOINT, "--deep-iteration", NULL});
    assert_non_null(strstr((char *)got.out.data, "SnapshotHeader"));
    assert_null(strstr((char *)got.out.data, "KRaftVersion"));
    capture_release(&got);
}

static void test_refused(void **state)
{
    expect(FORMAT("dynamic", NULL), 1, "", "you must specify one of the following: --standalone");
    expect(FORMAT("dynamic", "-s", "-f", "group.version=9"), 1, "",
           "No feature:group.version with feature level 9\n");
    expect(FORMAT("dynamic", "-s", "-r", "3.9", "-f", "eligible.leader.replicas.version=1"), 1, "",
           "eligible.leader.replicas.version could not be set to 1 because it depends on "
           "metadata.version level 23\n");
    expect(FORMAT("dynamic", "-s", "-f", "metadata.version=99"), 1, "",
           "No feature:metadata.version with feature level 99\n");
    expect(FORMAT("dynamic", "-s", "-f", "group.version=99999"), 1, "",
           "unable to parse 99999 as a short.\n");
    expect(FORMAT("dynamic", "-s", "-r", "4.0", "-f", "metadata.version=33"), 1, "", "ambiguity");
    expect(RUN("format", "-t", "", "-c", "dynamic", "-s"), 1, "", "A cluster id has 1 to ");
    expect(FORMAT("dynamic", "-s", "-N"), 1, "",
           "argument --no-initial-controllers/-N: not allowed with argument --standalone/-s\n");
    expect(RUN("format", "-t"), 1, "", "argument --cluster-id/-t: expected one argument\n");
    expect(RUN("format", "--standalone=x"), 1, "", "ignored explicit argument 'x'\n");
    assert_int_equal(access("d1", F_OK), -1);
    assert_int_equal(mkdir("d1", 0700), 0);
    FILE *file = fopen("d1/meta.properties", "w");
    fputs("version=0\nbroker.id=1\n", file);
    fclose(file);
    expect(FORMAT("dynamic", "-s", "-g"), 1, "", "is of a broker that used ZooKeeper.\n");
    expect(RUN("info", "-c", "dynamic"), 1, "written by a broker that used ZooKeeper", "");
}

/* A directory that was copied, id and all, beside its original. */
static void test_copied(void **state)
{
    expect(FORMAT("dynamic", "-s"), 0, "Formatting data directory d2 ", "");
    assert_int_equal(remove("d2/meta.properties"), 0);
    assert_int_equal(link("d1/meta.properties", "d2/meta.properties"), 0);
    expect(FORMAT("dynamic", "-s", "-g"), 1, "", "Duplicate directory ID ");
    expect(FORMAT("dynamic", "-s", "-g"), 1, "", " found. It was the ID of d1, but also of d2\n");
}

#define INITIAL(text) FORMAT("dynamic", "--initial-controllers", text)

static void test_voters(void **state)
{
    expect(INITIAL("x@h:1:AAAAAAAAAAAAAAAAAAAAAg"), 1, "", "Failed to parse node id in dynamic");
    expect(FORMAT("dynamic", "--initial-controllers=-1@h:1:AAAAAAAAAAAAAAAAAAAAAg"), 1, "",
           "Invalid negative node id -1 in ");
    expect(INITIAL("1@h"), 1, "", "No : following hostname could be found");
    expect(INITIAL("1@[::1"), 1, "", "no right bracket was found");
    expect(INITIAL("1@[::1]"), 1, "", "No : following hostname could be found");
    expect(INITIAL("1@h:1"), 1, "", "No colon following port");
    expect(INITIAL("1@h:x:AAAAAAAAAAAAAAAAAAAAAg"), 1, "", "Failed to parse port");
    expect(INITIAL("1@h:65536:AAAAAAAAAAAAAAAAAAAAAg"), 1, "", "Invalid port 65536");
    expect(INITIAL("1@h:1:a.b"), 1, "", "Illegal base64 character 2e\n");
    expect(INITIAL("1@h:1:AAAAAAAAAAAAAAAAAAAAAg,2@h:1:AAAAAAAAAAAAAAAAAAAAAg"), 1, "",
           "A directory id was specified more than once.\n");
    expect(INITIAL("1@h:1:AAAAAAAAAAAAAAAAAAAAAA"), 1, "", "must not be all zeros");
    expect(INITIAL(","), 1, "", "No voters given.\n");
    expect(INITIAL("1@[::1]:1:AAAAAAAAAAAAAAAAAAAAAg,2@h:2:AAAAAAAAAAAAAAAAAAAAAw"), 0,
           "Formatting dynamic metadata voter directory d1 ", "");
    expect(RUN("info", "-c", "dynamic"), 0, "directory.id=AAAAAAAAAAAAAAAAAAAAAg", "");
    expect(capture_run(dump_log_main,
                       (const char *[]){"--files", CHECKPOINT, "--deep-iteration", NULL}),
           0, "\"host\":\"::1\",\"port\":1", "");
}

#define SCRAM(text) FORMAT("dynamic", "-s", "-S", text)

/* The keys of RFC 7677's example, from its password, salt and number of iterations. */
static void test_scram(void **state)
{
    expect(SCRAM("SCRAM-SHA-256"), 1, "", "Failed to find equals sign in SCRAM argument");
    expect(SCRAM("SCRAM-SHA-1=[name=a,password=b]"), 1, "", "SCRAM-SHA-1 is not supported.");
    expect(SCRAM("SCRAM-SHA-256=name=a"), 1, "", "to start with [\n");
    expect(SCRAM("SCRAM-SHA-256=[name=a"), 1, "", "to end with ]\n");
    expect(SCRAM("SCRAM-SHA-256=[name=a,password=b,iterations=4095]"), 1, "", "must be >= 4096");
    expect(SCRAM("SCRAM-SHA-256=[name=a,password=b,iterations=16385]"), 1, "", "must be <= 16384");
    expect(SCRAM("SCRAM-SHA-256=[name=a,password=b,salt=*]"), 1, "", "'salt' in add-scram is no");
    expect(SCRAM("SCRAM-SHA-256=[name=a,saltedpassword=AAAA]"), 1, "", "supply 'salt' with");
    expect(SCRAM("SCRAM-SHA-256=[name=a,saltedpassword=AAAA,salt=AAAA]"), 1, "", "length");
    expect(SCRAM("SCRAM-SHA-256=[name=a,password=]"), 1, "", "'password' of add-scram is empty");
    expect(SCRAM("SCRAM-SHA-256=[name=a,who=b]"), 1, "", "Unknown SCRAM configurations: who");
    expect(SCRAM("SCRAM-SHA-256=[name=\"user,password=pencil]"), 1, "", "No closing quote");
    expect(FORMAT("dynamic", "-s", "-r", "3.5-IV1", "-S", "SCRAM-SHA-256=[name=a,password=b]"), 1,
           "", "SCRAM is only supported in metadata.version 3.5-IV2 or later.\n");
    expect(SCRAM("SCRAM-SHA-256=[name=\"user\",password=pencil,salt=W22ZaJ0SNY7soEsUEjb6gQ==]"), 0,
           "UserScramCredentialRecord(name='user', mechanism=1, ", "");
    expect(capture_run(dump_log_main,
                       (const char *[]){"--files", CHECKPOINT, "--cluster-metadata-decoder", NULL}),
           0,
           "\"salt\":\"W22ZaJ0SNY7soEsUEjb6gQ==\","
           "\"storedKey\":\"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=\","
           "\"serverKey\":\"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\",\"iterations\":4096",
           "");
}

static void test_small_commands(void **state)
{
    struct capture got = RUN("random-uuid");
    assert_int_equal(got.out.len, 23);
    capture_release(&got);
    expect(RUN("version-mapping", "-r4.4-IV2"), 0, "metadata.version=33 (4.4-IV2)\n", "");
    expect(RUN("version-mapping", "--format", "json"), 0, "\"share.version\":2", "");
    expect(RUN("feature-dependencies", "-f", "eligible.leader.replicas.version=1"), 0,
           "eligible.leader.replicas.version=1 requires:\n    metadata.version=23 (4.0-IV1)\n", "");
    expect(RUN("-h"), 0, "usage: kafka-storage [-h]\n", "");
    expect(RUN("format", "-h"), 0, "usage: kafka-storage format [-h] --config CONFIG ", "");
    expect(RUN("info"), 1, "", "kafka-storage: error: argument --config/-c is required\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_standalone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_static, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_voters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small_commands, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
