#include "broker/server/broker_metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct broker_metrics *metrics;
static struct bytebuf text;

static int setup(void **state)
{
    metrics = broker_metrics_new(2);
    bytebuf_init(&text);
    return 0;
}

static int teardown(void **state)
{
    bytebuf_release(&text);
    broker_metrics_free(metrics);
    return 0;
}

/* The value of a sample, -1 when it is not shown. */
static double shown(const char *sample)
{
    text.len = 0;
    bytebuf_append(&text, "\n", 1);
    metrics_render(broker_metrics_registry(metrics), 1, &text);
    bytebuf_append(&text, "", 1);
    char line[200];
    snprintf(line, sizeof(line), "\n%s ", sample);
    const char *at = strstr((const char *)text.data, line);
    return at == NULL ? -1 : strtod(at + strlen(line), NULL);
}

#define TOPIC_SAMPLE(name, topic)                                                                  \
    shown("kafka_server_brokertopicmetrics_" name "_total{topic=\"" topic "\"}")
#define PURGATORY(operation)                                                                       \
    shown("kafka_server_delayedoperationpurgatory_purgatorysize{delayedOperation=\"" operation     \
          "\"}")
#define ALL_SAMPLE(name) shown("kafka_server_brokertopicmetrics_" name "_total")

static void test_topics(void **state)
{
    struct uuid a = {{1}}, b = {{2}};
    struct shard_metrics *first = broker_metrics_shard(metrics, 0);
    struct shard_metrics *second = broker_metrics_shard(metrics, 1);
    assert_true(ALL_SAMPLE("bytesin") == 0);
    assert_null(topic_metrics_find(first, a));
    struct topic_metrics *on_first = topic_metrics_get(first, a, STR("a"));
    topic_metrics_produced(first, on_first, KAFKA_ERROR_NONE, 100, 3);
    topic_metrics_produced(second, topic_metrics_get(second, a, STR("a")), KAFKA_ERROR_NONE, 50, 1);
    topic_metrics_produced(first, topic_metrics_get(first, b, STR("b")),
                           KAFKA_ERROR_MESSAGE_TOO_LARGE, 7000, 1);
    assert_ptr_equal(topic_metrics_get(first, a, STR("a")), on_first);
    topic_metrics_produced(first, on_first, KAFKA_ERROR_CORRUPT_MESSAGE, 10, 1);

    assert_true(TOPIC_SAMPLE("bytesin", "a") == 150);
    assert_true(TOPIC_SAMPLE("messagesin", "a") == 4);
    assert_true(TOPIC_SAMPLE("totalproducerequests", "a") == 3);
    assert_true(TOPIC_SAMPLE("failedproducerequests", "a") == 1);
    assert_true(TOPIC_SAMPLE("bytesrejected", "b") == 7000);
    assert_true(ALL_SAMPLE("totalproducerequests") == 4);
    assert_true(ALL_SAMPLE("failedproducerequests") == 2);
    assert_true(ALL_SAMPLE("invalidmessagecrcrecords") == 1);
    /* What was not counted for a topic is not shown. */
    assert_true(TOPIC_SAMPLE("bytesin", "b") == -1);
    assert_true(TOPIC_SAMPLE("totalfetchrequests", "a") == -1);
}

static void test_fetches_and_forgetting(void **state)
{
    struct uuid a = {{1}}, again = {{9}};
    struct shard_metrics *shard = broker_metrics_shard(metrics, 1);
    struct topic_metrics *topic = topic_metrics_get(shard, a, STR("a"));
    topic_metrics_fetched(shard, topic, KAFKA_ERROR_NONE, 1000);
    topic_metrics_fetched(shard, topic, KAFKA_ERROR_NONE, 0);
    topic_metrics_fetched(shard, topic, KAFKA_ERROR_OFFSET_OUT_OF_RANGE, 0);
    assert_true(TOPIC_SAMPLE("bytesout", "a") == 1000);
    assert_true(TOPIC_SAMPLE("totalfetchrequests", "a") == 3);
    assert_true(TOPIC_SAMPLE("failedfetchrequests", "a") == 1);

    topic_metrics_forget(shard, a);
    topic_metrics_forget(shard, a);
    assert_null(topic_metrics_find(shard, a));
    assert_true(TOPIC_SAMPLE("bytesout", "a") == -1);
    assert_true(ALL_SAMPLE("bytesout") == 1000);
    /* A new topic of the same name begins at nothing. */
    topic = topic_metrics_get(shard, again, STR("a"));
    topic_metrics_fetched(shard, topic, KAFKA_ERROR_NONE, 5);
    assert_true(TOPIC_SAMPLE("bytesout", "a") == 5);
    assert_true(ALL_SAMPLE("bytesout") == 1005);
}

static void test_gauges(void **state)
{
    struct gauges *gauges = broker_metrics_gauges(metrics);
    assert_true(shown("kafka_server_replicamanager_leadercount") == -1);
    gauge_set(gauges, GAUGE_LEADER_COUNT, 0, 3);
    gauge_set(gauges, GAUGE_LEADER_COUNT, 1, 4);
    assert_true(shown("kafka_server_replicamanager_leadercount") == 7);
    gauge_set(gauges, GAUGE_LEADER_COUNT, 0, 0);
    assert_true(shown("kafka_server_replicamanager_leadercount") == 4);
    gauge_set(gauges, GAUGE_RAFT_COMMIT_AVG, 0, 2500);
    assert_true(shown("kafka_server_raftmetrics_commit_latency_avg") == 2.5);
    gauge_set(gauges, GAUGE_RAFT_STATE, 0, RAFT_STATE_FOLLOWER);
    assert_true(shown("kafka_server_raftmetrics{current_state=\"follower\"}") == 1);
    gauge_set(gauges, GAUGE_WAITING_FETCHES, 0, 2);
    gauge_set(gauges, GAUGE_WAITING_PRODUCES, 1, 5);
    assert_true(PURGATORY("Fetch") == 2);
    assert_true(PURGATORY("Produce") == 5);
    /* Two loops: their mean. */
    gauge_set(gauges, GAUGE_IDLE, 0, 1000);
    gauge_set(gauges, GAUGE_IDLE, 1, 500);
    assert_true(shown("kafka_network_socketserver_networkprocessoravgidle_percent") == 0.75);
    assert_true(shown("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent") ==
                0.75);
    gauge_set(gauges, GAUGE_RAFT_LEADER, 0, -1);
    assert_true(gauge_sum(gauges, GAUGE_RAFT_LEADER) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetches_and_forgetting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gauges, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
