#include "tests/chaos/checker.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/chaos/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers in a history are small; a larger one is a damaged file, not a reason to take all memory.
 */
enum { PARTITIONS_MAX = 100000, PRODUCERS_MAX = 65534, RECORDS_MAX = 2000000000 };

/* What became of a record of one producer in one partition; its place in the array is its sequence.
 */
struct record {
    uint32_t acknowledged_at; /* offset + 1; 0: none was told */
    uint8_t state;
};

enum { RECORD_ACKNOWLEDGED = 1, RECORD_SEEN = 2, RECORD_SEEN_FINALLY = 4 };

struct stream {
    struct record *records;
    size_t count, capacity;
};

/* What readers saw at an offset. producer is its number + 1; 0: nobody saw it. */
struct slot {
    uint32_t seq;
    uint16_t producer;
    uint8_t readers;
};

struct reading {
    bool begun, finished;
    int64_t next, end;
};

struct partition {
    char *name;
    struct slot *log;
    size_t count, capacity;
    struct stream *streams; /* by producer */
    size_t stream_count, stream_capacity;
    struct reading readings[READER_COUNT];
};

struct checker {
    struct partition *partitions;
    size_t partition_count, partition_capacity;
    uint32_t producer_count; /* one more than the highest number */
    struct checker_counts counts;
    char *examples[ANOMALY_COUNT][CHECKER_EXAMPLES];
    struct timeline *timeline;
};

const char *anomaly_name(enum anomaly anomaly)
{
    static const char *const names[] = {
        [ANOMALY_LOST] = "lost",           [ANOMALY_DUPLICATED] = "duplicated",
        [ANOMALY_REORDERED] = "reordered", [ANOMALY_INCONSISTENT] = "inconsistent",
        [ANOMALY_CORRUPT] = "corrupt",     [ANOMALY_UNREAD] = "unread",
    };
    return names[anomaly];
}

struct checker *checker_new(void)
{
    struct checker *checker = mem_calloc(1, sizeof(*checker));
    checker->timeline = timeline_new();
    return checker;
}

void checker_free(struct checker *checker)
{
    if (!checker)
        return;
    for (size_t i = 0; i < checker->partition_count; i++) {
        struct partition *partition = &checker->partitions[i];
        for (size_t j = 0; j < partition->stream_count; j++)
            free(partition->streams[j].records);
        free(partition->streams);
        free(partition->log);
        free(partition->name);
    }
    free(checker->partitions);
    for (size_t i = 0; i < ANOMALY_COUNT; i++) {
        for (size_t j = 0; j < CHECKER_EXAMPLES; j++)
            free(checker->examples[i][j]);
    }
    timeline_free(checker->timeline);
    free(checker);
}

__attribute__((format(printf, 3, 4))) static void
report(struct checker *checker, enum anomaly anomaly, const char *format, ...)
{
    int64_t index = checker->counts.anomalies[anomaly]++;
    if (index >= CHECKER_EXAMPLES)
        return;
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    checker->examples[anomaly][index] = mem_strdup(text);
}

/* Zeroed elements up to `index`, doubling what there is. */
static void *reach(void *items, size_t index, size_t *count, size_t *capacity, size_t item_bytes)
{
    if (index >= *capacity) {
        size_t grown = MAX(index + 1, *capacity * 2);
        items = mem_realloc(items, grown * item_bytes);
        *capacity = grown;
    }
    if (index >= *count) {
        memset((char *)items + *count * item_bytes, 0, (index + 1 - *count) * item_bytes);
        *count = index + 1;
    }
    return items;
}

static struct stream *stream_of(struct partition *partition, uint32_t producer)
{
    partition->streams = reach(partition->streams, producer, &partition->stream_count,
                               &partition->stream_capacity, sizeof(struct stream));
    return &partition->streams[producer];
}

/* The record, when it was sent. */
static struct record *record_of(struct partition *partition, uint32_t producer, uint32_t seq)
{
    if (producer >= partition->stream_count || seq >= partition->streams[producer].count)
        return NULL;
    return &partition->streams[producer].records[seq];
}

static int introduce(struct checker *checker, const struct history_event *event)
{
    if (event->partition >= PARTITIONS_MAX)
        return -EINVAL;
    checker->partitions = reach(checker->partitions, event->partition, &checker->partition_count,
                                &checker->partition_capacity, sizeof(struct partition));
    struct partition *partition = &checker->partitions[event->partition];
    free(partition->name);
    partition->name = mem_strndup(event->text, event->text_len);
    return 0;
}

static int attempt(struct checker *checker, struct partition *partition,
                   const struct history_event *event)
{
    struct stream *stream = stream_of(partition, event->producer);
    if (event->seq != stream->count || event->seq >= RECORDS_MAX)
        return -EINVAL;
    stream->records = reach(stream->records, event->seq, &stream->count, &stream->capacity,
                            sizeof(struct record));
    checker->counts.attempted++;
    return 0;
}

static int acknowledge(struct checker *checker, struct partition *partition,
                       const struct history_event *event)
{
    struct record *record = record_of(partition, event->producer, event->seq);
    if (!record || record->state & RECORD_ACKNOWLEDGED || event->offset >= RECORDS_MAX)
        return -EINVAL;
    record->state |= RECORD_ACKNOWLEDGED;
    record->acknowledged_at = (uint32_t)(event->offset + 1);
    checker->counts.acknowledged++;
    return 0;
}

/* A reader goes from offset to offset. */
static void follow(struct checker *checker, struct partition *partition,
                   const struct history_event *event)
{
    struct reading *reading = &partition->readings[event->reader];
    if (reading->begun && event->offset != reading->next)
        report(checker, ANOMALY_INCONSISTENT,
               "%s: reader %" PRIu32 " met offset %" PRId64 " where it should have met %" PRId64
               ", at %" PRId64 " ms",
               partition->name, event->reader, event->offset, reading->next, event->at_ms);
    reading->begun = true;
    reading->next = event->offset + 1;
}

static void see(struct checker *checker, struct partition *partition,
                const struct history_event *event, struct slot *slot)
{
    struct record *record = record_of(partition, event->producer, event->seq);
    if (!record) {
        report(checker, ANOMALY_CORRUPT,
               "%s: offset %" PRId64 " has record %" PRIu32 " of producer %" PRIu32
               ", which was never sent",
               partition->name, event->offset, event->seq, event->producer);
        return;
    }
    if (slot->producer == 0) {
        if (record->state & RECORD_SEEN)
            report(checker, ANOMALY_DUPLICATED,
                   "%s: record %" PRIu32 " of producer %" PRIu32
                   " is there twice, the second time at offset %" PRId64,
                   partition->name, event->seq, event->producer, event->offset);
        slot->seq = event->seq;
        slot->producer = (uint16_t)(event->producer + 1);
    } else if (slot->seq != event->seq || slot->producer != event->producer + 1) {
        report(checker, ANOMALY_INCONSISTENT,
               "%s: offset %" PRId64 " was record %" PRIu32
               " of producer %d, and is record %" PRIu32 " of producer %" PRIu32
               " for reader %" PRIu32 " at %" PRId64 " ms",
               partition->name, event->offset, slot->seq, slot->producer - 1, event->seq,
               event->producer, event->reader, event->at_ms);
    }
    slot->readers |= (uint8_t)(1 << event->reader);
    record->state |= RECORD_SEEN | (event->reader == READER_FINAL ? RECORD_SEEN_FINALLY : 0);
}

static int read_record(struct checker *checker, struct partition *partition,
                       const struct history_event *event)
{
    if (event->reader >= READER_COUNT || event->offset < 0 || event->offset >= RECORDS_MAX)
        return -EINVAL;
    follow(checker, partition, event);
    checker->counts.read[event->reader]++;
    if (event->kind == 'b') {
        report(checker, ANOMALY_CORRUPT, "%s: offset %" PRId64 ": %.*s", partition->name,
               event->offset, (int)event->text_len, event->text);
        return 0;
    }
    partition->log = reach(partition->log, (size_t)event->offset, &partition->count,
                           &partition->capacity, sizeof(struct slot));
    see(checker, partition, event, &partition->log[event->offset]);
    return 0;
}

static int move_reader(struct partition *partition, const struct history_event *event)
{
    if (event->reader >= READER_COUNT || event->offset < 0)
        return -EINVAL;
    struct reading *reading = &partition->readings[event->reader];
    reading->begun = true;
    if (event->kind == 'o') {
        reading->next = event->offset;
    } else {
        reading->finished = true;
        reading->end = event->offset;
    }
    return 0;
}

static int partition_event(struct checker *checker, const struct history_event *event)
{
    if (event->partition >= checker->partition_count || !checker->partitions[event->partition].name)
        return -EINVAL;
    struct partition *partition = &checker->partitions[event->partition];
    switch (event->kind) {
    case 'a':
        return event->producer < checker->producer_count ? attempt(checker, partition, event)
                                                         : -EINVAL;
    case 'k':
        return acknowledge(checker, partition, event);
    case 'x':
        checker->counts.given_up++;
        return record_of(partition, event->producer, event->seq) ? 0 : -EINVAL;
    case 'r':
    case 'b':
        return read_record(checker, partition, event);
    default:
        return move_reader(partition, event);
    }
}

int checker_event(struct checker *checker, const struct history_event *event)
{
    int error = 0;
    switch (event->kind) {
    case 't':
        error = introduce(checker, event);
        break;
    case 'p':
        if (event->producer >= PRODUCERS_MAX)
            return -EINVAL;
        checker->producer_count = MAX(checker->producer_count, event->producer + 1);
        break;
    case 's':
    case 'f':
    case 'h':
    case 'n':
        break;
    default:
        error = partition_event(checker, event);
        break;
    }
    if (error == 0)
        timeline_event(checker->timeline, event);
    return error;
}

int checker_read(struct checker *checker, const char *path, int64_t *ret_line)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int error = 0;
    int64_t number = 0;
    while (error == 0 && (length = getline(&line, &capacity, file)) > 0) {
        number++;
        if (line[length - 1] != '\n')
            break;
        struct history_event event;
        error = history_parse(line, (size_t)length - 1, &event) ? checker_event(checker, &event)
                                                                : -EINVAL;
    }
    if (error == 0 && ferror(file))
        error = -EIO;
    if (error == -EINVAL)
        *ret_line = number;
    free(line);
    fclose(file);
    return error;
}

/* Where the last reader was not through, nothing is known of what it did not see. */
static bool through(const struct partition *partition, enum history_reader reader)
{
    const struct reading *reading = &partition->readings[reader];
    return reading->finished && reading->next == reading->end;
}

static void finish_reading(struct checker *checker, struct partition *partition)
{
    static const char *const readers[] = {"the one that follows", "the last one"};
    for (uint32_t i = 0; i < READER_COUNT; i++) {
        if (!through(partition, i))
            report(checker, ANOMALY_UNREAD,
                   "%s: of the readers %s came to offset %" PRId64 ", not to the end",
                   partition->name, readers[i], partition->readings[i].next);
    }
}

static void finish_log(struct checker *checker, struct partition *partition)
{
    const int finally = 1 << READER_FINAL;
    int64_t *last = mem_calloc(checker->producer_count + 1, sizeof(*last));
    for (size_t offset = 0; offset < partition->count; offset++) {
        const struct slot *slot = &partition->log[offset];
        if (slot->producer == 0)
            continue;
        if (!(slot->readers & finally) && through(partition, READER_FINAL))
            report(checker, ANOMALY_INCONSISTENT,
                   "%s: offset %zu was read as record %" PRIu32 " of producer %d, and is not there "
                   "at the end",
                   partition->name, offset, slot->seq, slot->producer - 1);
        int64_t *before = &last[slot->producer];
        if (slot->seq + 1 < *before)
            report(checker, ANOMALY_REORDERED,
                   "%s: offset %zu has record %" PRIu32 " of producer %d, behind record %" PRId64,
                   partition->name, offset, slot->seq, slot->producer - 1, *before - 1);
        *before = MAX(*before, slot->seq + 1);
    }
    free(last);
}

static void finish_record(struct checker *checker, const struct partition *partition,
                          size_t producer, size_t seq)
{
    const struct record *record = &partition->streams[producer].records[seq];
    if (!(record->state & RECORD_ACKNOWLEDGED))
        return;
    int64_t offset = (int64_t)record->acknowledged_at - 1;
    if (!(record->state & RECORD_SEEN_FINALLY)) {
        if (!through(partition, READER_FINAL))
            return;
        report(checker, ANOMALY_LOST,
               "%s: record %zu of producer %zu was acknowledged at offset %" PRId64
               " and is not there%s",
               partition->name, seq, producer, offset,
               record->state & RECORD_SEEN ? " any more: it had been read" : "");
        return;
    }
    if (offset < 0)
        return;
    const struct slot *slot =
        (size_t)offset < partition->count ? &partition->log[offset] : &(struct slot){0};
    if (slot->producer != producer + 1 || slot->seq != seq)
        report(checker, ANOMALY_INCONSISTENT,
               "%s: record %zu of producer %zu was acknowledged at offset %" PRId64
               " and is elsewhere",
               partition->name, seq, producer, offset);
}

void checker_finish(struct checker *checker)
{
    for (size_t i = 0; i < checker->partition_count; i++) {
        struct partition *partition = &checker->partitions[i];
        if (!partition->name)
            continue;
        finish_reading(checker, partition);
        finish_log(checker, partition);
        for (size_t producer = 0; producer < partition->stream_count; producer++) {
            for (size_t seq = 0; seq < partition->streams[producer].count; seq++)
                finish_record(checker, partition, producer, seq);
        }
    }
    timeline_finish(checker->timeline);
}

const struct checker_counts *checker_counts(const struct checker *checker)
{
    return &checker->counts;
}

const char *checker_example(const struct checker *checker, enum anomaly anomaly, size_t index)
{
    return index < CHECKER_EXAMPLES ? checker->examples[anomaly][index] : NULL;
}

const struct timeline *checker_timeline(const struct checker *checker)
{
    return checker->timeline;
}

int64_t checker_end(const struct checker *checker, const char *partition)
{
    for (size_t i = 0; i < checker->partition_count; i++) {
        const struct partition *found = &checker->partitions[i];
        if (found->name && strcmp(found->name, partition) == 0)
            return through(found, READER_FINAL) ? found->readings[READER_FINAL].end : -1;
    }
    return -1;
}

const char *checker_partition(const struct checker *checker, uint32_t partition)
{
    return partition < checker->partition_count ? checker->partitions[partition].name : NULL;
}
