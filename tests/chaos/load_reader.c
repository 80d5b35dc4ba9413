#include "tests/chaos/load.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGES = 500, WAIT_MS = 100 };

/* One reader of all partitions, without a group. */
struct reader {
    struct load *load;
    enum history_reader number;
    rd_kafka_t *kafka;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t **topics; /* by partition */
    int64_t *next;             /* by partition */
    bool *done;                /* by partition: its end is written down */
};

static rd_kafka_t *consumer(const struct load *load)
{
    rd_kafka_conf_t *conf = load_conf(load);
    char text[200];
    /* Offsets that are out of range must show, never be stepped over. */
    if (rd_kafka_conf_set(conf, "auto.offset.reset", "error", text, sizeof(text)) !=
            RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "check.crcs", "true", text, sizeof(text)) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "fetch.wait.max.ms", "100", text, sizeof(text)) !=
            RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "fetch.error.backoff.ms", "50", text, sizeof(text)) !=
            RD_KAFKA_CONF_OK) {
        fprintf(stderr, "kraftd-chaos-load: %s\n", text);
        exit(2);
    }
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!kafka) {
        fprintf(stderr, "kraftd-chaos-load: %s\n", text);
        exit(2);
    }
    return kafka;
}

static void begin(struct reader *reader, uint32_t partition)
{
    history_write(reader->load->history, (struct history_event){.kind = 'o',
                                                                .partition = partition,
                                                                .reader = reader->number,
                                                                .offset = reader->next[partition]});
    if (rd_kafka_consume_start_queue(reader->topics[partition],
                                     reader->load->partitions[partition].index,
                                     reader->next[partition], reader->queue) != 0)
        load_note(reader->load, "reader %d cannot begin: %s", reader->number,
                  rd_kafka_err2str(rd_kafka_last_error()));
}

static void reader_open(struct reader *reader)
{
    struct load *load = reader->load;
    reader->kafka = consumer(load);
    reader->queue = rd_kafka_queue_new(reader->kafka);
    for (uint32_t i = 0; i < load->partition_count; i++) {
        bool same = i > 0 && strcmp(load->partitions[i - 1].topic, load->partitions[i].topic) == 0;
        reader->topics[i] =
            same ? reader->topics[i - 1]
                 : rd_kafka_topic_new(reader->kafka, load->partitions[i].topic, NULL);
        CHECK(reader->topics[i]);
        begin(reader, i);
    }
}

static void reader_close(struct reader *reader)
{
    struct load *load = reader->load;
    for (uint32_t i = 0; i < load->partition_count; i++)
        rd_kafka_consume_stop(reader->topics[i], load->partitions[i].index);
    for (uint32_t i = load->partition_count; i-- > 0;) {
        if (i == 0 || reader->topics[i] != reader->topics[i - 1])
            rd_kafka_topic_destroy(reader->topics[i]);
    }
    rd_kafka_queue_destroy(reader->queue);
    rd_kafka_destroy(reader->kafka);
}

/* The number of a partition; partition_count when it is none of ours. */
static uint32_t find(const struct load *load, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";
    uint32_t i = 0;
    while (i < load->partition_count && (load->partitions[i].index != message->partition ||
                                         strcmp(load->partitions[i].topic, topic) != 0))
        i++;
    return i;
}

static int32_t epoch_of(const rd_kafka_message_t *message)
{
#if RD_KAFKA_VERSION >= 0x02010000
    return rd_kafka_message_leader_epoch(message);
#else
    return -1;
#endif
}

static void take(struct reader *reader, const rd_kafka_message_t *message)
{
    struct load *load = reader->load;
    uint32_t partition = find(load, message), of;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && partition < load->partition_count) {
        load_note(load, "reader %d: %s-%d has no offset %" PRId64 ": %s", reader->number,
                  load->partitions[partition].topic, message->partition, reader->next[partition],
                  rd_kafka_message_errstr(message));
        rd_kafka_consume_stop(reader->topics[partition], message->partition);
        begin(reader, partition);
        return;
    }
    if (message->err || partition == load->partition_count) {
        load_note(load, "reader %d: %s: %s", reader->number, rd_kafka_err2name(message->err),
                  rd_kafka_message_errstr(message));
        return;
    }
    struct history_event event = {.kind = 'r',
                                  .partition = partition,
                                  .reader = reader->number,
                                  .offset = message->offset,
                                  .epoch = epoch_of(message)};
    if (!record_parse(message->payload, message->len, &event.producer, &of, &event.seq)) {
        event.kind = 'b';
        event.text = "not a record of this run, or damaged";
    } else if (of != partition) {
        event.kind = 'b';
        event.text = "a record of another partition";
    }
    reader->next[partition] = message->offset + 1;
    history_write(load->history, event);
    load->read += reader->number == READER_TAIL;
}

/* Writes down the ends that were reached; true when those are all. */
static bool through(struct reader *reader)
{
    struct load *load = reader->load;
    bool all = true;
    for (uint32_t i = 0; i < load->partition_count; i++) {
        int64_t end = load->partitions[i].end;
        if (!reader->done[i] && end >= 0 && reader->next[i] >= end) {
            reader->done[i] = true;
            history_write(load->history, (struct history_event){.kind = 'd',
                                                                .partition = i,
                                                                .reader = reader->number,
                                                                .offset = end});
        }
        all = all && reader->done[i];
    }
    return all;
}

void *reader_run(void *argument)
{
    struct reader_arguments *arguments = argument;
    struct load *load = arguments->load;
    struct reader reader = {
        .load = load,
        .number = arguments->reader,
        .topics = mem_calloc(load->partition_count, sizeof(*reader.topics)),
        .next = mem_calloc(load->partition_count, sizeof(*reader.next)),
        .done = mem_calloc(load->partition_count, sizeof(*reader.done)),
    };
    reader_open(&reader);
    rd_kafka_message_t *messages[MESSAGES];
    int64_t give_up_at = INT64_MAX;
    while (!load->aborted && history_now(load->history) < give_up_at && !through(&reader)) {
        if (give_up_at == INT64_MAX && load->partitions[load->partition_count - 1].end >= 0)
            give_up_at = history_now(load->history) + load->read_ms;
        ssize_t count = rd_kafka_consume_batch_queue(reader.queue, WAIT_MS, messages, MESSAGES);
        if (count > 0 && give_up_at != INT64_MAX)
            give_up_at = history_now(load->history) + load->read_ms;
        for (ssize_t i = 0; i < count; i++) {
            take(&reader, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    arguments->complete = through(&reader);
    reader_close(&reader);
    free(reader.topics);
    free(reader.next);
    free(reader.done);
    return NULL;
}

bool reader_find_ends(struct load *load)
{
    rd_kafka_t *kafka = consumer(load);
    int64_t give_up_at = history_now(load->history) + load->read_ms;
    bool found = true;
    for (uint32_t i = 0; i < load->partition_count && found; i++) {
        struct load_partition *partition = &load->partitions[i];
        int64_t low, high;
        while (!load->aborted &&
               rd_kafka_query_watermark_offsets(kafka, partition->topic, partition->index, &low,
                                                &high, 5000) != RD_KAFKA_RESP_ERR_NO_ERROR &&
               history_now(load->history) < give_up_at)
            usleep(200000);
        found = !load->aborted && history_now(load->history) < give_up_at;
        if (found)
            partition->end = high;
    }
    rd_kafka_destroy(kafka);
    return found;
}
