#include "common/base/metrics.h"

#include "common/base/check.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *render(struct metrics *m, int64_t now_us)
{
    static char text[20000];
    struct bytebuf out;
    bytebuf_init(&out);
    metrics_render(m, now_us, &out);
    assert_true(out.len < sizeof(text));
    if (out.len > 0)
        memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    bytebuf_release(&out);
    return text;
}

static void check_name(enum metric_kind kind, const char *mbean, const char *name)
{
    char text[200];
    assert_int_equal(metrics_name(kind, mbean, text, sizeof(text)), 0);
    assert_string_equal(text, name);
}

static void names_are_the_exporters(void **state)
{
    check_name(METRIC_COUNTER, "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec",
               "kafka_server_brokertopicmetrics_bytesin_total");
    check_name(METRIC_GAUGE, "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions",
               "kafka_server_replicamanager_underreplicatedpartitions");
    check_name(METRIC_GAUGE, "kafka.network:type=SocketServer,name=NetworkProcessorAvgIdlePercent",
               "kafka_network_socketserver_networkprocessoravgidle_percent");
    check_name(METRIC_HISTOGRAM, "kafka.network:type=RequestMetrics,name=TotalTimeMs",
               "kafka_network_requestmetrics_totaltimems");
    check_name(METRIC_GAUGE, "kafka.server:type=raft-metrics,name=current-epoch",
               "kafka_server_raftmetrics_current_epoch");
    check_name(METRIC_GAUGE, "kafka.server:type=raft-channel-metrics,name=incoming-byte-total",
               "kafka_server_raftchannelmetrics_incoming_byte_total");
    check_name(METRIC_GAUGE, "kafka.server:type=socket-server-metrics,name=connection-count",
               "kafka_server_socket_server_metrics_connection_count");
    check_name(METRIC_GAUGE, "kafka.server:type=KafkaServer,name=linux-disk-read-bytes",
               "kafka_server_kafkaserver_linux_disk_read_bytes");
    char text[20] = "untouched";
    assert_int_equal(metrics_name(METRIC_GAUGE, "nonsense", text, 20), -EINVAL);
    assert_int_equal(metrics_name(METRIC_GAUGE, "a:name=b,type=c", text, 20), -EINVAL);
    assert_int_equal(metrics_name(METRIC_GAUGE, "a.b:type=long,name=abcdefghij", text, 19),
                     -EINVAL);
}

static void families_stand_together(void **state)
{
    struct metrics *m = metrics_new(2);
    struct metric_label a = {"topic", STR("a")}, b = {"topic", STR("b\"\\\n")};
    const char *in = "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec";
    struct metric *in_all = metrics_register(m, METRIC_COUNTER, in, NULL, 0);
    struct metric *leaders = metrics_register(
        m, METRIC_GAUGE, "kafka.server:type=ReplicaManager,name=LeaderCount", NULL, 0);
    struct metric *in_a = metrics_register(m, METRIC_COUNTER, in, &a, 1);
    struct metric *in_b = metrics_register(m, METRIC_COUNTER, in, &b, 1);
    metric_add(in_all, 0, 5);
    metric_add(in_all, 1, 7);
    metric_add(in_a, 1, 3);
    metric_set(leaders, 0, 4);
    metric_add(leaders, 1, -1);
    assert_string_equal(render(m, 0),
                        "# TYPE kafka_server_brokertopicmetrics_bytesin_total counter\n"
                        "kafka_server_brokertopicmetrics_bytesin_total 12\n"
                        "kafka_server_brokertopicmetrics_bytesin_total{topic=\"a\"} 3\n"
                        "kafka_server_brokertopicmetrics_bytesin_total{topic=\"b\\\"\\\\\\n\"} 0\n"
                        "# TYPE kafka_server_replicamanager_leadercount gauge\n"
                        "kafka_server_replicamanager_leadercount 3\n");
    metrics_remove(m, in_all);
    metrics_remove(m, in_a);
    metrics_remove(m, in_b);
    metrics_remove(m, leaders);
    assert_string_equal(render(m, 0), "");
    metrics_free(m);
}

static void the_same_metric_is_shared_until_its_last_removal(void **state)
{
    struct metrics *m = metrics_new(1);
    const char *mbean = "kafka.server:type=T,name=N";
    struct metric_label label = {"l", STR("1")};
    struct metric *first = metrics_register(m, METRIC_GAUGE, mbean, &label, 1);
    struct metric *second = metrics_register(m, METRIC_GAUGE, mbean, &label, 1);
    assert_ptr_equal(first, second);
    metric_add(first, 0, 41);
    metrics_remove(m, second);
    metric_add(first, 0, 1);
    assert_int_equal(metric_sum(m, first), 42);
    metrics_remove(m, first);
    /* A cell that is used again starts at zero. */
    struct metric *fresh = metrics_register(m, METRIC_GAUGE, mbean, NULL, 0);
    assert_int_equal(metric_sum(m, fresh), 0);
    metrics_remove(m, fresh);
    metrics_free(m);
}

static double sample(const char *text, const char *start)
{
    const char *at = strstr(text, start);
    assert_non_null(at);
    return strtod(at + strlen(start), NULL);
}

static void quantiles_are_about_right_and_forget(void **state)
{
    struct metrics *m = metrics_new(2);
    struct metric_label label = {"request", STR("Produce")};
    struct metric *times = metrics_register(
        m, METRIC_HISTOGRAM, "kafka.network:type=RequestMetrics,name=TotalTimeMs", &label, 1);
    const char *text = render(m, 1000000);
    assert_true(sample(text, "{request=\"Produce\",quantile=\"0.50\"}") == 0);
    assert_non_null(strstr(text, "# TYPE kafka_network_requestmetrics_totaltimems summary\n"));
    for (int i = 1; i <= 10000; i++)
        metric_record_us(times, i % 2, i * 10); /* 0.01 to 100 ms */
    text = render(m, 2000000);
    double p50 = sample(text, "{request=\"Produce\",quantile=\"0.50\"}");
    double p99 = sample(text, "{request=\"Produce\",quantile=\"0.99\"}");
    double p999 = sample(text, "{request=\"Produce\",quantile=\"0.999\"}");
    assert_true(p50 > 46 && p50 < 54);
    assert_true(p99 > 92 && p99 < 106);
    assert_true(p999 >= p99 && p999 < 107);
    assert_int_equal(sample(text, "totaltimems_count{request=\"Produce\"}"), 10000);
    /* Ten minutes on, a few slower ones outweigh all of that. */
    for (int i = 0; i < 100; i++)
        metric_record_us(times, 0, 2000000);
    text = render(m, 602000000);
    assert_true(sample(text, "{request=\"Produce\",quantile=\"0.50\"}") > 1800);
    assert_int_equal(sample(text, "totaltimems_count{request=\"Produce\"}"), 10100);
    metrics_remove(m, times);
    metrics_free(m);
}

static void extreme_values_are_kept_in_bounds(void **state)
{
    struct metrics *m = metrics_new(1);
    struct metric *sizes = metrics_register(
        m, METRIC_HISTOGRAM, "kafka.network:type=RequestMetrics,name=RequestBytes", NULL, 0);
    metric_record(sizes, 0, -5);
    assert_true(sample(render(m, 1), "{quantile=\"0.999\"}") == 0);
    metric_record(sizes, 0, INT64_MAX);
    metric_record(sizes, 0, 7);
    metric_record(sizes, 0, 7);
    const char *text = render(m, 2);
    assert_true(sample(text, "{quantile=\"0.50\"}") == 7);
    assert_true(sample(text, "{quantile=\"0.999\"}") > 3e9);
    metrics_remove(m, sizes);
    metrics_free(m);
}

static void collect(void *ctx, struct metrics_writer *w)
{
    struct metric_label labels[] = {{"topic", STR("t")}, {"partition", STR("0")}};
    metrics_write(w, METRIC_GAUGE, "kafka.log:type=Log,name=Size", labels, 2, 123456789012.0);
    metrics_write_plain(w, METRIC_COUNTER, "process_cpu_seconds_total", NULL, 0, 1.25);
    labels[1].value = STR("1");
    metrics_write(w, METRIC_GAUGE, "kafka.log:type=Log,name=Size", labels, 2, 0);
    ++*(int *)ctx;
}

static void collectors_write_what_is_not_registered(void **state)
{
    struct metrics *m = metrics_new(1);
    int calls = 0;
    metrics_add_collector(m, collect, &calls);
    assert_string_equal(render(m, 0),
                        "# TYPE kafka_log_log_size gauge\n"
                        "kafka_log_log_size{topic=\"t\",partition=\"0\"} 123456789012\n"
                        "kafka_log_log_size{topic=\"t\",partition=\"1\"} 0\n"
                        "# TYPE process_cpu_seconds_total counter\n"
                        "process_cpu_seconds_total 1.25\n");
    metrics_remove_collector(m, &calls);
    assert_string_equal(render(m, 0), "");
    assert_int_equal(calls, 1);
    metrics_free(m);
}

/* Shards are written without locks while others render and register. */

enum { THREADS = 4, ROUNDS = 20000 };

static struct metrics *shared;
static struct metric *shared_counter, *shared_times;

static void *hammer(void *arg)
{
    int shard = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(shared_counter, shard, 1);
        metric_record_us(shared_times, shard, i);
        if (i % 1000 == 0) {
            char value[16];
            snprintf(value, sizeof(value), "%d", i);
            struct metric_label label = {"round", str_of(value)};
            struct metric *own = metrics_register(shared, METRIC_COUNTER,
                                                  "kafka.server:type=T,name=OwnPerSec", &label, 1);
            metric_add(own, shard, 1);
            metrics_remove(shared, own);
        }
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    pthread_t threads[THREADS];
    shared = metrics_new(THREADS);
    shared_counter =
        metrics_register(shared, METRIC_COUNTER, "kafka.server:type=T,name=AllPerSec", NULL, 0);
    shared_times =
        metrics_register(shared, METRIC_HISTOGRAM, "kafka.server:type=T,name=TimeMs", NULL, 0);
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, hammer, (void *)i);
    for (int i = 0; i < 50; i++)
        render(shared, i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_sum(shared, shared_counter), THREADS * ROUNDS);
    assert_int_equal(sample(render(shared, 99), "timems_count"), THREADS * ROUNDS);
    metrics_remove(shared, shared_counter);
    metrics_remove(shared, shared_times);
    metrics_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_the_exporters),
        cmocka_unit_test(families_stand_together),
        cmocka_unit_test(the_same_metric_is_shared_until_its_last_removal),
        cmocka_unit_test(quantiles_are_about_right_and_forget),
        cmocka_unit_test(extreme_values_are_kept_in_bounds),
        cmocka_unit_test(collectors_write_what_is_not_registered),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
