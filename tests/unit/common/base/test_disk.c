#include "common/base/disk.h"

#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
    struct disk *disk;
    char dir[64];
};

static int set_up(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    f->disk = disk_posix_new();
    snprintf(f->dir, sizeof(f->dir), "/tmp/test_disk.XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int rv = disk_remove_tree(f->disk, f->dir);
    disk_posix_free(f->disk);
    free(f);
    return rv;
}

/* Valid until the next call with the same slot. */
static const char *path_of(struct fixture *f, const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", f->dir, name);
    return path;
}

static void writes_of_many_pieces_read_back(void **state)
{
    struct fixture *f = *state;
    struct disk_file *file;
    assert_int_equal(disk_open(f->disk, path_of(f, "a"), DISK_WRITE | DISK_CREATE, &file), 0);
    struct iovec iov[200];
    char pieces[200][3];
    for (int i = 0; i < 200; i++) {
        memset(pieces[i], 'a' + i % 26, 3);
        iov[i] = (struct iovec){pieces[i], i % 4 == 0 ? 0 : 3};
    }
    assert_int_equal(f->disk->ops->pwritev(file, iov, 200, 5), 0);
    assert_int_equal(f->disk->ops->size(file), 5 + 150 * 3);
    char data[1000];
    assert_int_equal(disk_pread(file, data, sizeof(data), 5), 450);
    assert_memory_equal(data, "bbbcccddd", 9);
    assert_int_equal(disk_pread(file, data, 10, 455), 0);
    assert_true(f->disk->ops->cached(file, 5));
    assert_int_equal(f->disk->ops->fsync(file), 0);
    assert_int_equal(f->disk->ops->truncate(file, 7), 0);
    assert_int_equal(f->disk->ops->preallocate(file, 100), 0);
    assert_int_equal(f->disk->ops->size(file), 100);
    assert_int_equal(f->disk->ops->preallocate(file, 50), 0);
    assert_int_equal(f->disk->ops->size(file), 100);
    assert_int_equal(disk_pread(file, data, 100, 0), 100);
    assert_memory_equal(data, "\0\0\0\0\0bb\0\0", 9);
    disk_file_unref(file);
}

static void open_flags_and_errors(void **state)
{
    struct fixture *f = *state;
    struct disk_file *file = NULL;
    assert_int_equal(disk_open(f->disk, path_of(f, "none"), DISK_READ, &file), -ENOENT);
    assert_null(file);
    assert_int_equal(disk_open(f->disk, path_of(f, "a"), DISK_WRITE | DISK_CREATE, &file), 0);
    assert_true(fcntl(file->fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(disk_pwrite(file, "xyz", 3, 0), 0);
    disk_file_unref(file);
    struct disk_file *other = NULL;
    assert_int_equal(
        disk_open(f->disk, path_of(f, "a"), DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &other),
        -EEXIST);
    assert_int_equal(disk_open(f->disk, path_of(f, "a"), DISK_READ, &file), 0);
    assert_int_equal(disk_pwrite(file, "q", 1, 0), -EBADF);
    disk_file_unref(file);
    assert_int_equal(disk_open(f->disk, path_of(f, "a"), DISK_WRITE | DISK_TRUNCATE, &file), 0);
    assert_int_equal(f->disk->ops->size(file), 0);
    disk_file_unref(disk_file_ref(file));
    disk_file_unref(file);
    assert_int_equal(f->disk->ops->unlink(f->disk, f->dir), -EISDIR);
}

static void replace_file_is_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    char *data;
    size_t len;
    assert_int_equal(disk_replace_file(f->disk, path_of(f, "c"), "old", 3), 0);
    assert_int_equal(disk_replace_file(f->disk, path_of(f, "c"), "newer", 5), 0);
    assert_int_equal(disk_read_file(f->disk, path_of(f, "c"), 5, &data, &len), 0);
    assert_int_equal(len, 5);
    assert_string_equal(data, "newer");
    free(data);
    assert_int_equal(disk_read_file(f->disk, path_of(f, "c"), 4, &data, &len), -EFBIG);
    assert_int_equal(disk_replace_file(f->disk, path_of(f, "no/c"), "x", 1), -ENOENT);
    /* A directory in the way: the error surfaces and the temporary file is gone. */
    assert_int_equal(f->disk->ops->mkdir(f->disk, path_of(f, "d")), 0);
    assert_int_equal(disk_replace_file(f->disk, path_of(f, "d"), "x", 1), -EISDIR);
    assert_false(disk_exists(f->disk, path_of(f, "d.tmp")));
    assert_int_equal(disk_replace_file(f->disk, path_of(f, "e"), "", 0), 0);
    assert_int_equal(disk_read_file(f->disk, path_of(f, "e"), 0, &data, &len), 0);
    assert_int_equal(len, 0);
    free(data);
}

static int count_name(void *ctx, const char *name)
{
    ++*(int *)ctx;
    return strcmp(name, "stop") == 0 ? -ECANCELED : 0;
}

static void paths_and_trees(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(disk_make_path(f->disk, path_of(f, "x//y/z/")), 0);
    assert_int_equal(disk_make_path(f->disk, path_of(f, "x/y/z")), 0);
    assert_true(disk_exists(f->disk, path_of(f, "x/y/z")));
    assert_int_equal(disk_replace_file(f->disk, path_of(f, "x/file"), "1", 1), 0);
    assert_int_equal(disk_make_path(f->disk, path_of(f, "x/file")), -ENOTDIR);
    assert_int_equal(disk_make_path(f->disk, path_of(f, "x/file/deeper")), -ENOTDIR);
    assert_int_equal(disk_make_path(f->disk, ""), -ENOENT);
    int count = 0;
    assert_int_equal(f->disk->ops->list(f->disk, path_of(f, "x"), count_name, &count), 0);
    assert_int_equal(count, 2);
    /* A link is removed, what it points to stays. */
    assert_int_equal(symlink(f->dir, path_of(f, "x/y/link")), 0);
    assert_int_equal(disk_replace_file(f->disk, path_of(f, "keep"), "1", 1), 0);
    assert_int_equal(disk_remove_tree(f->disk, path_of(f, "x")), 0);
    assert_false(disk_exists(f->disk, path_of(f, "x")));
    assert_true(disk_exists(f->disk, path_of(f, "keep")));
    assert_int_equal(disk_remove_tree(f->disk, path_of(f, "x")), 0);
    assert_int_equal(f->disk->ops->mkdir(f->disk, path_of(f, "stop")), 0);
    assert_int_equal(f->disk->ops->list(f->disk, f->dir, count_name, &count), -ECANCELED);
}

static void stat_and_usage(void **state)
{
    struct fixture *f = *state;
    struct disk_stat st;
    struct disk_usage usage;
    assert_int_equal(disk_replace_file(f->disk, path_of(f, "s"), "12345", 5), 0);
    assert_int_equal(f->disk->ops->stat(f->disk, path_of(f, "s"), &st), 0);
    assert_int_equal(st.size_bytes, 5);
    assert_false(st.is_directory);
    assert_true(st.modified_ms > 1500000000000);
    assert_int_equal(f->disk->ops->stat(f->disk, path_of(f, "none"), &st), -ENOENT);
    assert_int_equal(f->disk->ops->usage(f->disk, f->dir, &usage), 0);
    assert_true(usage.total_bytes >= usage.usable_bytes && usage.total_bytes > 0);
}

static void each_directory_names_its_page_cache(void **state)
{
    struct fixture *f = *state;
    char id[DISK_CACHE_ID_MAX], again[DISK_CACHE_ID_MAX];
    assert_int_equal(disk_make_path(f->disk, path_of(f, "a")), 0);
    assert_int_equal(disk_make_path(f->disk, path_of(f, "b")), 0);
    f->disk->ops->cache_id(f->disk, path_of(f, "a"), id);
    f->disk->ops->cache_id(f->disk, path_of(f, "a"), again);
    assert_string_equal(id, again);
    assert_true(strlen(id) > 36);
    f->disk->ops->cache_id(f->disk, path_of(f, "b"), again);
    assert_string_not_equal(id, again);
    assert_memory_equal(id, again, 36); /* the kernel's boot */
    /* Another file system. */
    f->disk->ops->cache_id(f->disk, "/proc/self", again);
    assert_string_not_equal(id, again);
    f->disk->ops->cache_id(f->disk, path_of(f, "none"), again);
    assert_string_equal(again, "");
}

static void one_lock_holder(void **state)
{
    struct fixture *f = *state;
    struct disk_file *first, *second;
    assert_int_equal(disk_open(f->disk, path_of(f, "l"), DISK_WRITE | DISK_CREATE, &first), 0);
    assert_int_equal(disk_open(f->disk, path_of(f, "l"), DISK_WRITE, &second), 0);
    assert_int_equal(f->disk->ops->lock(first), 0);
    assert_int_equal(f->disk->ops->lock(second), -EAGAIN);
    /* What another program takes by fcntl, as a JVM does, conflicts as well. */
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path_of(f, "l"), O_RDWR);
        _exit(fd >= 0 && fcntl(fd, F_SETLK, &lock) != 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    disk_file_unref(first);
    assert_int_equal(f->disk->ops->lock(second), 0);
    disk_file_unref(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_of_many_pieces_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_flags_and_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replace_file_is_all_or_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_and_trees, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stat_and_usage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_directory_names_its_page_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_lock_holder, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
