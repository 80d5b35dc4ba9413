/*
 * Checkpoints of the metadata log: "<end offset, 20 digits>-<epoch, 10 digits>.checkpoint" holds
 * the state that all records below the end offset add up to; epoch is that of the last of them.
 *
 *   SnapshotHeader [, KRaftVersion, Voters]     one control batch at offset 0
 *   metadata records                            data batches; offsets count on within the file
 *   SnapshotFooter                              one control batch: the file is whole
 *
 * It is written under the name with ".part" behind it, synced, renamed, and the directory synced:
 * under its own name it is always whole. What leaves the directory is renamed to ".deleted" first.
 *
 * All of this blocks: on a worker, or at start and stop. A writer is used by one thread at a time.
 * Errors are negative errno; -EBADMSG: damaged, or not a checkpoint.
 */
#ifndef KRAFTD_RAFT_QUORUM_CHECKPOINT_H
#define KRAFTD_RAFT_QUORUM_CHECKPOINT_H

#include "common/base/disk.h"
#include "raft/quorum_control.h"

#define QUORUM_CHECKPOINT_NAME_MAX 64
/* Largest batch a checkpoint may hold: a reader has it in memory. */
#define QUORUM_CHECKPOINT_BATCH_MAX ((size_t)64 << 20)

struct quorum_checkpoint_id {
    int64_t end_offset;
    int32_t epoch;
};

/* What the bootstrap checkpoint is called. */
#define QUORUM_CHECKPOINT_BOOTSTRAP ((struct quorum_checkpoint_id){0, 0})

void quorum_checkpoint_name(struct quorum_checkpoint_id id, char name[QUORUM_CHECKPOINT_NAME_MAX]);
/* directory/name and what stands behind it; fresh memory. */
char *quorum_checkpoint_path(const char *directory, struct quorum_checkpoint_id id,
                             const char *suffix);
/* False for any other name (.part and .deleted too). */
bool quorum_checkpoint_parse_name(const char *name, struct quorum_checkpoint_id *ret_id);

/* Those in the directory, ascending; fresh memory. With `tidy`, .part files of a crash go. */
int quorum_checkpoint_list(struct disk *disk, const char *directory, bool tidy,
                           struct quorum_checkpoint_id **ret_ids, size_t *ret_count);
/* Takes it out of the directory; a missing one is fine. */
int quorum_checkpoint_delete(struct disk *disk, const char *directory,
                             struct quorum_checkpoint_id id);

struct quorum_checkpoint_header {
    int64_t last_contained_ms;
    int64_t timestamp_ms; /* of the control batches */
    bool with_kraft_version;
    const struct quorum_voters *voters; /* NULL: none */
};

struct quorum_checkpoint_writer;

/* Writes the header batch. The header's voters are not kept. */
int quorum_checkpoint_create(struct disk *disk, const char *directory,
                             struct quorum_checkpoint_id id,
                             const struct quorum_checkpoint_header *header,
                             struct quorum_checkpoint_writer **ret_writer);
/* Offset of the next record within the file. */
int64_t quorum_checkpoint_next_offset(const struct quorum_checkpoint_writer *writer);
struct quorum_checkpoint_id quorum_checkpoint_id(const struct quorum_checkpoint_writer *writer);
/* A run of whole batches at the next offset. */
int quorum_checkpoint_write(struct quorum_checkpoint_writer *writer, struct bytes batches);
/* Footer, sync, rename, sync of the directory. Frees the writer, also on an error. */
int quorum_checkpoint_finish(struct quorum_checkpoint_writer *writer);
/* Removes what was written and frees. NULL is fine. */
void quorum_checkpoint_abort(struct quorum_checkpoint_writer *writer);

struct quorum_checkpoint_info {
    int64_t last_contained_ms;
    int kraft_version;            /* 0 where it does not say */
    struct quorum_voters *voters; /* NULL: none */
    int64_t size_bytes;
};

/* Reads from end to end: every checksum, header first, footer last. */
struct quorum_checkpoint_reader;

int quorum_checkpoint_open(struct disk *disk, const char *directory, struct quorum_checkpoint_id id,
                           struct quorum_checkpoint_reader **ret_reader);
/* The same under any name. */
int quorum_checkpoint_open_path(struct disk *disk, const char *path,
                                struct quorum_checkpoint_reader **ret_reader);
/* 1 and a run of whole metadata batches, which live until the next call; 0 behind the last. */
int quorum_checkpoint_next(struct quorum_checkpoint_reader *reader, struct bytes *ret_batches);
/* What the header says; known after the first call of next. Lives as long as the reader. */
const struct quorum_checkpoint_info *
quorum_checkpoint_info(const struct quorum_checkpoint_reader *reader);
void quorum_checkpoint_close(struct quorum_checkpoint_reader *reader); /* NULL is fine */

/* All at once. `each` (may be NULL) ends it by an error of its own. ret_info may be NULL; its
 * voters are one reference for the caller. */
int quorum_checkpoint_read(struct disk *disk, const char *directory, struct quorum_checkpoint_id id,
                           int (*each)(void *ctx, struct bytes batches), void *ctx,
                           struct quorum_checkpoint_info *ret_info);

#endif
