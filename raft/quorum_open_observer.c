/*
 * Opening the directory of a node that may be an observer. What it has below a leader's high
 * watermark the leader has too, so nothing here is beyond repair: a log that does not fit is cut,
 * or emptied, and fetched again.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_scan.h"
#include "common/storage/log_truncate.h"
#include "raft/quorum_opening.h"
#include "raft/quorum_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct look {
    struct quorum_opening *o;
    int64_t next;
    int32_t epoch;
    bool broken; /* what stands at `next` does not follow */
};

static void name_voters(struct quorum_opening *o, int64_t offset, struct quorum_voters *voters)
{
    VEC_PUSH(o->named, o->named_count, o->named_capacity) =
        (struct quorum_named_voters){offset, quorum_voters_ref(voters)};
}

static int look_at_batch(void *ctx, const struct log_scan_batch *scanned)
{
    struct look *look = ctx;
    const struct record_batch_header *header = scanned->header;
    struct record_batch batch = {.bytes = scanned->bytes, .header = *header};
    struct quorum_control control = {.voters = NULL};
    look->broken = header->base_offset != look->next ||
                   header->partition_leader_epoch < MAX(look->epoch, 0) ||
                   quorum_control_parse(&batch, &control) != 0;
    if (look->broken)
        return 1;
    if (control.voters) {
        name_voters(look->o, header->base_offset, control.voters);
        look->o->voters_offset = MIN(look->o->voters_offset, header->base_offset);
    }
    quorum_voters_unref(control.voters);
    look->next = record_batch_next_offset(header);
    look->epoch = header->partition_leader_epoch;
    return 0;
}

static const struct quorum_kept *newest(const struct quorum_opening *o)
{
    return o->has_snapshot ? &o->kept.items[o->kept.count - 1] : NULL;
}

static int fail(struct quorum_opening *o, int rv, const char *what)
{
    snprintf(o->sentence, sizeof(o->sentence), "cannot %s in %s: %s", what, o->config->directory,
             strerror(-rv));
    return rv;
}

static int cut(struct quorum_opening *o, int64_t offset)
{
    int rv = 0;
    if (offset < o->mark)
        rv = quorum_mark_write(o->env->disk, o->config->directory, offset);
    if (rv == 0)
        rv = log_truncate_to(o->log, offset, o->wall_ms);
    o->mark = MIN(o->mark, offset);
    return rv;
}

static int empty(struct quorum_opening *o, int64_t offset)
{
    int rv = quorum_mark_write(o->env->disk, o->config->directory, 0);
    if (rv == 0)
        rv = log_truncate_fully(o->log, offset, offset, o->wall_ms);
    if (rv == 0)
        rv = quorum_mark_write(o->env->disk, o->config->directory, offset);
    o->mark = offset;
    return rv;
}

/* Whether log and checkpoint belong together: the log holds the checkpoint's end. */
static bool log_fits(const struct quorum_opening *o)
{
    const struct quorum_kept *snapshot = newest(o);
    int64_t start = log_start_offset(o->log), end = log_end_offset(o->log);
    int64_t from = snapshot ? snapshot->id.end_offset : 0;
    return start <= from && from <= end;
}

static int scan(struct look *look)
{
    struct quorum_opening *o = look->o;
    int64_t start = log_start_offset(o->log), end = log_end_offset(o->log);
    if (o->snapshot_voters)
        name_voters(o, -1, o->snapshot_voters);
    int rv = log_fits(o) && start < end ? log_scan(o->log, start, true, look_at_batch, look) : 0;
    return rv < 0 ? fail(o, rv, "read the metadata log") : 0;
}

int opening_name_voters(struct quorum_opening *o)
{
    struct look look = {.o = o, .next = log_start_offset(o->log), .epoch = -1};
    return scan(&look);
}

int opening_look(struct quorum_opening *o)
{
    const struct quorum_kept *snapshot = newest(o);
    bool never_votes = o->config->follow->never_votes, fits = log_fits(o);
    int64_t start = log_start_offset(o->log), end = log_end_offset(o->log);
    struct look look = {.o = o, .next = start, .epoch = -1};
    int rv = scan(&look);
    if (rv < 0)
        return rv;
    o->last_epoch = look.epoch >= 0 ? look.epoch : snapshot ? snapshot->id.epoch : -1;
    const struct quorum_voters *voters = o->named_count > 0    ? o->named[o->named_count - 1].voters
                                         : o->bootstrap_voters ? o->bootstrap_voters
                                                               : o->config->voters;
    uint64_t self = quorum_raft_id(o->config->directory_id);
    /* A log without voters is of kraft.version 0, and the voters are to be configured. */
    bool blank = !snapshot && start == end;
    o->observes = never_votes || (voters ? !quorum_voters_find(voters, self) : blank);
    if (!o->observes || (fits && !look.broken))
        return 0;
    /* What is left out here may name voters; it comes again. */
    rv = fits ? cut(o, look.next) : empty(o, snapshot ? snapshot->id.end_offset : 0);
    if (rv == 0 && !log_fits(o))
        rv = empty(o, snapshot ? snapshot->id.end_offset : 0);
    return rv != 0 ? fail(o, rv, "cut the metadata log") : 0;
}

int opening_observe(struct quorum_opening *o)
{
    struct quorum_state state;
    const char *what;
    char *path = mem_printf("%s/" QUORUM_STATE_FILE, o->config->directory);
    int rv = quorum_state_load(o->env->disk, path, &state, &what);
    free(path);
    /* A damaged one is as good as none: an observer has not voted. */
    if (rv != 0 && rv != -ENOENT && rv != -EBADMSG)
        return fail(o, rv, "read " QUORUM_STATE_FILE);
    o->state_epoch = rv == 0 ? state.leader_epoch : -1;
    if (o->snapshot_voters)
        o->voters_offset = 0;
    int64_t durable = MIN(o->mark, log_end_offset(o->log));
    if (durable < o->mark) {
        rv = quorum_mark_write(o->env->disk, o->config->directory, durable);
        if (rv != 0)
            return fail(o, rv, "write the recovery point");
        o->mark = durable;
    }
    return 0;
}
