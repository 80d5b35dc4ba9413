#include "tools/batch_file.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUN_BYTES = 1 << 20 };

bool batch_file_open(struct batch_file *file, const char *path, struct failure *failure)
{
    *file = (struct batch_file){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (file->fd >= 0) {
        file->path = mem_strdup(path);
        return true;
    }
    return failure_set(failure,
                       errno == ENOENT ? KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                       : KAFKA_ERROR_KAFKA_STORAGE_ERROR,
                       "Cannot read %s: %s", path, strerror(errno));
}

void batch_file_close(struct batch_file *file)
{
    if (file->path != NULL)
        close(file->fd);
    free(file->path);
    free(file->buffer);
    *file = (struct batch_file){.fd = -1};
}

/* Up to `want` bytes from the position on, fewer at the end of the file. */
static bool fill(struct batch_file *file, size_t want, size_t *ret_len, struct failure *failure)
{
    if (want > file->capacity) {
        uint8_t *bigger = mem_try_alloc(want);
        if (bigger == NULL)
            return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                               "There is no memory for a batch of %zu bytes at position %lld of %s",
                               want, (long long)file->position, file->path);
        free(file->buffer);
        file->buffer = bigger;
        file->capacity = want;
    }
    size_t len = 0;
    while (len < want) {
        ssize_t n = pread(file->fd, file->buffer + len, want - len, file->position + (off_t)len);
        if (n < 0 && errno != EINTR)
            return failure_set(failure, KAFKA_ERROR_KAFKA_STORAGE_ERROR, "Cannot read %s: %s",
                               file->path, strerror(errno));
        if (n == 0)
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    *ret_len = len;
    return true;
}

static bool all_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != 0)
            return false;
    }
    return true;
}

/* What stands at the position is no whole batch: the end of the file, or damage? */
static bool is_end(const struct batch_file *file, const uint8_t *at, size_t left, int64_t position,
                   int error)
{
    if (error == -EAGAIN)
        return true;
    /* A file that was made longer before it was written. */
    return position + (int64_t)left >= file->size && all_zero(at, left);
}

static bool no_batch(const struct batch_file *file, int64_t position, const uint8_t *at, int error,
                     struct failure *failure)
{
    if (error == -ENOTSUP)
        return failure_set(failure, KAFKA_ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
                           "The batch at position %lld of %s has message format %d; the metadata "
                           "log never had any but 2",
                           (long long)position, file->path, at[16]);
    if (position == 0)
        return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                           "%s is neither a snapshot nor a segment of the metadata log: it does "
                           "not begin with a record batch",
                           file->path);
    return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                       "%s is damaged: there is no record batch at position %lld", file->path,
                       (long long)position);
}

/* Takes whole batches from the buffer. *ret_need: the next one has that many bytes; 0: not known.
 */
static bool take_run(struct batch_file *file, size_t len, size_t *ret_run, size_t *ret_need,
                     struct failure *failure)
{
    size_t at = 0;
    *ret_need = 0;
    while (at < len) {
        const uint8_t *data = file->buffer + at;
        int64_t position = file->position + (int64_t)at;
        struct record_batch batch;
        size_t size;
        int rv = record_batch_peek_size(data, len - at, INT32_MAX, &size);
        if (rv == 0 && size > len - at) {
            *ret_need = size;
            break;
        }
        if (rv == 0)
            rv = record_batch_parse(data, size, &batch);
        if (rv != 0 && is_end(file, data, len - at, position, rv))
            break;
        if (rv != 0)
            return no_batch(file, position, data, rv, failure);
        if (!record_batch_crc_ok(&batch)) {
            if (position + (int64_t)size >= file->size && position > 0)
                break;
            return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                               "%s is damaged: the batch at position %lld has a wrong checksum",
                               file->path, (long long)position);
        }
        at += size;
    }
    *ret_run = at;
    return true;
}

bool batch_file_next(struct batch_file *file, struct bytes *ret_run, struct failure *failure)
{
    size_t want = RUN_BYTES, len = 0, run, need;
    struct stat st;
    if (fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return failure_set(failure, KAFKA_ERROR_KAFKA_STORAGE_ERROR, "%s is no regular file",
                           file->path);
    file->size = st.st_size;
    for (;;) {
        if (!fill(file, want, &len, failure) || !take_run(file, len, &run, &need, failure))
            return false;
        /* Does all of a large batch stand in the file? */
        if (run > 0 || need <= want || file->position + (int64_t)need > file->size)
            break;
        want = need;
    }
    file->torn = run == 0 && len > 0;
    file->position += (int64_t)run;
    *ret_run = (struct bytes){file->buffer, (int32_t)run};
    return true;
}
