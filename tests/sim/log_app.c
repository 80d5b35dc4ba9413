#include "tests/sim/log_app_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/checkpoint_file.h"
#include "common/storage/log_dir.h"
#include "common/storage/small_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_FILE      LOG_APP_DIR "/kraftd.boot" /* log_dir.h */
#define TOPIC          "topic"
#define FILES_PER_LOOP 6

void log_app_give_up(struct log_app *app, const char *what, int error)
{
    struct log_app_world *world = app->world;
    if (app->state == LOG_APP_DEAD || !sim_node_is_up(world->node))
        return;
    app->state = LOG_APP_DEAD;
    if (!world->disk_is_sick(world->ctx))
        sim_fail(world->sim, "%s failed with %d on a disk without faults", what, error);
    sim_log(world->sim, "log", "gives up: %s: %d", what, error);
    world->gave_up(world->ctx);
}

/* --- Start --- */

/* What can be believed, and that from now on nothing is clean any more. */
static int read_trust(struct log_app *app, enum log_trust *ret_trust, bool *ret_rewrite)
{
    struct disk *disk = app->env->disk;
    char boot_id[DISK_CACHE_ID_MAX];
    int64_t broker_epoch;
    char *boot = NULL;
    size_t len = 0;
    disk->ops->cache_id(disk, LOG_APP_DIR, boot_id);
    *ret_trust = LOG_TRUST_NONE;
    if (clean_shutdown_read(disk, LOG_APP_DIR "/" FILE_CLEAN_SHUTDOWN, &broker_epoch) == 0)
        *ret_trust = LOG_TRUST_CLEAN;
    else if (disk_read_file(disk, BOOT_FILE, DISK_CACHE_ID_MAX, &boot, &len) == 0 &&
             strcmp(boot, boot_id) == 0)
        *ret_trust = LOG_TRUST_SAME_BOOT;
    *ret_rewrite = *ret_trust == LOG_TRUST_NONE && !boot;
    free(boot);
    int rv = clean_shutdown_remove(disk, LOG_APP_DIR "/" FILE_CLEAN_SHUTDOWN);
    if (rv != 0 || *ret_trust != LOG_TRUST_NONE)
        return rv;
    /* A recovery that is cut short must be begun again in full. */
    rv = disk->ops->unlink(disk, BOOT_FILE);
    return rv == -ENOENT ? 0 : rv;
}

/* Only once all logs are recovered: a process that dies before leaves them unchecked. */
static int remember_boot(struct log_app *app)
{
    struct disk *disk = app->env->disk;
    char boot_id[DISK_CACHE_ID_MAX];
    disk->ops->cache_id(disk, LOG_APP_DIR, boot_id);
    return disk_replace_file(disk, BOOT_FILE, boot_id, strlen(boot_id));
}

static int load_checkpoint(struct log_app *app, struct offset_checkpoint *checkpoint,
                           const char *path)
{
    int rv = offset_checkpoint_load(checkpoint, app->env->disk, path);
    return rv == -ENOENT ? 0 : rv;
}

static int open_part(struct log_app *app, int index, enum log_trust trust, bool rewrite,
                     struct offset_checkpoint checkpoints[3])
{
    struct part *part = &app->parts[index];
    char path[64];
    snprintf(path, sizeof(path), LOG_APP_DIR "/" TOPIC "-%d", index);
    struct log_open_args args = {
        .disk = app->env->disk,
        .files = &app->files[part->loop->index],
        .path = path,
        .config = &app->world->configs[index],
        .trust = trust,
        .rewrite = rewrite,
        .create = true,
        .recovery_point = offset_checkpoint_get(&checkpoints[0], STR(TOPIC), index, 0),
        .log_start_offset = offset_checkpoint_get(&checkpoints[1], STR(TOPIC), index, 0),
        .high_watermark = offset_checkpoint_get(&checkpoints[2], STR(TOPIC), index, 0),
        .seed = 1,
        .now_ms = env_wall_ms(app->env),
    };
    memset(args.topic_id.b, index + 1, sizeof(args.topic_id.b));
    int rv = log_open(&args, &part->log, NULL);
    if (rv == 0)
        log_app_part_publish(part);
    return rv;
}

static int save_checkpoints(struct log_app *app);

static void open_run(struct work *work)
{
    struct log_app *app = CONTAINER_OF(work, struct log_app, open_work);
    enum log_trust trust;
    bool rewrite;
    struct offset_checkpoint checkpoints[3];
    for (int i = 0; i < 3; i++)
        offset_checkpoint_init(&checkpoints[i]);
    int rv = disk_make_path(app->env->disk, LOG_APP_DIR);
    if (rv == 0)
        rv = read_trust(app, &trust, &rewrite);
    if (rv == 0)
        rv = load_checkpoint(app, &checkpoints[0], LOG_APP_DIR "/" CHECKPOINT_RECOVERY_POINT);
    if (rv == 0)
        rv = load_checkpoint(app, &checkpoints[1], LOG_APP_DIR "/" CHECKPOINT_LOG_START);
    if (rv == 0)
        rv = load_checkpoint(app, &checkpoints[2], LOG_APP_DIR "/" CHECKPOINT_REPLICATION);
    for (int i = 0; rv == 0 && i < LOG_APP_PARTITIONS; i++)
        rv = open_part(app, i, trust, rewrite, checkpoints);
    /* A recovery point that lay beyond the end must not count for what is appended there. */
    if (rv == 0)
        rv = save_checkpoints(app);
    if (rv == 0)
        rv = remember_boot(app);
    for (int i = 0; i < 3; i++)
        offset_checkpoint_release(&checkpoints[i]);
    if (rv != 0)
        log_dir_distrust(app->env->disk, LOG_APP_DIR);
    app->error = rv;
}

static void open_done(struct work *work)
{
    struct log_app *app = CONTAINER_OF(work, struct log_app, open_work);
    if (app->error != 0) {
        log_app_give_up(app, "opening the logs", app->error);
        return;
    }
    app->state = LOG_APP_RUNNING;
    for (int i = 0; i < LOG_APP_PARTITIONS; i++)
        loop_post(app->parts[i].loop, &app->parts[i].begin);
    timer_start_in_ms(&app->checkpoint_timer, 1000);
}

/* --- Checkpoints --- */

static int save(struct log_app *app, const char *path, size_t offset_in_part)
{
    struct checkpoint_writer writer;
    checkpoint_writer_init(&writer);
    for (int i = 0; i < LOG_APP_PARTITIONS; i++) {
        int64_t offset;
        memcpy(&offset, (char *)&app->parts[i] + offset_in_part, sizeof(offset));
        checkpoint_writer_add(&writer, STR(TOPIC), i, offset);
    }
    int rv = checkpoint_writer_save(&writer, app->env->disk, path, true);
    checkpoint_writer_release(&writer);
    return rv;
}

static int save_checkpoints(struct log_app *app)
{
    for (int i = 0; i < LOG_APP_PARTITIONS; i++) {
        app->saved_start[i] = app->parts[i].start_offset;
        app->saved_frozen[i] = app->parts[i].frozen;
    }
    int rv =
        save(app, LOG_APP_DIR "/" CHECKPOINT_RECOVERY_POINT, offsetof(struct part, recovery_point));
    if (rv == 0)
        rv = save(app, LOG_APP_DIR "/" CHECKPOINT_LOG_START, offsetof(struct part, start_offset));
    if (rv == 0)
        rv = save(app, LOG_APP_DIR "/" CHECKPOINT_REPLICATION,
                  offsetof(struct part, high_watermark));
    return rv;
}

static void checkpoint_run(struct work *work)
{
    struct log_app *app = CONTAINER_OF(work, struct log_app, checkpoint_work);
    app->error = save_checkpoints(app);
}

static void checkpoint_done(struct work *work)
{
    struct log_app *app = CONTAINER_OF(work, struct log_app, checkpoint_work);
    app->checkpointing = false;
    if (app->error != 0) {
        if (app->error != -ENOSPC)
            log_app_give_up(app, "writing checkpoints", app->error);
        return;
    }
    for (int i = 0; i < LOG_APP_PARTITIONS; i++) {
        log_model_start_durable(app->parts[i].model, app->saved_start[i]);
        if (app->saved_frozen[i])
            app->parts[i].frozen = false;
    }
}

void log_app_checkpoint(struct log_app *app)
{
    if (app->checkpointing || app->state != LOG_APP_RUNNING)
        return;
    app->checkpointing = true;
    app->checkpoint_work =
        (struct work){.run = checkpoint_run, .done = checkpoint_done, .loop = app->env->loops[0]};
    work_submit(&app->checkpoint_work, WORK_DISK);
}

static void checkpoint_tick(struct timer *timer)
{
    struct log_app *app = CONTAINER_OF(timer, struct log_app, checkpoint_timer);
    log_app_checkpoint(app);
    timer_start_in_ms(timer, 300);
}

/* --- Stop --- */

static void stop_run(struct work *work)
{
    struct log_app *app = CONTAINER_OF(work, struct log_app, stop_work);
    int rv = 0;
    for (int i = 0; i < LOG_APP_PARTITIONS; i++) {
        struct part *part = &app->parts[i];
        log_app_part_publish(part);
        part->recovery_point = log_end_offset(part->log);
        int closed = log_close(part->log, true);
        part->log = NULL;
        rv = rv != 0 ? rv : closed;
    }
    if (rv == 0)
        rv = save_checkpoints(app);
    if (rv == 0)
        rv = clean_shutdown_write(app->env->disk, LOG_APP_DIR "/" FILE_CLEAN_SHUTDOWN, -1);
    app->error = rv;
}

static void stop_done(struct work *work)
{
    struct log_app *app = CONTAINER_OF(work, struct log_app, stop_work);
    struct log_app_world *world = app->world;
    app->state = LOG_APP_DEAD;
    for (int i = 0; app->error == 0 && i < LOG_APP_PARTITIONS; i++)
        log_model_durable(app->parts[i].model, app->parts[i].model->end);
    sim_log(world->sim, "log", "stopped: %d", app->error);
    world->stopped(world->ctx);
}

/* Waits until no job is in flight. */
static void stop_tick(struct timer *timer)
{
    struct log_app *app = CONTAINER_OF(timer, struct log_app, stop_timer);
    if (app->state == LOG_APP_DEAD)
        return;
    bool idle = app->state != LOG_APP_OPENING && !app->checkpointing;
    if (app->state == LOG_APP_RUNNING)
        app->state = LOG_APP_STOPPING;
    for (int i = 0; i < LOG_APP_PARTITIONS; i++)
        idle &= log_app_part_idle(&app->parts[i]);
    if (!idle) {
        timer_start_in_ms(timer, 5);
        return;
    }
    app->stop_work = (struct work){.run = stop_run, .done = stop_done, .loop = app->env->loops[0]};
    work_submit(&app->stop_work, WORK_DISK);
}

void log_app_stop(struct sim_node *node)
{
    struct log_app *app = sim_node_program(node);
    if (app && !timer_running(&app->stop_timer))
        timer_start_in_ms(&app->stop_timer, 0);
}

bool log_app_settled(struct sim_node *node)
{
    struct log_app *app = sim_node_program(node);
    if (!app || app->state != LOG_APP_RUNNING)
        return false;
    for (int i = 0; i < LOG_APP_PARTITIONS; i++) {
        struct log_model *m = app->parts[i].model;
        if (!log_app_part_idle(&app->parts[i]) || m->durable_end != m->end)
            return false;
    }
    return true;
}

void log_app_fail_unsettled(struct sim_node *node)
{
    struct log_app *app = sim_node_program(node);
    struct sim *sim = sim_node_sim(node);
    for (int i = 0; app && i < LOG_APP_PARTITIONS; i++) {
        struct part *part = &app->parts[i];
        if (!log_app_part_idle(part) || part->model->durable_end != part->model->end)
            sim_fail(sim,
                     "%s does not come to rest: flushing %d, deleting %d, durable %lld of %lld",
                     part->model->name, part->flushing, part->deleting,
                     (long long)part->model->durable_end, (long long)part->model->end);
    }
    sim_fail(sim, "the process does not come up, state %d", app ? (int)app->state : -1);
}

void *log_app_boot(struct env *env, void *ctx)
{
    struct log_app *app = mem_calloc(1, sizeof(*app));
    app->env = env;
    app->world = ctx;
    for (int i = 0; i < LOG_APP_LOOPS; i++)
        file_cache_init(&app->files[i], FILES_PER_LOOP);
    for (int i = 0; i < LOG_APP_PARTITIONS; i++)
        log_app_part_init(&app->parts[i], app, i);
    timer_init(&app->checkpoint_timer, env->loops[0], checkpoint_tick);
    timer_init(&app->stop_timer, env->loops[0], stop_tick);
    app->open_work = (struct work){.run = open_run, .done = open_done, .loop = env->loops[0]};
    work_submit(&app->open_work, WORK_DISK);
    return app;
}
