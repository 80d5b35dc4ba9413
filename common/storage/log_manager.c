#include "common/storage/log_manager.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_internal.h"
#include "common/storage/log_manager_internal.h"
#include "common/storage/small_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct map_key key_of(struct str topic, int32_t partition)
{
    return map_key_str_int(topic, partition);
}

static struct map_key key_of_log(const struct log *log)
{
    return map_key_u64((uint64_t)(uintptr_t)log);
}

struct managed_log *log_manager_find(struct log_manager *m, struct str topic, int32_t partition)
{
    return map_get(&m->logs, key_of(topic, partition));
}

static struct managed_log *managed_new(struct log_manager *m, size_t dir, struct str topic,
                                       int32_t partition, const char *name)
{
    char live[LOG_DIR_NAME_MAX + 1];
    log_dir_name_format(live, topic, partition, LOG_DIR_LIVE, UUID_ZERO);
    struct managed_log *managed = mem_calloc(1, sizeof(*managed));
    struct log_dir_name parsed;
    managed->is_future =
        name != NULL && log_dir_name_parse(name, &parsed) && parsed.kind == LOG_DIR_FUTURE;
    managed->name = mem_strdup(managed->is_future ? name : live);
    managed->topic = str_from(managed->name, (size_t)topic.len);
    managed->partition = partition;
    managed->dir = dir;
    managed->position.start_offset = -1;
    managed->finished_end = -1;
    m->dirs[dir]->partitions++;
    return managed;
}

static struct map *table_of(struct log_manager *m, const struct managed_log *managed)
{
    return log_manager_table(m, managed->is_future);
}

struct managed_log *log_manager_add(struct log_manager *m, size_t dir, struct str topic,
                                    int32_t partition, const char *name)
{
    struct managed_log *managed = managed_new(m, dir, topic, partition, name);
    map_put(table_of(m, managed), key_of(managed->topic, partition), managed);
    return managed;
}

void log_manager_promote(struct log_manager *m, struct managed_log *managed)
{
    char name[LOG_DIR_NAME_MAX + 1];
    CHECK(managed->is_future && managed->twin == NULL);
    map_remove(&m->futures, key_of(managed->topic, managed->partition));
    log_dir_name_format(name, managed->topic, managed->partition, LOG_DIR_LIVE, UUID_ZERO);
    free(managed->name);
    managed->name = mem_strdup(name);
    managed->topic = str_from(managed->name, (size_t)managed->topic.len);
    managed->is_future = false;
    map_put(&m->logs, key_of(managed->topic, managed->partition), managed);
}

void log_manager_add_twin(struct log_manager *m, struct managed_log *managed, size_t dir,
                          const char *name)
{
    struct managed_log *twin = managed_new(m, dir, managed->topic, managed->partition, name);
    twin->twin = managed->twin;
    managed->twin = twin;
}

static void note_stale(struct log_manager *m, size_t dir, struct str topic, int32_t partition)
{
    if (m->stale != NULL)
        map_put(&m->stale[dir], key_of(topic, partition), m);
}

struct map log_manager_take_stale(struct log_manager *m, size_t at)
{
    struct map stale = m->stale[at];
    map_init(&m->stale[at], MAP_STR);
    return stale;
}

void log_manager_put_back_stale(struct log_manager *m, size_t at, const struct map *stale)
{
    MAP_FOR_EACH (entry, stale)
        note_stale(m, at, entry->key.str, entry->key.number);
}

int log_manager_clear_lines(struct log_manager *m, const struct managed_log *managed)
{
    pthread_mutex_lock(&m->mutex);
    bool stale =
        map_get(&m->stale[managed->dir], key_of(managed->topic, managed->partition)) != NULL;
    pthread_mutex_unlock(&m->mutex);
    return stale ? log_manager_checkpoint_dir(m, managed->dir) : 0;
}

void log_manager_release(struct log_manager *m, struct managed_log *managed)
{
    note_stale(m, managed->dir, managed->topic, managed->partition);
    m->dirs[managed->dir]->partitions--;
    free(managed->name);
    free(managed);
}

void log_manager_forget(struct log_manager *m, struct managed_log *managed)
{
    map_remove(table_of(m, managed), key_of(managed->topic, managed->partition));
    log_manager_forget_twins(m, managed);
    log_manager_release(m, managed);
}

void log_manager_forget_twins(struct log_manager *m, struct managed_log *managed)
{
    while (managed->twin != NULL) {
        struct managed_log *twin = managed->twin;
        managed->twin = twin->twin;
        log_manager_release(m, twin);
    }
}

void log_manager_doom(struct log_manager *m, size_t dir, const char *name, int64_t now_ms,
                      int64_t delay_ms)
{
    delay_ms = MIN(delay_ms, INT64_MAX / 4);
    VEC_PUSH(m->doomed, m->doomed_count, m->doomed_capacity) =
        (struct doomed_dir){log_dir_file(m->dirs[dir], name), dir, now_ms + delay_ms, delay_ms};
}

static int explain(char *error, int rv, const struct log_dir *dir)
{
    const char *why =
        rv == -EAGAIN ? "is in use by another process (its .lock is held); stop that one, or give "
                        "this one other log.dirs"
        : rv == -ENOTSUP ? "is of a cluster that ran with ZooKeeper (meta.properties version 0); "
                           "migrate it to KRaft with Apache Kafka 3.9 first. Nothing was changed"
                         : "has a meta.properties that cannot be understood; restore it from a "
                           "backup, or move the directory away";
    snprintf(error, LOG_MANAGER_ERROR_LEN, "Log directory %s %s", dir->path, why);
    return rv;
}

/* All directories are of one node of one cluster. */
static int check_meta(const struct log_manager *m, char *error)
{
    const struct log_dir *first = NULL;
    for (size_t i = 0; i < m->dir_count; i++) {
        const struct log_dir *dir = m->dirs[i];
        if (!dir->has_meta)
            continue;
        if (first == NULL)
            first = dir;
        const char *what = strcmp(dir->meta.cluster_id, first->meta.cluster_id) != 0 ? "clusters"
                           : dir->meta.node_id != first->meta.node_id                ? "nodes"
                                                                                     : NULL;
        if (what == NULL)
            continue;
        snprintf(error, LOG_MANAGER_ERROR_LEN,
                 "Log directories belong to different %s: %s (cluster.id %s, node.id %d) and %s "
                 "(cluster.id %s, node.id %d)",
                 what, first->path, first->meta.cluster_id, first->meta.node_id, dir->path,
                 dir->meta.cluster_id, dir->meta.node_id);
        return -EBADMSG;
    }
    return 0;
}

struct uuid log_manager_topic_id_in(const struct log_manager *m, size_t dir, const char *name)
{
    struct uuid id = UUID_ZERO;
    char *directory = log_dir_file(m->dirs[dir], name);
    char *path = mem_printf("%s/%s", directory, FILE_PARTITION_METADATA);
    if (partition_metadata_read(m->disk, path, &id) != 0)
        id = UUID_ZERO;
    free(path);
    free(directory);
    return id;
}

static void fill_found(struct log_manager *m, struct managed_log *managed)
{
    struct log_open_args args = {0};
    managed->found = true;
    log_dir_fill(m->dirs[managed->dir], managed->topic, managed->partition, &args);
    managed->position = (struct log_position){
        .recovery_point = args.recovery_point,
        .high_watermark = args.high_watermark,
        .start_offset = args.log_start_offset > 0 ? args.log_start_offset : -1,
    };
}

struct look {
    struct disk *disk;
    const char *directory;
    bool has_records;
};

static int note_size(void *ctx, const char *name)
{
    struct look *look = ctx;
    struct disk_stat st;
    if (log_file_parse(name).kind != LOG_FILE_LOG)
        return 0;
    char *path = mem_printf("%s/%s", look->directory, name);
    int rv = look->disk->ops->stat(look->disk, path, &st);
    look->has_records |= rv != 0 || st.size_bytes > 0;
    free(path);
    return 0;
}

static bool has_records(const struct log_manager *m, size_t dir, const char *name)
{
    char *directory = log_dir_file(m->dirs[dir], name);
    struct look look = {m->disk, directory, false};
    int rv = m->disk->ops->list(m->disk, directory, note_size, &look);
    free(directory);
    return rv != 0 || look.has_records;
}

/* An empty one of the same topic is not the one: there was no room to make it, or a power cut
 * brought it back. */
static void add_second(struct log_manager *m, struct managed_log *managed, size_t at,
                       const char *name)
{
    struct uuid id = log_manager_topic_id_in(m, at, name);
    if (managed->twin == NULL)
        managed->topic_id = log_manager_topic_id_in(m, managed->dir, managed->name);
    for (struct managed_log *one = managed; one != NULL; one = one->twin) {
        if (uuid_is_zero(id) || !uuid_eq(one->topic_id, id))
            continue;
        if (!has_records(m, at, name))
            id = UUID_ZERO;
        else if (!has_records(m, one->dir, one->name))
            one->topic_id = UUID_ZERO;
    }
    log_manager_add_twin(m, managed, at, name);
    managed->twin->topic_id = id;
    fill_found(m, managed->twin);
}

static void add_found(struct log_manager *m, size_t at)
{
    struct log_dir *dir = m->dirs[at];
    for (size_t i = 0; i < dir->name_count; i++) {
        struct log_dir_name name;
        CHECK(log_dir_name_parse(dir->names[i], &name));
        if (name.kind == LOG_DIR_DELETE)
            log_manager_doom(m, at, dir->names[i], 0, 0);
        if (name.kind != LOG_DIR_LIVE && name.kind != LOG_DIR_FUTURE)
            continue;
        struct managed_log *managed = map_get(log_manager_table(m, name.kind == LOG_DIR_FUTURE),
                                              key_of(name.topic, name.partition));
        if (managed != NULL)
            add_second(m, managed, at, dir->names[i]);
        else
            fill_found(m, log_manager_add(m, at, name.topic, name.partition, dir->names[i]));
    }
}

/* Lines of logs that are not there: of topics that were deleted while the files were not written.
 */
static void add_stale(struct log_manager *m, size_t at)
{
    const struct log_dir *dir = m->dirs[at];
    const struct offset_checkpoint *all[] = {&dir->recovery_points, &dir->high_watermarks,
                                             &dir->start_offsets};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        MAP_FOR_EACH (entry, &all[i]->offsets) {
            bool found = false;
            for (int t = 0; t < 2; t++)
                for (const struct managed_log *one = map_get(log_manager_table(m, t), entry->key);
                     one != NULL; one = one->twin)
                    found |= one->dir == at;
            if (!found)
                note_stale(m, at, entry->key.str, entry->key.number);
        }
}

static int open_dirs(struct log_manager *m, const char *const *paths, char *error)
{
    int rv = 0, failed = 0;
    size_t online = 0;
    for (size_t i = 0; i < m->dir_count; i++) {
        rv = log_dir_open(m->disk, paths[i], &m->dirs[i]);
        if (rv == -EAGAIN || rv == -ENOTSUP || rv == -EBADMSG)
            return explain(error, rv, m->dirs[i]);
        failed = rv != 0 ? rv : failed;
        online += rv == 0;
    }
    if (online == 0) {
        snprintf(error, LOG_MANAGER_ERROR_LEN, "None of log.dirs can be used; %s: %s", paths[0],
                 strerror(-m->dirs[0]->status));
        return failed;
    }
    rv = check_meta(m, error);
    for (size_t i = 0; rv == 0 && i < m->dir_count; i++)
        add_found(m, i);
    for (size_t i = 0; rv == 0 && i < m->dir_count; i++)
        add_stale(m, i);
    return rv;
}

int log_manager_open(struct disk *disk, const char *const *paths, size_t count,
                     struct log_manager **ret_manager, char error[LOG_MANAGER_ERROR_LEN])
{
    CHECK(count > 0);
    struct log_manager *m = mem_calloc(1, sizeof(*m));
    m->disk = disk;
    pthread_mutex_init(&m->mutex, NULL);
    pthread_mutex_init(&m->checkpoint_mutex, NULL);
    m->dirs = mem_calloc(count, sizeof(*m->dirs));
    m->dir_count = count;
    m->written = mem_calloc(count, sizeof(*m->written));
    m->stale = mem_calloc(count, sizeof(*m->stale));
    for (size_t i = 0; i < count; i++)
        map_init(&m->stale[i], MAP_STR);
    map_init(&m->logs, MAP_STR_BORROWED);
    map_init(&m->futures, MAP_STR_BORROWED);
    map_init(&m->preferred, MAP_STR_BORROWED);
    map_init(&m->by_log, MAP_U64);
    int rv = open_dirs(m, paths, error);
    if (rv != 0)
        log_manager_free(m);
    else
        *ret_manager = m;
    return rv;
}

void log_manager_free(struct log_manager *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->dir_count; i++)
        map_release(&m->stale[i]);
    free(m->stale);
    m->stale = NULL;
    for (int t = 0; t < 2; t++)
        MAP_FOR_EACH (entry, log_manager_table(m, t))
            log_manager_forget(m, entry->value);
    MAP_FOR_EACH (entry, &m->preferred)
        free(entry->value);
    for (size_t i = 0; i < m->dir_count; i++)
        log_dir_close(m->dirs[i]);
    for (size_t i = 0; i < m->doomed_count; i++)
        free(m->doomed[i].path);
    free(m->doomed);
    map_release(&m->logs);
    map_release(&m->futures);
    map_release(&m->preferred);
    map_release(&m->by_log);
    pthread_mutex_destroy(&m->mutex);
    pthread_mutex_destroy(&m->checkpoint_mutex);
    free(m->written);
    free(m->dirs);
    free(m);
}

size_t log_manager_dir_count(const struct log_manager *m)
{
    return m->dir_count;
}

const struct log_dir *log_manager_dir(const struct log_manager *m, size_t at)
{
    CHECK(at < m->dir_count);
    return m->dirs[at];
}

int log_manager_dir_status(struct log_manager *m, size_t at)
{
    CHECK(at < m->dir_count);
    pthread_mutex_lock(&m->mutex);
    int status = m->dirs[at]->status;
    pthread_mutex_unlock(&m->mutex);
    return status;
}

void log_manager_cordon(struct log_manager *m, size_t at, bool cordoned)
{
    CHECK(at < m->dir_count);
    pthread_mutex_lock(&m->mutex);
    m->dirs[at]->cordoned = cordoned;
    pthread_mutex_unlock(&m->mutex);
}

bool log_manager_dir_cordoned(struct log_manager *m, size_t at)
{
    CHECK(at < m->dir_count);
    pthread_mutex_lock(&m->mutex);
    bool cordoned = m->dirs[at]->cordoned;
    pthread_mutex_unlock(&m->mutex);
    return cordoned;
}

void log_manager_fail_dir(struct log_manager *m, size_t at, int status)
{
    CHECK(at < m->dir_count && status < 0);
    pthread_mutex_lock(&m->mutex);
    if (m->dirs[at]->status == 0)
        m->dirs[at]->status = status;
    pthread_mutex_unlock(&m->mutex);
}

bool log_manager_is_blank(const struct log_manager *m)
{
    for (size_t i = 0; i < m->dir_count; i++) {
        const struct log_dir *dir = m->dirs[i];
        if (dir->status != 0 || dir->has_meta || dir->has_metadata_log || dir->name_count > 0)
            return false;
    }
    return true;
}

int log_manager_begin(struct log_manager *m)
{
    int failed = 0;
    for (size_t i = 0; i < m->dir_count; i++) {
        int rv = log_manager_dir_status(m, i) == 0 ? log_dir_begin(m->dirs[i]) : 0;
        if (rv != 0) {
            log_manager_fail_dir(m, i, rv);
            failed = rv;
        }
    }
    return failed;
}

static bool all_opened(struct log_manager *m, size_t dir)
{
    bool all = true;
    pthread_mutex_lock(&m->mutex);
    for (int t = 0; t < 2; t++)
        MAP_FOR_EACH (entry, log_manager_table(m, t)) {
            const struct managed_log *managed = entry->value;
            all &= managed->dir != dir || !managed->found;
        }
    pthread_mutex_unlock(&m->mutex);
    return all;
}

int log_manager_started(struct log_manager *m)
{
    int failed = 0;
    for (size_t i = 0; i < m->dir_count; i++) {
        /* A log that nobody has looked at must not be believed at the next start. */
        if (log_manager_dir_status(m, i) != 0 || !all_opened(m, i))
            continue;
        int rv = log_dir_started(m->dirs[i]);
        if (rv != 0) {
            log_manager_fail_dir(m, i, rv);
            failed = rv;
        }
    }
    return failed;
}

size_t log_manager_dir_of(struct log_manager *m, const struct log *log)
{
    pthread_mutex_lock(&m->mutex);
    const struct managed_log *managed = map_get(&m->by_log, key_of_log(log));
    CHECK(managed != NULL);
    size_t dir = managed->dir;
    pthread_mutex_unlock(&m->mutex);
    return dir;
}

static struct log_manager_entry entry_of(const struct managed_log *managed)
{
    const struct log_published *p = &managed->log->published;
    return (struct log_manager_entry){
        .topic = managed->topic,
        .partition = managed->partition,
        .is_future = managed->is_future,
        .dir = managed->dir,
        .size_bytes = atomic_load_explicit(&p->size_bytes, memory_order_relaxed),
        .start_offset = atomic_load_explicit(&p->first_offset, memory_order_relaxed),
        .end_offset = atomic_load_explicit(&p->end_offset, memory_order_relaxed),
        .segment_count = atomic_load_explicit(&p->segment_count, memory_order_relaxed),
    };
}

void log_manager_each(struct log_manager *m,
                      void (*each)(void *ctx, const struct log_manager_entry *entry), void *ctx)
{
    pthread_mutex_lock(&m->mutex);
    for (int t = 0; t < 2; t++)
        MAP_FOR_EACH (item, log_manager_table(m, t)) {
            const struct managed_log *managed = item->value;
            if (managed->log == NULL)
                continue;
            struct log_manager_entry entry = entry_of(managed);
            each(ctx, &entry);
        }
    pthread_mutex_unlock(&m->mutex);
}
