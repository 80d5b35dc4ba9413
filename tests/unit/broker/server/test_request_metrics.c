#include "broker/server/request_metrics.h"

#include "broker/server/broker_metrics.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/net/connection.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* Time that passes when the test says so. */
static int64_t now_us;

static int64_t clock_now(struct env *env)
{
    return now_us;
}

static const struct env_ops ops = {.now_us = clock_now};
static struct env env = {.ops = &ops};
static struct loop loop = {.env = &env};
static struct broker_metrics *metrics;
static struct shard shard;
static struct bytebuf text;

static int setup(void **state)
{
    now_us = 1000000;
    metrics = broker_metrics_new(1);
    shard = (struct shard){.loop = &loop, .metrics = broker_metrics_shard(metrics, 0)};
    bytebuf_init(&text);
    return 0;
}

static int teardown(void **state)
{
    bytebuf_release(&text);
    broker_metrics_free(metrics);
    return 0;
}

static double shown(const char *sample)
{
    text.len = 0;
    bytebuf_append(&text, "\n", 1);
    metrics_render(broker_metrics_registry(metrics), now_us, &text);
    bytebuf_append(&text, "", 1);
    char line[200];
    snprintf(line, sizeof(line), "\nkafka_network_requestmetrics_%s ", sample);
    const char *at = strstr((const char *)text.data, line);
    return at == NULL ? -1 : strtod(at + strlen(line), NULL);
}

/* The histograms are about 6% exact. */
static void assert_ms(const char *name, const char *request, double ms)
{
    char sample[200];
    snprintf(sample, sizeof(sample), "%s{request=\"%s\",quantile=\"0.50\"}", name, request);
    double value = shown(sample);
    if (value < ms * 0.93 || value > ms * 1.07)
        fail_msg("%s is %g instead of %g", sample, value, ms);
}

/* One request on its way, without its connection. */
struct exchange {
    struct request_slot slot;
    struct request request;
    struct api_handler handler;
};

static void begin(struct exchange *x, int16_t key, int16_t version, const void *body,
                  void (*handle)(struct request *))
{
    *x = (struct exchange){.slot = {.received_us = now_us, .request_bytes = 77},
                           .handler = {.api_key = key, .handle = handle}};
    request_metrics_begin(shard.metrics, &x->slot);
    x->request = (struct request){.shard = &shard,
                                  .slot = &x->slot,
                                  .api = api_find(key),
                                  .handler = &x->handler,
                                  .header = {.request_api_version = version},
                                  .body = body};
}

static void answer(struct exchange *x)
{
    x->slot.responded_us = x->slot.written_us = now_us;
}

static void takes_2_ms(struct request *request)
{
    now_us += 2000;
}

static void answers_at_once(struct request *request)
{
    struct exchange *x = CONTAINER_OF(request, struct exchange, request);
    now_us += 3000;
    answer(x);
    now_us += 1000;
    request_metrics_done(NULL, &x->slot, true);
    now_us += 50000; /* what it does after the answer is nobody's time */
}

static void test_times(void **state)
{
    struct exchange x;
    struct produce_request body = {0};
    begin(&x, API_PRODUCE, 9, &body, takes_2_ms);
    now_us += 500;
    request_metrics_handle(&x.request);
    now_us += 30000;
    x.slot.responded_us = now_us;
    now_us += 4000;
    x.slot.written_us = now_us;
    now_us += 8000;
    request_metrics_done(NULL, &x.slot, true);
    assert_true(shown("requests_total{request=\"Produce\",version=\"9\"}") == 1);
    assert_ms("requestqueuetimems", "Produce", 0.5);
    assert_ms("localtimems", "Produce", 2);
    assert_ms("remotetimems", "Produce", 30);
    assert_ms("responsequeuetimems", "Produce", 4);
    assert_ms("responsesendtimems", "Produce", 8);
    assert_ms("totaltimems", "Produce", 44.5);
    assert_ms("requestbytes", "Produce", 77);
    assert_ms("throttletimems", "Produce", 0);
}

static void test_answer_inside(void **state)
{
    struct exchange x;
    struct metadata_request body = {0};
    begin(&x, API_METADATA, 12, &body, answers_at_once);
    request_metrics_handle(&x.request);
    assert_ms("localtimems", "Metadata", 3);
    assert_ms("remotetimems", "Metadata", 0);
    assert_ms("responsesendtimems", "Metadata", 1);
    assert_ms("totaltimems", "Metadata", 4);
}

static void test_fetch_has_two_names(void **state)
{
    struct exchange x;
    struct fetch_request consumer = {.replica_id = -1}, follower = {.replica_id = 2};
    begin(&x, API_FETCH, 12, &consumer, answers_at_once);
    request_metrics_handle(&x.request);
    begin(&x, API_FETCH, 12, &follower, answers_at_once);
    request_metrics_handle(&x.request);
    struct fetch_request newer = {.replica_id = -1, .replica_state = {.replica_id = 3}};
    begin(&x, API_FETCH, 17, &newer, answers_at_once);
    request_metrics_handle(&x.request);
    assert_true(shown("totaltimems_count{request=\"Fetch\"}") == 3);
    assert_true(shown("totaltimems_count{request=\"FetchConsumer\"}") == 1);
    assert_true(shown("totaltimems_count{request=\"FetchFollower\"}") == 2);
}

/* A frame that never came to a handler, and an answer that never went out. */
static void test_not_counted(void **state)
{
    struct exchange x;
    struct metadata_request body = {0};
    begin(&x, API_METADATA, 12, &body, takes_2_ms);
    request_metrics_done(NULL, &x.slot, true);
    begin(&x, API_METADATA, 12, &body, takes_2_ms);
    request_metrics_handle(&x.request);
    answer(&x);
    request_metrics_done(NULL, &x.slot, false);
    assert_true(shown("requests_total{request=\"Metadata\",version=\"12\"}") == -1);
}

static void test_errors(void **state)
{
    struct produce_response_partition_produce_response partitions[] = {
        {.error_code = KAFKA_ERROR_NONE},
        {.error_code = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER},
        {.error_code = KAFKA_ERROR_NONE},
        {.error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR},
    };
    struct produce_response_topic_produce_response topics[] = {
        {.partition_responses = partitions, .partition_responses_count = 3},
        {.partition_responses = partitions + 3, .partition_responses_count = 1},
        {.partition_responses = NULL, .partition_responses_count = 0},
    };
    struct produce_response produce = {.responses = topics, .responses_count = 3};
    request_metrics_answer(shard.metrics, api_find(API_PRODUCE), 9, &produce);
    assert_true(shown("errors_total{request=\"Produce\",error=\"NONE\"}") == 2);
    assert_true(shown("errors_total{request=\"Produce\",error=\"NOT_LEADER_OR_FOLLOWER\"}") == 1);
    assert_true(shown("errors_total{request=\"Produce\",error=\"UNKNOWN_SERVER_ERROR\"}") == 1);

    /* The error of the whole answer came with version 7. */
    struct fetch_response fetch = {.error_code = KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND};
    request_metrics_answer(shard.metrics, api_find(API_FETCH), 6, &fetch);
    assert_true(shown("errors_total{request=\"Fetch\",error=\"FETCH_SESSION_ID_NOT_FOUND\"}") < 0);
    request_metrics_answer(shard.metrics, api_find(API_FETCH), 7, &fetch);
    assert_true(shown("errors_total{request=\"Fetch\",error=\"FETCH_SESSION_ID_NOT_FOUND\"}") == 1);
    assert_true(shown("errors_total{request=\"FetchConsumer\",error=\"NONE\"}") == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_has_two_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
