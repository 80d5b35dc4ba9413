#include "raft/quorum_checkpoint_receive.h"

#include "common/base/mem.h"

#include <stdlib.h>

struct quorum_checkpoint_receiver {
    struct disk *disk;
    char *directory, *part, *path;
    struct disk_file *file;
    int64_t position;
};

static void receiver_free(struct quorum_checkpoint_receiver *r)
{
    disk_file_unref(r->file);
    free(r->directory);
    free(r->part);
    free(r->path);
    free(r);
}

int quorum_checkpoint_receive(struct disk *disk, const char *directory,
                              struct quorum_checkpoint_id id,
                              struct quorum_checkpoint_receiver **ret_receiver)
{
    struct quorum_checkpoint_receiver *r = mem_calloc(1, sizeof(*r));
    r->disk = disk;
    r->directory = mem_strdup(directory);
    r->part = quorum_checkpoint_path(directory, id, ".part");
    r->path = quorum_checkpoint_path(directory, id, "");
    int rv = disk_open(disk, r->part, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &r->file);
    if (rv != 0) {
        receiver_free(r);
        return rv;
    }
    *ret_receiver = r;
    return 0;
}

int quorum_checkpoint_receiver_put(struct quorum_checkpoint_receiver *r, const void *data,
                                   size_t len)
{
    int rv = disk_pwrite(r->file, data, len, r->position);
    if (rv == 0)
        r->position += (int64_t)len;
    return rv;
}

/* Every checksum, header first, footer last. */
static int verify(struct quorum_checkpoint_receiver *r, struct quorum_checkpoint_info *ret_info)
{
    struct quorum_checkpoint_reader *reader;
    struct bytes batches;
    int rv = quorum_checkpoint_open_path(r->disk, r->part, &reader);
    if (rv != 0)
        return rv;
    do
        rv = quorum_checkpoint_next(reader, &batches);
    while (rv == 1);
    if (rv == 0) {
        *ret_info = *quorum_checkpoint_info(reader);
        if (ret_info->voters)
            quorum_voters_ref(ret_info->voters);
    }
    quorum_checkpoint_close(reader);
    return rv;
}

int quorum_checkpoint_receiver_finish(struct quorum_checkpoint_receiver *r,
                                      struct quorum_checkpoint_info *ret_info)
{
    struct quorum_checkpoint_info info = {0};
    int rv = r->disk->ops->fsync(r->file);
    if (rv == 0)
        rv = verify(r, &info);
    if (rv != 0) {
        quorum_checkpoint_receiver_abort(r);
        return rv;
    }
    rv = r->disk->ops->rename(r->disk, r->part, r->path);
    if (rv == 0)
        rv = r->disk->ops->fsync_dir(r->disk, r->directory);
    if (rv == 0)
        *ret_info = info;
    else
        quorum_voters_unref(info.voters);
    receiver_free(r);
    return rv;
}

void quorum_checkpoint_receiver_abort(struct quorum_checkpoint_receiver *r)
{
    if (!r)
        return;
    r->disk->ops->unlink(r->disk, r->part);
    receiver_free(r);
}
