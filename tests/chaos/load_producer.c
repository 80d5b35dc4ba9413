#include "tests/chaos/load.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static void put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t sum(const uint8_t *at, size_t size)
{
    uLong crc = crc32(0, at, RECORD_HEADER - 4);
    return (uint32_t)crc32(crc, at + RECORD_HEADER, (uInt)(size - RECORD_HEADER));
}

void record_make(uint8_t *at, uint32_t size, uint32_t producer, uint32_t partition, uint32_t seq)
{
    CHECK(size >= RECORD_HEADER);
    put32(at, RECORD_MAGIC);
    put32(at + 4, producer);
    put32(at + 8, partition);
    put32(at + 12, seq);
    uint32_t state = producer * 2654435761u ^ (seq + 1) * 2246822519u;
    for (uint32_t i = RECORD_HEADER; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        at[i] = (uint8_t)('a' + (state >> 28));
    }
    put32(at + 16, sum(at, size));
}

bool record_parse(const uint8_t *at, size_t size, uint32_t *ret_producer, uint32_t *ret_partition,
                  uint32_t *ret_seq)
{
    if (size < RECORD_HEADER || size > RECORD_MAX || get32(at) != RECORD_MAGIC ||
        get32(at + 16) != sum(at, size))
        return false;
    *ret_producer = get32(at + 4);
    *ret_partition = get32(at + 8);
    *ret_seq = get32(at + 12);
    return true;
}

/* One idempotent producer; after a fatal error another one with a number of its own takes over. */
struct producer {
    struct load *load;
    uint32_t number;
    rd_kafka_t *kafka;
    rd_kafka_topic_t **topics; /* by partition; partitions of one topic share theirs */
    uint32_t *next_seq;        /* by partition */
    uint32_t *outstanding;     /* by partition */
    bool failed;
};

static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;
    struct load *load = producer->load;
    uint64_t tag = (uint64_t)(uintptr_t)message->_private;
    struct history_event event = {.kind = 'k',
                                  .partition = (uint32_t)(tag >> 32),
                                  .producer = producer->number,
                                  .seq = (uint32_t)tag,
                                  .offset = message->offset < 0 ? -1 : message->offset};
    producer->outstanding[event.partition]--;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        load->partitions[event.partition].acknowledged_at_ms = history_now(load->history);
        load->acknowledged++;
    } else {
        event.kind = 'x';
        event.text = rd_kafka_err2name(message->err);
        load->given_up++;
    }
    history_write(load->history, event);
}

static void on_error(rd_kafka_t *kafka, int error, const char *reason, void *opaque)
{
    struct producer *producer = opaque;
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        char text[200];
        rd_kafka_resp_err_t code = rd_kafka_fatal_error(kafka, text, sizeof(text));
        load_note(producer->load, "producer %u failed: %s: %s", producer->number,
                  rd_kafka_err2name(code), text);
        producer->failed = true;
    }
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char text[200];
    if (rd_kafka_conf_set(conf, key, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "kraftd-chaos-load: %s\n", text);
        exit(2);
    }
}

static void producer_open(struct producer *producer)
{
    static const char *const codecs[] = {"none", "lz4", "zstd", "snappy", "gzip"};
    struct load *load = producer->load;
    producer->number = load->next_producer++;
    producer->failed = false;
    memset(producer->next_seq, 0, load->partition_count * sizeof(uint32_t));
    memset(producer->outstanding, 0, load->partition_count * sizeof(uint32_t));
    const char *codec = codecs[producer->number % ARRAY_LEN(codecs)];
    history_write(load->history,
                  (struct history_event){.kind = 'p', .producer = producer->number, .text = codec});
    rd_kafka_conf_t *conf = load_conf(load);
    set(conf, "enable.idempotence", "true");
    set(conf, "acks", "all");
    set(conf, "linger.ms", "5");
    set(conf, "message.timeout.ms", "600000");
    /* A request that a cut-off node holds must not keep the partition from its new leader for long;
     * one that waits for a follower to leave the in-sync replicas should not time out. */
    set(conf, "request.timeout.ms", "4000");
    set(conf, "compression.type", codec);
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    char text[200];
    producer->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!producer->kafka) {
        fprintf(stderr, "kraftd-chaos-load: %s\n", text);
        exit(2);
    }
    for (uint32_t i = 0; i < load->partition_count; i++) {
        bool same = i > 0 && strcmp(load->partitions[i - 1].topic, load->partitions[i].topic) == 0;
        producer->topics[i] =
            same ? producer->topics[i - 1]
                 : rd_kafka_topic_new(producer->kafka, load->partitions[i].topic, NULL);
        CHECK(producer->topics[i]);
    }
}

/* What could not be delivered in time is given up: its delivery report says so. */
static void producer_close(struct producer *producer, int64_t flush_ms)
{
    rd_kafka_flush(producer->kafka, (int)flush_ms);
    rd_kafka_purge(producer->kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(producer->kafka, 5000);
    for (uint32_t i = producer->load->partition_count; i-- > 0;) {
        if (i == 0 || producer->topics[i] != producer->topics[i - 1])
            rd_kafka_topic_destroy(producer->topics[i]);
    }
    rd_kafka_destroy(producer->kafka);
}

/* A partition that is behind gets nothing more, so that it cannot hold up the others. */
static void offer(struct producer *producer, uint32_t partition, uint8_t *value, uint32_t size)
{
    struct load *load = producer->load;
    if (producer->outstanding[partition] >= load->outstanding_max)
        return;
    struct history_event event = {.kind = 'a',
                                  .partition = partition,
                                  .producer = producer->number,
                                  .seq = producer->next_seq[partition]++};
    record_make(value, size, event.producer, partition, event.seq);
    history_write(load->history, event);
    load->attempted++;
    uint64_t tag = (uint64_t)partition << 32 | event.seq;
    if (rd_kafka_produce(producer->topics[partition], load->partitions[partition].index,
                         RD_KAFKA_MSG_F_COPY, value, size, NULL, 0, (void *)(uintptr_t)tag) == 0) {
        producer->outstanding[partition]++;
        return;
    }
    event.kind = 'x';
    event.text = rd_kafka_err2name(rd_kafka_last_error());
    load->given_up++;
    history_write(load->history, event);
}

void *producer_run(void *argument)
{
    struct load *load = argument;
    struct producer producer = {
        .load = load,
        .topics = mem_calloc(load->partition_count, sizeof(*producer.topics)),
        .next_seq = mem_calloc(load->partition_count, sizeof(*producer.next_seq)),
        .outstanding = mem_calloc(load->partition_count, sizeof(*producer.outstanding)),
    };
    uint8_t *value = mem_alloc(load->record_bytes);
    producer_open(&producer);
    uint32_t partition = producer.number % load->partition_count;
    double due = 0;
    int64_t before = history_now(load->history);
    while (!load->stopping) {
        int64_t now = history_now(load->history);
        /* After a stop of this program the load does not catch up in one heap. */
        due += (double)MIN(now - before, 100) * load->rate / load->producers / 1000;
        before = now;
        for (; due >= 1; due--) {
            /* Sizes from the header alone to the full one, from record to record. */
            uint32_t size =
                RECORD_HEADER + (partition * 7919u + producer.next_seq[partition] * 104729u) %
                                    (load->record_bytes - RECORD_HEADER + 1);
            offer(&producer, partition, value, size);
            partition = (partition + 1) % load->partition_count;
        }
        rd_kafka_poll(producer.kafka, 2);
        if (producer.failed && !load->stopping) {
            producer_close(&producer, 0);
            producer_open(&producer);
        }
    }
    producer_close(&producer, load->aborted ? 0 : load->flush_ms);
    free(value);
    free(producer.topics);
    free(producer.next_seq);
    free(producer.outstanding);
    return NULL;
}
