#include "raft/quorum_checkpoint.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/base/mutation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SUFFIX       ".checkpoint"
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

char *quorum_checkpoint_path(const char *directory, struct quorum_checkpoint_id id,
                             const char *more)
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
    char *path = quorum_checkpoint_path(directory, id, ""),
         *deleted = quorum_checkpoint_path(directory, id, ".deleted");
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
    char *part = quorum_checkpoint_path(directory, id, ".part");
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
    char *part = quorum_checkpoint_path(writer->directory, writer->id, ".part");
    char *path = quorum_checkpoint_path(writer->directory, writer->id, "");
    if (rv == 0)
        rv = disk->ops->rename(disk, part, path);
    if (rv == 0 && !MUTATED(disk, RENAME_WITHOUT_DIR_FSYNC))
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
    char *part = quorum_checkpoint_path(writer->directory, writer->id, ".part");
    writer->disk->ops->unlink(writer->disk, part);
    free(part);
    writer_free(writer);
}
