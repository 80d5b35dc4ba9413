/*
 * Disk: the one door to the file system. The real one calls the kernel; the simulated one keeps
 * files in memory, forgets what was not synced at a power cut, and injects short writes, EIO,
 * ENOSPC, failed fsync and a crash at any call.
 *
 * All calls are synchronous and may block: a loop uses only open files' pread/pwrite on data that
 * is in the page cache; open, fsync, rename and directory calls belong on worker threads. Safe on
 * any thread, but one file is written by one thread at a time. Errors are negative errno. Short
 * transfers never surface: pread returns fewer bytes only at the end of the file, pwrite writes all
 * or fails (then an unknown prefix may have been written).
 */
#ifndef KRAFTD_BASE_DISK_H
#define KRAFTD_BASE_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct disk;
struct mutations;

/* An open file. Reference-counted (atomic), so that bytes can be sent from it after its segment was
 * dropped; the last reference closes it. Implementations embed this struct. */
struct disk_file {
    struct disk *disk;
    _Atomic uint32_t references;
    int fd; /* -1 in a simulation: then only pread works, not sendfile */
};

enum disk_open_flags {
    DISK_READ = 0,
    DISK_WRITE = 1,     /* read and write */
    DISK_CREATE = 2,    /* create when missing */
    DISK_EXCLUSIVE = 4, /* with CREATE: -EEXIST when it is there */
    DISK_TRUNCATE = 8,
};

struct disk_stat {
    int64_t size_bytes;
    int64_t modified_ms;
    bool is_directory;
};

enum { DISK_CACHE_ID_MAX = 160 };

struct disk_usage {
    int64_t total_bytes, usable_bytes;
};

struct disk_ops {
    int (*open)(struct disk *, const char *path, int flags, struct disk_file **ret_file);
    void (*close)(struct disk_file *); /* called by the last unref */
    ssize_t (*pread)(struct disk_file *, void *ret_data, size_t len, int64_t position);
    int (*pwritev)(struct disk_file *, const struct iovec *iov, int count, int64_t position);
    int (*fsync)(struct disk_file *); /* data and what is needed to read it back (fdatasync) */
    int (*truncate)(struct disk_file *, int64_t size_bytes);
    int (*preallocate)(struct disk_file *, int64_t size_bytes); /* grows the file with zeros */
    int64_t (*size)(struct disk_file *);                        /* or a negative errno */
    bool (*cached)(struct disk_file *, int64_t position);       /* that byte is in the page cache */
    int (*stat)(struct disk *, const char *path, struct disk_stat *ret_stat);
    int (*rename)(struct disk *, const char *from, const char *to);
    int (*unlink)(struct disk *,
                  const char *path); /* -EISDIR for a directory; no link is followed */
    int (*mkdir)(struct disk *, const char *path); /* -EEXIST when it is there */
    int (*rmdir)(struct disk *, const char *path);
    int (*fsync_dir)(struct disk *, const char *path);
    /* All data and names of the file system that holds the file: one call where thousands of files
     * would each need theirs. Fails if any write-back failed since the file was opened. */
    int (*sync_all)(struct disk_file *);
    /* Calls `entry` for each name but . and ..; order unspecified; stops and returns what it
     * returned when that is not zero. */
    int (*list)(struct disk *, const char *path, int (*entry)(void *ctx, const char *name),
                void *ctx);
    int (*usage)(struct disk *, const char *path, struct disk_usage *ret_usage);
    /* Takes an advisory lock on an open file for the life of the file; -EAGAIN when another process
     * (or node) holds it. */
    int (*lock)(struct disk_file *);
    /* Names the page cache behind a directory; "" when unknown. As long as it is the same, all that
     * was written there since can be read, whatever process has died: it changes with the kernel's
     * boot, with the file system being mounted anew, and for a copy of the directory. */
    void (*cache_id)(struct disk *, const char *directory, char ret_id[DISK_CACHE_ID_MAX]);
};

struct disk {
    const struct disk_ops *ops;
#ifdef KRAFTD_MUTATIONS
    const struct mutations *mutations; /* common/base/mutation.h; NULL: none */
#endif
};

/* The kernel's file system. Free with disk_posix_free once all files are closed. */
struct disk *disk_posix_new(void);
void disk_posix_free(struct disk *disk);

int disk_open(struct disk *disk, const char *path, int flags, struct disk_file **ret_file);
struct disk_file *disk_file_ref(struct disk_file *file);
void disk_file_unref(struct disk_file *file); /* NULL is fine */
ssize_t disk_pread(struct disk_file *file, void *ret_data, size_t len, int64_t position);
int disk_pwrite(struct disk_file *file, const void *data, size_t len, int64_t position);

/* Whole small files. disk_read_file: fresh memory with a zero byte behind it, the caller frees;
 * -EFBIG above max_bytes. disk_replace_file: `path`.tmp, fsync, rename over path, fsync of the
 * directory: after 0 the new content is durable, after an error or a crash either the old or the
 * new is there. */
int disk_read_file(struct disk *disk, const char *path, size_t max_bytes, char **ret_data,
                   size_t *ret_len);
int disk_replace_file(struct disk *disk, const char *path, const void *data, size_t len);
/* The same without the last step: it is durable once somebody syncs the directory. */
int disk_put_file(struct disk *disk, const char *path, const void *data, size_t len);
/* mkdir -p; syncs each parent in which it made a directory. */
int disk_make_path(struct disk *disk, const char *path);
/* fsync of the directory that holds `path`. */
int disk_sync_parent(struct disk *disk, const char *path);
/* The same for it and all directories above: whoever made one may have died before it synced. One
 * that may not be read was made by somebody else, and is left to them. */
int disk_sync_path(struct disk *disk, const char *path);
bool disk_exists(struct disk *disk, const char *path);
/* The longest part of the path that is there; "": nothing. Fresh memory. */
char *disk_existing_part(struct disk *disk, const char *path);
/* Removes a file or a directory with all it holds; a missing one is fine. */
int disk_remove_tree(struct disk *disk, const char *path);

#endif
