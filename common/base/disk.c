#include "common/base/disk.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/base/mutation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int disk_open(struct disk *disk, const char *path, int flags, struct disk_file **ret_file)
{
    return disk->ops->open(disk, path, flags, ret_file);
}

struct disk_file *disk_file_ref(struct disk_file *file)
{
    atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    return file;
}

void disk_file_unref(struct disk_file *file)
{
    if (file == NULL)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1)
        file->disk->ops->close(file);
}

ssize_t disk_pread(struct disk_file *file, void *ret_data, size_t len, int64_t position)
{
    return file->disk->ops->pread(file, ret_data, len, position);
}

int disk_pwrite(struct disk_file *file, const void *data, size_t len, int64_t position)
{
    struct iovec iov = {.iov_len = len};
    memcpy(&iov.iov_base, &data, sizeof(data)); /* iovec has no const form */
    return file->disk->ops->pwritev(file, &iov, 1, position);
}

int disk_read_file(struct disk *disk, const char *path, size_t max_bytes, char **ret_data,
                   size_t *ret_len)
{
    struct disk_file *file;
    int rv = disk_open(disk, path, DISK_READ, &file);
    if (rv != 0)
        return rv;
    int64_t size = disk->ops->size(file);
    if (size < 0) {
        rv = (int)size;
        goto err_file;
    }
    if ((uint64_t)size > max_bytes) {
        rv = -EFBIG;
        goto err_file;
    }
    char *data = mem_try_alloc((size_t)size + 1);
    if (data == NULL) {
        rv = -ENOMEM;
        goto err_file;
    }
    ssize_t len = disk_pread(file, data, (size_t)size, 0);
    if (len < 0) {
        rv = (int)len;
        goto err_data;
    }
    data[len] = '\0';
    disk_file_unref(file);
    *ret_data = data;
    *ret_len = (size_t)len;
    return 0;
err_data:
    free(data);
err_file:
    disk_file_unref(file);
    return rv;
}

int disk_put_file(struct disk *disk, const char *path, const void *data, size_t len)
{
    char *temporary = mem_printf("%s.tmp", path);
    struct disk_file *file;
    int rv = disk_open(disk, temporary, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file);
    if (rv != 0)
        goto out;
    if (len > 0)
        rv = disk_pwrite(file, data, len, 0);
    if (rv == 0)
        rv = disk->ops->fsync(file);
    disk_file_unref(file);
    if (rv == 0)
        rv = disk->ops->rename(disk, temporary, path);
    if (rv != 0) {
        /* The error that matters is the one above; what stays behind is overwritten next time. */
        (void)disk->ops->unlink(disk, temporary);
    }
out:
    free(temporary);
    return rv;
}

int disk_replace_file(struct disk *disk, const char *path, const void *data, size_t len)
{
    int rv = disk_put_file(disk, path, data, len);
    if (rv == 0 && !MUTATED(disk, RENAME_WITHOUT_DIR_FSYNC))
        rv = disk_sync_parent(disk, path);
    return rv;
}

/* Length of the part of `path` that names its directory; 0 when it has none. */
static size_t parent_len(const char *path, size_t len)
{
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len;
}

int disk_sync_parent(struct disk *disk, const char *path)
{
    size_t len = parent_len(path, strlen(path));
    char *parent = len > 0 ? mem_strndup(path, len) : mem_strdup(".");
    int rv = disk->ops->fsync_dir(disk, parent);
    free(parent);
    return rv;
}

int disk_sync_path(struct disk *disk, const char *path)
{
    char *part = mem_strdup(path);
    int rv = 0;
    for (size_t len = strlen(part); rv == 0 && len > 0; len = parent_len(part, len)) {
        part[len] = '\0';
        if (part[strspn(part, "/")] == '\0')
            break;
        rv = disk_sync_parent(disk, part);
        if (rv == -EACCES || rv == -EPERM)
            rv = 0;
    }
    free(part);
    return rv;
}

char *disk_existing_part(struct disk *disk, const char *path)
{
    char *part = mem_strdup(path);
    size_t len = strlen(part), above;
    while (len > 0 && !disk_exists(disk, part) && (above = parent_len(part, len)) < len) {
        len = above;
        part[len] = '\0';
    }
    return part;
}

static int make_directory(struct disk *disk, const char *path)
{
    int rv = disk->ops->mkdir(disk, path);
    if (rv == 0)
        return disk_sync_parent(disk, path);
    if (rv != -EEXIST)
        return rv;
    struct disk_stat st;
    rv = disk->ops->stat(disk, path, &st);
    return rv != 0 ? rv : st.is_directory ? 0 : -ENOTDIR;
}

int disk_make_path(struct disk *disk, const char *path)
{
    char *part = mem_strdup(path);
    int rv = *path == '\0' ? -ENOENT : 0;
    for (char *at = part; rv == 0 && *at != '\0';) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char separator = *at;
        *at = '\0';
        rv = make_directory(disk, part);
        *at = separator;
        at += strspn(at, "/");
    }
    free(part);
    return rv;
}

bool disk_exists(struct disk *disk, const char *path)
{
    struct disk_stat st;
    return disk->ops->stat(disk, path, &st) == 0;
}

struct names {
    char **names;
    size_t count, capacity;
};

static int collect_name(void *ctx, const char *name)
{
    struct names *names = ctx;
    VEC_PUSH(names->names, names->count, names->capacity) = mem_strdup(name);
    return 0;
}

/* Recursion is bounded by the depth of the tree, which is bounded by the length of a path. */
int disk_remove_tree(struct disk *disk, const char *path)
{
    /* Unlinking first means that a symbolic link is removed and never followed. */
    int rv = disk->ops->unlink(disk, path);
    if (rv == 0 || rv == -ENOENT)
        return 0;
    if (rv != -EISDIR)
        return rv;
    struct names names = {0};
    rv = disk->ops->list(disk, path, collect_name, &names);
    for (size_t i = 0; i < names.count; i++) {
        if (rv == 0) {
            char *child = mem_printf("%s/%s", path, names.names[i]);
            rv = disk_remove_tree(disk, child);
            free(child);
        }
        free(names.names[i]);
    }
    free(names.names);
    return rv != 0 ? rv : disk->ops->rmdir(disk, path);
}
