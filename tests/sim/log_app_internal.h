/*
 * Inside of log_app. log_app.c: start, stop and checkpoints of the directory. log_app_part.c: one
 * partition and its client.
 */
#ifndef KRAFTD_SIM_LOG_APP_INTERNAL_H
#define KRAFTD_SIM_LOG_APP_INTERNAL_H

#include "common/protocol/record_batch_builder.h"
#include "common/storage/file_cache.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_retention.h"
#include "tests/sim/log_app.h"

struct log_app;

struct part {
    struct log_app *app;
    int index;
    struct loop *loop;
    struct log *log;
    struct log_model *model;
    struct timer tick;
    struct task begin;
    struct record_batch_builder builder;
    bool frozen; /* no appends until the checkpoint that a truncation waits for is written */
    /* Jobs in flight. */
    struct log_flush *flush;
    struct log_deletion *deletion;
    struct log_snapshot *snapshot;
    struct work flush_work, deletion_work, snapshot_work;
    bool flushing, deleting, noting;
    /* For the next checkpoint files. */
    int64_t recovery_point, start_offset, high_watermark;
};

enum log_app_state { LOG_APP_OPENING, LOG_APP_RUNNING, LOG_APP_STOPPING, LOG_APP_DEAD };

struct log_app {
    struct env *env;
    struct log_app_world *world;
    enum log_app_state state;
    struct file_cache files[LOG_APP_LOOPS];
    struct part parts[LOG_APP_PARTITIONS];
    struct work open_work, checkpoint_work, stop_work;
    struct timer checkpoint_timer, stop_timer;
    bool checkpointing;
    int error;
    /* What the checkpoint under way writes. */
    int64_t saved_start[LOG_APP_PARTITIONS];
    bool saved_frozen[LOG_APP_PARTITIONS];
};

void log_app_part_init(struct part *part, struct log_app *app, int index);
/* The log is open: check it and begin to work. On its loop. */
void log_app_part_begin(struct task *task);
/* Copies what checkpoint files are written from, by another loop. */
void log_app_part_publish(struct part *part);
/* Nothing of it is in flight. */
bool log_app_part_idle(const struct part *part);
/* Something went wrong with the disk, or with us. */
void log_app_give_up(struct log_app *app, const char *what, int error);
/* Writes the checkpoint files soon. */
void log_app_checkpoint(struct log_app *app);

#endif
