#include "tests/chaos/timeline.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SECONDS_MAX = 30 * 24 * 3600 };

struct gap {
    int64_t begin_ms, end_ms;
    uint32_t partition;
};

struct timeline_internal {
    int64_t *last_ms; /* by partition: the last acknowledgement, -1: no attempt yet */
    size_t last_count, last_capacity;
    struct gap *gaps;
    size_t gap_count, gap_capacity;
    int64_t stop_ms; /* -1: producers were not stopped */
    int64_t newest_ms;
};

struct timeline *timeline_new(void)
{
    struct timeline *timeline = mem_calloc(1, sizeof(*timeline));
    timeline->internal = mem_calloc(1, sizeof(*timeline->internal));
    timeline->internal->stop_ms = -1;
    return timeline;
}

void timeline_free(struct timeline *timeline)
{
    if (!timeline)
        return;
    for (size_t i = 0; i < timeline->fault_count; i++) {
        free(timeline->faults[i].text);
        free(timeline->faults[i].outcome);
    }
    free(timeline->faults);
    free(timeline->seconds);
    free(timeline->internal->last_ms);
    free(timeline->internal->gaps);
    free(timeline->internal);
    free(timeline);
}

static struct timeline_second *second_of(struct timeline *timeline, int64_t at_ms)
{
    size_t index = (size_t)MIN(at_ms / 1000, SECONDS_MAX);
    while (timeline->second_count <= index)
        VEC_PUSH(timeline->seconds, timeline->second_count, timeline->second_capacity) =
            (struct timeline_second){0};
    return &timeline->seconds[index];
}

static void add_gap(struct timeline_internal *internal, uint32_t partition, int64_t end_ms)
{
    int64_t begin_ms = internal->last_ms[partition];
    if (end_ms - begin_ms >= TIMELINE_GAP_MS)
        VEC_PUSH(internal->gaps, internal->gap_count, internal->gap_capacity) =
            (struct gap){begin_ms, end_ms, partition};
}

static void touch(struct timeline_internal *internal, const struct history_event *event)
{
    while (internal->last_count <= event->partition)
        VEC_PUSH(internal->last_ms, internal->last_count, internal->last_capacity) = -1;
    int64_t *last = &internal->last_ms[event->partition];
    if (*last >= 0 && event->kind == 'a')
        return;
    if (*last >= 0 && internal->stop_ms < 0)
        add_gap(internal, event->partition, event->at_ms);
    *last = event->at_ms;
}

static void stop(struct timeline_internal *internal, int64_t at_ms)
{
    if (internal->stop_ms >= 0)
        return;
    internal->stop_ms = at_ms;
    for (uint32_t i = 0; i < internal->last_count; i++) {
        if (internal->last_ms[i] >= 0)
            add_gap(internal, i, at_ms);
    }
}

static void fault(struct timeline *timeline, const struct history_event *event)
{
    if (event->kind == 'f') {
        VEC_PUSH(timeline->faults, timeline->fault_count, timeline->fault_capacity) =
            (struct timeline_fault){.fault = event->fault,
                                    .begin_ms = event->at_ms,
                                    .end_ms = -1,
                                    .text = mem_strndup(event->text, event->text_len)};
        return;
    }
    for (size_t i = timeline->fault_count; i-- > 0;) {
        struct timeline_fault *found = &timeline->faults[i];
        if (found->fault == event->fault && found->end_ms < 0) {
            found->end_ms = event->at_ms;
            found->outcome = mem_strndup(event->text, event->text_len);
            return;
        }
    }
}

void timeline_event(struct timeline *timeline, const struct history_event *event)
{
    struct timeline_internal *internal = timeline->internal;
    internal->newest_ms = MAX(internal->newest_ms, event->at_ms);
    switch (event->kind) {
    case 'a':
        second_of(timeline, event->at_ms)->attempted++;
        touch(internal, event);
        break;
    case 'k':
        second_of(timeline, event->at_ms)->acknowledged++;
        touch(internal, event);
        break;
    case 'r':
        if (event->reader == READER_TAIL)
            second_of(timeline, event->at_ms)->read++;
        break;
    case 's':
        stop(internal, event->at_ms);
        break;
    case 'f':
    case 'h':
        fault(timeline, event);
        break;
    default:
        break;
    }
}

static int by_length(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

void timeline_finish(struct timeline *timeline)
{
    struct timeline_internal *internal = timeline->internal;
    stop(internal, internal->newest_ms);
    int64_t *lengths = mem_calloc(timeline->fault_count + 1, sizeof(*lengths));
    for (size_t i = 0; i < timeline->fault_count; i++) {
        struct timeline_fault *found = &timeline->faults[i];
        int64_t end_ms = found->end_ms < 0 ? internal->newest_ms : found->end_ms;
        for (size_t j = 0; j < internal->gap_count; j++) {
            const struct gap *gap = &internal->gaps[j];
            if (gap->begin_ms <= end_ms && gap->end_ms > found->begin_ms &&
                gap->end_ms - gap->begin_ms > found->gap_ms) {
                found->gap_ms = gap->end_ms - gap->begin_ms;
                found->gap_partition = gap->partition;
            }
        }
        lengths[i] = found->gap_ms;
    }
    for (size_t j = 0; j < internal->gap_count; j++)
        timeline->max_gap_ms =
            MAX(timeline->max_gap_ms, internal->gaps[j].end_ms - internal->gaps[j].begin_ms);
    if (timeline->fault_count > 0) {
        qsort(lengths, timeline->fault_count, sizeof(*lengths), by_length);
        timeline->p99_gap_ms = lengths[(timeline->fault_count * 99 + 99) / 100 - 1];
    }
    free(lengths);
}
