/*
 * The client of scripts/bench: one program on librdkafka that loads kraftd and Apache Kafka alike.
 *
 *   bench_client produce BOOTSTRAP TOPIC BYTES RECORDS PARTITIONS BATCH LINGER_MS ACKS
 *   bench_client consume BOOTSTRAP TOPIC RECORDS PARTITIONS
 *
 * BYTES is the size of a record's value, BATCH the number of records in one request. Prints one
 * line: seconds, records, bytes.
 */
#include <librdkafka/rdkafka.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct counts {
    int64_t acked, failed;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bench_client: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char error[256];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
        die("%s=%s: %s", name, value, error);
}

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct counts *counts = opaque;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        counts->acked++;
    else if (counts->failed++ == 0)
        fprintf(stderr, "bench_client: a record failed: %s\n", rd_kafka_err2str(m->err));
}

static rd_kafka_t *new_producer(const char *bootstrap, const char *batch, const char *linger_ms,
                                const char *acks, struct counts *counts)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "batch.num.messages", batch);
    set(conf, "linger.ms", linger_ms);
    set(conf, "acks", acks);
    set(conf, "queue.buffering.max.messages", "1000000");
    set(conf, "queue.buffering.max.kbytes", "1048576");
    set(conf, "batch.size", "1000000");
    set(conf, "reconnect.backoff.ms", "1");
    set(conf, "reconnect.backoff.max.ms", "5");
    set(conf, "retry.backoff.ms", "2");
    set(conf, "topic.metadata.refresh.fast.interval.ms", "2");
    set(conf, "log_level", "0");
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, counts);
    char error[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
    if (rk == NULL)
        die("%s", error);
    return rk;
}

static void send_one(rd_kafka_t *rk, const char *topic, int32_t partition, void *value, size_t len)
{
    for (;;) {
        rd_kafka_resp_err_t error = rd_kafka_producev(
            rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_VALUE(value, len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("produce to %s-%d: %s", topic, partition, rd_kafka_err2str(error));
        rd_kafka_poll(rk, 5);
    }
}

static void finish(rd_kafka_t *rk, const struct counts *counts, int64_t expected)
{
    rd_kafka_flush(rk, 300000);
    if (counts->acked != expected)
        die("%lld of %lld records were acknowledged", (long long)counts->acked,
            (long long)expected);
    rd_kafka_destroy(rk);
}

static int produce(char **argv)
{
    const char *topic = argv[1];
    size_t bytes = (size_t)atoll(argv[2]);
    int64_t records = atoll(argv[3]);
    int32_t partitions = (int32_t)atoll(argv[4]);
    struct counts counts = {0};
    rd_kafka_t *rk = new_producer(argv[0], argv[5], argv[6], argv[7], &counts);
    char *value = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        value[i] = (char)(i * 31);
    int64_t per_batch = atoll(argv[5]);
    double begin = now_s();
    for (int64_t i = 0; i < records; i++) {
        /* Whole batches to one partition after another, so that a batch is what BATCH says. */
        send_one(rk, topic, (int32_t)((i / per_batch) % partitions), value, bytes);
        if (i % 512 == 0)
            rd_kafka_poll(rk, 0);
    }
    finish(rk, &counts, records);
    printf("%.6f %lld %lld\n", now_s() - begin, (long long)records,
           (long long)records * (long long)bytes);
    free(value);
    return 0;
}

static int consume(char **argv)
{
    const char *topic = argv[1];
    int64_t records = atoll(argv[2]), got = 0, bytes = 0;
    int partitions = (int)atoll(argv[3]);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", argv[0]);
    set(conf, "group.id", "bench");
    set(conf, "enable.auto.commit", "false");
    set(conf, "queued.max.messages.kbytes", "262144");
    set(conf, "fetch.message.max.bytes", "4194304");
    set(conf, "check.crcs", "false");
    char error[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof(error));
    if (rk == NULL)
        die("%s", error);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = 0;
    rd_kafka_assign(rk, list);
    double begin = now_s();
    while (got < records) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 10000);
        if (m == NULL)
            die("nothing came for ten seconds after %lld records", (long long)got);
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            got++;
            bytes += (int64_t)m->len;
        }
        rd_kafka_message_destroy(m);
    }
    printf("%.6f %lld %lld\n", now_s() - begin, (long long)got, (long long)bytes);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 10 && strcmp(argv[1], "produce") == 0)
        return produce(argv + 2);
    if (argc == 6 && strcmp(argv[1], "consume") == 0)
        return consume(argv + 2);
    fprintf(stderr, "usage: bench_client produce|consume ...; see the head of its source\n");
    return 2;
}
