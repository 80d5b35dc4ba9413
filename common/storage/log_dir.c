#include "common/storage/log_dir.h"

#include "common/base/mem.h"
#include "common/storage/small_files.h"

#include <errno.h>
#include <stdlib.h>

#define BOOT_FILE "kraftd.boot"

enum { BOOT_MAX_BYTES = 4096 };

char *log_dir_file(const struct log_dir *dir, const char *name)
{
    return mem_printf("%s/%s", dir->path, name);
}

static int take_lock(struct log_dir *dir)
{
    char *path = log_dir_file(dir, FILE_LOCK);
    int rv = disk_open(dir->disk, path, DISK_WRITE | DISK_CREATE, &dir->lock);
    free(path);
    return rv == 0 ? dir->disk->ops->lock(dir->lock) : rv;
}

static int read_meta(struct log_dir *dir)
{
    char *path = log_dir_file(dir, META_PROPERTIES_FILE);
    int rv = meta_properties_read(dir->disk, path, &dir->meta);
    free(path);
    dir->has_meta = rv == 0;
    return rv == -ENOENT ? 0 : rv;
}

static int list_name(void *ctx, const char *name)
{
    struct log_dir *dir = ctx;
    struct log_dir_name parsed;
    if (log_dir_name_is_metadata(name))
        dir->has_metadata_log = true;
    else if (log_dir_name_parse(name, &parsed))
        VEC_PUSH(dir->names, dir->name_count, dir->name_capacity) = mem_strdup(name);
    return 0;
}

/* Fresh memory; NULL when the page cache has no name: then it is never believed. */
static char *boot_text(struct log_dir *dir)
{
    char id[DISK_CACHE_ID_MAX];
    dir->disk->ops->cache_id(dir->disk, dir->path, id);
    return *id == '\0' ? NULL : mem_printf("version: 1\nboot_id: %s\n", id);
}

static bool same_boot(struct log_dir *dir, bool *ret_exists)
{
    char *path = log_dir_file(dir, BOOT_FILE), *expected = boot_text(dir), *text;
    size_t len;
    bool same = false;
    *ret_exists = disk_read_file(dir->disk, path, BOOT_MAX_BYTES, &text, &len) == 0;
    if (*ret_exists) {
        same = expected != NULL && strcmp(text, expected) == 0;
        free(text);
    }
    free(expected);
    free(path);
    return same;
}

static int read_trust(struct log_dir *dir)
{
    char *path = log_dir_file(dir, FILE_CLEAN_SHUTDOWN);
    struct disk_stat st;
    int rv = dir->disk->ops->stat(dir->disk, path, &st);
    if (rv == 0) {
        dir->trust = LOG_TRUST_CLEAN;
        /* An empty one is of a Kafka before 3.7. */
        if (clean_shutdown_read(dir->disk, path, &dir->broker_epoch) != 0)
            dir->broker_epoch = -1;
    } else {
        bool exists;
        dir->trust = same_boot(dir, &exists) ? LOG_TRUST_SAME_BOOT : LOG_TRUST_NONE;
        dir->rewrite = !exists;
    }
    free(path);
    return rv == -ENOENT ? 0 : rv;
}

/* Whoever made the directory or wrote the file may have died before it synced their names. Nothing
 * may be built on them until that is done; where a start went through, it was. */
static int make_names_durable(struct log_dir *dir, const char *found)
{
    if (!dir->rewrite)
        return 0;
    return dir->has_meta ? dir->disk->ops->fsync_dir(dir->disk, dir->path)
                         : disk_sync_path(dir->disk, found);
}

/* One that cannot be understood is worth nothing and no reason to stop: a recovery point of 0 is
 * always right. */
static int read_checkpoint(struct log_dir *dir, struct offset_checkpoint *checkpoint,
                           const char *name)
{
    char *path = log_dir_file(dir, name);
    int rv = offset_checkpoint_load(checkpoint, dir->disk, path);
    free(path);
    return rv == -ENOENT || rv == -EBADMSG || rv == -ENOTSUP ? 0 : rv;
}

/* `found`: as much of the path as was there before. */
static int load_dir(struct log_dir *dir, const char *found)
{
    int rv = disk_make_path(dir->disk, dir->path);
    /* Looked at before anything is written: a directory of ZooKeeper days stays as it is. Read
     * again under the lock, for another process may just have written it. */
    if (rv == 0)
        rv = read_meta(dir);
    if (rv == 0)
        rv = take_lock(dir);
    if (rv == 0)
        rv = read_meta(dir);
    if (rv == 0)
        rv = read_trust(dir);
    if (rv == 0)
        rv = make_names_durable(dir, found);
    if (rv == 0)
        rv = read_checkpoint(dir, &dir->recovery_points, CHECKPOINT_RECOVERY_POINT);
    if (rv == 0)
        rv = read_checkpoint(dir, &dir->high_watermarks, CHECKPOINT_REPLICATION);
    if (rv == 0)
        rv = read_checkpoint(dir, &dir->start_offsets, CHECKPOINT_LOG_START);
    if (rv == 0)
        rv = read_checkpoint(dir, &dir->cleaned_offsets, CHECKPOINT_CLEANER);
    return rv == 0 ? dir->disk->ops->list(dir->disk, dir->path, list_name, dir) : rv;
}

int log_dir_open(struct disk *disk, const char *path, struct log_dir **ret_dir)
{
    struct log_dir *dir = mem_calloc(1, sizeof(*dir));
    dir->disk = disk;
    dir->path = mem_strdup(path);
    dir->broker_epoch = -1;
    dir->trust = LOG_TRUST_NONE;
    offset_checkpoint_init(&dir->recovery_points);
    offset_checkpoint_init(&dir->high_watermarks);
    offset_checkpoint_init(&dir->start_offsets);
    offset_checkpoint_init(&dir->cleaned_offsets);
    char *found = disk_existing_part(disk, path);
    dir->status = load_dir(dir, found);
    free(found);
    *ret_dir = dir;
    return dir->status;
}

void log_dir_close(struct log_dir *dir)
{
    if (dir == NULL)
        return;
    for (size_t i = 0; i < dir->name_count; i++)
        free(dir->names[i]);
    free(dir->names);
    offset_checkpoint_release(&dir->recovery_points);
    offset_checkpoint_release(&dir->high_watermarks);
    offset_checkpoint_release(&dir->start_offsets);
    offset_checkpoint_release(&dir->cleaned_offsets);
    disk_file_unref(dir->lock);
    free(dir->path);
    free(dir);
}

int log_dir_begin(struct log_dir *dir)
{
    char *path = log_dir_file(dir, FILE_CLEAN_SHUTDOWN);
    int rv = clean_shutdown_remove(dir->disk, path);
    free(path);
    return rv;
}

int log_dir_started(struct log_dir *dir)
{
    char *path = log_dir_file(dir, BOOT_FILE), *text = boot_text(dir);
    const char *content = text != NULL ? text : "version: 1\n";
    bool exists;
    int rv =
        same_boot(dir, &exists) ? 0 : disk_replace_file(dir->disk, path, content, strlen(content));
    free(text);
    free(path);
    return rv;
}

void log_dir_distrust(struct disk *disk, const char *directory)
{
    char *path = mem_printf("%s/" BOOT_FILE, directory);
    (void)disk->ops->unlink(disk, path);
    free(path);
}

void log_dir_distrust_of(struct disk *disk, const char *log_path)
{
    const char *slash = strrchr(log_path, '/');
    char *directory =
        slash == NULL ? mem_strdup(".") : mem_strndup(log_path, (size_t)(slash - log_path));
    log_dir_distrust(disk, directory);
    free(directory);
}

int log_dir_stopped(struct log_dir *dir, int64_t broker_epoch)
{
    char *path = log_dir_file(dir, FILE_CLEAN_SHUTDOWN);
    int rv = clean_shutdown_write(dir->disk, path, broker_epoch);
    free(path);
    return rv;
}

void log_dir_fill(const struct log_dir *dir, struct str topic, int32_t partition,
                  struct log_open_args *args)
{
    args->trust = dir->trust;
    args->rewrite = dir->rewrite;
    args->recovery_point = offset_checkpoint_get(&dir->recovery_points, topic, partition, 0);
    args->high_watermark = offset_checkpoint_get(&dir->high_watermarks, topic, partition, 0);
    args->log_start_offset = offset_checkpoint_get(&dir->start_offsets, topic, partition, 0);
    args->cleaned_offset = offset_checkpoint_get(&dir->cleaned_offsets, topic, partition, 0);
}
