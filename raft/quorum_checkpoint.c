#include "raft/quorum_checkpoint.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SUFFIX       ".checkpoint"
#define READ_BYTES   ((size_t)1 << 20)
#define OFFSET_CHARS 20
#define EPOCH_CHARS  10

void quorum_checkpoint_name(struct quorum_checkpoint_id id, char name[QUORUM_CHECKPOINT_NAME_MAX])
{
    snprintf(name, QUORUM_CHECKPOINT_NAME_MAX, "%020" PRId64 "-%010" PRId32 SUFFIX, id.end_offset,
             id.epoch);
}

bool quorum_checkpoint_parse_name(const char *name, struct quorum_checkpoint_id *ret_id)
{
    struct str rest = str_of(name), offset, epoch;
    int64_t end_offset, epoch_value;
    if (!str_ends_with(rest, STR(SUFFIX)))
        return false;
    rest.len -= (int32_t)strlen(SUFFIX);
    if (!str_split(&rest, '-', &offset) || offset.len != OFFSET_CHARS || rest.len != EPOCH_CHARS)
        return false;
    epoch = rest;
    if (str_to_i64(offset, &end_offset) != 0 || str_to_i64(epoch, &epoch_value) != 0 ||
        end_offset < 0 || epoch_value < 0 || epoch_value > INT32_MAX)
        return false;
    *ret_id = (struct quorum_checkpoint_id){end_offset, (int32_t)epoch_value};
    return true;
}

static char *path_of(const char *directory, struct quorum_checkpoint_id id, const char *more)
{
    char name[QUORUM_CHECKPOINT_NAME_MAX];
    quorum_checkpoint_name(id, name);
    return mem_printf("%s/%s%s", directory, name, more);
}

struct listing {
    struct quorum_checkpoint_id *ids;
    size_t count, capacity;
    char **leftovers;
    size_t leftover_count, leftover_capacity;
};

static int list_entry(void *ctx, const char *name)
{
    struct listing *listing = ctx;
    struct quorum_checkpoint_id id;
    if (quorum_checkpoint_parse_name(name, &id))
        VEC_PUSH(listing->ids, listing->count, listing->capacity) = id;
    else if (str_ends_with(str_of(name), STR(SUFFIX ".part")))
        VEC_PUSH(listing->leftovers, listing->leftover_count, listing->leftover_capacity) =
            mem_strdup(name);
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    const struct quorum_checkpoint_id *x = a, *y = b;
    if (x->end_offset != y->end_offset)
        return x->end_offset < y->end_offset ? -1 : 1;
    return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

int quorum_checkpoint_list(struct disk *disk, const char *directory, bool tidy,
                           struct quorum_checkpoint_id **ret_ids, size_t *ret_count)
{
    struct listing listing = {0};
    int rv = disk->ops->list(disk, directory, list_entry, &listing);
    for (size_t i = 0; i < listing.leftover_count; i++) {
        char *path = mem_printf("%s/%s", directory, listing.leftovers[i]);
        if (rv == 0 && tidy)
            rv = disk->ops->unlink(disk, path);
        free(path);
        free(listing.leftovers[i]);
    }
    free(listing.leftovers);
    if (rv != 0) {
        free(listing.ids);
        return rv;
    }
    if (listing.count > 1)
        qsort(listing.ids, listing.count, sizeof(listing.ids[0]), compare_ids);
    *ret_ids = listing.ids;
    *ret_count = listing.count;
    return 0;
}

int quorum_checkpoint_delete(struct disk *disk, const char *directory,
                             struct quorum_checkpoint_id id)
{
    char *path = path_of(directory, id, ""), *deleted = path_of(directory, id, ".deleted");
    int rv = disk->ops->rename(disk, path, deleted);
    if (rv == 0)
        rv = disk->ops->unlink(disk, deleted);
    free(path);
    free(deleted);
    return rv == -ENOENT ? 0 : rv;
}

struct quorum_checkpoint_writer {
    struct disk *disk;
    char *directory;
    struct quorum_checkpoint_id id;
    struct disk_file *file;
    int64_t position, next_offset;
    int64_t timestamp_ms;
};

static void writer_free(struct quorum_checkpoint_writer *writer)
{
    disk_file_unref(writer->file);
    free(writer->directory);
    free(writer);
}

static int writer_put(struct quorum_checkpoint_writer *writer, const void *data, size_t len)
{
    int rv = disk_pwrite(writer->file, data, len, writer->position);
    if (rv == 0)
        writer->position += (int64_t)len;
    return rv;
}

int quorum_checkpoint_create(struct disk *disk, const char *directory,
                             struct quorum_checkpoint_id id,
                             const struct quorum_checkpoint_header *header,
                             struct quorum_checkpoint_writer **ret_writer)
{
    struct quorum_checkpoint_writer *writer = mem_calloc(1, sizeof(*writer));
    writer->disk = disk;
    writer->directory = mem_strdup(directory);
    writer->id = id;
    writer->timestamp_ms = header->timestamp_ms;
    char *part = path_of(directory, id, ".part");
    int rv = disk_open(disk, part, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &writer->file);
    free(part);
    if (rv != 0) {
        writer_free(writer);
        return rv;
    }
    struct bytebuf batch;
    bytebuf_init(&batch);
    struct quorum_control_place place = {0, id.epoch, header->timestamp_ms};
    writer->next_offset = quorum_control_header(&place, header->last_contained_ms,
                                                header->with_kraft_version, header->voters, &batch);
    rv = writer_put(writer, batch.data, batch.len);
    bytebuf_release(&batch);
    if (rv != 0) {
        quorum_checkpoint_abort(writer);
        return rv;
    }
    *ret_writer = writer;
    return 0;
}

int64_t quorum_checkpoint_next_offset(const struct quorum_checkpoint_writer *writer)
{
    return writer->next_offset;
}

struct quorum_checkpoint_id quorum_checkpoint_id(const struct quorum_checkpoint_writer *writer)
{
    return writer->id;
}

int quorum_checkpoint_write(struct quorum_checkpoint_writer *writer, struct bytes batches)
{
    struct record_batches run = record_batches_of(batches);
    struct record_batch batch;
    int rv;
    while ((rv = record_batches_next(&run, &batch)) == 1) {
        CHECK(batch.header.base_offset == writer->next_offset);
        writer->next_offset = record_batch_next_offset(&batch.header);
    }
    CHECK(rv == 0);
    return writer_put(writer, batches.data, (size_t)batches.len);
}

int quorum_checkpoint_finish(struct quorum_checkpoint_writer *writer)
{
    struct disk *disk = writer->disk;
    struct bytebuf footer;
    bytebuf_init(&footer);
    struct quorum_control_place place = {writer->next_offset, writer->id.epoch,
                                         writer->timestamp_ms};
    quorum_control_footer(&place, &footer);
    int rv = writer_put(writer, footer.data, footer.len);
    bytebuf_release(&footer);
    if (rv == 0)
        rv = disk->ops->fsync(writer->file);
    char *part = path_of(writer->directory, writer->id, ".part");
    char *path = path_of(writer->directory, writer->id, "");
    if (rv == 0)
        rv = disk->ops->rename(disk, part, path);
    if (rv == 0)
        rv = disk->ops->fsync_dir(disk, writer->directory);
    free(part);
    free(path);
    writer_free(writer);
    return rv;
}

void quorum_checkpoint_abort(struct quorum_checkpoint_writer *writer)
{
    if (!writer)
        return;
    char *part = path_of(writer->directory, writer->id, ".part");
    writer->disk->ops->unlink(writer->disk, part);
    free(part);
    writer_free(writer);
}

struct reader {
    struct disk_file *file;
    int64_t position, size;
    struct bytebuf window; /* bytes from `position` on */
    int64_t next_offset;
    bool header_seen, footer_seen;
    struct quorum_checkpoint_info info;
};

static int read_control(struct reader *r, const struct record_batch *batch)
{
    struct quorum_control control;
    int rv = quorum_control_parse(batch, &control);
    if (rv != 0)
        return rv;
    if (!r->header_seen) {
        r->header_seen = control.header;
        r->info.last_contained_ms = control.last_contained_ms;
        r->info.kraft_version = control.kraft_version > 0 ? control.kraft_version : 0;
        r->info.voters = control.voters;
        return control.header ? 0 : -EBADMSG;
    }
    quorum_voters_unref(control.voters);
    r->footer_seen = control.footer;
    return control.footer ? 0 : -EBADMSG;
}

static int check_batch(struct reader *r, const struct record_batch *batch)
{
    if (!record_batch_crc_ok(batch) || batch->header.base_offset != r->next_offset ||
        r->footer_seen)
        return -EBADMSG;
    r->next_offset = record_batch_next_offset(&batch->header);
    if (batch->header.attributes & RECORD_BATCH_CONTROL)
        return read_control(r, batch);
    return r->header_seen ? 0 : -EBADMSG;
}

/* Hands the whole batches of the window on; sets *ret_used to what they take. */
static int read_window(struct reader *r, int (*each)(void *, struct bytes), void *ctx,
                       size_t *ret_used)
{
    struct record_batches run =
        record_batches_of((struct bytes){r->window.data, (int32_t)r->window.len});
    struct record_batch batch;
    const uint8_t *data = NULL, *end = r->window.data;
    int rv;
    while ((rv = record_batches_next(&run, &batch)) == 1) {
        rv = check_batch(r, &batch);
        if (rv != 0)
            return rv;
        bool control = batch.header.attributes & RECORD_BATCH_CONTROL;
        if (data && control && each &&
            (rv = each(ctx, (struct bytes){data, (int32_t)(end - data)})) != 0)
            return rv;
        data = control ? NULL : data ? data : batch.bytes.data;
        end = batch.bytes.data + batch.bytes.len;
    }
    if (rv < 0 && rv != -EAGAIN)
        return -EBADMSG;
    if (data && each && (rv = each(ctx, (struct bytes){data, (int32_t)(end - data)})) != 0)
        return rv;
    *ret_used = (size_t)(end - r->window.data);
    return 0;
}

static int read_all(struct reader *r, int (*each)(void *, struct bytes), void *ctx)
{
    while (r->position + (int64_t)r->window.len < r->size) {
        if (r->window.len > QUORUM_CHECKPOINT_BATCH_MAX)
            return -EBADMSG;
        size_t more = r->window.len + READ_BYTES; /* a larger batch doubles the window */
        uint8_t *room = bytebuf_reserve(&r->window, more);
        ssize_t got = disk_pread(r->file, room, more, r->position + (int64_t)r->window.len);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return -EBADMSG;
        r->window.len += (size_t)got;
        size_t used = 0;
        int rv = read_window(r, each, ctx, &used);
        if (rv != 0)
            return rv;
        memmove(r->window.data, r->window.data + used, r->window.len - used);
        r->window.len -= used;
        r->position += (int64_t)used;
    }
    return r->window.len == 0 && r->footer_seen ? 0 : -EBADMSG;
}

int quorum_checkpoint_read(struct disk *disk, const char *directory, struct quorum_checkpoint_id id,
                           int (*each)(void *ctx, struct bytes batches), void *ctx,
                           struct quorum_checkpoint_info *ret_info)
{
    struct reader r = {0};
    char *path = path_of(directory, id, "");
    int rv = disk_open(disk, path, DISK_READ, &r.file);
    free(path);
    if (rv != 0)
        return rv;
    r.size = disk->ops->size(r.file);
    bytebuf_init(&r.window);
    rv = r.size < 0 ? (int)r.size : read_all(&r, each, ctx);
    bytebuf_release(&r.window);
    disk_file_unref(r.file);
    r.info.size_bytes = r.size;
    if (rv == 0 && ret_info)
        *ret_info = r.info;
    else
        quorum_voters_unref(r.info.voters);
    return rv;
}
