#include "raft/formation_disk.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch_builder.h"
#include "raft/quorum_aside.h"
#include "raft/quorum_checkpoint.h"
#include "tests/sim/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>

/* An env of clock, randomness and disk alone. */
struct small_env {
    struct env env;
    uint64_t random;
    struct sim_disk *sim;
    struct bytebuf records;
    struct quorum_voters *self;
    struct formation_dir dirs[2];
};

static int64_t small_now_us(struct env *env)
{
    return 1000;
}

static int64_t small_wall_ms(struct env *env)
{
    return 1795252013310;
}

static void small_random(struct env *env, void *ret_bytes, size_t len)
{
    struct small_env *e = CONTAINER_OF(env, struct small_env, env);
    for (size_t i = 0; i < len; i++) {
        e->random = hash_u64(e->random + 0x9e3779b97f4a7c15u);
        ((uint8_t *)ret_bytes)[i] = (uint8_t)e->random;
    }
}

static const struct env_ops small_ops = {
    .now_us = small_now_us, .wall_ms = small_wall_ms, .random = small_random};

static void env_init(struct small_env *e, uint64_t seed)
{
    *e = (struct small_env){.env.ops = &small_ops, .random = seed};
    e->sim = sim_disk_new(seed);
    e->env.disk = sim_disk_base(e->sim);
    e->self = quorum_voters_new();
    quorum_voters_add(e->self, 1, (struct uuid){{1}}, QUORUM_VOTER);
    quorum_voters_add_listener(e->self, STR("CONTROLLER"), STR("127.0.0.1"), 9093);
    struct record_batch_builder b;
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    record_batch_builder_init(&b);
    bytebuf_init(&e->records);
    record_batch_builder_start(&b, &options);
    for (int i = 0; i < 6; i++)
        record_batch_builder_append(&b, 1, BYTES_NULL,
                                    (struct bytes){(const uint8_t *)"feature", 7}, NULL, 0);
    record_batch_builder_close(&b, &e->records);
    record_batch_builder_release(&b);
}

static void env_release(struct small_env *e)
{
    bytebuf_release(&e->records);
    quorum_voters_unref(e->self);
    sim_disk_free(e->sim);
}

static void read_dir(struct small_env *e, int i, const char *path)
{
    char *file = mem_printf("%s/" META_PROPERTIES_FILE, path);
    e->dirs[i] = (struct formation_dir){.path = path};
    int rv = meta_properties_read(e->env.disk, file, &e->dirs[i].meta);
    e->dirs[i].has_meta = rv == 0;
    assert_true(rv == 0 || rv == -ENOENT);
    free(file);
}

static struct formation_disk_args args_of(struct small_env *e)
{
    read_dir(e, 0, "/d1");
    read_dir(e, 1, "/d2");
    return (struct formation_disk_args){
        .env = &e->env,
        .dirs = e->dirs,
        .dir_count = 2,
        .metadata_dir = 0,
        .node_id = 1,
        .self = e->self,
        .records = {e->records.data, (int32_t)e->records.len},
    };
}

static void check_formed(struct small_env *e, const struct formation_disk *d)
{
    struct quorum_checkpoint_info info;
    assert_int_equal(strlen(d->cluster_id), UUID_TEXT_LEN);
    args_of(e);
    assert_true(e->dirs[0].has_meta && e->dirs[1].has_meta);
    assert_string_equal(e->dirs[0].meta.cluster_id, d->cluster_id);
    assert_string_equal(e->dirs[1].meta.cluster_id, d->cluster_id);
    assert_int_equal(e->dirs[0].meta.node_id, 1);
    assert_true(uuid_eq(e->dirs[0].meta.directory_id, d->directory_id));
    assert_false(uuid_eq(e->dirs[1].meta.directory_id, d->directory_id));
    assert_string_equal(d->record.cluster_id, d->cluster_id);
    assert_int_equal(quorum_checkpoint_read(e->env.disk, "/d1/" FORMAT_METADATA_NAME,
                                            QUORUM_CHECKPOINT_BOOTSTRAP, NULL, NULL, &info),
                     0);
    assert_int_equal(info.kraft_version, 1);
    assert_true(quorum_voters_is_sole(info.voters, quorum_raft_id(d->directory_id)));
    assert_int_equal(info.voters->servers[0].listeners[0].port, 9093);
    quorum_voters_unref(info.voters);
}

static void test_forms_once(void **state)
{
    struct small_env e;
    struct formation_disk d, again;
    bool wrote;
    env_init(&e, 1);
    struct formation_disk_args args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    assert_true(wrote && d.formed_now);
    check_formed(&e, &d);
    sim_disk_power_cut(e.sim, SIM_CUT_DROP_ALL);
    args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &again, &wrote), 0);
    assert_false(wrote || again.formed_now);
    assert_string_equal(again.cluster_id, d.cluster_id);
    assert_true(uuid_eq(again.directory_id, d.directory_id));
    formation_disk_release(&d);
    formation_disk_release(&again);
    env_release(&e);
}

/* Whatever call the machine dies in: the next start has one whole cluster. */
static void test_crash_at_every_call(void **state)
{
    bool crashed = true;
    int64_t n = 1;
    for (; crashed; n++) {
        struct small_env e;
        struct formation_disk d;
        bool wrote;
        env_init(&e, (uint64_t)n);
        struct formation_disk_args args = args_of(&e);
        sim_disk_crash_at(e.sim, n);
        int rv = formation_disk_alone(&args, &d, &wrote);
        crashed = sim_disk_crashed(e.sim);
        assert_int_equal(rv == 0, !crashed);
        formation_disk_release(&d);
        sim_disk_power_cut(e.sim, SIM_CUT_RANDOM);
        args = args_of(&e);
        rv = formation_disk_alone(&args, &d, &wrote);
        assert_string_equal(d.error, "");
        assert_int_equal(rv, 0);
        check_formed(&e, &d);
        formation_disk_release(&d);
        env_release(&e);
    }
    assert_true(n > 20);
}

static void test_settles_before_contact(void **state)
{
    struct small_env e;
    struct formation_disk d, again;
    env_init(&e, 2);
    struct formation_disk_args args = args_of(&e);
    /* The first start cannot sync the directory of what it wrote; the second finds it there. */
    sim_disk_fail_at(e.sim, SIM_FSYNC_DIR, "/", 1, -EIO);
    assert_int_equal(formation_disk_look(&args, &d), 0);
    assert_int_equal(formation_disk_settle(&args, &d), -EIO);
    formation_disk_release(&d);
    assert_int_equal(formation_disk_look(&args, &d), 0);
    assert_string_equal(d.cluster_id, "");
    assert_int_equal(formation_disk_settle(&args, &d), 0);
    sim_disk_power_cut(e.sim, SIM_CUT_DROP_ALL);
    assert_int_equal(formation_disk_look(&args, &again), 0);
    assert_string_equal(again.cluster_id, "");
    assert_true(uuid_eq(again.directory_id, d.directory_id));
    formation_disk_release(&d);
    formation_disk_release(&again);
    env_release(&e);
}

static void put(struct small_env *e, const char *path, const char *text)
{
    assert_int_equal(disk_replace_file(e->env.disk, path, text, strlen(text)), 0);
}

static void refuses(struct small_env *e, const struct formation_disk_args *args, const char *says)
{
    struct formation_disk d;
    bool wrote;
    int64_t before = sim_disk_count(e->sim, SIM_PWRITE) + sim_disk_count(e->sim, SIM_RENAME) +
                     sim_disk_count(e->sim, SIM_UNLINK) + sim_disk_count(e->sim, SIM_MKDIR);
    assert_int_equal(formation_disk_alone(args, &d, &wrote), -EBADMSG);
    if (!strstr(d.error, says))
        print_message("%s\n", d.error);
    assert_non_null(strstr(d.error, says));
    assert_int_equal(sim_disk_count(e->sim, SIM_PWRITE) + sim_disk_count(e->sim, SIM_RENAME) +
                         sim_disk_count(e->sim, SIM_UNLINK) + sim_disk_count(e->sim, SIM_MKDIR),
                     before);
    formation_disk_release(&d);
}

static void test_refusals_change_nothing(void **state)
{
    struct small_env e;
    struct formation_disk d;
    bool wrote;
    env_init(&e, 3);
    struct formation_disk_args args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    formation_disk_release(&d);

    args = args_of(&e);
    args.node_id = 2;
    refuses(&e, &args, "/d1 belongs to node.id 1, but this node is 2");

    args = args_of(&e);
    snprintf(e.dirs[1].meta.cluster_id, sizeof(e.dirs[1].meta.cluster_id), "other");
    refuses(&e, &args, "/d2 belongs to cluster other, but another directory to cluster");

    args = args_of(&e);
    e.dirs[1].meta.directory_id = e.dirs[0].meta.directory_id;
    refuses(&e, &args, "/d1 and ");

    args = args_of(&e);
    e.dirs[0].meta.directory_id.b[3] ^= 1;
    refuses(&e, &args, "is of another disk than meta.properties");

    args = args_of(&e);
    snprintf(e.dirs[0].meta.cluster_id, sizeof(e.dirs[0].meta.cluster_id), "other");
    e.dirs[1].has_meta = false;
    refuses(&e, &args, "but meta.properties says other");

    put(&e, "/d1/" FORMATION_FILE, "{");
    args = args_of(&e);
    refuses(&e, &args, "it is damaged");
    env_release(&e);

    env_init(&e, 4);
    args = args_of(&e);
    e.dirs[1].has_partitions = true;
    refuses(&e, &args, "/d2 holds partitions but no meta.properties");
    assert_int_equal(disk_make_path(e.env.disk, "/d1/" FORMAT_METADATA_NAME), 0);
    put(&e, "/d1/" FORMAT_METADATA_NAME "/00000000000000000000.log", "x");
    args = args_of(&e);
    refuses(&e, &args, "holds a metadata log, but /d1 has no meta.properties");
    env_release(&e);
}

/* The metadata stands on a disk that came back empty: nothing is formed beside what is left. */
static void test_metadata_that_is_gone(void **state)
{
    struct small_env e;
    struct formation_disk d;
    bool wrote;
    env_init(&e, 8);
    struct formation_disk_args args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    formation_disk_release(&d);
    assert_int_equal(disk_remove_tree(e.env.disk, "/d1/" FORMAT_METADATA_NAME), 0);
    args = args_of(&e);
    refuses(&e, &args, "/d1/" FORMAT_METADATA_NAME " is gone, where the metadata of cluster ");

    assert_int_equal(disk_remove_tree(e.env.disk, "/d1"), 0);
    args = args_of(&e);
    refuses(&e, &args, "/d1, where the metadata log is kept, is empty");
    e.dirs[1].has_partitions = true;
    refuses(&e, &args, "or move /d2 away to start a new cluster");

    assert_int_equal(disk_remove_tree(e.env.disk, "/d2"), 0);
    args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    assert_true(d.formed_now);
    formation_disk_release(&d);
    env_release(&e);
}

/* A disk that joined knows from its log who votes; nobody is asked as for a static quorum. */
static void test_joined_is_dynamic(void **state)
{
    struct small_env e;
    struct formation_disk d;
    bool dynamic = false;
    env_init(&e, 10);
    struct formation_disk_args args = args_of(&e);
    assert_int_equal(formation_disk_is_dynamic(e.env.disk, "/d1/" FORMAT_METADATA_NAME, &dynamic),
                     0);
    assert_false(dynamic);
    assert_int_equal(formation_disk_look(&args, &d), 0);
    assert_int_equal(formation_disk_join(&args, &d, "5L6g3nShT-eMCtK--X86sw"), 0);
    formation_disk_release(&d);
    assert_int_equal(formation_disk_is_dynamic(e.env.disk, "/d1/" FORMAT_METADATA_NAME, &dynamic),
                     0);
    assert_true(dynamic);
    env_release(&e);
}

/* Whatever a formation says: what holds batches is never emptied. */
static void test_no_reset_of_data(void **state)
{
    struct small_env e;
    struct formation_disk d;
    bool wrote, has_data = true;
    const char *const paths[] = {"/d1", "/d2"};
    env_init(&e, 9);
    struct formation_disk_args args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    formation_disk_release(&d);
    assert_int_equal(formation_disk_has_data(e.env.disk, "/d1/" FORMAT_METADATA_NAME, &has_data),
                     0);
    assert_false(has_data);
    put(&e, "/d1/" FORMAT_METADATA_NAME "/00000000000000000000.log", "x");
    assert_int_equal(formation_disk_has_data(e.env.disk, "/d1/" FORMAT_METADATA_NAME, &has_data),
                     0);
    assert_true(has_data);
    assert_int_equal(formation_disk_reset(&e.env, paths, 2, "/d1"), -EEXIST);
    assert_true(disk_exists(e.env.disk, "/d1/" META_PROPERTIES_FILE));
    put(&e, "/d1/" FORMAT_METADATA_NAME "/00000000000000000000.log", "");
    assert_int_equal(formation_disk_reset(&e.env, paths, 2, "/d1"), 0);
    assert_false(disk_exists(e.env.disk, "/d1/" META_PROPERTIES_FILE));
    assert_false(disk_exists(e.env.disk, "/d1/" FORMAT_METADATA_NAME));
    env_release(&e);
}

/* A damaged metadata log is set aside; whatever call the machine dies in, a disk that lacks a part
 * of it has a new id, and the next attempt comes to the end. */
static void test_set_aside(void **state)
{
    static const char segment[] = "/d1/" FORMAT_METADATA_NAME "/00000000000000000000.log";
    bool crashed = true;
    int64_t n = 1;
    for (; crashed; n++) {
        struct small_env e;
        struct formation_disk d;
        bool wrote, dynamic = false, has_data = true;
        char *stray = NULL;
        env_init(&e, (uint64_t)n);
        struct formation_disk_args args = args_of(&e);
        assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
        put(&e, segment, "damaged");
        struct uuid old = d.directory_id;
        formation_disk_release(&d);
        sim_disk_crash_at(e.sim, n);
        int rv = quorum_aside(&e.env, "/d1", &stray);
        crashed = sim_disk_crashed(e.sim);
        assert_int_equal(rv == 0, !crashed);
        sim_disk_power_cut(e.sim, SIM_CUT_RANDOM);
        args = args_of(&e);
        /* It never looks like a directory of Kafka's that is about to begin. */
        assert_int_equal(formation_disk_look(&args, &d), 0);
        assert_false(uuid_is_zero(d.record.directory_id));
        formation_disk_release(&d);
        assert_true(disk_exists(e.env.disk, segment) || !uuid_eq(e.dirs[0].meta.directory_id, old));
        if (crashed)
            assert_int_equal(quorum_aside(&e.env, "/d1", &stray), 0);
        args = args_of(&e);
        assert_false(uuid_eq(e.dirs[0].meta.directory_id, old));
        assert_int_equal(formation_disk_look(&args, &d), 0);
        assert_string_equal(d.cluster_id, e.dirs[1].meta.cluster_id);
        assert_string_equal(d.record.cluster_id, "");
        formation_disk_release(&d);
        const char *log = "/d1/" FORMAT_METADATA_NAME;
        assert_int_equal(formation_disk_is_dynamic(e.env.disk, log, &dynamic), 0);
        assert_int_equal(formation_disk_has_data(e.env.disk, log, &has_data), 0);
        assert_true(dynamic && !has_data);
        char *kept = mem_printf("%s/00000000000000000000.log", stray);
        assert_true(crashed || disk_exists(e.env.disk, kept));
        free(kept);
        free(stray);
        env_release(&e);
    }
    assert_true(n > 15);
}

static void test_new_directory_joins(void **state)
{
    struct small_env e;
    struct formation_disk d;
    bool wrote;
    env_init(&e, 5);
    struct formation_disk_args args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    formation_disk_release(&d);
    assert_int_equal(disk_remove_tree(e.env.disk, "/d2"), 0);
    args = args_of(&e);
    e.dirs[1].status = -EIO; /* first it is offline: left alone */
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    assert_false(wrote);
    formation_disk_release(&d);
    args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    assert_true(wrote);
    assert_false(d.formed_now);
    check_formed(&e, &d);
    formation_disk_release(&d);
    args = args_of(&e);
    e.dirs[0].status = -EIO;
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), -EIO);
    assert_non_null(strstr(d.error, "the disk of the metadata log, /d1, cannot be used"));
    env_release(&e);
}

/* A directory that Kafka formatted is not blank and stays as it is. */
static void test_kafkas_directory(void **state)
{
    struct small_env e;
    struct formation_disk d;
    bool wrote;
    env_init(&e, 6);
    assert_int_equal(disk_make_path(e.env.disk, "/d1"), 0);
    assert_int_equal(disk_make_path(e.env.disk, "/d2"), 0);
    put(&e, "/d1/meta.properties",
        "#\n#Sat Nov 21 09:06:53 UTC 2026\nnode.id=1\ndirectory.id=lcou4jWfT1OARlSoRQoOCQ\n"
        "version=1\ncluster.id=Z29sZGVuLXRocmVlLWR5Mg\n");
    assert_int_equal(
        sim_disk_import(e.sim, TEST_DATA "/raft/formatted-standalone", "/d1/" FORMAT_METADATA_NAME),
        0);
    struct formation_disk_args args = args_of(&e);
    assert_int_equal(formation_disk_alone(&args, &d, &wrote), 0);
    assert_true(wrote); /* /d2 is new */
    assert_string_equal(d.cluster_id, "Z29sZGVuLXRocmVlLWR5Mg");
    assert_string_equal(d.record.cluster_id, "");
    char text[UUID_TEXT_LEN + 1];
    uuid_format(d.directory_id, text);
    assert_string_equal(text, "lcou4jWfT1OARlSoRQoOCQ");
    args = args_of(&e);
    assert_string_equal(e.dirs[1].meta.cluster_id, "Z29sZGVuLXRocmVlLWR5Mg");
    assert_false(disk_exists(e.env.disk, "/d1/" FORMATION_FILE));
    formation_disk_release(&d);
    env_release(&e);
}

/* kafka-storage format --standalone with Kafka's ids and times makes Kafka's file. */
static int keep(void *ctx, struct bytes batches)
{
    bytebuf_append(ctx, batches.data, (size_t)batches.len);
    return 0;
}

static void test_formats_like_kafka(void **state)
{
    struct small_env e;
    struct quorum_checkpoint_info info;
    struct bytebuf records;
    char error[FORMAT_ERROR_LEN] = "", *ours, *theirs;
    size_t our_len, their_len;
    env_init(&e, 7);
    bytebuf_init(&records);
    struct disk *real = disk_posix_new();
    assert_int_equal(quorum_checkpoint_read(real, TEST_DATA "/raft/formatted-standalone",
                                            QUORUM_CHECKPOINT_BOOTSTRAP, keep, &records, &info),
                     0);
    /* As the metadata layer hands them over: offsets from 0 on. */
    memset(records.data, 0, 8);
    struct format_dir dir = {.path = "/new"};
    assert_int_equal(uuid_parse(STR("lcou4jWfT1OARlSoRQoOCQ"), &dir.directory_id), 0);
    struct format_request request = {
        .cluster_id = "Z29sZGVuLXRocmVlLWR5Mg",
        .node_id = 1,
        .now_ms = 1795252013310,
        .dirs = &dir,
        .dir_count = 1,
        .with_kraft_version = true,
        .voters = info.voters,
        .records = {records.data, (int32_t)records.len},
    };
    assert_int_equal(format_directories(e.env.disk, &request, error), 0);
    static const char name[] = "/00000000000000000000-0000000000.checkpoint";
    char *path = mem_printf("/new/" FORMAT_METADATA_NAME "%s", name);
    assert_int_equal(disk_read_file(e.env.disk, path, 1 << 20, &ours, &our_len), 0);
    free(path);
    path = mem_printf(TEST_DATA "/raft/formatted-standalone%s", name);
    assert_int_equal(disk_read_file(real, path, 1 << 20, &theirs, &their_len), 0);
    free(path);
    assert_int_equal(our_len, their_len);
    /* Kafka takes a time of its own for the header's record and for the footer. */
    assert_memory_equal(ours + 166, theirs + 166, 253);
    free(ours);
    free(theirs);
    struct meta_properties meta;
    assert_int_equal(meta_properties_read(e.env.disk, "/new/meta.properties", &meta), 0);
    assert_string_equal(meta.cluster_id, "Z29sZGVuLXRocmVlLWR5Mg");
    assert_false(disk_exists(e.env.disk, "/new/" FORMATION_FILE));
    quorum_voters_unref(info.voters);
    bytebuf_release(&records);
    disk_posix_free(real);
    env_release(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_once),
        cmocka_unit_test(test_crash_at_every_call),
        cmocka_unit_test(test_settles_before_contact),
        cmocka_unit_test(test_refusals_change_nothing),
        cmocka_unit_test(test_metadata_that_is_gone),
        cmocka_unit_test(test_joined_is_dynamic),
        cmocka_unit_test(test_no_reset_of_data),
        cmocka_unit_test(test_set_aside),
        cmocka_unit_test(test_new_directory_joins),
        cmocka_unit_test(test_kafkas_directory),
        cmocka_unit_test(test_formats_like_kafka),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
