/*
 * Logs of the log manager: opening, creating, closing, deleting, setting aside.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_internal.h"
#include "common/storage/log_manager_internal.h"

#include <errno.h>
#include <stdlib.h>

static struct map_key key_of_log(const struct log *log)
{
    return map_key_u64((uint64_t)(uintptr_t)log);
}

int log_manager_rename(struct log_manager *m, const struct managed_log *managed,
                       enum log_dir_kind kind, struct uuid unique, char **ret_name)
{
    const struct log_dir *dir = m->dirs[managed->dir];
    char name[LOG_DIR_NAME_MAX + 1];
    log_dir_name_format(name, managed->topic, managed->partition, kind, unique);
    char *from = log_dir_file(dir, managed->name), *to = log_dir_file(dir, name);
    int rv = m->disk->ops->rename(m->disk, from, to);
    /* The name must be free for good before it is used for another log. */
    if (rv == 0)
        rv = m->disk->ops->fsync_dir(m->disk, dir->path);
    free(from);
    free(to);
    if (rv == 0 && ret_name != NULL)
        *ret_name = mem_strdup(name);
    return rv;
}

/* The ids of KIP-858 that name no directory: one of the first hundred. */
static bool names_directory(struct uuid id)
{
    static const uint8_t zeros[15];
    return memcmp(id.b, zeros, sizeof(zeros)) != 0 || id.b[15] >= 100;
}

/* Whether a log that may lie anywhere is better made in `a`. */
static bool is_better(const struct log_dir *a, const struct log_dir *b)
{
    return a->cordoned != b->cordoned ? b->cordoned : a->partitions < b->partitions;
}

/* The directory that was asked for, or the one with the fewest partitions; of several the first.
 * One that is not here may be the one that is offline: the log in it is not lost yet. */
static int choose_dir(struct log_manager *m, const struct log_manager_log_args *args,
                      size_t *ret_dir)
{
    bool found = false, offline = false;
    struct uuid directory_id = args->directory_id;
    if (log_manager_preferred(m, args->topic, args->partition, ret_dir))
        return 0;
    for (size_t i = 0; i < m->dir_count; i++) {
        const struct log_dir *dir = m->dirs[i];
        offline |= dir->status != 0;
        if (dir->status != 0)
            continue;
        if (!uuid_is_zero(directory_id) && dir->has_meta &&
            uuid_eq(dir->meta.directory_id, directory_id)) {
            *ret_dir = i;
            return 0;
        }
        if (!found || is_better(dir, m->dirs[*ret_dir]))
            *ret_dir = i;
        found = true;
    }
    return found && !(offline && names_directory(directory_id)) ? 0 : -EIO;
}

bool log_manager_lies_in(const struct log_manager *m, const struct managed_log *one,
                         struct uuid directory_id)
{
    const struct log_dir *dir = m->dirs[one->dir];
    return dir->has_meta && !uuid_is_zero(directory_id) &&
           uuid_eq(dir->meta.directory_id, directory_id);
}

static void exchange(struct managed_log *managed, struct managed_log *twin)
{
    struct managed_log other = *twin;
    twin->dir = managed->dir;
    twin->position = managed->position;
    twin->topic_id = managed->topic_id;
    managed->dir = other.dir;
    managed->position = other.position;
    managed->topic_id = other.topic_id;
}

/* Of several directories the one of this topic stands in the table from now on; of several of this
 * topic the one where the metadata says that it lies. -EEXIST: it names none of them. */
static int choose_twin(const struct log_manager *m, struct managed_log *managed,
                       const struct log_manager_log_args *args)
{
    struct managed_log *of_topic = NULL, *chosen = NULL;
    int count = 0;
    for (struct managed_log *one = managed; one != NULL; one = one->twin) {
        if (!uuid_eq(one->topic_id, args->topic_id))
            continue;
        count++;
        of_topic = one;
        chosen = log_manager_lies_in(m, one, args->directory_id) ? one : chosen;
    }
    if (count == 1)
        chosen = of_topic;
    if (count > 1 && chosen == NULL)
        return -EEXIST;
    if (chosen != NULL && chosen != managed)
        exchange(managed, chosen);
    return 0;
}

/* The others go as strays; what is on a disk that is offline waits for the next start. */
static int set_aside_twins(struct log_manager *m, struct managed_log *managed, struct uuid unique)
{
    int rv = 0;
    for (const struct managed_log *twin = managed->twin; rv == 0 && twin != NULL; twin = twin->twin)
        if (log_manager_dir_status(m, twin->dir) == 0)
            rv = log_manager_rename(m, twin, LOG_DIR_STRAY, unique, NULL);
    return rv;
}

/* Finds or reserves a place in the table. */
static int claim(struct log_manager *m, const struct log_manager_log_args *args,
                 struct managed_log **ret_managed)
{
    int rv = 0;
    pthread_mutex_lock(&m->mutex);
    struct managed_log *managed;
    managed = log_manager_find(m, args->topic, args->partition);
    if (managed != NULL && managed->twin != NULL && !managed->busy)
        rv = choose_twin(m, managed, args);
    if (rv != 0) {
        /* It is for people to say which one it is. */
    } else if (managed == NULL) {
        size_t dir = 0;
        rv = choose_dir(m, args, &dir);
        if (rv == 0)
            managed = log_manager_add(m, dir, args->topic, args->partition, NULL);
    } else if (managed->busy || managed->log != NULL) {
        rv = -EBUSY; /* of a topic that was deleted and made again, or set aside as a stray */
    } else if (m->dirs[managed->dir]->status != 0) {
        rv = -EIO;
    }
    if (rv == 0) {
        managed->busy = true;
        log_manager_forget_preferred(m, args->topic, args->partition);
    }
    pthread_mutex_unlock(&m->mutex);
    *ret_managed = managed;
    return rv;
}

/* The log that takes the place of the one the checkpoints speak of begins with nothing. */
static int forget_position(struct log_manager *m, struct managed_log *managed)
{
    struct log_position none = {.start_offset = -1};
    pthread_mutex_lock(&m->mutex);
    struct log_position old = managed->position;
    managed->position = none;
    pthread_mutex_unlock(&m->mutex);
    bool known = old.recovery_point > 0 || old.high_watermark > 0 || old.start_offset > 0;
    return known ? log_manager_checkpoint_dir(m, managed->dir) : 0;
}

static int open_files(struct log_manager *m, const struct log_manager_log_args *args,
                      struct managed_log *managed, struct log **ret_log,
                      struct log_recovery *ret_recovery)
{
    const struct log_dir *dir = m->dirs[managed->dir];
    char *path = log_dir_file(dir, managed->name);
    struct log_open_args open = {
        .disk = m->disk,
        .files = args->files,
        .path = path,
        .config = args->config,
        .trust = LOG_TRUST_CLEAN,
        .create = true,
        .topic_id = args->topic_id,
        .name_is_free = true,
        .leads = args->leads,
        .leader_epoch = args->leader_epoch,
        .seed = args->seed,
        .now_ms = args->now_ms,
    };
    /* What the checkpoints said at start is of the log that was there at start. */
    if (managed->found)
        log_dir_fill(dir, managed->topic, managed->partition, &open);
    int rv = log_open(&open, ret_log, ret_recovery);
    if (rv == -ESTALE) {
        rv = log_manager_rename(m, managed, LOG_DIR_STRAY, args->unique, NULL);
        if (rv == 0)
            rv = forget_position(m, managed);
        open.recovery_point = open.high_watermark = open.log_start_offset = 0;
        open.cleaned_offset = 0;
        open.trust = LOG_TRUST_CLEAN;
        if (rv == 0)
            rv = log_open(&open, ret_log, ret_recovery);
        if (rv == 0 && ret_recovery != NULL)
            ret_recovery->set_aside = true;
    }
    free(path);
    return rv;
}

bool log_manager_disk_failed(int rv)
{
    return rv != -ENOSPC && rv != -EDQUOT && rv != -EMFILE && rv != -ENFILE && rv != -ENOMEM &&
           rv != -EUCLEAN && rv != -EBADMSG;
}

int log_manager_open_claimed(struct log_manager *m, const struct log_manager_log_args *args,
                             struct managed_log *managed, struct log **ret_log,
                             struct log_recovery *ret_recovery)
{
    struct log *log = NULL;
    int64_t claimed_point = managed->position.recovery_point;
    int rv = set_aside_twins(m, managed, args->unique);
    if (rv == 0 && !managed->found)
        rv = log_manager_clear_lines(m, managed);
    if (rv == 0)
        rv = open_files(m, args, managed, &log, ret_recovery);
    pthread_mutex_lock(&m->mutex);
    managed->busy = false;
    log_manager_forget_twins(m, managed);
    size_t dir = managed->dir;
    if (rv == 0) {
        managed->found = false;
        managed->finished_end = -1;
        managed->log = log;
        map_put(&m->by_log, key_of_log(log), managed);
    } else if (log_manager_disk_failed(rv)) {
        if (m->dirs[dir]->status == 0)
            m->dirs[dir]->status = rv;
    } else if (!managed->found) {
        log_manager_forget(m, managed);
    }
    pthread_mutex_unlock(&m->mutex);
    if (rv != 0 && log_manager_disk_failed(rv))
        log_dir_distrust(m->disk, m->dirs[dir]->path);
    if (rv != 0)
        return rv;
    /* Synced data is gone: what takes its place must not be believed after the next power cut. */
    if (log_recovery_point(log) < claimed_point)
        rv = log_manager_checkpoint(m);
    if (rv == 0) {
        *ret_log = log;
        return 0;
    }
    log_detach(log); /* it has opened nothing yet */
    (void)log_manager_close_log(m, log, false);
    return rv;
}

int log_manager_open_log(struct log_manager *m, const struct log_manager_log_args *args,
                         struct log **ret_log, struct log_recovery *ret_recovery)
{
    struct managed_log *managed;
    int rv = log_manager_take_abandoned(m, args);
    if (rv == 0)
        rv = claim(m, args, &managed);
    return rv == 0 ? log_manager_open_claimed(m, args, managed, ret_log, ret_recovery) : rv;
}

static struct log_position position_of(const struct log *log)
{
    return (struct log_position){
        .recovery_point =
            atomic_load_explicit(&log->published.recovery_point, memory_order_relaxed),
        .high_watermark =
            atomic_load_explicit(&log->published.high_watermark, memory_order_relaxed),
        .start_offset = atomic_load_explicit(&log->published.start_offset, memory_order_relaxed),
    };
}

struct managed_log *log_manager_give_back(struct log_manager *m, struct log *log, bool finished)
{
    CHECK(log->place.files == &log->own_files);
    pthread_mutex_lock(&m->mutex);
    struct managed_log *managed = map_remove(&m->by_log, key_of_log(log));
    CHECK(managed != NULL && managed->log == log);
    managed->position = position_of(log);
    managed->log = NULL;
    managed->busy = true;
    managed->unclean = !finished;
    managed->finished_end = finished ? log_end_offset(log) : -1;
    pthread_mutex_unlock(&m->mutex);
    return managed;
}

int log_manager_close_log(struct log_manager *m, struct log *log, bool clean)
{
    int rv = clean ? log_finish_unsynced(log) : 0;
    struct managed_log *managed = log_manager_give_back(m, log, clean && rv == 0);
    (void)log_close(log, false);
    if (rv != 0 && log_manager_disk_failed(rv))
        log_manager_fail_dir(m, managed->dir, rv);
    pthread_mutex_lock(&m->mutex);
    managed->busy = false;
    pthread_mutex_unlock(&m->mutex);
    return rv;
}

int log_manager_delete_log(struct log_manager *m, struct log *log, struct uuid unique,
                           int64_t now_ms)
{
    int64_t delay_ms = log_get_config(log)->file_delete_delay_ms;
    char *name;
    struct managed_log *managed = log_manager_give_back(m, log, false);
    (void)log_close(log, false);
    int rv = log_manager_rename(m, managed, LOG_DIR_DELETE, unique, &name);
    pthread_mutex_lock(&m->mutex);
    if (rv == 0) {
        log_manager_doom(m, managed->dir, name, now_ms, delay_ms);
        free(name);
        log_manager_forget(m, managed);
    } else {
        managed->busy = false;
        if (m->dirs[managed->dir]->status == 0)
            m->dirs[managed->dir]->status = rv;
    }
    pthread_mutex_unlock(&m->mutex);
    return rv;
}

int64_t log_manager_purge_due_at_ms(struct log_manager *m)
{
    int64_t due_ms = INT64_MAX;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->doomed_count; i++)
        if (m->dirs[m->doomed[i].dir]->status == 0)
            due_ms = MIN(due_ms, m->doomed[i].due_ms);
    pthread_mutex_unlock(&m->mutex);
    return due_ms;
}

static bool take_doomed(struct log_manager *m, int64_t now_ms, struct doomed_dir *ret_doomed)
{
    bool found = false;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->doomed_count && !found; i++) {
        if (m->doomed[i].due_ms > now_ms + m->doomed[i].delay_ms)
            m->doomed[i].due_ms = now_ms + m->doomed[i].delay_ms; /* the clock was set back */
        if (m->doomed[i].due_ms > now_ms || m->dirs[m->doomed[i].dir]->status != 0)
            continue;
        *ret_doomed = m->doomed[i];
        m->doomed[i] = m->doomed[--m->doomed_count];
        found = true;
    }
    pthread_mutex_unlock(&m->mutex);
    return found;
}

int log_manager_purge(struct log_manager *m, int64_t now_ms)
{
    struct doomed_dir doomed;
    int failed = 0;
    while (take_doomed(m, now_ms, &doomed)) {
        int rv = disk_remove_tree(m->disk, doomed.path);
        free(doomed.path);
        if (rv != 0) {
            log_manager_fail_dir(m, doomed.dir, rv);
            failed = rv;
        }
    }
    return failed;
}

/* The next one to set aside; it is marked as busy, so that nobody opens it meanwhile. */
static struct managed_log *next_stray(struct log_manager *m,
                                      bool (*known)(void *, struct str, int32_t), void *ctx)
{
    struct managed_log *stray = NULL;
    pthread_mutex_lock(&m->mutex);
    for (int t = 0; t < 2 && stray == NULL; t++)
        MAP_FOR_EACH (entry, log_manager_table(m, t)) {
            struct managed_log *managed = entry->value;
            if (managed->found && !managed->busy && m->dirs[managed->dir]->status == 0 &&
                !known(ctx, managed->topic, managed->partition)) {
                managed->busy = true;
                stray = managed;
                break;
            }
        }
    pthread_mutex_unlock(&m->mutex);
    return stray;
}

int log_manager_set_aside_strays(struct log_manager *m,
                                 bool (*known)(void *ctx, struct str topic, int32_t partition),
                                 struct uuid unique,
                                 void (*renamed)(void *ctx, const char *from, const char *to),
                                 void *ctx)
{
    struct managed_log *stray;
    int failed = 0;
    while ((stray = next_stray(m, known, ctx)) != NULL) {
        char *name;
        int rv = log_manager_rename(m, stray, LOG_DIR_STRAY, unique, &name);
        if (rv == 0) {
            if (renamed != NULL)
                renamed(ctx, stray->name, name);
            free(name);
        } else {
            log_manager_fail_dir(m, stray->dir, rv);
            failed = rv;
        }
        pthread_mutex_lock(&m->mutex);
        stray->busy = false;
        if (rv == 0)
            log_manager_forget(m, stray);
        pthread_mutex_unlock(&m->mutex);
    }
    return failed;
}

struct checkpoints {
    struct checkpoint_writer recovery_point, replication, log_start;
};

static void add_position(struct checkpoints *c, const struct managed_log *managed)
{
    struct log_position position =
        managed->log != NULL ? position_of(managed->log) : managed->position;
    checkpoint_writer_add(&c->recovery_point, managed->topic, managed->partition,
                          position.recovery_point);
    checkpoint_writer_add(&c->replication, managed->topic, managed->partition,
                          position.high_watermark);
    if (position.start_offset >= 0)
        checkpoint_writer_add(&c->log_start, managed->topic, managed->partition,
                              position.start_offset);
}

static int save_changed(const struct log_dir *dir, const struct checkpoint_writer *writer,
                        const char *name, uint64_t *written)
{
    uint64_t hash = hash_bytes(writer->body.data, writer->body.len) ^ (uint64_t)writer->count ^ 1;
    if (hash == *written)
        return 0;
    char *path = log_dir_file(dir, name);
    int rv = checkpoint_writer_save(writer, dir->disk, path, true);
    free(path);
    if (rv == 0)
        *written = hash;
    return rv;
}

static int write_checkpoints(struct log_manager *m, size_t at)
{
    struct checkpoints c;
    checkpoint_writer_init(&c.recovery_point);
    checkpoint_writer_init(&c.replication);
    checkpoint_writer_init(&c.log_start);
    pthread_mutex_lock(&m->mutex);
    for (int t = 0; t < 2; t++)
        MAP_FOR_EACH (entry, log_manager_table(m, t)) {
            const struct managed_log *managed = entry->value;
            if (managed->dir == at)
                add_position(&c, managed);
        }
    struct map stale = log_manager_take_stale(m, at);
    pthread_mutex_unlock(&m->mutex);
    struct written *written = &m->written[at];
    int rv = save_changed(m->dirs[at], &c.recovery_point, CHECKPOINT_RECOVERY_POINT,
                          &written->recovery_point);
    if (rv == 0)
        rv = save_changed(m->dirs[at], &c.replication, CHECKPOINT_REPLICATION,
                          &written->replication);
    if (rv == 0)
        rv = save_changed(m->dirs[at], &c.log_start, CHECKPOINT_LOG_START, &written->log_start);
    if (rv != 0) {
        pthread_mutex_lock(&m->mutex);
        log_manager_put_back_stale(m, at, &stale);
        pthread_mutex_unlock(&m->mutex);
    }
    map_release(&stale);
    checkpoint_writer_release(&c.recovery_point);
    checkpoint_writer_release(&c.replication);
    checkpoint_writer_release(&c.log_start);
    return rv;
}

int log_manager_checkpoint_dir(struct log_manager *m, size_t at)
{
    pthread_mutex_lock(&m->checkpoint_mutex);
    int rv = write_checkpoints(m, at);
    pthread_mutex_unlock(&m->checkpoint_mutex);
    return rv;
}

int log_manager_checkpoint(struct log_manager *m)
{
    int failed = 0;
    pthread_mutex_lock(&m->checkpoint_mutex);
    for (size_t i = 0; i < m->dir_count; i++) {
        if (log_manager_dir_status(m, i) != 0)
            continue;
        int rv = write_checkpoints(m, i);
        if (rv != 0) {
            /* Without room the older ones serve. */
            if (log_manager_disk_failed(rv))
                log_manager_fail_dir(m, i, rv);
            failed = rv;
        }
    }
    pthread_mutex_unlock(&m->checkpoint_mutex);
    return failed;
}

static bool all_clean(struct log_manager *m, size_t dir)
{
    bool clean = true;
    pthread_mutex_lock(&m->mutex);
    for (int t = 0; t < 2; t++)
        MAP_FOR_EACH (entry, log_manager_table(m, t)) {
            const struct managed_log *managed = entry->value;
            CHECK(managed->log == NULL && !managed->busy);
            /* One that nobody opened is as clean as it was found. */
            bool as_found = managed->found && m->dirs[dir]->trust == LOG_TRUST_CLEAN;
            clean &= managed->dir != dir || (managed->found ? as_found : !managed->unclean);
        }
    pthread_mutex_unlock(&m->mutex);
    return clean;
}

/* What was closed in order is durable now. */
static void believe_finished(struct log_manager *m, size_t dir)
{
    pthread_mutex_lock(&m->mutex);
    for (int t = 0; t < 2; t++)
        MAP_FOR_EACH (entry, log_manager_table(m, t)) {
            struct managed_log *managed = entry->value;
            if (managed->dir == dir && managed->finished_end >= 0)
                managed->position.recovery_point = managed->finished_end;
        }
    pthread_mutex_unlock(&m->mutex);
}

int log_manager_stop(struct log_manager *m, int64_t broker_epoch)
{
    int failed = 0;
    for (size_t i = 0; i < m->dir_count; i++) {
        if (log_manager_dir_status(m, i) != 0)
            continue;
        int rv = m->disk->ops->sync_all(m->dirs[i]->lock);
        if (rv == 0) {
            believe_finished(m, i);
        } else {
            log_dir_distrust(m->disk, m->dirs[i]->path);
            log_manager_fail_dir(m, i, rv);
            failed = rv;
        }
    }
    int rv = log_manager_checkpoint(m);
    failed = rv != 0 ? rv : failed;
    for (size_t i = 0; i < m->dir_count; i++) {
        if (log_manager_dir_status(m, i) != 0 || !all_clean(m, i))
            continue;
        rv = log_dir_stopped(m->dirs[i], broker_epoch);
        failed = rv != 0 ? rv : failed;
    }
    return failed;
}
