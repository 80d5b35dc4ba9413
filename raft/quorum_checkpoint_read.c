#include "raft/quorum_checkpoint.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>

#define READ_BYTES ((size_t)1 << 20)

struct quorum_checkpoint_reader {
    struct disk_file *file;
    int64_t position; /* of the window's first byte */
    struct bytebuf window;
    size_t used; /* bytes at the front that were given out */
    int64_t next_offset;
    bool header_seen, footer_seen;
    struct quorum_checkpoint_info info;
};

int quorum_checkpoint_open(struct disk *disk, const char *directory, struct quorum_checkpoint_id id,
                           struct quorum_checkpoint_reader **ret_reader)
{
    char *path = quorum_checkpoint_path(directory, id, "");
    int rv = quorum_checkpoint_open_path(disk, path, ret_reader);
    free(path);
    return rv;
}

int quorum_checkpoint_open_path(struct disk *disk, const char *path,
                                struct quorum_checkpoint_reader **ret_reader)
{
    struct quorum_checkpoint_reader *r = mem_calloc(1, sizeof(*r));
    int rv = disk_open(disk, path, DISK_READ, &r->file);
    if (rv == 0)
        r->info.size_bytes = disk->ops->size(r->file);
    if (rv == 0 && r->info.size_bytes < 0)
        rv = (int)r->info.size_bytes;
    if (rv != 0) {
        quorum_checkpoint_close(r);
        return rv;
    }
    *ret_reader = r;
    return 0;
}

void quorum_checkpoint_close(struct quorum_checkpoint_reader *r)
{
    if (!r)
        return;
    disk_file_unref(r->file);
    bytebuf_release(&r->window);
    quorum_voters_unref(r->info.voters);
    free(r);
}

const struct quorum_checkpoint_info *
quorum_checkpoint_info(const struct quorum_checkpoint_reader *reader)
{
    return &reader->info;
}

static int take_control(struct quorum_checkpoint_reader *r, const struct record_batch *batch)
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

static int take_batch(struct quorum_checkpoint_reader *r, const struct record_batch *batch)
{
    if (!record_batch_crc_ok(batch) || batch->header.base_offset != r->next_offset ||
        r->footer_seen)
        return -EBADMSG;
    r->next_offset = record_batch_next_offset(&batch->header);
    if (batch->header.attributes & RECORD_BATCH_CONTROL)
        return take_control(r, batch);
    return r->header_seen ? 0 : -EBADMSG;
}

/* Takes what the window holds: a run of metadata batches, which a control batch or the window's end
 * ends. The run may be empty. */
static int take_run(struct quorum_checkpoint_reader *r, struct bytes *ret_run)
{
    const uint8_t *start = r->window.data + r->used, *end = start;
    struct record_batches rest = {start, r->window.data + r->window.len};
    struct record_batch batch;
    int rv;
    while ((rv = record_batches_next(&rest, &batch)) == 1) {
        bool control = batch.header.attributes & RECORD_BATCH_CONTROL;
        if (control && end > start)
            break;
        rv = take_batch(r, &batch);
        if (rv != 0)
            return rv;
        end = batch.bytes.data + batch.bytes.len;
        if (control)
            start = end;
    }
    if (rv < 0 && rv != -EAGAIN)
        return -EBADMSG;
    r->used = (size_t)(end - r->window.data);
    *ret_run = (struct bytes){start, (int32_t)(end - start)};
    return 0;
}

/* Reads more; a batch larger than the window doubles it. 0 at the end of the file. */
static int fill_window(struct quorum_checkpoint_reader *r)
{
    size_t left = r->window.len - r->used;
    if (left > QUORUM_CHECKPOINT_BATCH_MAX)
        return -EBADMSG;
    if (left > 0)
        memmove(r->window.data, r->window.data + r->used, left);
    r->position += (int64_t)r->used;
    r->window.len = left;
    r->used = 0;
    if (r->position + (int64_t)left >= r->info.size_bytes)
        return 0;
    size_t more = left + READ_BYTES;
    ssize_t got =
        disk_pread(r->file, bytebuf_reserve(&r->window, more), more, r->position + (int64_t)left);
    if (got <= 0)
        return got < 0 ? (int)got : -EBADMSG;
    r->window.len += (size_t)got;
    return 1;
}

int quorum_checkpoint_next(struct quorum_checkpoint_reader *r, struct bytes *ret_batches)
{
    for (;;) {
        struct bytes run = {NULL, 0};
        int rv = r->window.len > r->used ? take_run(r, &run) : 0;
        if (rv != 0)
            return rv;
        if (run.len > 0) {
            *ret_batches = run;
            return 1;
        }
        rv = fill_window(r);
        if (rv < 0)
            return rv;
        if (rv == 0)
            return r->footer_seen && r->window.len == 0 ? 0 : -EBADMSG;
    }
}

int quorum_checkpoint_read(struct disk *disk, const char *directory, struct quorum_checkpoint_id id,
                           int (*each)(void *ctx, struct bytes batches), void *ctx,
                           struct quorum_checkpoint_info *ret_info)
{
    struct quorum_checkpoint_reader *r;
    struct bytes batches;
    int rv = quorum_checkpoint_open(disk, directory, id, &r);
    if (rv != 0)
        return rv;
    while ((rv = quorum_checkpoint_next(r, &batches)) == 1) {
        rv = each ? each(ctx, batches) : 0;
        if (rv != 0)
            break;
    }
    if (rv == 0 && ret_info) {
        *ret_info = r->info;
        r->info.voters = NULL;
    }
    quorum_checkpoint_close(r);
    return rv;
}
