/*
 * The client of scripts/bench: one program on librdkafka that loads kraftd and Apache Kafka alike.
 *
 *   bench_client produce BOOTSTRAP TOPIC BYTES RECORDS PARTITIONS BATCH LINGER_MS ACKS
 *   bench_client consume BOOTSTRAP TOPIC RECORDS PARTITIONS
 *   bench_client paced   BOOTSTRAP TOPIC BYTES RATE PARTITIONS LINGER_MS SECONDS
 *   bench_client gaps    BOOTSTRAP TOPIC PARTITIONS RATE SECONDS
 *
 * BYTES is the size of a record's value, BATCH the number of records in one request. The first two
 * print one line: seconds, records, bytes.
 *
 * paced writes RATE records a second, acks=all, and reads them: milliseconds from the producer's
 * call to the consumer's, p50, p99 and worst, without those of the first two seconds.
 *
 * gaps writes RATE records a second, acks=all, to the partitions in turn: the longest time in
 * milliseconds in which one of them had nothing acknowledged, and how many records failed.
 */
#include <librdkafka/rdkafka.h>

#include <pthread.h>
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

static rd_kafka_conf_t *producer_conf(const char *bootstrap, const char *batch,
                                      const char *linger_ms, const char *acks)
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
    set(conf, "socket.nagle.disable", "true");
    set(conf, "log_level", "0");
    return conf;
}

static rd_kafka_t *start_producer(rd_kafka_conf_t *conf)
{
    char error[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
    if (rk == NULL)
        die("%s", error);
    return rk;
}

static rd_kafka_t *new_producer(const char *bootstrap, const char *batch, const char *linger_ms,
                                const char *acks, struct counts *counts)
{
    rd_kafka_conf_t *conf = producer_conf(bootstrap, batch, linger_ms, acks);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, counts);
    return start_producer(conf);
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

static rd_kafka_t *new_consumer(const char *bootstrap, const char *topic, int partitions,
                                int64_t offset)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "socket.nagle.disable", "true");
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
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = offset;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

static int consume(char **argv)
{
    int64_t records = atoll(argv[2]), got = 0, bytes = 0;
    rd_kafka_t *rk = new_consumer(argv[0], argv[1], (int)atoll(argv[3]), 0);
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
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return 0;
}

/* --- Records at a fixed rate --- */

static void nap(void)
{
    struct timespec t = {.tv_nsec = 500000};
    nanosleep(&t, NULL);
}

struct paced_reader {
    rd_kafka_t *rk;
    double count_from_s; /* records sent earlier only warm up */
    int64_t expected;    /* of those that count; known at the end */
    int64_t got, capacity;
    double *took_s;
    pthread_t thread;
};

static void take(struct paced_reader *reader, const rd_kafka_message_t *m)
{
    double sent_s;
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR || m->len < sizeof(sent_s))
        return;
    memcpy(&sent_s, m->payload, sizeof(sent_s));
    if (sent_s >= reader->count_from_s && reader->got < reader->capacity)
        reader->took_s[reader->got++] = now_s() - sent_s;
}

static void *read_paced(void *ctx)
{
    struct paced_reader *reader = ctx;
    double last = now_s();
    while (reader->got < __atomic_load_n(&reader->expected, __ATOMIC_ACQUIRE)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(reader->rk, 100);
        if (m != NULL) {
            last = now_s();
            take(reader, m);
            rd_kafka_message_destroy(m);
        } else if (now_s() - last > 30) {
            die("nothing came for 30 seconds after %lld records", (long long)reader->got);
        }
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int paced(char **argv)
{
    size_t bytes = (size_t)atoll(argv[2]);
    int64_t rate = atoll(argv[3]);
    int32_t partitions = (int32_t)atoll(argv[4]);
    double seconds = (double)atoll(argv[6]);
    struct counts counts = {0};
    struct paced_reader reader = {.capacity = (int64_t)(seconds * (double)rate) + 1,
                                  .expected = INT64_MAX};
    reader.took_s = calloc((size_t)reader.capacity, sizeof(double));
    reader.rk = new_consumer(argv[0], argv[1], partitions, RD_KAFKA_OFFSET_END);
    rd_kafka_t *rk = new_producer(argv[0], "10000", argv[5], "-1", &counts);
    char *value = calloc(1, bytes + sizeof(double));
    double begin = now_s(), end = begin + 2 + seconds;
    int64_t sent = 0, counted = 0;
    reader.count_from_s = begin + 2;
    pthread_create(&reader.thread, NULL, read_paced, &reader);
    for (double now = now_s(); now < end; now = now_s()) {
        for (; (double)sent < (now - begin) * (double)rate; sent++) {
            double sent_s = now_s();
            if (sent_s >= reader.count_from_s && counted < reader.capacity)
                counted++;
            memcpy(value, &sent_s, sizeof(sent_s));
            send_one(rk, argv[1], (int32_t)(sent % partitions), value, bytes);
        }
        rd_kafka_poll(rk, 0);
        nap();
    }
    __atomic_store_n(&reader.expected, counted, __ATOMIC_RELEASE);
    finish(rk, &counts, sent);
    pthread_join(reader.thread, NULL);
    qsort(reader.took_s, (size_t)reader.got, sizeof(double), compare);
    printf("%.3f %.3f %.3f\n", reader.took_s[reader.got / 2] * 1e3,
           reader.took_s[reader.got * 99 / 100] * 1e3, reader.took_s[reader.got - 1] * 1e3);
    rd_kafka_consumer_close(reader.rk);
    rd_kafka_destroy(reader.rk);
    free(reader.took_s);
    free(value);
    return 0;
}

/* --- Gaps --- */

enum { GAP_PARTITIONS_MAX = 1024 };

struct gaps {
    double last_s[GAP_PARTITIONS_MAX], longest_s;
    int64_t acked, failed;
};

static void gap_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct gaps *gaps = opaque;
    double now = now_s();
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        gaps->failed++;
        return;
    }
    double *last = &gaps->last_s[m->partition];
    if (*last > 0 && now - *last > gaps->longest_s)
        gaps->longest_s = now - *last;
    *last = now;
    gaps->acked++;
}

static int find_gaps(char **argv)
{
    int64_t partitions = atoll(argv[2]), rate = atoll(argv[3]), sent = 0;
    if (partitions < 1 || partitions > GAP_PARTITIONS_MAX)
        die("1 to %d partitions", GAP_PARTITIONS_MAX);
    struct gaps gaps = {0};
    rd_kafka_conf_t *conf = producer_conf(argv[0], "10000", "1", "-1");
    rd_kafka_conf_set_dr_msg_cb(conf, gap_delivered);
    rd_kafka_conf_set_opaque(conf, &gaps);
    rd_kafka_t *rk = start_producer(conf);
    char value[100] = {0};
    double begin = now_s(), end = begin + (double)atoll(argv[4]);
    for (double now = begin; now < end; now = now_s()) {
        for (; (double)sent < (now - begin) * (double)rate; sent++)
            send_one(rk, argv[1], (int32_t)(sent % partitions), value, sizeof(value));
        rd_kafka_poll(rk, 0);
        nap();
    }
    rd_kafka_flush(rk, 60000);
    if (gaps.acked + gaps.failed != sent)
        die("%lld records have no outcome", (long long)(sent - gaps.acked - gaps.failed));
    rd_kafka_destroy(rk);
    printf("%.3f %lld\n", gaps.longest_s * 1e3, (long long)gaps.failed);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 10 && strcmp(argv[1], "produce") == 0)
        return produce(argv + 2);
    if (argc == 6 && strcmp(argv[1], "consume") == 0)
        return consume(argv + 2);
    if (argc == 9 && strcmp(argv[1], "paced") == 0)
        return paced(argv + 2);
    if (argc == 7 && strcmp(argv[1], "gaps") == 0)
        return find_gaps(argv + 2);
    fprintf(stderr,
            "usage: bench_client produce|consume|paced|gaps ...; see the head of its source\n");
    return 2;
}
