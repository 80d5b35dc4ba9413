#include "broker/replica/fetch_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct fetch_partition partition(const char *topic, int32_t index, int64_t offset)
{
    return (struct fetch_partition){
        .topic = str_of(topic), .partition = index, .fetch_offset = offset};
}

static struct fetch_session_plan begin(struct fetch_session_cache *cache, int32_t id, int32_t epoch,
                                       const struct fetch_partition *partitions, int32_t count,
                                       enum kafka_error expected)
{
    struct fetch_session_request request = {.session_id = id,
                                            .epoch = epoch,
                                            .partitions = partitions,
                                            .partition_count = count,
                                            .random = 4711};
    struct fetch_session_plan plan = {0};
    assert_int_equal(fetch_session_begin(cache, &request, &plan), expected);
    return plan;
}

static void incremental_requests_keep_what_was_asked(void **state)
{
    struct fetch_session_cache *cache = fetch_session_cache_new(2, 1000, 1, 4);
    struct fetch_partition asked[] = {partition("a", 0, 5), partition("a", 1, 6)};
    struct fetch_session_plan plan = begin(cache, 0, 0, asked, 2, KAFKA_ERROR_NONE);
    assert_true(plan.answer_session_id > 0);
    assert_int_equal(plan.answer_session_id % 4, 1);
    assert_false(plan.incremental);
    struct fetch_partition moved = partition("a", 1, 9);
    plan = begin(cache, plan.answer_session_id, 1, &moved, 1, KAFKA_ERROR_NONE);
    assert_true(plan.incremental);
    assert_int_equal(plan.count, 2);
    struct fetch_partition out[2];
    fetch_session_partitions(plan.session, out);
    assert_int_equal(out[0].fetch_offset, 5);
    assert_int_equal(out[1].fetch_offset, 9);
    fetch_session_cache_free(cache);
}

static void wrong_epochs_change_nothing(void **state)
{
    struct fetch_session_cache *cache = fetch_session_cache_new(2, 1000, 0, 1);
    struct fetch_partition asked = partition("a", 0, 5);
    int32_t id = begin(cache, 0, 0, &asked, 1, KAFKA_ERROR_NONE).answer_session_id;
    struct fetch_partition moved = partition("a", 0, 7);
    begin(cache, id, 2, &moved, 1, KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH);
    begin(cache, id + 1, 1, &moved, 1, KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    struct fetch_session_plan plan = begin(cache, id, 1, NULL, 0, KAFKA_ERROR_NONE);
    struct fetch_partition out;
    fetch_session_partitions(plan.session, &out);
    assert_int_equal(out.fetch_offset, 5);
    begin(cache, id, 1, NULL, 0, KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH);
    fetch_session_cache_free(cache);
}

static void an_empty_session_is_dropped(void **state)
{
    struct fetch_session_cache *cache = fetch_session_cache_new(2, 1000, 0, 1);
    struct fetch_partition asked = partition("a", 0, 5);
    int32_t id = begin(cache, 0, 0, &asked, 1, KAFKA_ERROR_NONE).answer_session_id;
    struct fetch_session_request request = {
        .session_id = id, .epoch = 1, .forgotten = &asked, .forgotten_count = 1};
    struct fetch_session_plan plan;
    assert_int_equal(fetch_session_begin(cache, &request, &plan), KAFKA_ERROR_NONE);
    assert_int_equal(plan.answer_session_id, 0);
    assert_int_equal(fetch_session_cache_count(cache), 0);
    assert_int_equal(fetch_session_cache_partitions(cache), 0);
    begin(cache, id, 2, NULL, 0, KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    /* A reader that has nothing to read yet gets a session, too. */
    id = begin(cache, 0, 0, NULL, 0, KAFKA_ERROR_NONE).answer_session_id;
    assert_int_not_equal(id, 0);
    assert_int_equal(begin(cache, id, 1, NULL, 0, KAFKA_ERROR_NONE).answer_session_id, 0);
    begin(cache, id, 2, NULL, 0, KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    fetch_session_cache_free(cache);
}

static void what_is_named_and_forgotten_is_answered_once(void **state)
{
    struct fetch_session_cache *cache = fetch_session_cache_new(2, 1000, 0, 1);
    struct fetch_partition asked = partition("a", 0, 5);
    int32_t id = begin(cache, 0, 0, &asked, 1, KAFKA_ERROR_NONE).answer_session_id;
    struct fetch_session_request request = {.session_id = id,
                                            .epoch = 1,
                                            .partitions = &asked,
                                            .partition_count = 1,
                                            .forgotten = &asked,
                                            .forgotten_count = 1};
    struct fetch_session_plan plan;
    assert_int_equal(fetch_session_begin(cache, &request, &plan), KAFKA_ERROR_NONE);
    assert_int_equal(plan.count, 1);
    assert_null(plan.session);
    assert_false(plan.incremental);
    assert_int_equal(fetch_session_cache_count(cache), 0);
    fetch_session_cache_free(cache);
}

static void answers_hold_only_news(void **state)
{
    struct fetch_session_cache *cache = fetch_session_cache_new(2, 1000, 0, 1);
    struct fetch_partition asked[] = {partition("a", 0, 5), partition("a", 1, 6)};
    int32_t id = begin(cache, 0, 0, asked, 2, KAFKA_ERROR_NONE).answer_session_id;
    struct fetch_session_outcome outcome = {
        .topic = STR("a"), .partition = 0, .high_watermark = 5, .log_start_offset = 0};
    assert_true(fetch_session_includes(cache, id, &outcome, true));
    assert_false(fetch_session_includes(cache, id, &outcome, true));
    outcome.has_error = true;
    assert_true(fetch_session_includes(cache, id, &outcome, true));
    outcome.has_error = false; /* that it is well again is news */
    assert_true(fetch_session_includes(cache, id, &outcome, true));
    outcome.high_watermark = 6;
    assert_true(fetch_session_includes(cache, id, &outcome, true));
    outcome.has_records = true; /* who got something goes to the end of the line */
    assert_true(fetch_session_includes(cache, id, &outcome, true));
    struct fetch_partition out[2];
    fetch_session_partitions(begin(cache, id, 1, NULL, 0, KAFKA_ERROR_NONE).session, out);
    assert_int_equal(out[0].partition, 1);
    assert_int_equal(out[1].partition, 0);
    fetch_session_cache_free(cache);
}

static void a_full_cache_evicts_only_the_stale(void **state)
{
    struct fetch_session_cache *cache = fetch_session_cache_new(1, 1000, 0, 1);
    struct fetch_partition asked = partition("a", 0, 5);
    struct fetch_session_request request = {
        .epoch = 0, .partitions = &asked, .partition_count = 1, .now_ms = 0, .random = 1};
    struct fetch_session_plan plan;
    fetch_session_begin(cache, &request, &plan);
    int32_t first = plan.answer_session_id;
    request.now_ms = 1000;
    request.random = 2;
    fetch_session_begin(cache, &request, &plan);
    assert_int_equal(plan.answer_session_id, 0); /* no room: read without a session */
    assert_null(plan.session);
    request.privileged = true;
    fetch_session_begin(cache, &request, &plan);
    assert_int_not_equal(plan.answer_session_id, 0); /* a follower comes before a consumer */
    begin(cache, first, 1, NULL, 0, KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    request.privileged = false;
    request.now_ms = 5000;
    request.random = 3;
    fetch_session_begin(cache, &request, &plan);
    assert_int_equal(plan.answer_session_id, 0);
    assert_int_equal(fetch_session_cache_count(cache), 1);
    fetch_session_cache_free(cache);
}

static struct fetch_session_plan begin_as(struct fetch_session_cache *cache, uint64_t peer,
                                          uint32_t random)
{
    struct fetch_partition asked = partition("a", 0, 5);
    struct fetch_session_request request = {.privileged = true,
                                            .partitions = &asked,
                                            .partition_count = 1,
                                            .peer = peer,
                                            .random = random};
    struct fetch_session_plan plan = {0};
    assert_int_equal(fetch_session_begin(cache, &request, &plan), KAFKA_ERROR_NONE);
    return plan;
}

static void count_end(void *ctx, int32_t session_id, uint64_t owners)
{
    *(uint64_t *)ctx += owners;
}

static void a_replica_that_connects_again_has_one_session(void **state)
{
    uint64_t ended = 0;
    struct fetch_session_cache *cache = fetch_session_cache_new(1, 1000, 0, 1);
    fetch_session_cache_on_end(cache, count_end, &ended);
    struct fetch_session_plan first = begin_as(cache, 11, 1000);
    *fetch_session_owners(first.session) = 1;
    /* More than there are slots: replicas are never without. */
    struct fetch_session_plan other = begin_as(cache, 12, 2000);
    *fetch_session_owners(other.session) = 2;
    assert_int_equal(fetch_session_cache_count(cache), 2);
    begin_as(cache, 11, 3000);
    assert_int_equal(ended, 1);
    assert_int_equal(fetch_session_cache_count(cache), 2);
    fetch_session_cache_free(cache);
}

/* KIP-227 knows a session by its number alone. */
static void nobody_goes_on_with_anothers(void **state)
{
    struct fetch_session_cache *cache = fetch_session_cache_new(10, 1000, 0, 1);
    struct fetch_session_plan plan = begin_as(cache, 11, 1000);
    struct fetch_session_request next = {
        .session_id = plan.answer_session_id, .epoch = 1, .privileged = true, .peer = 12};
    assert_int_equal(fetch_session_begin(cache, &next, &plan),
                     KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    next.privileged = false;
    assert_int_equal(fetch_session_begin(cache, &next, &plan),
                     KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    next.privileged = true;
    next.peer = 11;
    assert_int_equal(fetch_session_begin(cache, &next, &plan), KAFKA_ERROR_NONE);
    assert_int_equal(plan.count, 1);
    fetch_session_cache_free(cache);
}

/* A broker that registers again, in the same process or another, names all its partitions anew. */
static void a_session_ends_with_the_registration_of_its_peer(void **state)
{
    struct fetch_session_cache *cache = fetch_session_cache_new(10, 1000, 0, 1);
    struct fetch_session_plan plan = begin_as(cache, 11, 1000);
    struct fetch_session_request next = {.session_id = plan.answer_session_id,
                                         .epoch = 1,
                                         .privileged = true,
                                         .peer = 11,
                                         .peer_epoch = 1};
    assert_int_equal(fetch_session_begin(cache, &next, &plan),
                     KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    next.peer_epoch = 0;
    assert_int_equal(fetch_session_begin(cache, &next, &plan), KAFKA_ERROR_NONE);
    fetch_session_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incremental_requests_keep_what_was_asked),
        cmocka_unit_test(wrong_epochs_change_nothing),
        cmocka_unit_test(an_empty_session_is_dropped),
        cmocka_unit_test(what_is_named_and_forgotten_is_answered_once),
        cmocka_unit_test(answers_hold_only_news),
        cmocka_unit_test(a_full_cache_evicts_only_the_stale),
        cmocka_unit_test(a_replica_that_connects_again_has_one_session),
        cmocka_unit_test(nobody_goes_on_with_anothers),
        cmocka_unit_test(a_session_ends_with_the_registration_of_its_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
