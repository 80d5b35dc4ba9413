/*
 * replicas: whether the copies of a partition hold the same bytes. Reads the segments of stopped
 * nodes (Kafka's record batches, one behind the other) and nothing else of their directories, so
 * that it shares no code with what it judges.
 *
 * Compared is what lies between the highest of the first offsets (retention differs) and `end`, the
 * high watermark. Copies may cut their segments differently.
 */
#ifndef KRAFTD_CHAOS_REPLICAS_H
#define KRAFTD_CHAOS_REPLICAS_H

#include <stddef.h>
#include <stdint.h>

struct replicas_verdict {
    int64_t batches, bytes;
    int64_t at;     /* -1: equal; else the offset of the first batch that differs */
    char text[256]; /* what differs, empty when equal */
};

/*
 * `folders` are `count` >= 1 directories of one partition. One folder alone is only walked: its
 * batches must join without a hole, in epochs that never fall. 0, or negative errno when a folder
 * cannot be read; what is in it, however damaged, leads to a verdict.
 */
int replicas_compare(const char *const *folders, size_t count, int64_t end,
                     struct replicas_verdict *ret_verdict);

#endif
