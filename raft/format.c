#include "raft/format.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch_fields.h"
#include "raft/quorum_checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(char error[FORMAT_ERROR_LEN], const char *path, int rv)
{
    snprintf(error, FORMAT_ERROR_LEN, "%s cannot be written: %s", path, strerror(-rv));
    return rv;
}

/* The records stand behind the control records of the header. */
static int write_records(struct quorum_checkpoint_writer *writer, struct bytes records,
                         int32_t epoch)
{
    if (records.len <= 0)
        return 0;
    struct buf *copy = buf_copy(records.data, (size_t)records.len);
    struct record_batches run = {copy->data, copy->data + copy->size_bytes};
    struct record_batch batch;
    int64_t first = quorum_checkpoint_next_offset(writer);
    int rv;
    for (uint8_t *at = copy->data; (rv = record_batches_next(&run, &batch)) == 1;
         at += batch.bytes.len)
        record_batch_set_offsets(at, first + batch.header.base_offset, epoch);
    CHECK(rv == 0);
    rv = quorum_checkpoint_write(writer, (struct bytes){copy->data, (int32_t)copy->size_bytes});
    buf_unref(copy);
    return rv;
}

static int write_checkpoint(struct disk *disk, const struct format_request *request,
                            const char *directory)
{
    struct quorum_checkpoint_header header = {
        .last_contained_ms = request->now_ms,
        .timestamp_ms = request->now_ms,
        .with_kraft_version = request->with_kraft_version,
        .voters = request->voters,
    };
    struct quorum_checkpoint_writer *writer;
    int rv = disk_make_path(disk, directory);
    if (rv == 0)
        rv = quorum_checkpoint_create(disk, directory, QUORUM_CHECKPOINT_BOOTSTRAP, &header,
                                      &writer);
    if (rv != 0)
        return rv;
    rv = write_records(writer, request->records, QUORUM_CHECKPOINT_BOOTSTRAP.epoch);
    if (rv != 0) {
        quorum_checkpoint_abort(writer);
        return rv;
    }
    return quorum_checkpoint_finish(writer);
}

static int write_meta(struct disk *disk, const struct format_request *request,
                      const struct format_dir *dir, char error[FORMAT_ERROR_LEN])
{
    struct meta_properties meta = {.node_id = request->node_id, .directory_id = dir->directory_id};
    snprintf(meta.cluster_id, sizeof(meta.cluster_id), "%s", request->cluster_id);
    char *path = mem_printf("%s/" META_PROPERTIES_FILE, dir->path);
    int rv = disk_make_path(disk, dir->path);
    if (rv == 0)
        rv = meta_properties_write(disk, path, &meta, request->now_ms);
    if (rv != 0)
        fail(error, path, rv);
    free(path);
    return rv;
}

int format_directories(struct disk *disk, const struct format_request *request,
                       char error[FORMAT_ERROR_LEN])
{
    CHECK(request->metadata_dir < request->dir_count);
    CHECK(request->cluster_id[0] && strlen(request->cluster_id) <= CLUSTER_ID_MAX);
    const struct format_dir *metadata = &request->dirs[request->metadata_dir];
    int rv = disk_make_path(disk, metadata->path);
    if (rv != 0)
        return fail(error, metadata->path, rv);
    if (request->formation) {
        /* What comes next syncs the directory: at the latest meta.properties, before which nothing
         * of this counts. */
        rv = formation_record_put(disk, metadata->path, request->formation);
        if (rv != 0)
            return fail(error, FORMATION_FILE, rv);
    }
    if (!request->without_checkpoint) {
        char *directory = mem_printf("%s/" FORMAT_METADATA_NAME, metadata->path);
        rv = write_checkpoint(disk, request, directory);
        if (rv != 0)
            fail(error, directory, rv);
        free(directory);
    }
    for (size_t i = 0; i < request->dir_count && rv == 0; i++) {
        if (i != request->metadata_dir && !request->dirs[i].skip)
            rv = write_meta(disk, request, &request->dirs[i], error);
    }
    if (rv == 0 && !metadata->skip)
        rv = write_meta(disk, request, metadata, error);
    return rv;
}
