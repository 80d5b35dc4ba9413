#include "tests/sim/sim_disk_call.h"

#include <errno.h>
#include <string.h>

static bool changes_names(enum sim_disk_op op)
{
    return op == SIM_RENAME || op == SIM_UNLINK || op == SIM_MKDIR || op == SIM_RMDIR;
}

static bool is_sync(enum sim_disk_op op)
{
    return op == SIM_FSYNC || op == SIM_FSYNC_DIR || op == SIM_SYNC_ALL;
}

static int64_t error_rate(const struct sim_disk_faults *faults, enum sim_disk_op op)
{
    if (op == SIM_PREAD)
        return faults->read_error;
    if (op == SIM_PWRITE || op == SIM_TRUNCATE || op == SIM_PREALLOCATE)
        return faults->write_error;
    if (is_sync(op))
        return faults->fsync_error;
    return changes_names(op) ? faults->name_error : 0;
}

void call_fail(struct call *call, int error, enum effect effect)
{
    call->error = error;
    call->effect = effect;
}

/* Which fault strikes, the strongest first. */
static void draw_fault(struct call *call)
{
    struct sim_disk *d = call->d;
    if (d->crashed) {
        call_fail(call, -EIO, EFFECT_NONE);
        return;
    }
    if (d->crash_left > 0 && --d->crash_left == 0) {
        d->crashed = true;
        enum effect effect = (enum effect)sim_random_below(&d->random, 3);
        if (effect == EFFECT_PART && call->seen.op != SIM_PWRITE)
            effect = EFFECT_NONE;
        call_fail(call, -EIO, effect);
        if (d->hooks.crashed)
            d->hooks.crashed(d->hooks.ctx);
        return;
    }
    if (call->volume->failed) {
        call_fail(call, -EIO, EFFECT_NONE);
        return;
    }
    if (d->fail.left > 0 && (d->fail.op == SIM_ANY || d->fail.op == call->seen.op) &&
        (!d->fail.part || strstr(call->seen.path, d->fail.part)) && --d->fail.left == 0) {
        call_fail(call, d->fail.error, EFFECT_PART);
        return;
    }
    if (sim_random_chance(&d->random, error_rate(&call->volume->faults, call->seen.op)))
        call_fail(call, -EIO, EFFECT_PART);
}

static void draw_latency(struct call *call)
{
    struct sim_disk *d = call->d;
    int64_t mean = is_sync(call->seen.op) ? call->volume->faults.fsync_latency_us
                                          : call->volume->faults.latency_us;
    if (mean == 0 || !d->hooks.latency)
        return;
    int64_t us = sim_random_below(&d->random, 2 * mean + 1);
    if (sim_random_chance(&d->random, 10000))
        us *= 20;
    d->hooks.latency(d->hooks.ctx, us);
}

void *disk_enter(struct sim_disk *d)
{
    pthread_mutex_lock(&d->mutex);
    return d->hooks.enter ? d->hooks.enter(d->hooks.ctx) : NULL;
}

void disk_leave(struct sim_disk *d, void *entered)
{
    if (d->hooks.leave)
        d->hooks.leave(d->hooks.ctx, entered);
    pthread_mutex_unlock(&d->mutex);
}

static void call_begin(struct call *call, struct sim_disk *d, enum sim_disk_op op,
                       struct sim_volume *volume, const char *path)
{
    void *entered = disk_enter(d);
    d->counts[op]++;
    d->counts[SIM_ANY]++;
    *call = (struct call){
        .d = d,
        .seen = {.number = d->counts[SIM_ANY], .op = op, .path = path},
        .volume = volume,
        .entered = entered,
    };
}

/* The same for a path, which it normalizes. False: the call is over with call->error. */
bool call_begin_path(struct call *call, struct sim_disk *d, enum sim_disk_op op, const char *path,
                     char normalized[PATH_MAX])
{
    call_begin(call, d, op, NULL, path);
    int rv = sim_path_normalize(path, normalized);
    if (rv != 0) {
        call->volume = d->volumes[0];
        call_fail(call, rv, EFFECT_NONE);
        return false;
    }
    call->seen.path = normalized;
    call->volume = sim_path_volume(d, normalized);
    draw_fault(call);
    return call->effect == EFFECT_ALL;
}

bool call_begin_file(struct call *call, struct sim_file *file, enum sim_disk_op op,
                     int64_t position, int64_t len)
{
    call_begin(call, CONTAINER_OF(file->base.disk, struct sim_disk, base), op, file->volume,
               file->path);
    call->seen.position = position;
    call->seen.len = len;
    if (!file->inode)
        call_fail(call, -EIO, EFFECT_NONE);
    else
        draw_fault(call);
    return call->effect == EFFECT_ALL;
}

int64_t call_end(struct call *call, int64_t result)
{
    struct sim_disk *d = call->d;
    call->seen.result = call->error != 0 ? call->error : result;
    draw_latency(call);
    if (d->crash_after && call->seen.op == SIM_RENAME && call->seen.result == 0 &&
        strstr(call->seen.path, d->crash_after))
        d->crash_left = d->crash_after_calls;
    if (d->crash_left > 0)
        d->crash_after = NULL;
    if (d->hooks.call)
        d->hooks.call(d->hooks.ctx, &call->seen);
    disk_leave(d, call->entered);
    return call->seen.result;
}
