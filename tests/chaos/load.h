/*
 * The load of a chaos run, inside kraftd-chaos-load: idempotent producers, a reader that follows,
 * and a last reader, on librdkafka; all they do stands in the history.
 *
 * Producers and readers are threads that own what they hold; `load` is shared, its atomics by all.
 */
#ifndef KRAFTD_CHAOS_LOAD_H
#define KRAFTD_CHAOS_LOAD_H

#include "tests/chaos/history.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* On every record, in front of the filling, big-endian: magic, producer, partition, seq, crc. */
enum { RECORD_MAGIC = 0x6b6c6f61, RECORD_HEADER = 20, RECORD_MAX = 1 << 20 };

struct load_partition {
    char *topic;
    int32_t index;
    _Atomic int64_t acknowledged_at_ms; /* the last time; 0: never */
    _Atomic int64_t end;                /* for readers to stop at; -1: not yet */
};

struct load {
    const char *bootstrap;
    const char *const *overrides; /* key, value, ..., NULL: for every client */
    struct history *history;
    struct load_partition *partitions;
    uint32_t partition_count;
    uint32_t producers;
    uint32_t rate; /* records a second of all producers */
    uint32_t record_bytes;
    uint32_t outstanding_max; /* of one producer in one partition */
    int64_t flush_ms, read_ms;
    _Atomic bool stopping, aborted;
    _Atomic uint32_t next_producer; /* numbers of producers are given out once */
    _Atomic int64_t attempted, acknowledged, given_up, read;
};

/* The record at `at`, `size` bytes; and whether it is one, as it was made. */
void record_make(uint8_t *at, uint32_t size, uint32_t producer, uint32_t partition, uint32_t seq);
bool record_parse(const uint8_t *at, size_t size, uint32_t *ret_producer, uint32_t *ret_partition,
                  uint32_t *ret_seq);

/* A client's configuration with what all have in common; ends the program on a bad override. */
struct rd_kafka_conf_s *load_conf(const struct load *load);
/* printf into the history, as a note. */
__attribute__((format(printf, 2, 3))) void load_note(struct load *load, const char *format, ...);

/* Until load->stopping, then flushes. */
void *producer_run(void *load);

struct reader_arguments {
    struct load *load;
    enum history_reader reader;
    bool complete; /* it came to every end */
};

/* Until every partition's end is known and reached, or read_ms after that is known. */
void *reader_run(void *arguments);
/* Asks for the ends of all partitions. False when that did not succeed within read_ms. */
bool reader_find_ends(struct load *load);

#endif
