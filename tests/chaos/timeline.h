/*
 * timeline: how a history (history.h) went in time: records each second, and the gaps in which a
 * partition acknowledged nothing although records were offered all the time.
 *
 * A gap is the time between two acknowledgements of one partition; the first one counts from the
 * first attempt, and what is open when the producers stop ends there. A fault's gap is the longest
 * one, of any partition, that overlaps the time from its beginning until the cluster was whole
 * again. The events of each client come in order; faults may come before or after them.
 */
#ifndef KRAFTD_CHAOS_TIMELINE_H
#define KRAFTD_CHAOS_TIMELINE_H

#include "tests/chaos/history.h"

/* Shorter ones are not kept. */
enum { TIMELINE_GAP_MS = 50 };

struct timeline_second {
    uint32_t attempted, acknowledged, read;
};

struct timeline_fault {
    uint32_t fault;
    int64_t begin_ms, end_ms; /* end_ms -1: the cluster never was whole again */
    char *text, *outcome;     /* outcome NULL as long as end_ms is -1 */
    int64_t gap_ms;
    uint32_t gap_partition; /* valid when gap_ms > 0 */
};

struct timeline {
    struct timeline_second *seconds;
    size_t second_count, second_capacity;
    struct timeline_fault *faults; /* in order of their beginnings */
    size_t fault_count, fault_capacity;
    int64_t max_gap_ms, p99_gap_ms; /* the latter over the faults' gaps */
    struct timeline_internal *internal;
};

struct timeline *timeline_new(void);
void timeline_free(struct timeline *timeline);
void timeline_event(struct timeline *timeline, const struct history_event *event);
/* Everything is in: gaps are valid from here on. */
void timeline_finish(struct timeline *timeline);

#endif
