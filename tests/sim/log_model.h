/*
 * log_model: what one partition's log must hold, kept outside of the process that writes it. It
 * knows every batch that was given to log_append, how much was acknowledged, and checks a log that
 * came back after a death, or that is in use, against that.
 *
 * Functions may be called from inside a process: the model's memory is never the process's.
 */
#ifndef KRAFTD_SIM_LOG_MODEL_H
#define KRAFTD_SIM_LOG_MODEL_H

#include "common/base/buf.h"
#include "common/protocol/record_batch.h"
#include "common/storage/log.h"
#include "tests/sim/sim.h"

#define LOG_MODEL_PRODUCERS 4

struct model_batch {
    int64_t first, last;
    int64_t base_timestamp; /* of the first record; each further one is a millisecond later */
    uint32_t crc;
    int32_t leader_epoch;
    int producer; /* -1: none */
    int32_t last_sequence;
};

struct model_producer {
    int64_t id;
    int16_t epoch;
    int32_t next_sequence;
    struct buf *last_batch; /* to send it again; NULL: not in the log */
    int64_t last_batch_offset;
};

struct log_model {
    struct sim *sim;
    char name[32];
    struct sim_random random;
    struct model_batch *batches; /* in the order of their offsets, none missing */
    size_t count, capacity;
    int64_t end;           /* behind the last batch */
    int64_t confirmed_end; /* log_append returned: a dying process does not take it along */
    int64_t durable_end;   /* the log said so: nothing takes it */
    int64_t start;         /* log start offset as set */
    int64_t durable_start; /* as checkpointed */
    int64_t highest_start; /* that it ever had */
    bool truncating;       /* log_truncate_to was called and has not succeeded */
    int32_t leader_epoch;
    int power_cuts; /* of the node, when the process last ran */
    struct model_producer producers[LOG_MODEL_PRODUCERS];
    int64_t checks;
};

void log_model_init(struct log_model *m, struct sim *sim, const char *name, uint64_t seed);
void log_model_release(struct log_model *m);

/* A batch is about to be appended at model's end. `batch` holds its header as built. */
void log_model_attempt(struct log_model *m, const struct record_batch_header *batch, int producer,
                       const void *bytes, size_t len);
/* It was appended; or it was refused and the log is as it was. */
void log_model_confirm(struct log_model *m);
void log_model_retract(struct log_model *m);
void log_model_durable(struct log_model *m, int64_t offset);
/* Before and after log_truncate_to. */
void log_model_truncating(struct log_model *m, int64_t offset);
void log_model_truncated(struct log_model *m, int64_t offset);
void log_model_start_set(struct log_model *m, int64_t offset);
void log_model_start_durable(struct log_model *m, int64_t offset);

/* A log that was opened after a death or stop: all of it. Fits the model to what survived. */
void log_model_check_recovered(struct log_model *m, struct log *log, int power_cuts);
/* Samples of a log in use: reads, times, epochs, producers. */
void log_model_check_sample(struct log_model *m, struct log *log);
/* The batch that holds the offset; NULL when there is none. */
const struct model_batch *log_model_find(const struct log_model *m, int64_t offset);

#endif
