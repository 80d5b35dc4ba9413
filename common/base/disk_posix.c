#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Linux 6.8; an older kernel takes no notice of it. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

struct disk_posix {
    struct disk disk;
    _Atomic int open_files;
    char boot_id[64];
};

static int fd_open(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0644);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static int posix_open(struct disk *disk, const char *path, int flags, struct disk_file **ret_file)
{
    struct disk_posix *posix = CONTAINER_OF(disk, struct disk_posix, disk);
    int mode = (flags & DISK_WRITE ? O_RDWR : O_RDONLY) | (flags & DISK_CREATE ? O_CREAT : 0) |
               (flags & DISK_EXCLUSIVE ? O_EXCL : 0) | (flags & DISK_TRUNCATE ? O_TRUNC : 0);
    int fd = fd_open(path, mode);
    if (fd < 0)
        return fd;
    struct disk_file *file = mem_alloc(sizeof(*file));
    file->disk = disk;
    file->fd = fd;
    atomic_init(&file->references, 1);
    atomic_fetch_add(&posix->open_files, 1);
    *ret_file = file;
    return 0;
}

static void posix_close(struct disk_file *file)
{
    struct disk_posix *posix = CONTAINER_OF(file->disk, struct disk_posix, disk);
    close(file->fd);
    free(file);
    atomic_fetch_sub(&posix->open_files, 1);
}

static ssize_t posix_pread(struct disk_file *file, void *ret_data, size_t len, int64_t position)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(file->fd, (char *)ret_data + done, len - done, position + (int64_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

enum { IOV_PART = 64 };

/* Writes all of iov[0..count), which it consumes. */
static int write_part(int fd, struct iovec *iov, int count, int64_t *position)
{
    while (count > 0) {
        if (iov->iov_len == 0) {
            iov++;
            count--;
            continue;
        }
        ssize_t n = pwritev(fd, iov, count, *position);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        *position += n;
        for (size_t left = (size_t)n; left > 0;) {
            size_t used = MIN(left, iov->iov_len);
            iov->iov_base = (char *)iov->iov_base + used;
            iov->iov_len -= used;
            left -= used;
            if (iov->iov_len == 0) {
                iov++;
                count--;
            }
        }
    }
    return 0;
}

static int posix_pwritev(struct disk_file *file, const struct iovec *iov, int count,
                         int64_t position)
{
    struct iovec part[IOV_PART];
    for (int at = 0; at < count; at += IOV_PART) {
        int part_count = MIN(IOV_PART, count - at);
        memcpy(part, iov + at, (size_t)part_count * sizeof(*iov));
        int rv = write_part(file->fd, part, part_count, &position);
        if (rv != 0)
            return rv;
    }
    return 0;
}

static int posix_fsync(struct disk_file *file)
{
    /* Interrupted before it began, so that this is no retry of a failed sync. */
    int rv;
    do
        rv = fdatasync(file->fd);
    while (rv != 0 && errno == EINTR);
    return rv != 0 ? -errno : 0;
}

static int posix_truncate(struct disk_file *file, int64_t size_bytes)
{
    int rv;
    do
        rv = ftruncate(file->fd, size_bytes);
    while (rv != 0 && errno == EINTR);
    return rv != 0 ? -errno : 0;
}

static int64_t posix_size(struct disk_file *file)
{
    struct stat st;
    return fstat(file->fd, &st) != 0 ? -errno : st.st_size;
}

static int posix_preallocate(struct disk_file *file, int64_t size_bytes)
{
    int64_t size = posix_size(file);
    if (size < 0)
        return (int)size;
    if (size >= size_bytes)
        return 0;
    int rv;
    do
        rv = fallocate(file->fd, 0, size, size_bytes - size);
    while (rv != 0 && errno == EINTR);
    if (rv != 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        return posix_truncate(file, size_bytes);
    return rv != 0 ? -errno : 0;
}

static bool posix_cached(struct disk_file *file, int64_t position)
{
    char byte;
    struct iovec iov = {&byte, 1};
    ssize_t n;
    do
        n = preadv2(file->fd, &iov, 1, position, RWF_NOWAIT);
    while (n < 0 && errno == EINTR);
    /* A file system without this probe is read as if all were cached; an error shows when reading.
     */
    return !(n < 0 && errno == EAGAIN);
}

static int posix_stat(struct disk *disk, const char *path, struct disk_stat *ret_stat)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return -errno;
    *ret_stat = (struct disk_stat){
        .size_bytes = st.st_size,
        .modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
        .is_directory = S_ISDIR(st.st_mode),
    };
    return 0;
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
    return rename(from, to) != 0 ? -errno : 0;
}

static int posix_unlink(struct disk *disk, const char *path)
{
    if (unlink(path) == 0)
        return 0;
    /* POSIX allows EPERM for a directory; make it one answer. */
    int error = errno;
    struct stat st;
    if (error == EPERM && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return -EISDIR;
    return -error;
}

static int posix_mkdir(struct disk *disk, const char *path)
{
    return mkdir(path, 0755) != 0 ? -errno : 0;
}

static int posix_rmdir(struct disk *disk, const char *path)
{
    return rmdir(path) != 0 ? -errno : 0;
}

static int posix_fsync_dir(struct disk *disk, const char *path)
{
    int fd = fd_open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    int rv;
    do
        rv = fsync(fd);
    while (rv != 0 && errno == EINTR);
    rv = rv != 0 ? -errno : 0;
    close(fd);
    return rv;
}

static int posix_sync_all(struct disk_file *file)
{
    return syncfs(file->fd) != 0 ? -errno : 0;
}

static int posix_list(struct disk *disk, const char *path, int (*entry)(void *, const char *),
                      void *ctx)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -errno;
    int rv = 0;
    for (;;) {
        errno = 0;
        struct dirent *d = readdir(dir);
        if (d == NULL) {
            rv = -errno;
            break;
        }
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        rv = entry(ctx, d->d_name);
        if (rv != 0)
            break;
    }
    closedir(dir);
    return rv;
}

static int posix_usage(struct disk *disk, const char *path, struct disk_usage *ret_usage)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0)
        return -errno;
    *ret_usage = (struct disk_usage){
        .total_bytes = (int64_t)st.f_blocks * (int64_t)st.f_frsize,
        .usable_bytes = (int64_t)st.f_bavail * (int64_t)st.f_frsize,
    };
    return 0;
}

/* An open-file-description lock: it conflicts with the POSIX lock that a JVM takes on the same
 * file, and unlike that one it is not lost when another descriptor of the file is closed. */
static int posix_lock(struct disk_file *file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

/* The name under /sys/fs of the file systems that are there. */
static const char *file_system_name(const char *path)
{
    struct statfs st;
    if (statfs(path, &st) != 0)
        return NULL;
    return st.f_type == EXT4_SUPER_MAGIC   ? "ext4"
           : st.f_type == XFS_SUPER_MAGIC  ? "xfs"
           : st.f_type == F2FS_SUPER_MAGIC ? "f2fs"
                                           : NULL;
}

/* A mounted file system has a directory in sysfs, whose inode number is given out once in the life
 * of a kernel. 0: there is none for this one. */
static uint64_t mounted_file_system(const char *path, dev_t device)
{
    char link[64], target[PATH_MAX], entry[PATH_MAX];
    struct stat st;
    const char *type = file_system_name(path);
    snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(device), minor(device));
    ssize_t len = type == NULL ? -1 : readlink(link, target, sizeof(target) - 1);
    if (len < 0)
        return 0;
    target[len] = '\0';
    const char *slash = strrchr(target, '/');
    int n = snprintf(entry, sizeof(entry), "/sys/fs/%s/%s", type, slash ? slash + 1 : target);
    return n < (int)sizeof(entry) && stat(entry, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* The mount tells less well: a service or container that is started again may have another one of
 * the same file system. It is then looked at as after a boot. */
static uint64_t mount_of(const char *path)
{
    struct statx st;
    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &st) != 0)
        return 0;
    return st.stx_mask & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE) ? st.stx_mnt_id : 0;
}

static void posix_cache_id(struct disk *disk, const char *directory, char ret_id[DISK_CACHE_ID_MAX])
{
    const char *boot_id = CONTAINER_OF(disk, struct disk_posix, disk)->boot_id;
    struct stat st;
    ret_id[0] = '\0';
    if (*boot_id == '\0' || stat(directory, &st) != 0)
        return;
    const char *what = "fs";
    uint64_t mounted = mounted_file_system(directory, st.st_dev);
    if (mounted == 0) {
        what = "mount";
        mounted = mount_of(directory);
    }
    if (mounted != 0)
        snprintf(ret_id, DISK_CACHE_ID_MAX, "%s %s=%" PRIu64 " device=%" PRIu64 " inode=%" PRIu64,
                 boot_id, what, mounted, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
}

static const struct disk_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwritev = posix_pwritev,
    .fsync = posix_fsync,
    .truncate = posix_truncate,
    .preallocate = posix_preallocate,
    .size = posix_size,
    .cached = posix_cached,
    .stat = posix_stat,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .rmdir = posix_rmdir,
    .fsync_dir = posix_fsync_dir,
    .sync_all = posix_sync_all,
    .list = posix_list,
    .usage = posix_usage,
    .lock = posix_lock,
    .cache_id = posix_cache_id,
};

static void read_boot_id(struct disk_posix *posix)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file == NULL)
        return;
    if (fgets(posix->boot_id, sizeof(posix->boot_id), file) != NULL)
        posix->boot_id[strcspn(posix->boot_id, "\n")] = '\0';
    fclose(file);
}

struct disk *disk_posix_new(void)
{
    struct disk_posix *posix = mem_calloc(1, sizeof(*posix));
    posix->disk.ops = &posix_ops;
    read_boot_id(posix);
    return &posix->disk;
}

void disk_posix_free(struct disk *disk)
{
    if (disk == NULL)
        return;
    struct disk_posix *posix = CONTAINER_OF(disk, struct disk_posix, disk);
    CHECK(atomic_load(&posix->open_files) == 0);
    free(posix);
}
