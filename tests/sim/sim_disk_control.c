#include "tests/sim/sim_disk_internal.h"

#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *sim_disk_op_name(enum sim_disk_op op)
{
    static const char *const names[] = {
        "open",     "pread",  "pwrite", "fsync", "truncate", "preallocate",
        "stat",     "rename", "unlink", "mkdir", "rmdir",    "fsync_dir",
        "sync_all", "list",   "usage",  "lock",  "any",
    };
    return names[op];
}

static void new_boot(struct sim_disk *d)
{
    d->boots++;
    snprintf(d->boot_id, sizeof(d->boot_id), "5e9d0000-0000-4000-8000-%012d", d->boots);
}

struct sim_disk *sim_disk_new(uint64_t seed)
{
    struct sim_disk *d = mem_calloc(1, sizeof(*d));
    d->base.ops = &sim_disk_ops;
    d->clock_ms = 1700000000000;
    pthread_mutex_init(&d->mutex, NULL);
    sim_random_init(&d->random, seed);
    list_init(&d->files);
    VEC_PUSH(d->volumes, d->volume_count, d->volume_capacity) = sim_volume_new(d, "");
    new_boot(d);
    return d;
}

void sim_disk_free(struct sim_disk *d)
{
    if (!d)
        return;
    CHECK(list_empty(&d->files));
    for (size_t i = 0; i < d->volume_count; i++)
        sim_volume_free(d->volumes[i]);
    free(d->volumes);
    free(d->fail.part);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

struct disk *sim_disk_base(struct sim_disk *d)
{
    return &d->base;
}

void sim_disk_set_hooks(struct sim_disk *d, const struct sim_disk_hooks *hooks)
{
    d->hooks = *hooks;
}

/* The volume that a path of the test's own lies on; the mutex is held. */
static struct sim_volume *volume_at(struct sim_disk *d, const char *path)
{
    char normalized[PATH_MAX];
    CHECK(sim_path_normalize(path, normalized) == 0);
    return sim_path_volume(d, normalized);
}

/* mkdir -p, durable at once. */
static struct sim_inode *make_durable_path(struct sim_disk *d, const char *normalized)
{
    struct sim_volume *v = sim_path_volume(d, normalized);
    struct sim_inode *inode = v->root;
    const char *at = normalized + strlen(v->path);
    while (*at == '/') {
        char name[NAME_MAX + 1];
        size_t len = strcspn(++at, "/");
        memcpy(name, at, len);
        name[len] = '\0';
        at += len;
        struct sim_inode *child = sim_names_find(&inode->names, name);
        if (!child) {
            child = sim_inode_new(v, true);
            sim_tree_add(inode, name, child);
            sim_inode_unref(child);
        }
        sim_tree_sync_names(inode);
        inode = child;
    }
    return inode;
}

void sim_disk_mount(struct sim_disk *d, const char *path)
{
    char normalized[PATH_MAX];
    CHECK(sim_path_normalize(path, normalized) == 0 && normalized[0] != '\0');
    pthread_mutex_lock(&d->mutex);
    make_durable_path(d, normalized);
    VEC_PUSH(d->volumes, d->volume_count, d->volume_capacity) = sim_volume_new(d, normalized);
    pthread_mutex_unlock(&d->mutex);
}

static void kill_files(struct sim_disk *d, const struct sim_volume *volume)
{
    LIST_FOR_EACH (link, &d->files) {
        struct sim_file *file = LIST_ITEM(link, struct sim_file, link);
        if (!volume || file->volume == volume)
            sim_file_die(file);
    }
}

void sim_disk_wipe(struct sim_disk *d, const char *path)
{
    pthread_mutex_lock(&d->mutex);
    struct sim_volume *v = volume_at(d, path);
    kill_files(d, v);
    sim_volume_clear(v);
    pthread_mutex_unlock(&d->mutex);
}

static void die(struct sim_disk *d)
{
    kill_files(d, NULL);
    d->crashed = false;
    d->crash_left = 0;
    d->crash_after = NULL;
}

void sim_disk_kill(struct sim_disk *d)
{
    pthread_mutex_lock(&d->mutex);
    die(d);
    pthread_mutex_unlock(&d->mutex);
}

void sim_disk_power_cut(struct sim_disk *d, enum sim_disk_cut cut)
{
    pthread_mutex_lock(&d->mutex);
    die(d);
    for (size_t i = 0; i < d->volume_count; i++)
        sim_volume_power_cut(d->volumes[i], cut);
    new_boot(d);
    pthread_mutex_unlock(&d->mutex);
}

size_t sim_disk_reclaim_handles(struct sim_disk *d)
{
    size_t count = 0;
    pthread_mutex_lock(&d->mutex);
    LIST_FOR_EACH (link, &d->files) {
        struct sim_file *file = LIST_ITEM(link, struct sim_file, link);
        if (file->inode)
            continue;
        list_remove(&file->link);
        free(file->path);
        free(file);
        count++;
    }
    pthread_mutex_unlock(&d->mutex);
    return count;
}

void sim_disk_set_faults(struct sim_disk *d, const char *path, const struct sim_disk_faults *f)
{
    pthread_mutex_lock(&d->mutex);
    volume_at(d, path)->faults = *f;
    pthread_mutex_unlock(&d->mutex);
}

void sim_disk_set_failed(struct sim_disk *d, const char *path, bool failed)
{
    pthread_mutex_lock(&d->mutex);
    volume_at(d, path)->failed = failed;
    pthread_mutex_unlock(&d->mutex);
}

void sim_disk_set_capacity(struct sim_disk *d, const char *path, int64_t bytes)
{
    pthread_mutex_lock(&d->mutex);
    volume_at(d, path)->capacity_bytes = bytes;
    pthread_mutex_unlock(&d->mutex);
}

void sim_disk_fail_at(struct sim_disk *d, enum sim_disk_op op, const char *part, int64_t nth,
                      int error)
{
    pthread_mutex_lock(&d->mutex);
    free(d->fail.part);
    d->fail.part = part ? mem_strdup(part) : NULL;
    d->fail.op = op;
    d->fail.left = error != 0 ? nth : 0;
    d->fail.error = error;
    pthread_mutex_unlock(&d->mutex);
}

void sim_disk_crash_at(struct sim_disk *d, int64_t nth)
{
    pthread_mutex_lock(&d->mutex);
    d->crash_left = nth;
    d->crash_after = NULL;
    pthread_mutex_unlock(&d->mutex);
}

void sim_disk_crash_after_rename(struct sim_disk *d, const char *part, int64_t nth)
{
    pthread_mutex_lock(&d->mutex);
    d->crash_left = 0;
    d->crash_after = part;
    d->crash_after_calls = nth;
    pthread_mutex_unlock(&d->mutex);
}

bool sim_disk_crashed(const struct sim_disk *d)
{
    return d->crashed;
}

void sim_disk_set_writeback(struct sim_disk *d, int writes)
{
    d->writeback = writes;
}

void sim_disk_set_journaled(struct sim_disk *d)
{
    d->journaled = true;
}

int64_t sim_disk_count(const struct sim_disk *d, enum sim_disk_op op)
{
    return d->counts[op];
}

static int find_file(struct sim_disk *d, const char *path, bool durable,
                     struct sim_inode **ret_inode)
{
    char normalized[PATH_MAX];
    int rv = sim_path_normalize(path, normalized);
    if (rv == 0)
        rv = sim_path_find(d, normalized, durable, ret_inode);
    if (rv == 0 && (*ret_inode)->is_directory)
        rv = -EISDIR;
    return rv;
}

int sim_disk_read_durable(struct sim_disk *d, const char *path, uint8_t **ret_data, size_t *ret_len)
{
    struct sim_inode *inode;
    pthread_mutex_lock(&d->mutex);
    int rv = find_file(d, path, true, &inode);
    if (rv == 0) {
        size_t len = (size_t)inode->platter.size_bytes;
        *ret_data = mem_alloc(len);
        *ret_len = sim_pages_read(&inode->platter, *ret_data, len, 0);
    }
    pthread_mutex_unlock(&d->mutex);
    return rv;
}

ssize_t sim_disk_peek(struct sim_disk *d, const char *path, void *ret_data, size_t len,
                      int64_t position)
{
    struct sim_inode *inode;
    pthread_mutex_lock(&d->mutex);
    ssize_t rv = find_file(d, path, false, &inode);
    if (rv == 0)
        rv = (ssize_t)sim_pages_read(&inode->cache, ret_data, len, position);
    pthread_mutex_unlock(&d->mutex);
    return rv;
}

static void invert(struct sim_pages *pages, int64_t position, int64_t len)
{
    for (int64_t at = position; at < position + len; at++) {
        uint8_t byte;
        if (sim_pages_read(pages, &byte, 1, at) == 1) {
            byte = (uint8_t)~byte;
            sim_pages_write(pages, &byte, 1, at);
        }
    }
}

int sim_disk_corrupt(struct sim_disk *d, const char *path, int64_t position, int64_t len)
{
    struct sim_inode *inode;
    pthread_mutex_lock(&d->mutex);
    int rv = find_file(d, path, false, &inode);
    if (rv == 0 && (position < 0 || position + len > inode->cache.size_bytes))
        rv = -EINVAL;
    if (rv == 0) {
        sim_file_sync(inode);
        invert(&inode->cache, position, len);
        invert(&inode->platter, position, len);
    }
    pthread_mutex_unlock(&d->mutex);
    return rv;
}

/* --- To and from the real file system --- */

static int import_file(struct sim_inode *inode, const char *real_path)
{
    FILE *file = fopen(real_path, "rb");
    if (!file)
        return -errno;
    char data[SIM_PAGE_BYTES];
    size_t len;
    int64_t position = 0;
    while ((len = fread(data, 1, sizeof(data), file)) > 0) {
        sim_pages_write(&inode->cache, data, len, position);
        position += (int64_t)len;
    }
    int rv = ferror(file) ? -EIO : 0;
    fclose(file);
    sim_pages_assign(&inode->platter, &inode->cache);
    return rv;
}

static int import_tree(struct sim_inode *directory, const char *real_path)
{
    DIR *dir = opendir(real_path);
    if (!dir)
        return -errno;
    int rv = 0;
    for (struct dirent *entry; rv == 0 && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *path = mem_printf("%s/%s", real_path, entry->d_name);
        struct stat st;
        if (stat(path, &st) != 0) {
            rv = -errno;
        } else {
            struct sim_inode *inode = sim_inode_new(directory->volume, S_ISDIR(st.st_mode));
            inode->modified_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
            rv = inode->is_directory ? import_tree(inode, path) : import_file(inode, path);
            sim_tree_add(directory, entry->d_name, inode);
            sim_inode_unref(inode);
        }
        free(path);
    }
    closedir(dir);
    sim_tree_sync_names(directory);
    return rv;
}

int sim_disk_import(struct sim_disk *d, const char *real_path, const char *path)
{
    char normalized[PATH_MAX];
    int rv = sim_path_normalize(path, normalized);
    if (rv != 0)
        return rv;
    pthread_mutex_lock(&d->mutex);
    rv = import_tree(make_durable_path(d, normalized), real_path);
    pthread_mutex_unlock(&d->mutex);
    return rv;
}

static int export_file(struct sim_inode *inode, const char *real_path)
{
    FILE *file = fopen(real_path, "wb");
    if (!file)
        return -errno;
    char data[SIM_PAGE_BYTES];
    size_t len;
    int64_t position = 0;
    while ((len = sim_pages_read(&inode->cache, data, sizeof(data), position)) > 0) {
        fwrite(data, 1, len, file);
        position += (int64_t)len;
    }
    int rv = ferror(file) ? -EIO : 0;
    return fclose(file) == 0 ? rv : -errno;
}

static int export_tree(struct sim_inode *directory, const char *real_path)
{
    if (mkdir(real_path, 0755) != 0 && errno != EEXIST)
        return -errno;
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < directory->names.count; i++) {
        struct sim_name *name = &directory->names.items[i];
        char *path = mem_printf("%s/%s", real_path, name->name);
        rv = name->inode->is_directory ? export_tree(name->inode, path)
                                       : export_file(name->inode, path);
        free(path);
    }
    return rv;
}

int sim_disk_export(struct sim_disk *d, const char *path, const char *real_path)
{
    char normalized[PATH_MAX];
    struct sim_inode *inode;
    int rv = sim_path_normalize(path, normalized);
    if (rv != 0)
        return rv;
    pthread_mutex_lock(&d->mutex);
    rv = sim_path_find(d, normalized, false, &inode);
    if (rv == 0)
        rv = inode->is_directory ? export_tree(inode, real_path) : -ENOTDIR;
    pthread_mutex_unlock(&d->mutex);
    return rv;
}
