#include "common/storage/small_files.h"

#include "common/storage/checkpoint_file.h"
#include "common/storage/meta_properties.h"
#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int setup(void **state)
{
    *state = sim_disk_new(7);
    return 0;
}

static int teardown(void **state)
{
    sim_disk_free(*state);
    return 0;
}

static void put(struct disk *disk, const char *path, const char *text)
{
    assert_int_equal(disk_replace_file(disk, path, text, strlen(text)), 0);
}

static void expect(struct disk *disk, const char *path, const char *text)
{
    char *found;
    size_t len;
    assert_int_equal(disk_read_file(disk, path, 10000, &found, &len), 0);
    assert_string_equal(found, text);
    free(found);
}

static void partition_metadata(void **state)
{
    struct disk *disk = sim_disk_base(*state);
    struct uuid id, read = UUID_ZERO;
    assert_int_equal(uuid_parse(STR("i4qBvjwvT8m91b4_Npx97A"), &id), 0);
    assert_int_equal(partition_metadata_write(disk, "/p", id), 0);
    expect(disk, "/p", "version: 0\ntopic_id: i4qBvjwvT8m91b4_Npx97A");
    assert_int_equal(partition_metadata_read(disk, "/p", &read), 0);
    assert_true(uuid_eq(id, read));
    static const char *const bad[] = {
        "",
        "version: 0",
        "version: 1\ntopic_id: i4qBvjwvT8m91b4_Npx97A",
        "version: 0\ntopic_id: i4qBvjwvT8m91b4_Npx97",
        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
        "version: 0\nx\ntopic_id: i4qBvjwvT8m91b4_Npx97A",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put(disk, "/p", bad[i]);
        assert_int_equal(partition_metadata_read(disk, "/p", &read), -EBADMSG);
    }
    assert_int_equal(partition_metadata_read(disk, "/none", &read), -ENOENT);
}

static void clean_shutdown(void **state)
{
    struct disk *disk = sim_disk_base(*state);
    int64_t epoch = -5;
    assert_int_equal(clean_shutdown_write(disk, "/c", 381), 0);
    expect(disk, "/c", "{\"version\":0,\"brokerEpoch\":381}");
    assert_int_equal(clean_shutdown_read(disk, "/c", &epoch), 0);
    assert_int_equal(epoch, 381);
    put(disk, "/c", "");
    assert_int_equal(clean_shutdown_read(disk, "/c", &epoch), -EBADMSG);
    assert_int_equal(clean_shutdown_remove(disk, "/c"), 0);
    assert_int_equal(clean_shutdown_remove(disk, "/c"), 0);
    sim_disk_power_cut(*state, SIM_CUT_DROP_ALL);
    assert_int_equal(clean_shutdown_read(disk, "/c", &epoch), -ENOENT);
}

static void meta_properties(void **state)
{
    struct disk *disk = sim_disk_base(*state);
    struct meta_properties meta = {.cluster_id = "Z29sZGVuLXNpbmdsZS0wMQ", .node_id = 1}, read;
    assert_int_equal(uuid_parse(STR("nDvJaeyl85FBVvSMylRiXA"), &meta.directory_id), 0);
    assert_int_equal(meta_properties_write(disk, "/m", &meta, 1795249861000), 0);
    expect(disk, "/m",
           "#\n#Sat Nov 21 08:31:01 UTC 2026\nnode.id=1\ndirectory.id=nDvJaeyl85FBVvSMylRiXA\n"
           "version=1\ncluster.id=Z29sZGVuLXNpbmdsZS0wMQ\n");
    assert_int_equal(meta_properties_read(disk, "/m", &read), 0);
    assert_string_equal(read.cluster_id, meta.cluster_id);
    assert_int_equal(read.node_id, 1);
    assert_true(uuid_eq(read.directory_id, meta.directory_id));
    put(disk, "/m", "version=0\nbroker.id=1\ncluster.id=x\n");
    assert_int_equal(meta_properties_read(disk, "/m", &read), -ENOTSUP);
    put(disk, "/m", "version=1\nnode.id=x\ncluster.id=x\n");
    assert_int_equal(meta_properties_read(disk, "/m", &read), -EBADMSG);
    put(disk, "/m", "version=1\nnode.id=1\n");
    assert_int_equal(meta_properties_read(disk, "/m", &read), -EBADMSG);
}

static void offset_checkpoints(void **state)
{
    struct disk *disk = sim_disk_base(*state);
    struct checkpoint_writer writer;
    struct offset_checkpoint c;
    checkpoint_writer_init(&writer);
    checkpoint_writer_add(&writer, STR("orders"), 0, 42);
    checkpoint_writer_add(&writer, STR("orders"), 1, INT64_MAX);
    assert_int_equal(checkpoint_writer_save(&writer, disk, "/o", true), 0);
    checkpoint_writer_release(&writer);
    sim_disk_power_cut(*state, SIM_CUT_DROP_ALL);
    expect(disk, "/o", "0\n2\norders 0 42\norders 1 9223372036854775807\n");
    assert_int_equal(offset_checkpoint_load(&c, disk, "/o"), 0);
    assert_int_equal(offset_checkpoint_get(&c, STR("orders"), 0, -1), 42);
    assert_int_equal(offset_checkpoint_get(&c, STR("orders"), 1, -1), INT64_MAX);
    assert_int_equal(offset_checkpoint_get(&c, STR("orders"), 2, -1), -1);
    offset_checkpoint_release(&c);
    static const char *const bad[] = {"0\n1\nt 0\n", "0\n1\nt x 1\n", "0\n1\nt -1 1\n",
                                      "0\n2\nt 0 1\n", "0\n1\n 0 1\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put(disk, "/o", bad[i]);
        assert_int_equal(offset_checkpoint_load(&c, disk, "/o"), -EBADMSG);
        offset_checkpoint_release(&c);
    }
    put(disk, "/o", "1\n0\n");
    assert_int_equal(offset_checkpoint_load(&c, disk, "/o"), -ENOTSUP);
    offset_checkpoint_release(&c);
    put(disk, "/o", "");
    assert_int_equal(offset_checkpoint_load(&c, disk, "/o"), 0);
    offset_checkpoint_release(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(partition_metadata),
        T(clean_shutdown),
        T(meta_properties),
        T(offset_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
