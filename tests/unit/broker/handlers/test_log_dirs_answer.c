#include "broker/handlers/log_dirs_answer.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/kafka_error.h"
#include "common/storage/file_cache.h"
#include "common/storage/log_manager.h"
#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

typedef struct describe_log_dirs_response_describe_log_dirs_result dir_result;

static const char *const paths[] = {"/d1", "/d2"};
/* Topic and index of the logs; they go to the directories in turn. */
static const struct {
    const char *topic;
    int32_t index;
} parts[] = {{"b", 1}, {"b", 0}, {"a", 10}, {"a", 9}, {"b", 2}};

struct fixture {
    struct sim_disk *sim;
    struct file_cache files;
    struct log_manager *m;
    struct log *logs[ARRAY_LEN(parts)];
    struct arena arena;
    bool cordoned[2];
    struct describe_log_dirs_request body;
    struct describe_log_dirs_response response;
};

static int setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    char error[LOG_MANAGER_ERROR_LEN];
    struct log_config config = LOG_CONFIG_DEFAULT;
    f->sim = sim_disk_new(3);
    sim_disk_mount(f->sim, "/d1");
    sim_disk_mount(f->sim, "/d2");
    file_cache_init(&f->files, 16);
    arena_init(&f->arena, 0);
    assert_int_equal(log_manager_open(sim_disk_base(f->sim), paths, 2, &f->m, error), 0);
    assert_int_equal(log_manager_begin(f->m), 0);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct log_manager_log_args args = {.files = &f->files,
                                            .topic = str_of(parts[i].topic),
                                            .partition = parts[i].index,
                                            .topic_id = {{1, (uint8_t)parts[i].topic[0]}},
                                            .config = &config,
                                            .unique = {{2, (uint8_t)i}},
                                            .now_ms = 1700000000000};
        assert_int_equal(log_manager_open_log(f->m, &args, &f->logs[i], NULL), 0);
        assert_int_equal(log_manager_dir_of(f->m, f->logs[i]), i % 2);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        log_detach(f->logs[i]);
        (void)log_manager_close_log(f->m, f->logs[i], false);
    }
    log_manager_free(f->m);
    file_cache_release(&f->files);
    arena_release(&f->arena);
    sim_disk_free(f->sim);
    free(f);
    return 0;
}

static void ask(struct fixture *f,
                const struct describe_log_dirs_request_describable_log_dir_topic *topics,
                int32_t count)
{
    message_init(&describe_log_dirs_request_desc, &f->body);
    f->body.topics =
        (struct describe_log_dirs_request_describable_log_dir_topic *)(uintptr_t)topics;
    f->body.topics_count = count;
    message_init(&describe_log_dirs_response_desc, &f->response);
    struct log_dirs_question question = {
        .disk = sim_disk_base(f->sim), .logs = f->m, .body = &f->body, .cordoned = f->cordoned};
    log_dirs_answer(&question, &f->arena, &f->response);
    assert_int_equal(f->response.results_count, 2);
}

/* "a-9=0 b-0=0": the partitions and sizes of a directory, in order. */
static const char *shown(struct fixture *f, int dir)
{
    const dir_result *d = &f->response.results[dir];
    struct str text = STR_EMPTY;
    for (int32_t t = 0; t < d->topics_count; t++)
        for (int32_t i = 0; i < d->topics[t].partitions_count; i++) {
            assert_int_equal(d->topics[t].partitions[i].offset_lag, 0);
            assert_false(d->topics[t].partitions[i].is_future_key);
            text = arena_printf(&f->arena, "%.*s%s%.*s-%d=%lld", STR_FMT(text),
                                text.len > 0 ? " " : "", STR_FMT(d->topics[t].name),
                                d->topics[t].partitions[i].partition_index,
                                (long long)d->topics[t].partitions[i].partition_size);
        }
    return text.len > 0 ? text.data : "";
}

static void test_all(void **state)
{
    struct fixture *f = *state;
    f->cordoned[1] = true;
    ask(f, NULL, -1);
    for (int i = 0; i < 2; i++) {
        const dir_result *d = &f->response.results[i];
        assert_int_equal(d->error_code, KAFKA_ERROR_NONE);
        assert_true(str_eq_z(d->log_dir, paths[i]));
        assert_true(d->total_bytes > 0 && d->usable_bytes > 0 && d->usable_bytes <= d->total_bytes);
        assert_int_equal(d->is_cordoned, i == 1);
    }
    assert_string_equal(shown(f, 0), "a-10=0 b-1=0 b-2=0");
    assert_int_equal(f->response.results[0].topics_count, 2);
    assert_string_equal(shown(f, 1), "a-9=0 b-0=0");
}

static void test_some(void **state)
{
    struct fixture *f = *state;
    int32_t indexes[] = {2, 2, 0, 77, -1}, nine[] = {9};
    const struct describe_log_dirs_request_describable_log_dir_topic topics[] = {
        {.topic = STR("b"), .partitions = indexes, .partitions_count = ARRAY_LEN(indexes)},
        {.topic = STR("none"), .partitions = nine, .partitions_count = 1},
        {.topic = STR("a"), .partitions = nine, .partitions_count = 1},
        {.topic = STR("a")},
    };
    ask(f, topics, ARRAY_LEN(topics));
    assert_string_equal(shown(f, 0), "b-2=0");
    assert_string_equal(shown(f, 1), "a-9=0 b-0=0");
    ask(f, topics, 0);
    assert_string_equal(shown(f, 0), "");
    assert_string_equal(shown(f, 1), "");
}

static void assert_failed(const dir_result *d)
{
    assert_int_equal(d->error_code, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_int_equal(d->topics_count, 0);
    assert_int_equal(d->total_bytes, -1);
    assert_int_equal(d->usable_bytes, -1);
    assert_false(d->is_cordoned);
}

static void test_failed_directory(void **state)
{
    struct fixture *f = *state;
    log_manager_fail_dir(f->m, 0, -EIO);
    ask(f, NULL, -1);
    assert_failed(&f->response.results[0]);
    assert_true(str_eq_z(f->response.results[0].log_dir, "/d1"));
    assert_int_equal(f->response.results[1].error_code, KAFKA_ERROR_NONE);
    assert_string_equal(shown(f, 1), "a-9=0 b-0=0");
}

static void test_unknown_room(void **state)
{
    struct fixture *f = *state;
    sim_disk_fail_at(f->sim, SIM_USAGE, "/d2", 1, -EIO);
    ask(f, NULL, -1);
    assert_string_equal(shown(f, 0), "a-10=0 b-1=0 b-2=0");
    assert_failed(&f->response.results[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_some, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_room, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
