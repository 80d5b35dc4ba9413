#include "common/storage/batch_reader.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum {
    PIECE_BYTES = 256 << 10,
    HEADERS_PIECE_BYTES = 64 << 10,
    /* From this size on reading the next header alone is cheaper than reading through. */
    LARGE_BATCH_BYTES = 16 << 10,
};

void batch_reader_init(struct batch_reader *reader, struct disk_file *file, int64_t position,
                       int64_t end, bool whole)
{
    *reader = (struct batch_reader){.whole = whole};
    batch_reader_reset(reader, file, position, end);
}

void batch_reader_release(struct batch_reader *reader)
{
    free(reader->buffer);
}

void batch_reader_reset(struct batch_reader *reader, struct disk_file *file, int64_t position,
                        int64_t end)
{
    reader->file = file;
    reader->position = position;
    reader->end = end;
    reader->buffer_len = 0;
    reader->last_size = 0;
    reader->damage = NULL;
}

static int damaged(struct batch_reader *reader, const char *what)
{
    reader->damage = what;
    return -EBADMSG;
}

/* Makes `need` bytes at the position available; *ret_data is NULL when the file ends before. */
static int provide(struct batch_reader *reader, size_t need, const uint8_t **ret_data)
{
    int64_t behind = reader->position - reader->buffer_position;
    if (behind >= 0 && (size_t)behind + need <= reader->buffer_len) {
        *ret_data = reader->buffer + behind;
        return 0;
    }
    int64_t left = reader->end - reader->position;
    if (left < (int64_t)need) {
        *ret_data = NULL;
        return 0;
    }
    size_t piece = reader->whole                            ? PIECE_BYTES
                   : reader->last_size >= LARGE_BATCH_BYTES ? RECORD_BATCH_HEADER_SIZE
                                                            : HEADERS_PIECE_BYTES;
    size_t len = (size_t)MIN((int64_t)MAX(piece, need), left);
    if (len > reader->capacity) {
        uint8_t *buffer = mem_try_alloc(len);
        if (buffer == NULL)
            return -ENOMEM;
        free(reader->buffer);
        reader->buffer = buffer;
        reader->capacity = len;
    }
    ssize_t n = disk_pread(reader->file, reader->buffer, len, reader->position);
    reader->buffer_position = reader->position;
    reader->buffer_len = n > 0 ? (size_t)n : 0;
    if (n < 0)
        return (int)n;
    reader->read_bytes += n;
    *ret_data = (size_t)n >= need ? reader->buffer : NULL;
    return 0;
}

static bool all_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != 0)
            return false;
    return true;
}

static int check_header(struct batch_reader *reader, const uint8_t *data, struct batch_view *batch)
{
    size_t size;
    int rv = record_batch_peek_size(data, RECORD_BATCH_HEADER_SIZE, INT32_MAX, &size);
    if (rv == -ENOTSUP)
        return damaged(reader, "a message format older than version 2");
    if (rv != 0)
        return damaged(reader, all_zero(data, RECORD_BATCH_HEADER_SIZE)
                                   ? "zero bytes where a batch should begin"
                                   : "no batch begins there");
    record_batch_header_decode(data, &batch->header);
    if (batch->header.base_offset < 0 || batch->header.last_offset_delta < 0 ||
        record_batch_last_offset(&batch->header) < batch->header.base_offset)
        return damaged(reader, "offsets of a batch are out of range");
    if ((int64_t)size > reader->end - reader->position)
        return damaged(reader, "the file ends within a batch");
    batch->position = reader->position;
    batch->size_bytes = (int32_t)size;
    return 0;
}

int batch_reader_next(struct batch_reader *reader, struct batch_view *ret_batch)
{
    if (reader->position >= reader->end)
        return 0;
    const uint8_t *data;
    int rv = provide(reader, RECORD_BATCH_HEADER_SIZE, &data);
    if (rv != 0)
        return rv;
    if (data == NULL)
        return damaged(reader, "the file ends within the header of a batch");
    struct batch_view batch = {.bytes = BYTES_NULL};
    rv = check_header(reader, data, &batch);
    if (rv != 0)
        return rv;
    if (reader->whole) {
        rv = provide(reader, (size_t)batch.size_bytes, &data);
        if (rv != 0)
            return rv;
        if (data == NULL)
            return damaged(reader, "the file ends within a batch");
        batch.bytes = (struct bytes){data, batch.size_bytes};
    }
    reader->position += batch.size_bytes;
    reader->last_size = (size_t)batch.size_bytes;
    *ret_batch = batch;
    return 1;
}

int batch_reader_fetch(struct batch_reader *reader, struct batch_view *batch)
{
    if (batch->bytes.data != NULL)
        return 0;
    int64_t next = reader->position;
    const uint8_t *data;
    reader->position = batch->position;
    int rv = provide(reader, (size_t)batch->size_bytes, &data);
    reader->position = next;
    if (rv != 0)
        return rv;
    if (data == NULL)
        return damaged(reader, "the file ends within a batch");
    batch->bytes = (struct bytes){data, batch->size_bytes};
    return 0;
}

bool batch_view_intact(const struct batch_view *batch)
{
    CHECK(batch->bytes.data != NULL);
    return record_batch_compute_crc(batch->bytes.data, (size_t)batch->size_bytes) ==
           batch->header.crc;
}
