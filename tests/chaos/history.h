/*
 * The history of a chaos run: what clients tried, were told and read, and which faults there were,
 * one event a line, in the order in which they happened.
 *
 *   t AT PARTITION NAME                     PARTITION stands for topic-index NAME from here on
 *   p AT PRODUCER TEXT                      a producer begins; its numbers are never used again
 *   a AT PARTITION PRODUCER SEQ             about to send record SEQ (0, 1, ... in each partition)
 *   k AT PARTITION PRODUCER SEQ OFFSET      acknowledged; OFFSET is -1 where it was not told
 *   x AT PARTITION PRODUCER SEQ TEXT        given up: it may be there or not
 *   o AT PARTITION READER OFFSET            READER begins at OFFSET
 *   r AT PARTITION READER OFFSET PRODUCER SEQ EPOCH    read; EPOCH -1 where it is not known
 *   b AT PARTITION READER OFFSET TEXT       read something that no producer writes
 *   d AT PARTITION READER OFFSET            READER is through: OFFSET is the end of the partition
 *   s AT                                    producers stop here
 *   f AT FAULT TEXT                         a fault begins
 *   h AT FAULT TEXT                         the cluster is whole again after it
 *   n AT TEXT                               worth a note: errors of clients, mostly
 *
 * AT is milliseconds since the run began, on one clock for all processes. Numbers are decimal. TEXT
 * is the rest of the line. Writing: any thread. A history that ends within a line, because its
 * writer was killed, is complete up to there.
 */
#ifndef KRAFTD_CHAOS_HISTORY_H
#define KRAFTD_CHAOS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Readers: one follows all the time, the other reads everything once all is quiet. */
enum history_reader { READER_TAIL, READER_FINAL, READER_COUNT };

/* What a kind of line does not have is 0 or NULL. */
struct history_event {
    char kind;
    int64_t at_ms;
    uint32_t partition, producer, seq, reader, fault;
    int64_t offset;
    int32_t epoch;
    const char *text; /* not terminated when it was parsed: it points into the line */
    size_t text_len;
};

/* `line` without its newline. False when it is not a line of a history. */
bool history_parse(const char *line, size_t len, struct history_event *ret_event);

struct history;

/* Appends to `path`; NULL with errno set. Milliseconds count from `origin_ms` of CLOCK_MONOTONIC.
 */
struct history *history_open(const char *path, int64_t origin_ms);
/* Writes out what is buffered. The first error that writing met: 0 or negative errno. */
int history_close(struct history *history);
int64_t history_now(const struct history *history);
/* at_ms is set here. text may be NULL, else it is terminated; line breaks in it become spaces. */
void history_write(struct history *history, struct history_event event);
/* So that others see it; errors come with history_close. */
void history_flush(struct history *history);

#endif
