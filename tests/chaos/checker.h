/*
 * checker: judges the history of a chaos run (history.h). Records of a partition are known by
 * producer and sequence; what clients were told and what they read must fit one log:
 *
 *   lost          acknowledged, and not there when everything is read at the end
 *   duplicated    one record at two offsets
 *   reordered     a record behind a later one of the same producer
 *   inconsistent  two readers see different records at one offset, an acknowledgement names an
 *                 offset where something else is, a reader skips an offset or meets one twice,
 *                 what was read once is not there at the end
 *   corrupt       read, but never sent, or not as it was sent
 *   unread        partitions that a reader did not follow to their end; where that was the last
 *                 reader, nothing counts as lost or gone
 *
 * It needs about 16 bytes a record and is linear in the history. One thread. All history comes
 * through checker_event (a file: checker_read); a client's events in its own order, and an attempt
 * before what comes of it.
 */
#ifndef KRAFTD_CHAOS_CHECKER_H
#define KRAFTD_CHAOS_CHECKER_H

#include "tests/chaos/history.h"

enum anomaly {
    ANOMALY_LOST,
    ANOMALY_DUPLICATED,
    ANOMALY_REORDERED,
    ANOMALY_INCONSISTENT,
    ANOMALY_CORRUPT,
    ANOMALY_UNREAD,
    ANOMALY_COUNT,
};

/* As in the reports: "lost", "duplicated" ... */
const char *anomaly_name(enum anomaly anomaly);

/* The first ones of each kind are kept as a sentence. */
enum { CHECKER_EXAMPLES = 20 };

struct checker_counts {
    int64_t attempted, acknowledged, given_up, read[READER_COUNT];
    int64_t anomalies[ANOMALY_COUNT];
};

struct checker;

struct checker *checker_new(void);
void checker_free(struct checker *checker);

/* 0, or -EINVAL for an event that cannot be (a producer or partition that was not introduced). */
int checker_event(struct checker *checker, const struct history_event *event);

/* Every line of a file. 0 or negative errno; -EINVAL with the line's number for a line that is
 * none, but for an unfinished last one. */
int checker_read(struct checker *checker, const char *path, int64_t *ret_line);

/* What only the whole history shows. Once, at the end. */
void checker_finish(struct checker *checker);

const struct checker_counts *checker_counts(const struct checker *checker);
/* The sentence, or NULL behind the last one. */
const char *checker_example(const struct checker *checker, enum anomaly anomaly, size_t index);

/* Times and gaps of what was read so far (timeline.h). */
struct timeline;
const struct timeline *checker_timeline(const struct checker *checker);
/* The end that the last reader came to; -1 when it did not, or when there is no such partition. */
int64_t checker_end(const struct checker *checker, const char *partition);
/* "topic-0"; NULL for a number that is not in use. */
const char *checker_partition(const struct checker *checker, uint32_t partition);

#endif
