#include "tools/metadata_replay.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/control_record.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/control_records.h"
#include "metadata/loader.h"
#include "raft/quorum_control.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>

struct metadata_replay {
    struct metadata_source *source;
    struct image_chain *chain;
    struct loader loader;
    struct shell_view view, held_view;
    struct arena arena; /* of the voters */
    bool alone, holding;
    struct image_reader reader;
    struct bytebuf pending; /* batches that were read and not applied */
    size_t pending_at;
};

/* --- what batches say beside metadata --------------------------------------------------------- */

static void keep_voters(struct metadata_replay *r, const struct quorum_voters *voters)
{
    struct shell_voter *list = ARENA_ARRAY(&r->arena, struct shell_voter, voters->count + 1);
    size_t count = 0;
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        if (server->role != QUORUM_VOTER)
            continue;
        struct str endpoints = STR_EMPTY;
        for (int l = 0; l < server->listener_count; l++)
            endpoints = arena_printf(&r->arena, "%.*s%s%s://%s:%d", STR_FMT(endpoints),
                                     l ? "," : "", server->listeners[l].name,
                                     server->listeners[l].host, server->listeners[l].port);
        list[count++] = (struct shell_voter){server->node_id, server->directory_id, endpoints};
    }
    r->view.voters = list;
    r->view.voter_count = count;
}

/* Who leads, as the first batch of the epoch says. */
static void note_leader(struct metadata_replay *r, const struct record_batch *batch)
{
    struct record_iter iter;
    struct record record;
    struct arena arena;
    if (record_iter_init(&iter, batch, (size_t)1 << 20, NULL) != 0)
        return;
    arena_init(&arena, 0);
    while (record_iter_next(&iter, &record) == 1) {
        struct leader_change_message change;
        struct bytes value = record.value;
        int type;
        if (control_record_parse_key(record.key, &type) != 0 || type != CONTROL_LEADER_CHANGE ||
            message_decode(&leader_change_message_desc, 0, &value, &arena, &change) != 0)
            continue;
        r->view.leader = change.leader_id;
    }
    arena_release(&arena);
    record_iter_release(&iter);
}

static void note_batch(struct metadata_replay *r, const struct record_batch *batch)
{
    const struct record_batch_header *header = &batch->header;
    if (header->partition_leader_epoch > r->view.leader_epoch) {
        r->view.leader_epoch = header->partition_leader_epoch;
        r->view.leader = -1;
    }
    r->view.last_timestamp_ms = header->max_timestamp;
    if ((header->attributes & RECORD_BATCH_CONTROL) == 0) {
        r->view.offset = record_batch_last_offset(header);
        r->view.epoch = header->partition_leader_epoch;
        r->view.timestamp_ms = header->max_timestamp;
        return;
    }
    struct quorum_control control;
    note_leader(r, batch);
    if (quorum_control_parse(batch, &control) != 0)
        return;
    if (control.voters != NULL)
        keep_voters(r, control.voters);
    quorum_voters_unref(control.voters);
}

static void note_run(struct metadata_replay *r, struct bytes run)
{
    struct record_batches batches = record_batches_of(run);
    struct record_batch batch;
    while (record_batches_next(&batches, &batch) == 1)
        note_batch(r, &batch);
}

/* --- applying --------------------------------------------------------------------------------- */

static bool loader_failed(const struct metadata_replay *r, int error, struct failure *failure)
{
    return failure_set(failure,
                       error == -EPROTONOSUPPORT ? KAFKA_ERROR_UNSUPPORTED_VERSION
                                                 : KAFKA_ERROR_CORRUPT_MESSAGE,
                       "The metadata cannot be read: %s", loader_error(&r->loader));
}

static bool take_snapshot(void *ctx, struct bytes batches, struct failure *failure)
{
    struct metadata_replay *r = ctx;
    int rv = loader_snapshot_add(&r->loader, batches);
    if (rv != 0)
        return loader_failed(r, rv, failure);
    note_run(r, batches);
    return true;
}

static void set_view(struct metadata_replay *r)
{
    r->view.image = image_chain_published(r->chain);
    r->view.last_offset = r->loader.next_offset - 1;
    int32_t leader, epoch;
    if (r->source->ops->leader != NULL && r->source->ops->leader(r->source, &leader, &epoch) &&
        epoch == r->view.leader_epoch)
        r->view.leader = leader;
}

static bool load_snapshot(struct metadata_replay *r, int64_t offset, struct failure *failure)
{
    const struct image_delta *delta;
    struct metadata_snapshot snapshot;
    int64_t limit = offset == METADATA_REPLAY_NEWEST ? offset : offset + 1;
    CHECK(loader_snapshot_begin(&r->loader) == 0);
    if (!r->source->ops->snapshot(r->source, limit, take_snapshot, r, &snapshot, failure)) {
        loader_snapshot_abort(&r->loader);
        return false;
    }
    r->alone = snapshot.alone;
    if (snapshot.end_offset == 0 && !snapshot.alone) {
        loader_snapshot_abort(&r->loader);
        return true;
    }
    int64_t end = snapshot.alone ? r->view.offset + 1 : snapshot.end_offset;
    int32_t epoch = snapshot.alone ? r->view.epoch : snapshot.epoch;
    int rv = loader_snapshot_end(&r->loader, MAX(end, 0), epoch, &delta);
    if (rv != 0)
        return loader_failed(r, rv, failure);
    if (!snapshot.alone) {
        r->view.offset = end - 1;
        r->view.epoch = epoch;
        r->view.timestamp_ms = image_chain_published(r->chain)->timestamp_ms;
    }
    return true;
}

/* The part of a run up to the batch that holds the offset. */
static struct bytes cut_behind(struct bytes run, int64_t offset)
{
    struct record_batches batches = record_batches_of(run);
    struct record_batch batch;
    int32_t len = 0;
    while (record_batches_next(&batches, &batch) == 1 && batch.header.base_offset <= offset)
        len += batch.bytes.len;
    return (struct bytes){run.data, len};
}

static bool commit(struct metadata_replay *r, struct bytes run, struct failure *failure)
{
    const struct image_delta *delta;
    int rv = loader_commit(&r->loader, run, &delta);
    if (rv != 0)
        return loader_failed(r, rv, failure);
    note_run(r, run);
    image_chain_reclaim(r->chain);
    set_view(r);
    return true;
}

/*
 * The next run. Where the log has moved on, past what is asked for, the newest snapshot takes the
 * place of what was applied: *ret_jumped.
 */
static bool read_on(struct metadata_replay *r, int wait_ms, struct bytes *ret_run, bool *ret_jumped,
                    struct failure *failure)
{
    struct failure problem = {0};
    int64_t next = r->loader.next_offset;
    *ret_jumped = false;
    if (r->source->ops->read(r->source, next, wait_ms, ret_run, failure))
        return true;
    if (failure->error != KAFKA_ERROR_OFFSET_OUT_OF_RANGE || !r->source->live ||
        !load_snapshot(r, METADATA_REPLAY_NEWEST, &problem) || r->loader.next_offset <= next)
        return false;
    *ret_run = (struct bytes){NULL, 0};
    *ret_jumped = true;
    image_chain_reclaim(r->chain);
    set_view(r);
    return true;
}

/* Up to the batch that holds the offset, or to the end. */
static bool apply_to(struct metadata_replay *r, int64_t offset, struct failure *failure)
{
    struct bytes run;
    bool jumped;
    do {
        if (r->loader.next_offset > offset)
            return true;
        if (!read_on(r, 0, &run, &jumped, failure))
            return false;
        if (offset != METADATA_REPLAY_NEWEST)
            run = cut_behind(run, offset);
        if (run.len > 0 && !commit(r, run, failure))
            return false;
    } while (run.len > 0 || jumped);
    return true;
}

static bool reached(const struct metadata_replay *r, int64_t offset, struct failure *failure)
{
    if (offset == METADATA_REPLAY_NEWEST)
        return true;
    if (r->alone)
        return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                           "A snapshot alone shows one moment only; open the directory that it "
                           "is in to see the cluster at offset %lld",
                           (long long)offset);
    if (r->loader.next_offset > offset)
        return true;
    return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                       "Offset %lld is not there yet: the log ends at offset %lld",
                       (long long)offset, (long long)r->loader.next_offset - 1);
}

bool metadata_replay_new(struct metadata_source *source, int64_t offset,
                         struct metadata_replay **ret_replay, struct failure *failure)
{
    struct metadata_replay *r = mem_calloc(1, sizeof(*r));
    r->source = source;
    r->chain = image_chain_new(false);
    r->view = (struct shell_view){.version = STR(TOOL_VERSION),
                                  .commit_id = STR(KRAFTD_COMMIT),
                                  .offset = -1,
                                  .epoch = -1,
                                  .timestamp_ms = -1,
                                  .leader = -1,
                                  .leader_epoch = -1};
    arena_init(&r->arena, 0);
    bytebuf_init(&r->pending);
    loader_init(&r->loader, r->chain);
    bool ok = load_snapshot(r, offset, failure);
    ok = ok && (r->alone || apply_to(r, offset, failure)) && reached(r, offset, failure);
    set_view(r);
    if (!ok) {
        metadata_replay_free(r);
        return false;
    }
    *ret_replay = r;
    return true;
}

void metadata_replay_free(struct metadata_replay *r)
{
    if (r == NULL)
        return;
    metadata_replay_release(r);
    loader_release(&r->loader);
    image_chain_free(r->chain);
    bytebuf_release(&r->pending);
    arena_release(&r->arena);
    free(r);
}

const struct shell_view *metadata_replay_view(const struct metadata_replay *r)
{
    return &r->view;
}

int64_t metadata_replay_next_offset(const struct metadata_replay *r)
{
    return r->loader.next_offset;
}

bool metadata_replay_catch_up(struct metadata_replay *r, struct failure *failure)
{
    if (r->pending_at < r->pending.len) {
        struct bytes rest = {r->pending.data + r->pending_at,
                             (int32_t)(r->pending.len - r->pending_at)};
        r->pending_at = r->pending.len;
        if (!commit(r, rest, failure))
            return false;
    }
    return apply_to(r, METADATA_REPLAY_NEWEST, failure);
}

bool metadata_replay_step(struct metadata_replay *r, int wait_ms, bool *ret_applied,
                          struct failure *failure)
{
    *ret_applied = false;
    if (r->pending_at == r->pending.len) {
        struct bytes run;
        if (!read_on(r, wait_ms, &run, ret_applied, failure))
            return false;
        r->pending_at = r->pending.len = 0;
        if (run.len == 0)
            return true;
        bytebuf_append(&r->pending, run.data, (size_t)run.len);
    }
    struct record_batches batches = record_batches_of(
        (struct bytes){r->pending.data + r->pending_at, (int32_t)(r->pending.len - r->pending_at)});
    struct record_batch batch;
    if (record_batches_next(&batches, &batch) != 1)
        return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE, "What was read is no batch");
    r->pending_at += (size_t)batch.bytes.len;
    *ret_applied = true;
    return commit(r, batch.bytes, failure);
}

const struct shell_view *metadata_replay_hold(struct metadata_replay *r)
{
    metadata_replay_release(r);
    image_reader_add(r->chain, &r->reader);
    r->held_view = r->view;
    r->holding = true;
    return &r->held_view;
}

void metadata_replay_release(struct metadata_replay *r)
{
    if (r->holding)
        image_reader_remove(r->chain, &r->reader);
    r->holding = false;
}
