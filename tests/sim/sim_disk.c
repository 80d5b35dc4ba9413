#include "tests/sim/sim_disk_call.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_disk *disk_of(struct disk *disk)
{
    return CONTAINER_OF(disk, struct sim_disk, base);
}

static struct sim_file *file_of(struct disk_file *file)
{
    return CONTAINER_OF(file, struct sim_file, base);
}

static void touch(struct sim_disk *d, struct sim_inode *inode)
{
    inode->modified_ms = d->hooks.wall_ms ? d->hooks.wall_ms(d->hooks.ctx) : ++d->clock_ms;
}

/* --- Files --- */

static int open_inode(struct sim_disk *d, const char *path, int flags, struct sim_inode **ret_inode)
{
    struct sim_inode *inode;
    int rv = sim_path_find(d, path, false, &inode);
    if (rv == 0) {
        if ((flags & DISK_CREATE) && (flags & DISK_EXCLUSIVE))
            return -EEXIST;
        if (inode->is_directory)
            return -EISDIR;
        if (flags & DISK_TRUNCATE)
            sim_file_resize(inode, 0);
        *ret_inode = sim_inode_ref(inode);
        return 0;
    }
    if (rv != -ENOENT || !(flags & DISK_CREATE))
        return rv;
    struct sim_inode *directory;
    const char *name;
    rv = sim_path_parent(d, path, &directory, &name);
    if (rv != 0)
        return rv;
    if (sim_random_chance(&d->random, directory->volume->faults.name_error))
        return -EIO;
    inode = sim_inode_new(directory->volume, false);
    touch(d, inode);
    sim_tree_add(directory, name, inode);
    *ret_inode = inode;
    return 0;
}

static int op_open(struct disk *disk, const char *path, int flags, struct disk_file **ret_file)
{
    struct sim_disk *d = disk_of(disk);
    struct call call;
    char normalized[PATH_MAX];
    struct sim_inode *inode = NULL;
    int rv = 0;
    bool good = call_begin_path(&call, d, SIM_OPEN, path, normalized);
    call.seen.len = flags;
    if (call.effect == EFFECT_ALL)
        rv = open_inode(d, normalized, flags, &inode);
    if (inode && (!good || call.error != 0)) {
        sim_inode_unref(inode);
    } else if (inode) {
        struct sim_file *file = mem_calloc(1, sizeof(*file));
        file->base.disk = disk;
        file->base.references = 1;
        file->base.fd = -1;
        file->inode = inode;
        file->volume = inode->volume;
        file->flags = flags;
        file->path = mem_strdup(normalized);
        sim_inode_use(inode);
        list_push_back(&d->files, &file->link);
        *ret_file = &file->base;
    }
    return (int)call_end(&call, rv);
}

void sim_file_die(struct sim_file *file)
{
    struct sim_inode *inode = file->inode;
    if (!inode)
        return;
    file->inode = NULL;
    if (inode->locked_by == file)
        inode->locked_by = NULL;
    sim_inode_unuse(inode);
    sim_inode_unref(inode);
}

static void op_close(struct disk_file *base)
{
    struct sim_file *file = file_of(base);
    struct sim_disk *d = disk_of(base->disk);
    void *entered = disk_enter(d);
    sim_file_die(file);
    list_remove(&file->link);
    free(file->path);
    free(file);
    disk_leave(d, entered);
}

static ssize_t op_pread(struct disk_file *base, void *ret_data, size_t len, int64_t position)
{
    struct sim_file *file = file_of(base);
    struct call call;
    int64_t got = 0;
    if (call_begin_file(&call, file, SIM_PREAD, position, (int64_t)len)) {
        got = (int64_t)sim_pages_read(&file->inode->cache, ret_data, len, position);
        sim_inode_warm(file->inode, position, got);
    }
    return (ssize_t)call_end(&call, got);
}

/* How many bytes the volume takes there before it is full. */
static int64_t room_for(struct sim_inode *inode, int64_t position, int64_t len)
{
    struct sim_volume *v = inode->volume;
    if (v->capacity_bytes == 0)
        return len;
    int64_t free_bytes =
        MAX(v->capacity_bytes - v->used_bytes, 0) / SIM_PAGE_BYTES * SIM_PAGE_BYTES;
    int64_t end = inode->charged_bytes + free_bytes;
    return MAX(MIN(len, end - position), 0);
}

/* One call is one change, whatever pieces it came in. */
static void write_pieces(struct sim_inode *inode, const struct iovec *iov, int count,
                         int64_t position, int64_t limit)
{
    uint8_t *data = mem_alloc((size_t)limit);
    int64_t len = 0;
    for (int i = 0; i < count; i++) {
        size_t part = (size_t)MIN((int64_t)iov[i].iov_len, limit - len);
        memcpy(data + len, iov[i].iov_base, part);
        len += (int64_t)part;
    }
    sim_file_write(inode, data, (size_t)len, position);
}

static int op_pwritev(struct disk_file *base, const struct iovec *iov, int count, int64_t position)
{
    struct sim_file *file = file_of(base);
    struct call call;
    int64_t len = 0;
    for (int i = 0; i < count; i++)
        len += (int64_t)iov[i].iov_len;
    call_begin_file(&call, file, SIM_PWRITE, position, len);
    if (call.error == 0 && !(file->flags & DISK_WRITE))
        call_fail(&call, -EBADF, EFFECT_NONE);
    if (call.error == 0 && room_for(file->inode, position, len) < len)
        call_fail(&call, -ENOSPC, EFFECT_PART);
    if (call.effect != EFFECT_NONE) {
        int64_t limit = room_for(file->inode, position, len);
        if (call.effect == EFFECT_PART && call.error != -ENOSPC)
            limit = sim_random_below(&call.d->random, limit + 1);
        write_pieces(file->inode, iov, count, position, limit);
        sim_inode_warm(file->inode, position, limit);
        touch(call.d, file->inode);
    }
    return (int)call_end(&call, 0);
}

static int op_fsync(struct disk_file *base)
{
    struct sim_file *file = file_of(base);
    struct call call;
    call_begin_file(&call, file, SIM_FSYNC, 0, 0);
    if (call.effect == EFFECT_ALL)
        sim_file_sync(file->inode);
    else if (call.effect == EFFECT_PART)
        sim_file_sync_lost(file->inode);
    return (int)call_end(&call, 0);
}

static int op_truncate(struct disk_file *base, int64_t size_bytes)
{
    struct sim_file *file = file_of(base);
    struct call call;
    if (call_begin_file(&call, file, SIM_TRUNCATE, size_bytes, 0)) {
        if (!(file->flags & DISK_WRITE)) {
            call_fail(&call, -EBADF, EFFECT_NONE);
        } else if (size_bytes != file->inode->cache.size_bytes) {
            sim_file_resize(file->inode, size_bytes);
            touch(call.d, file->inode);
        }
    }
    return (int)call_end(&call, 0);
}

static int op_preallocate(struct disk_file *base, int64_t size_bytes)
{
    struct sim_file *file = file_of(base);
    struct call call;
    if (call_begin_file(&call, file, SIM_PREALLOCATE, size_bytes, 0)) {
        int64_t old = file->inode->cache.size_bytes;
        if (!(file->flags & DISK_WRITE))
            call_fail(&call, -EBADF, EFFECT_NONE);
        else if (size_bytes > old &&
                 room_for(file->inode, old, size_bytes - old) < size_bytes - old)
            call_fail(&call, -ENOSPC, EFFECT_NONE);
        else if (size_bytes > old)
            sim_file_resize(file->inode, size_bytes);
    }
    return (int)call_end(&call, 0);
}

static int64_t op_size(struct disk_file *base)
{
    struct sim_disk *d = disk_of(base->disk);
    pthread_mutex_lock(&d->mutex);
    struct sim_inode *inode = file_of(base)->inode;
    int64_t size = inode && !d->crashed ? inode->cache.size_bytes : -EIO;
    pthread_mutex_unlock(&d->mutex);
    return size;
}

static bool op_cached(struct disk_file *base, int64_t position)
{
    struct sim_disk *d = disk_of(base->disk);
    pthread_mutex_lock(&d->mutex);
    struct sim_inode *inode = file_of(base)->inode;
    size_t page = (size_t)(position / SIM_PAGE_BYTES);
    bool cached = inode && !(page < inode->cold_count && inode->cold[page]);
    pthread_mutex_unlock(&d->mutex);
    return cached;
}

static int op_lock(struct disk_file *base)
{
    struct sim_file *file = file_of(base);
    struct call call;
    if (call_begin_file(&call, file, SIM_LOCK, 0, 0)) {
        if (file->inode->locked_by && file->inode->locked_by != file)
            call_fail(&call, -EAGAIN, EFFECT_NONE);
        else
            file->inode->locked_by = file;
    }
    return (int)call_end(&call, 0);
}

/* --- Names --- */

static int op_stat(struct disk *disk, const char *path, struct disk_stat *ret_stat)
{
    struct sim_disk *d = disk_of(disk);
    struct call call;
    char normalized[PATH_MAX];
    struct sim_inode *inode;
    int rv = 0;
    if (call_begin_path(&call, d, SIM_STAT, path, normalized)) {
        rv = sim_path_find(d, normalized, false, &inode);
        if (rv == 0)
            *ret_stat = (struct disk_stat){
                .size_bytes = inode->is_directory ? SIM_PAGE_BYTES : inode->cache.size_bytes,
                .modified_ms = inode->modified_ms,
                .is_directory = inode->is_directory,
            };
    }
    return (int)call_end(&call, rv);
}

static int rename_paths(struct sim_disk *d, const char *from, const char *to)
{
    struct sim_inode *directory_from, *directory_to;
    const char *name_from, *name_to;
    int rv = sim_path_parent(d, from, &directory_from, &name_from);
    if (rv == 0)
        rv = sim_path_parent(d, to, &directory_to, &name_to);
    if (rv != 0)
        return rv;
    struct sim_inode *inode = sim_names_find(&directory_from->names, name_from);
    if (!inode)
        return -ENOENT;
    if (directory_from->volume != directory_to->volume)
        return -EXDEV;
    size_t len = strlen(from);
    if (strncmp(from, to, len) == 0 && to[len] == '/')
        return -EINVAL;
    struct sim_inode *old = sim_names_find(&directory_to->names, name_to);
    if (old == inode)
        return 0;
    if (old && old->is_directory != inode->is_directory)
        return old->is_directory ? -EISDIR : -ENOTDIR;
    if (old && old->names.count > 0)
        return -ENOTEMPTY;
    sim_tree_rename(directory_from, name_from, directory_to, name_to);
    return 0;
}

static int op_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *d = disk_of(disk);
    struct call call;
    char normalized[PATH_MAX], normalized_to[PATH_MAX];
    int rv = 0;
    call_begin_path(&call, d, SIM_RENAME, from, normalized);
    int to_rv = sim_path_normalize(to, normalized_to);
    if (to_rv != 0)
        call_fail(&call, to_rv, EFFECT_NONE);
    call.seen.path_to = to;
    if (call.effect == EFFECT_ALL)
        rv = rename_paths(d, normalized, normalized_to);
    return (int)call_end(&call, rv);
}

static int remove_path(struct sim_disk *d, const char *path, bool want_directory)
{
    struct sim_inode *directory;
    const char *name;
    int rv = sim_path_parent(d, path, &directory, &name);
    if (rv != 0)
        return rv;
    struct sim_inode *inode = sim_names_find(&directory->names, name);
    if (!inode)
        return -ENOENT;
    if (inode->is_directory != want_directory)
        return want_directory ? -ENOTDIR : -EISDIR;
    if (inode->names.count > 0)
        return -ENOTEMPTY;
    sim_tree_remove(directory, name);
    return 0;
}

static int make_directory(struct sim_disk *d, const char *path)
{
    struct sim_inode *directory, *inode;
    const char *name;
    int rv = sim_path_find(d, path, false, &inode);
    if (rv == 0)
        return -EEXIST;
    if (rv == -ENOENT)
        rv = sim_path_parent(d, path, &directory, &name);
    if (rv != 0)
        return rv;
    inode = sim_inode_new(directory->volume, true);
    touch(d, inode);
    sim_tree_add(directory, name, inode);
    sim_inode_unref(inode);
    return 0;
}

/* The calls that change one name. */
static int change_name(struct disk *disk, enum sim_disk_op op, const char *path)
{
    struct sim_disk *d = disk_of(disk);
    struct call call;
    char normalized[PATH_MAX];
    int rv = 0;
    call_begin_path(&call, d, op, path, normalized);
    if (call.effect == EFFECT_ALL)
        rv = op == SIM_MKDIR ? make_directory(d, normalized)
                             : remove_path(d, normalized, op == SIM_RMDIR);
    return (int)call_end(&call, rv);
}

static int op_unlink(struct disk *disk, const char *path)
{
    return change_name(disk, SIM_UNLINK, path);
}

static int op_mkdir(struct disk *disk, const char *path)
{
    return change_name(disk, SIM_MKDIR, path);
}

static int op_rmdir(struct disk *disk, const char *path)
{
    return change_name(disk, SIM_RMDIR, path);
}

static int op_fsync_dir(struct disk *disk, const char *path)
{
    struct sim_disk *d = disk_of(disk);
    struct call call;
    char normalized[PATH_MAX];
    struct sim_inode *directory;
    int rv = 0;
    call_begin_path(&call, d, SIM_FSYNC_DIR, path, normalized);
    if (call.effect == EFFECT_ALL) {
        rv = sim_path_find(d, normalized, false, &directory);
        if (rv == 0 && !directory->is_directory)
            rv = -ENOTDIR;
        if (rv == 0)
            sim_tree_sync_names(directory);
    }
    return (int)call_end(&call, rv);
}

static int op_sync_all(struct disk_file *base)
{
    struct call call;
    call_begin_file(&call, file_of(base), SIM_SYNC_ALL, 0, 0);
    if (call.effect != EFFECT_NONE)
        sim_volume_sync(call.volume, call.effect == EFFECT_PART);
    return (int)call_end(&call, 0);
}

/* Names are copied first: the callback may call the disk. They come in a random order. */
static int op_list(struct disk *disk, const char *path, int (*entry)(void *ctx, const char *name),
                   void *ctx)
{
    struct sim_disk *d = disk_of(disk);
    struct call call;
    char normalized[PATH_MAX];
    struct sim_inode *directory;
    char **names = NULL;
    size_t count = 0, capacity = 0;
    int rv = 0;
    if (call_begin_path(&call, d, SIM_LIST, path, normalized)) {
        rv = sim_path_find(d, normalized, false, &directory);
        if (rv == 0 && !directory->is_directory)
            rv = -ENOTDIR;
        for (size_t i = 0; rv == 0 && i < directory->names.count; i++) {
            size_t at = (size_t)sim_random_below(&d->random, (int64_t)count + 1);
            VEC_PUSH(names, count, capacity) = NULL;
            names[count - 1] = names[at];
            names[at] = mem_strdup(directory->names.items[i].name);
        }
    }
    rv = (int)call_end(&call, rv);
    for (size_t i = 0; i < count; i++) {
        if (rv == 0)
            rv = entry(ctx, names[i]);
        free(names[i]);
    }
    free(names);
    return rv;
}

static int op_usage(struct disk *disk, const char *path, struct disk_usage *ret_usage)
{
    struct call call;
    char normalized[PATH_MAX];
    if (call_begin_path(&call, disk_of(disk), SIM_USAGE, path, normalized)) {
        struct sim_volume *v = call.volume;
        int64_t total = v->capacity_bytes ? v->capacity_bytes : (int64_t)1 << 40;
        ret_usage->total_bytes = total;
        ret_usage->usable_bytes = MAX(total - v->used_bytes, 0);
    }
    return (int)call_end(&call, 0);
}

static void op_cache_id(struct disk *disk, const char *directory, char ret_id[DISK_CACHE_ID_MAX])
{
    struct sim_disk *d = disk_of(disk);
    char path[PATH_MAX];
    bool known = sim_path_normalize(directory, path) == 0;
    snprintf(ret_id, DISK_CACHE_ID_MAX, "%s volume=%s", d->boot_id,
             known ? sim_path_volume(d, path)->path : "");
}

const struct disk_ops sim_disk_ops = {
    .open = op_open,
    .close = op_close,
    .pread = op_pread,
    .pwritev = op_pwritev,
    .fsync = op_fsync,
    .truncate = op_truncate,
    .preallocate = op_preallocate,
    .size = op_size,
    .cached = op_cached,
    .stat = op_stat,
    .rename = op_rename,
    .unlink = op_unlink,
    .mkdir = op_mkdir,
    .rmdir = op_rmdir,
    .fsync_dir = op_fsync_dir,
    .sync_all = op_sync_all,
    .list = op_list,
    .usage = op_usage,
    .lock = op_lock,
    .cache_id = op_cache_id,
};
