/*
 * Recovery: what is checked, from where, and what happens to damage.
 *
 *   clean stop  nothing, but the headers behind the last index entry of the active segment are
 *               read to find the end
 *   same boot   the page cache outlived the process: whatever a call wrote before the last one is
 *               there, and the last one may have been cut short. So headers are read as after a
 *               clean stop, which finds a batch that the file ends within, and the last batch is
 *               checked, behind which there may be zeros (preallocate). That does not depend on how
 *               much was written since the last sync
 *   else        everything from the recovery point on is checked. What is below was synced with
 *               its indexes, so the check starts at the last index entry below it
 *   always      a segment without its indexes, or with a .txnindex that contradicts itself, is read
 *               from its start and they are made again
 *
 * Checked batches must have a right checksum, all growing offsets; each is noted in the indexes,
 * the leader epochs and the producer state, as if it was appended now. At the first damage the log
 * ends: the segment is cut there, later ones are given up. Segments begin where the one before
 * ended (log_roll.c), so a gap between them, where the cleaner has not been, is damage too.
 * Whole batches behind the damage say nothing: of what was not synced a power cut keeps what it
 * likes, in any order. What was synced is not damaged by it; so the recovery point tells damage of
 * the disk from the end that a power cut leaves.
 *
 * Producer snapshots above the recovery point and the log's first offset are not believed after a
 * power cut: one of a tail that was truncated since may have come back.
 */
#include "common/storage/log_internal.h"

#include "common/base/mutation.h"
#include "common/storage/log_flush.h"

#include <errno.h>

struct recover {
    struct log *log;
    const struct log_open_args *args;
    struct log_recovery *report;
    struct batch_reader reader;
    int64_t end_offset; /* of what was looked at so far */
    bool reads_to_end;  /* nothing behind the batch is passed over */
};

enum check {
    CHECK_NOTHING,
    CHECK_END,  /* find the end by headers */
    CHECK_LAST, /* headers from the last index entry on, and the last batch */
    CHECK_TAIL, /* from the last index entry on */
    CHECK_ALL,
};

/* The batch that the last index entry names stands where it says. *ret_offset is its base. */
static int entry_is_right(struct log *log, struct segment *s, const struct index_entry *entry,
                          bool *ret_right, int64_t *ret_offset)
{
    uint8_t data[RECORD_BATCH_HEADER_SIZE];
    struct record_batch_header h;
    size_t size;
    *ret_right = false;
    if (entry->position < 0 || entry->position + RECORD_BATCH_HEADER_SIZE > s->size_bytes)
        return 0;
    int rv = segment_open(s, &log->place);
    if (rv != 0)
        return rv;
    ssize_t n = disk_pread(s->log_file.file, data, sizeof(data), entry->position);
    if (n < (ssize_t)sizeof(data))
        return n < 0 ? (int)n : 0;
    if (record_batch_peek_size(data, sizeof(data), INT32_MAX, &size) != 0)
        return 0;
    record_batch_header_decode(data, &h);
    *ret_right = record_batch_last_offset(&h) == entry->offset && h.base_offset >= s->base_offset &&
                 h.base_offset <= entry->offset;
    *ret_offset = h.base_offset;
    return 0;
}

/* Keeps the index entries that name batches below `limit`, and says where the last of them stands;
 * position 0 and the segment's base when there is none that can be believed. */
static int start_from_index(struct log *log, struct segment *s, int64_t limit, bool repair,
                            int64_t *ret_position, int64_t *ret_offset)
{
    struct index_entry entry;
    int32_t at, time_at;
    bool right = false;
    int rv = 0;
    if (repair) {
        rv = index_file_repair(&s->offset_index, &log->place, s->size_bytes);
        if (rv == 0)
            rv = index_file_repair(&s->time_index, &log->place, INT64_MAX);
    }
    if (rv == 0)
        rv = index_file_floor(&s->offset_index, &log->place, INDEX_BY_OFFSET, limit - 1, &at,
                              &entry);
    if (rv == 0 && at != INDEX_NONE && s->time_index.exists)
        rv = entry_is_right(log, s, &entry, &right, ret_offset);
    if (rv != 0)
        return rv;
    *ret_position = right ? entry.position : 0;
    if (!right) {
        *ret_offset = s->base_offset;
        at = INDEX_NONE;
        entry.offset = s->base_offset - 1;
    }
    rv = index_file_truncate(&s->offset_index, &log->place, at + 1);
    if (rv == 0)
        rv = index_file_floor(&s->time_index, &log->place, INDEX_BY_OFFSET, entry.offset, &time_at,
                              &entry);
    return rv == 0 ? index_file_truncate(&s->time_index, &log->place, time_at + 1) : rv;
}

/* What the file says of this place may be older than the batch: it is not synced with each of its
 * changes, and a power cut may take such a change and leave the batch. Then what it says of what
 * comes behind is no better, and is learned anew where that is read, too. */
static void note_epoch(const struct recover *r, const struct record_batch_header *header)
{
    struct epoch_cache *epochs = &r->log->epochs;
    int32_t epoch = header->partition_leader_epoch;
    if (epoch < 0 || epoch_cache_of(epochs, header->base_offset) == epoch)
        return;
    if (r->reads_to_end)
        epoch_cache_truncate_end(epochs, header->base_offset);
    if (epoch > epoch_cache_latest(epochs))
        epoch_cache_assign(epochs, epoch, header->base_offset);
}

static int note(struct recover *r, struct segment *s, struct batch_view *view)
{
    struct log *log = r->log;
    struct record_batch batch = {view->bytes, view->header};
    struct producer_change change;
    int rv = segment_note(s, &log->place, record_batch_last_offset(&view->header),
                          view->header.max_timestamp, view->position, view->size_bytes,
                          log->config.index_interval_bytes);
    note_epoch(r, &view->header);
    if (rv != 0 || view->header.base_offset < log->producers.end_offset ||
        !producer_state_apply(&log->producers, &batch, &change))
        return rv;
    if (change.aborts) {
        struct aborted_txn txn = producer_state_aborted(&log->producers, &change);
        rv = txn_index_append(&s->txn_index, &log->place, &txn);
    }
    producer_state_commit(&log->producers, &change);
    return rv;
}

static const char *misplaced(const struct recover *r, const struct segment *s,
                             const struct batch_view *view, bool checked)
{
    if (checked && !batch_view_intact(view) && !MUTATED(r->log->place.disk, SKIP_TORN_TAIL_CHECK))
        return "the checksum of a batch is wrong";
    if (view->header.base_offset < r->end_offset)
        return "offsets go backwards";
    return record_batch_last_offset(&view->header) - s->base_offset > INT32_MAX
               ? "an offset is too far from the start of its segment"
               : NULL;
}

/* Looks at one batch and notes it. -EBADMSG with the reader's damage. */
static int take_batch(struct recover *r, struct segment *s, struct batch_view *view, bool checked)
{
    struct batch_reader *reader = &r->reader;
    if (checked || view->header.attributes & RECORD_BATCH_CONTROL) {
        int rv = batch_reader_fetch(reader, view);
        if (rv != 0)
            return rv;
    }
    const char *damage = misplaced(r, s, view, checked);
    if (checked)
        r->report->checked_bytes += view->size_bytes;
    if (damage != NULL) {
        reader->damage = damage;
        reader->position = view->position;
        return -EBADMSG;
    }
    int rv = note(r, s, view);
    if (rv == 0)
        r->end_offset = record_batch_next_offset(&view->header);
    return rv;
}

static int take_batches(struct recover *r, struct segment *s, bool all)
{
    struct batch_view view, next;
    int rv, more;
    for (more = batch_reader_next(&r->reader, &view); more == 1; view = next) {
        /* What comes behind a batch tells whether it is the last one. */
        if (!all)
            more = batch_reader_next(&r->reader, &next);
        rv = take_batch(r, s, &view, all || more != 1);
        if (rv != 0)
            return rv;
        if (all)
            more = batch_reader_next(&r->reader, &next);
    }
    return more;
}

/* Takes whole batches from `position` on, checks all or the last. *ret_damage is where it stopped,
 * -1 at the end of the file. */
static int check_batches(struct recover *r, struct segment *s, int64_t position, bool all,
                         int64_t *ret_damage)
{
    struct batch_reader *reader = &r->reader;
    int rv = segment_open(s, &r->log->place);
    if (rv != 0)
        return rv;
    struct disk_file *file = disk_file_ref(s->log_file.file);
    batch_reader_reset(reader, file, position, s->size_bytes);
    reader->whole = all;
    *ret_damage = -1;
    rv = take_batches(r, s, all);
    disk_file_unref(file);
    if (rv == -EBADMSG && reader->damage != NULL) {
        *ret_damage = reader->position;
        r->report->damage = reader->damage;
        return 0;
    }
    return rv;
}

/* It must not come back once the log goes on in the next segment. */
static int cut_file(struct log *log, struct segment *s, int64_t position)
{
    int rv = segment_open(s, &log->place);
    if (rv == 0)
        rv = log->place.disk->ops->truncate(s->log_file.file, position);
    if (rv == 0)
        rv = log->place.disk->ops->fsync(s->log_file.file);
    if (rv == 0)
        s->size_bytes = position;
    return rv;
}

/* Ends the log in segment `at` at `position`. */
static int cut(struct recover *r, size_t at, int64_t position)
{
    struct log *log = r->log;
    int rv = 0;
    r->report->below_recovery_point = r->end_offset < r->args->recovery_point;
    if (r->args->strict && r->report->below_recovery_point)
        return -EBADMSG;
    struct segment *s = log->segments[at];
    r->report->cut_offset = r->end_offset;
    r->report->cut_bytes = s->size_bytes - position;
    while (log->segment_count > at + 1) {
        struct segment *last = log->segments[log->segment_count - 1];
        r->report->cut_bytes += last->size_bytes;
        r->report->cut_segments++;
        log->segment_count--;
        rv = log_doom_segment(log, last, r->args->now_ms + log->config.file_delete_delay_ms);
        if (rv != 0)
            return rv;
    }
    rv = cut_file(log, s, position);
    if (rv != 0)
        return rv;
    rv = txn_index_truncate(&s->txn_index, &log->place, r->end_offset);
    return rv == 0 ? log_snapshots_drop(log, r->end_offset, 0) : rv;
}

/* The damage in segment `at` is no loss: the next one goes on with the offset that is due. Room
 * that was reserved in it, or what a truncation removed, has come back behind its end. */
static bool is_complete(const struct recover *r, size_t at)
{
    const struct log *log = r->log;
    return at + 1 < log->segment_count && log->segments[at + 1]->base_offset == r->end_offset;
}

/* The first segment that a power cut may have damaged. One that ends at the recovery point is
 * looked at, too: it was closed, or cut, after that was synced. One below the log start does not
 * matter. */
static size_t first_unsafe_segment(const struct recover *r)
{
    size_t first = log_segment_at(r->log, MAX(r->args->recovery_point - 1, 0));
    return MAX(first, log_segment_at(r->log, r->args->log_start_offset));
}

/* Indexes that are made again for a segment which is believed: no flush comes by here, and half of
 * one would be believed, too. The offset index goes last, as a segment without it is looked at
 * again. */
static int remake_indexes(struct log *log, struct segment *s)
{
    int rv = index_file_remake(&s->time_index, &log->place);
    return rv == 0 ? index_file_remake(&s->offset_index, &log->place) : rv;
}

static int replace_indexes(struct log *log, struct segment *s)
{
    int rv = index_file_replace(&s->time_index, &log->place);
    if (rv == 0)
        rv = index_file_replace(&s->offset_index, &log->place);
    return rv == 0 ? log->place.disk->ops->fsync_dir(log->place.disk, log->place.path) : rv;
}

static int start_from_nothing(struct log *log, struct segment *s, bool believed)
{
    if (believed)
        return remake_indexes(log, s);
    int rv = index_file_truncate(&s->offset_index, &log->place, 0);
    return rv == 0 ? index_file_truncate(&s->time_index, &log->place, 0) : rv;
}

/* Reads segment `at` again, from its start or from where its indexes can be believed. */
static int check_segment(struct recover *r, size_t at, enum check check)
{
    struct log *log = r->log;
    struct segment *s = log->segments[at];
    int64_t position = 0, offset = s->base_offset, damage;
    bool same_boot = r->args->trust != LOG_TRUST_NONE;
    int64_t limit = same_boot || at > first_unsafe_segment(r) ? INT64_MAX : r->args->recovery_point;
    int rv = check == CHECK_ALL ? start_from_nothing(log, s, at < first_unsafe_segment(r))
                                : start_from_index(log, s, limit, !same_boot, &position, &offset);
    if (rv == 0 && log->producers.end_offset != offset) {
        /* After a power cut only those below the recovery point are left, which were synced. One
         * above `offset` may know of batches that are gone. */
        rv = log_producers_load(log, check != CHECK_ALL ? INT64_MAX : offset, r->args->now_ms);
        if (rv == 0 && log->producers.end_offset < offset)
            rv = log_producers_advance(log, offset);
    }
    if (rv == 0)
        rv = check == CHECK_ALL ? txn_index_clear(&s->txn_index, &log->place)
                                : txn_index_truncate(&s->txn_index, &log->place,
                                                     MAX(offset, log->producers.end_offset));
    if (rv != 0)
        return rv;
    s->bytes_since_index = 0;
    s->times_known = false;
    s->max_timestamp = -1;
    r->end_offset = offset;
    r->reads_to_end =
        r->args->check_all || (same_boot ? s == log_active(log) : at >= first_unsafe_segment(r));
    r->report->checked_segments++;
    r->report->rebuilt_indexes += position == 0;
    rv = check_batches(r, s, position, check != CHECK_LAST, &damage);
    if (rv == 0 && damage >= 0) {
        if (is_complete(r, at)) {
            r->report->damage = NULL;
            rv = cut_file(log, s, damage);
        } else {
            rv = cut(r, at, damage);
        }
    }
    if (rv == 0 && s != log_active(log))
        rv = segment_finish(s, &log->place);
    return rv == 0 && s->offset_index.remade ? replace_indexes(log, s) : rv;
}

static int choose(struct recover *r, size_t at, size_t first_unsafe, enum check *ret_check)
{
    struct log *log = r->log;
    struct segment *s = log->segments[at];
    bool active = at + 1 == log->segment_count, unsafe = r->args->trust == LOG_TRUST_NONE;
    bool bare = s->size_bytes > 0 && !active &&
                (!s->offset_index.exists || (!s->time_index.exists && s->offset_index.exists));
    *ret_check = CHECK_NOTHING;
    if (bare || (unsafe && at > first_unsafe) || r->args->check_all) {
        *ret_check = CHECK_ALL;
        return 0;
    }
    if (s->txn_index.exists) {
        int64_t end = active ? INT64_MAX : log->segments[at + 1]->base_offset;
        int rv = txn_index_verify(&s->txn_index, &log->place, end);
        if (rv == -EBADMSG)
            *ret_check = CHECK_ALL;
        if (rv != 0)
            return rv == -EBADMSG ? 0 : rv;
    }
    if (unsafe && at == first_unsafe)
        *ret_check = CHECK_TAIL;
    else if (active)
        *ret_check = r->args->trust == LOG_TRUST_CLEAN ? CHECK_END : CHECK_LAST;
    return 0;
}

/* A segment does not begin where the one before it ended. */
static bool gap_before(const struct recover *r, size_t at)
{
    int64_t base = r->log->segments[at]->base_offset;
    return at > 0 && base != r->end_offset && base > r->args->cleaned_offset;
}

static int recover_segment(struct recover *r, size_t at, size_t first_unsafe)
{
    struct log *log = r->log;
    struct segment *s = log->segments[at];
    enum check check;
    int rv = choose(r, at, first_unsafe, &check);
    if (rv != 0)
        return rv;
    if (r->args->trust == LOG_TRUST_NONE && at > first_unsafe) {
        if (gap_before(r, at)) {
            r->report->damage = "a segment does not begin where the one before it ended";
            return cut(r, at - 1, log->segments[at - 1]->size_bytes);
        }
        if (log->producers.end_offset <= s->base_offset) {
            /* The snapshots there were are gone, and the next recovery wants to begin here. */
            log->producers.end_offset = s->base_offset;
            rv = log_snapshot_take(log);
        }
    }
    if (rv == 0 && check == CHECK_END) {
        rv = log_scan_tail(log, s, &r->end_offset);
        if (rv == -EBADMSG)
            check = CHECK_TAIL;
        if (rv != -EBADMSG)
            return rv;
        rv = 0;
    }
    return rv == 0 && check != CHECK_NOTHING ? check_segment(r, at, check) : rv;
}

int log_scan_tail(struct log *log, struct segment *s, int64_t *ret_end_offset)
{
    struct index_file *index = &s->offset_index;
    struct index_entry entry = {0};
    int64_t end = s->base_offset;
    if (s->size_bytes == 0) {
        *ret_end_offset = end;
        return 0;
    }
    int rv = segment_open(s, &log->place);
    /* A short one is read from its start. */
    if (rv == 0 && (index->count > 0 || s->size_bytes > log->config.index_interval_bytes))
        rv = index_file_load(index, &log->place);
    if (rv == 0 && index->count > 0)
        rv = index_file_get(index, &log->place, index->count - 1, &entry);
    if (rv != 0)
        return rv;
    if (entry.position < 0 || entry.position >= s->size_bytes)
        return -EBADMSG;
    struct batch_reader reader;
    struct batch_view view;
    struct disk_file *file = disk_file_ref(s->log_file.file);
    batch_reader_init(&reader, file, entry.position, s->size_bytes, false);
    s->bytes_since_index = 0;
    while ((rv = batch_reader_next(&reader, &view)) == 1) {
        if (view.header.base_offset < end) {
            rv = -EBADMSG;
            break;
        }
        end = record_batch_next_offset(&view.header);
        rv = segment_note(s, &log->place, end - 1, view.header.max_timestamp, view.position,
                          view.size_bytes, log->config.index_interval_bytes);
        if (rv != 0)
            break;
    }
    batch_reader_release(&reader);
    disk_file_unref(file);
    if (rv == 0)
        *ret_end_offset = end;
    return rv;
}

int log_rebuild_epochs(struct log *log)
{
    struct batch_reader reader;
    struct batch_view view;
    int rv = 0;
    epoch_cache_clear(&log->epochs);
    batch_reader_init(&reader, NULL, 0, 0, false);
    for (size_t i = log_segment_at(log, log->start_offset); rv == 0 && i < log->segment_count;
         i++) {
        struct segment *s = log->segments[i];
        rv = segment_open(s, &log->place);
        if (rv != 0)
            break;
        struct disk_file *file = disk_file_ref(s->log_file.file);
        batch_reader_reset(&reader, file, 0, s->size_bytes);
        while ((rv = batch_reader_next(&reader, &view)) == 1)
            if (view.header.partition_leader_epoch > epoch_cache_latest(&log->epochs))
                epoch_cache_assign(&log->epochs, view.header.partition_leader_epoch,
                                   view.header.base_offset);
        disk_file_unref(file);
    }
    batch_reader_release(&reader);
    return rv;
}

int log_recover(struct log *log, const struct log_open_args *args, struct log_recovery *report)
{
    struct recover r = {.log = log, .args = args, .report = report};
    bool unsafe = args->trust == LOG_TRUST_NONE;
    size_t first_unsafe = first_unsafe_segment(&r);
    batch_reader_init(&r.reader, NULL, 0, 0, true);
    /* The one that the log begins with was synced before retention moved the start there. */
    int64_t believed = MAX(args->recovery_point, log->segments[0]->base_offset);
    int rv = unsafe ? log_snapshots_drop(log, believed, 0) : 0;
    log->producers.end_offset = -1;
    for (size_t i = 0; rv == 0 && i < log->segment_count; i++)
        rv = recover_segment(&r, i, first_unsafe);
    batch_reader_release(&r.reader);
    if (rv != 0)
        return rv;
    log->end_offset = r.end_offset;
    report->below_recovery_point |= log->end_offset < args->recovery_point;
    if (report->below_recovery_point && args->strict)
        return -EBADMSG;
    rv = log_snapshots_drop(log, log->end_offset, 0);
    if (rv == 0 && log->producers.end_offset != log->end_offset)
        rv = log_producers_rebuild(log, log->end_offset, args->now_ms);
    if (rv == 0)
        rv = log_snapshots_prune(log);
    return rv;
}
