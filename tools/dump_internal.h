/*
 * kafka-dump-log in parts: dump_log.c (options, which file is what), dump_records.c (logs and
 * snapshots), dump_index.c (indexes), dump_state.c (transaction index, producer snapshots),
 * dump_decoder.c (keys and values as text).
 *
 * Functions that return bool print as they go; false: this file cannot be read on, `failure` says
 * why, and no other file is looked at.
 */
#ifndef KRAFTD_TOOLS_DUMP_INTERNAL_H
#define KRAFTD_TOOLS_DUMP_INTERNAL_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/protocol/record_iter.h"
#include "tools/tool.h"

enum dump_decoder {
    DUMP_DECODE_BYTES, /* by the classes below */
    DUMP_DECODE_OFFSETS,
    DUMP_DECODE_TRANSACTIONS,
    DUMP_DECODE_METADATA,
    DUMP_DECODE_SHARE_STATE,
};

/* Java's classes of these names. */
enum dump_class {
    DUMP_CLASS_STRING,
    DUMP_CLASS_BYTES,
    DUMP_CLASS_INTEGER,
    DUMP_CLASS_LONG,
    DUMP_CLASS_UNKNOWN,
};

/* What is found wrong in one file, said behind all files; one list per kind. */
enum dump_problem {
    DUMP_INDEX_MISMATCH,
    DUMP_TIME_MISMATCH,
    DUMP_TIME_ORDER,
    DUMP_OFFSET_NOT_FOUND,
    DUMP_NOT_CONSECUTIVE,
    DUMP_PROBLEM_KINDS
};

struct dump_note {
    enum dump_problem kind;
    const char *path; /* as given */
    int64_t first, second;
};

struct dump {
    struct tool tool;
    bool print_data, deep, verify_only, sanity_only, skip_metadata;
    int32_t max_bytes, max_message_size;
    enum dump_decoder decoder;
    enum dump_class key_class, value_class;
    const char *class_name; /* of an unknown class */
    struct dump_note *notes;
    size_t notes_count, notes_capacity;
    struct arena arena;  /* emptied after each batch */
    struct bytebuf line; /* what is being printed */
    struct record_scratch scratch;
};

void dump_note(struct dump *dump, enum dump_problem kind, const char *path, int64_t first,
               int64_t second);
/* Prints dump->line, without its end, and empties it. */
void dump_print_text(struct dump *dump);
/* Prints one line of JSON and drops it. */
void dump_print_json(struct dump *dump, const char *path, json_t *object);
/* The number in front of the name's first dot. */
bool dump_base_offset(const char *path, int64_t *ret_offset, struct failure *failure);

/* A file read from its start; the size is that at opening. */
struct dump_file {
    const char *path;
    int fd;
    int64_t size_bytes;
};

bool dump_open(const char *path, struct dump_file *ret_file, struct failure *failure);
void dump_close(struct dump_file *file);
/* All of the file in fresh memory, which the caller frees. */
bool dump_read_all(const char *path, struct bytes *ret_data, struct failure *failure);

/* Steps through batches as Kafka's FileRecords do: between position and end; what is cut short at
 * the end is left alone. */
struct dump_batches {
    const struct dump_file *file;
    int64_t position, end;
    uint8_t *buffer;
    size_t capacity;
    bool ended;
};

void dump_batches_init(struct dump_batches *batches, const struct dump_file *file, int64_t position,
                       int64_t end);
void dump_batches_release(struct dump_batches *batches);
/* The next batch, valid until the next step; at the end `ended` and true. */
bool dump_batches_next(struct dump_batches *batches, struct record_batch *ret_batch,
                       struct failure *failure);

bool dump_log(struct dump *dump, const char *path, struct failure *failure);
bool dump_index(struct dump *dump, const char *path, struct failure *failure);
bool dump_time_index(struct dump *dump, const char *path, struct failure *failure);
bool dump_txn_index(struct dump *dump, const char *path, struct failure *failure);
bool dump_producer_snapshot(struct dump *dump, const char *path, struct failure *failure);

/* Texts of a record's key and value; len -1: there is none to show. In dump->arena. */
bool dump_decode(struct dump *dump, const struct record *record, struct str *ret_key,
                 struct str *ret_value, struct failure *failure);
/* " endTxnMarker: ..." of a control record, behind what stands in `out`. */
void dump_control(struct dump *dump, const struct record *record, struct bytebuf *out);

#endif
