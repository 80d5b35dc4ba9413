#include "common/storage/log_manager_moves.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/base/mutation.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_internal.h"
#include "common/storage/log_manager_internal.h"
#include "common/storage/log_truncate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PREFERRED_MAX = 10000, FUTURE_SUFFIX_LEN = 1 + 32 + 7 };

int log_manager_find_dir(const struct log_manager *m, struct str path)
{
    for (size_t i = 0; i < m->dir_count; i++)
        if (str_eq_z(path, m->dirs[i]->path))
            return (int)i;
    return -1;
}

bool log_manager_name_too_long(struct str topic, int32_t partition)
{
    char number[16];
    int digits = snprintf(number, sizeof(number), "-%d", partition);
    return topic.len + digits + FUTURE_SUFFIX_LEN > LOG_DIR_NAME_MAX;
}

/* --- directories that were asked for before there was a log -------------------------------- */

void log_manager_forget_preferred(struct log_manager *m, struct str topic, int32_t partition)
{
    free(map_remove(&m->preferred, map_key_str_int(topic, partition)));
}

void log_manager_prefer(struct log_manager *m, struct str topic, int32_t partition, size_t dir)
{
    struct preferred_dir *preferred = mem_calloc(1, sizeof(*preferred) + (size_t)topic.len + 1);
    preferred->dir = dir;
    memcpy(preferred->topic, topic.data, (size_t)topic.len);
    pthread_mutex_lock(&m->mutex);
    log_manager_forget_preferred(m, topic, partition);
    if (m->preferred.count >= PREFERRED_MAX) {
        MAP_FOR_EACH (entry, &m->preferred) {
            struct map_key key = entry->key;
            free(map_remove(&m->preferred, key));
            break;
        }
    }
    struct str name = str_from(preferred->topic, (size_t)topic.len);
    map_put(&m->preferred, map_key_str_int(name, partition), preferred);
    pthread_mutex_unlock(&m->mutex);
}

bool log_manager_preferred(struct log_manager *m, struct str topic, int32_t partition,
                           size_t *ret_dir)
{
    const struct preferred_dir *preferred =
        map_get(&m->preferred, map_key_str_int(topic, partition));
    if (preferred == NULL || m->dirs[preferred->dir]->status != 0)
        return false;
    *ret_dir = preferred->dir;
    return true;
}

/* --- future logs --------------------------------------------------------------------------- */

static struct managed_log *find_future(struct log_manager *m, struct str topic, int32_t partition)
{
    return map_get(&m->futures, map_key_str_int(topic, partition));
}

int log_manager_future(struct log_manager *m, struct str topic, int32_t partition)
{
    pthread_mutex_lock(&m->mutex);
    const struct managed_log *managed = find_future(m, topic, partition);
    bool found =
        managed != NULL && managed->found && !managed->busy && m->dirs[managed->dir]->status == 0;
    int dir = found ? (int)managed->dir : -1;
    pthread_mutex_unlock(&m->mutex);
    return dir;
}

/* Finds or reserves a place in the table. */
static int claim(struct log_manager *m, const struct log_manager_log_args *args, size_t dir,
                 struct managed_log **ret_managed)
{
    int rv = 0;
    pthread_mutex_lock(&m->mutex);
    struct managed_log *managed = find_future(m, args->topic, args->partition);
    if (m->dirs[dir]->status != 0) {
        rv = -EIO;
    } else if (managed == NULL) {
        char name[LOG_DIR_NAME_MAX + 1];
        log_dir_name_format(name, args->topic, args->partition, LOG_DIR_FUTURE, args->unique);
        managed = log_manager_add(m, dir, args->topic, args->partition, name);
    } else if (managed->busy || managed->log != NULL || managed->dir != dir) {
        rv = -EBUSY;
    }
    if (rv == 0)
        managed->busy = true;
    pthread_mutex_unlock(&m->mutex);
    *ret_managed = managed;
    return rv;
}

int log_manager_open_future(struct log_manager *m, const struct log_manager_log_args *args,
                            size_t dir, struct log **ret_log)
{
    struct managed_log *managed;
    CHECK(dir < m->dir_count && !args->leads);
    int rv = claim(m, args, dir, &managed);
    return rv == 0 ? log_manager_open_claimed(m, args, managed, ret_log, NULL) : rv;
}

static int rename_live(struct log_manager *m, const struct managed_log *managed, char **ret_path)
{
    const struct log_dir *dir = m->dirs[managed->dir];
    char name[LOG_DIR_NAME_MAX + 1];
    log_dir_name_format(name, managed->topic, managed->partition, LOG_DIR_LIVE, UUID_ZERO);
    char *from = log_dir_file(dir, managed->name), *to = log_dir_file(dir, name);
    int rv = m->disk->ops->rename(m->disk, from, to);
    bool renamed = rv == 0;
    if (renamed)
        rv = m->disk->ops->fsync_dir(m->disk, dir->path);
    /* The old log goes on: a start must not find this one in its place. */
    if (renamed && rv != 0)
        (void)m->disk->ops->rename(m->disk, to, from);
    free(from);
    if (rv == 0)
        *ret_path = to;
    else
        free(to);
    return rv;
}

int log_manager_take_abandoned(struct log_manager *m, const struct log_manager_log_args *args)
{
    pthread_mutex_lock(&m->mutex);
    struct managed_log *managed = find_future(m, args->topic, args->partition);
    if (log_manager_find(m, args->topic, args->partition) != NULL || managed == NULL ||
        !managed->found || managed->busy || managed->twin != NULL ||
        m->dirs[managed->dir]->status != 0 ||
        !log_manager_lies_in(m, managed, args->directory_id)) {
        pthread_mutex_unlock(&m->mutex);
        return 0;
    }
    managed->busy = true;
    pthread_mutex_unlock(&m->mutex);
    struct uuid id = log_manager_topic_id_in(m, managed->dir, managed->name);
    char *path = NULL;
    int rv = uuid_eq(id, args->topic_id) ? rename_live(m, managed, &path) : 0;
    pthread_mutex_lock(&m->mutex);
    managed->busy = false;
    if (path != NULL)
        log_manager_promote(m, managed);
    pthread_mutex_unlock(&m->mutex);
    if (rv != 0)
        log_manager_fail_dir(m, managed->dir, rv);
    free(path);
    return rv;
}

/* Without room the older checkpoint serves. */
static int checkpoint_if_room(struct log_manager *m, size_t dir)
{
    int rv = log_manager_checkpoint_dir(m, dir);
    return rv == 0 || log_manager_disk_failed(rv) ? rv : 0;
}

static int sync_copy(struct log_manager *m, struct log *future, int64_t now_ms)
{
    if (!MUTATED(m->disk, COPY_NOT_SYNCED))
        return log_flush_now(future, true, now_ms);
    struct log_flush *flush = log_flush_begin(future, true, now_ms);
    return flush != NULL ? log_flush_end(future, flush) : 0;
}

static int make_live(struct log_manager *m, struct managed_log *managed, struct log *future,
                     int64_t now_ms)
{
    char *path;
    int rv = log_snapshot_retake(future);
    if (rv == 0)
        rv = sync_copy(m, future, now_ms);
    if (rv != 0)
        log_dir_distrust(m->disk, m->dirs[managed->dir]->path);
    /* The recovery point comes first: a start that meets the log in its new place after a power cut
     * believes that snapshot, which alone knows the producers of batches that were deleted, only
     * below it; and looks through all of the log where there is none. */
    if (rv == 0)
        rv = checkpoint_if_room(m, managed->dir);
    if (rv == 0)
        rv = rename_live(m, managed, &path);
    if (rv != 0) {
        log_manager_fail_dir(m, managed->dir, rv);
        return rv;
    }
    log_moved(future, path);
    free(path);
    return 0;
}

static void doom_old(struct log_manager *m, struct managed_log *old, struct uuid unique,
                     int64_t now_ms, int64_t delay_ms)
{
    char *name;
    int rv = log_manager_rename(m, old, LOG_DIR_DELETE, unique, &name);
    if (rv != 0)
        log_manager_fail_dir(m, old->dir, rv);
    pthread_mutex_lock(&m->mutex);
    if (rv == 0) {
        log_manager_doom(m, old->dir, name, now_ms, delay_ms);
        free(name);
    }
    log_manager_release(m, old);
    pthread_mutex_unlock(&m->mutex);
}

int log_manager_replace(struct log_manager *m, struct log *log, struct log *future,
                        struct uuid unique, int64_t now_ms)
{
    int64_t delay_ms = log_get_config(log)->file_delete_delay_ms;
    CHECK(log->place.files == &log->own_files && future->place.files == &future->own_files);
    CHECK(log_end_offset(future) == log_end_offset(log));
    pthread_mutex_lock(&m->mutex);
    struct managed_log *managed = map_get(&m->by_log, map_key_u64((uint64_t)(uintptr_t)future));
    CHECK(managed != NULL && managed->is_future);
    pthread_mutex_unlock(&m->mutex);
    /* Of batches that were deleted the copy knows nothing; their producers may send them again. */
    log_exchange_producers(future, log);
    int rv = make_live(m, managed, future, now_ms);
    if (rv != 0) {
        log_exchange_producers(future, log);
        return rv;
    }
    struct managed_log *old = log_manager_give_back(m, log, false);
    pthread_mutex_lock(&m->mutex);
    map_remove(&m->logs, map_key_str_int(old->topic, old->partition));
    log_manager_promote(m, managed);
    pthread_mutex_unlock(&m->mutex);
    (void)log_close(log, false);
    doom_old(m, old, unique, now_ms, delay_ms);
    return 0;
}
