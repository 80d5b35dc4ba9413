/*
 * The quorum's directory, as it is opened:
 *
 *   00000000000000000000.log, .index, ...       segments of the metadata log
 *   <end offset>-<epoch>.checkpoint             quorum_checkpoint.h
 *   quorum-state                                quorum_state.h
 *   recovery-point-offset-checkpoint            in Kafka's form: all of the log below is durable
 *
 * What a restart may believe: every checksum is looked at. Damage below the recovery point, the
 * mark, means that this disk has lost what it had acknowledged, and the node does not start. From
 * the first damage above it on the log is cut off, whatever follows.
 *
 * Why that loses nothing: who was told that a batch is durable was told after a sync that covered
 * it, and what was synced a power cut does not touch. What it touches lies behind the last sync; of
 * that it keeps pages as it likes, also of a later batch and not of an earlier one (two appends
 * between two syncs), so whole batches behind the damage prove nothing. Taking them for a lost disk
 * would refuse a disk that is well. What the rule cannot tell is damage of another kind (a disk
 * that rots, or lies about a sync) between the mark and the last sync: the mark is written when a
 * second has passed, or a MiB was written, since the last one, so that is one second of batches,
 * after a power cut, on top of a broken disk. A finer mark would cost a second sync for each one.
 *
 * What lies above the mark may be in the page cache only (after kill -9, and even after a sync that
 * failed): it is written once more, as it is (log_write_again), and synced before libraft hears of
 * it.
 *
 * -EBADMSG always means that this disk has lost something that it may have acknowledged: see
 * quorum_aside.h.
 */
#include "common/protocol/record_batch.h"
#include "common/storage/checkpoint_file.h"
#include "common/storage/log_scan.h"
#include "common/storage/log_truncate.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/base/mutation.h"
#include "common/storage/log_flush.h"
#include "raft/quorum_opening.h"
#include "raft/quorum_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPIC     STR("__cluster_metadata")
#define PARTITION 0

__attribute__((format(printf, 3, 4))) static int refuse(struct quorum_opening *o, int rv,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(o->sentence, sizeof(o->sentence), format, args);
    va_end(args);
    return rv;
}

static int refuse_disk(struct quorum_opening *o, int rv, const char *what)
{
    return refuse(o, rv, "cannot %s in %s: %s", what, o->config->directory, strerror(-rv));
}

int quorum_mark_read(struct disk *disk, const char *directory, int64_t *ret_offset)
{
    struct offset_checkpoint checkpoint;
    offset_checkpoint_init(&checkpoint);
    char *path = mem_printf("%s/" CHECKPOINT_RECOVERY_POINT, directory);
    int rv = offset_checkpoint_load(&checkpoint, disk, path);
    free(path);
    if (rv == 0)
        *ret_offset = offset_checkpoint_get(&checkpoint, TOPIC, PARTITION, 0);
    offset_checkpoint_release(&checkpoint);
    return rv;
}

int quorum_mark_write(struct disk *disk, const char *directory, int64_t offset)
{
    struct checkpoint_writer writer;
    checkpoint_writer_init(&writer);
    checkpoint_writer_add(&writer, TOPIC, PARTITION, offset);
    char *path = mem_printf("%s/" CHECKPOINT_RECOVERY_POINT, directory);
    int rv = checkpoint_writer_save(&writer, disk, path, true);
    free(path);
    checkpoint_writer_release(&writer);
    return rv;
}

static quorum_guards_off guards_off(const struct quorum_opening *o)
{
    return o->config->guards_off | MUTATED_GUARDS(o->env->disk);
}

static int collect_bootstrap(void *ctx, struct bytes batches)
{
    struct quorum_opening *o = ctx;
    bytebuf_append(&o->bootstrap, batches.data, (size_t)batches.len);
    return 0;
}

/* The newest whole checkpoint stays the last of the list; what is damaged is not in it. */
static int look_at_checkpoint(struct quorum_opening *o, struct quorum_checkpoint_id id)
{
    bool bootstrap = id.end_offset == 0;
    struct quorum_checkpoint_info info;
    int rv = quorum_checkpoint_read(o->env->disk, o->config->directory, id,
                                    bootstrap ? collect_bootstrap : NULL, o, &info);
    if (rv == -EBADMSG && !bootstrap)
        return 0;
    if (rv == -EBADMSG)
        return refuse(o, rv,
                      "the bootstrap checkpoint in %s is damaged; format the directory again",
                      o->config->directory);
    if (rv != 0)
        return refuse_disk(o, rv, "read a checkpoint");
    struct quorum_kept kept = {id, info.size_bytes, info.last_contained_ms};
    kept_push(&o->kept, &kept);
    if (bootstrap) {
        o->bootstrap_voters = info.voters;
        o->bootstrap_kraft_version = info.kraft_version;
        return 0;
    }
    quorum_voters_unref(o->snapshot_voters);
    o->snapshot_voters = info.voters;
    o->has_snapshot = true;
    return 0;
}

static int open_checkpoints(struct quorum_opening *o)
{
    struct quorum_checkpoint_id *ids;
    size_t count;
    int rv = quorum_checkpoint_list(o->env->disk, o->config->directory, true, &ids, &count);
    if (rv != 0)
        return refuse_disk(o, rv, "list the checkpoints");
    for (size_t i = 0; i < count && rv == 0; i++)
        rv = look_at_checkpoint(o, ids[i]);
    free(ids);
    return rv;
}

static int find_log_file(void *ctx, const char *name)
{
    bool *found = ctx;
    *found |= str_ends_with(str_of(name), STR(".log"));
    return 0;
}

static const struct quorum_kept *newest(const struct quorum_opening *o)
{
    return o->has_snapshot ? &o->kept.items[o->kept.count - 1] : NULL;
}

static int open_log(struct quorum_opening *o)
{
    struct disk *disk = o->env->disk;
    const char *directory = o->config->directory;
    int rv = disk->ops->list(disk, directory, find_log_file, &o->has_log_files);
    if (rv != 0)
        return refuse_disk(o, rv, "list the files");
    rv = quorum_mark_read(disk, directory, &o->mark);
    if (rv != 0 && rv != -ENOENT)
        return refuse_disk(o, rv, "read " CHECKPOINT_RECOVERY_POINT);
    if (!o->has_log_files && o->mark > 0) {
        /* The log is gone as a whole; the one that is made now must not count as damaged. */
        rv = quorum_mark_write(disk, directory, 0);
        if (rv != 0)
            return refuse_disk(o, rv, "write " CHECKPOINT_RECOVERY_POINT);
        o->mark = 0;
    }
    const struct quorum_kept *snapshot = newest(o);
    struct log_open_args args = {
        .disk = disk,
        .path = directory,
        .config = &o->config->log,
        .trust = LOG_TRUST_NONE,
        .create = true,
        .strict = !o->config->follow || !o->config->follow->never_votes,
        .check_all = true,
        .recovery_point = o->mark,
        .log_start_offset = snapshot && !o->has_log_files ? snapshot->id.end_offset : 0,
        .topic_id = UUID_METADATA_TOPIC,
        .seed = o->seed,
        .now_ms = o->wall_ms,
    };
    struct log_recovery recovery = {0};
    rv = log_open(&args, &o->log, &recovery);
    if (rv == -EBADMSG)
        return refuse(o, rv,
                      "the metadata log in %s is damaged at offset %" PRId64
                      " (%s), where it was whole before: this disk has lost committed metadata. "
                      "Bring the directory back from a copy; a voter of several may instead be "
                      "started with an empty directory",
                      directory, recovery.cut_offset, recovery.damage ? recovery.damage : "short");
    return rv != 0 ? refuse_disk(o, rv, "open the metadata log") : 0;
}

static int load_batch(void *ctx, const struct log_scan_batch *scanned)
{
    struct quorum_opening *o = ctx;
    const struct record_batch_header *header = scanned->header;
    struct record_batch batch = {.bytes = scanned->bytes, .header = *header};
    struct quorum_control control;
    int rv = quorum_control_parse(&batch, &control);
    if (rv != 0)
        return refuse(o, rv, "the control batch at offset %" PRId64 " in %s cannot be read",
                      header->base_offset, o->config->directory);
    rv = -EINVAL;
    if (header->partition_leader_epoch >= 0)
        rv = quorum_core_load_batch(o->core, quorum_index_of(header->base_offset),
                                    (uint32_t)header->last_offset_delta + 1,
                                    quorum_term_of(header->partition_leader_epoch), control.voters);
    if (control.voters)
        o->voters_offset = MIN(o->voters_offset, header->base_offset);
    o->last_epoch = header->partition_leader_epoch;
    quorum_voters_unref(control.voters);
    if (rv != 0)
        return refuse(o, -EBADMSG, "the batch at offset %" PRId64 " in %s does not follow",
                      header->base_offset, o->config->directory);
    return 0;
}

static int refuse_without_voters(struct quorum_opening *o)
{
    return refuse(o, -EINVAL,
                  "the metadata log in %s names no voters (kraft.version 0) and none are "
                  "configured: set controller.quorum.voters as it was",
                  o->config->directory);
}

static int load_core(struct quorum_opening *o)
{
    const struct quorum_kept *snapshot = newest(o);
    struct quorum_voters *first = o->bootstrap_voters;
    /* Formatted with --no-initial-controllers: the cluster it is to join has the voters. */
    if (!first && o->bootstrap_kraft_version == 0)
        first = o->config->voters;
    /* It has followed the quorum from outside, and never saw how it began: the voters in the log
     * take the place of these. */
    if (!first && o->named_count > 0)
        first = o->named[0].voters;
    int64_t start = log_start_offset(o->log), end = log_end_offset(o->log);
    o->last_epoch = o->kept.count > 0 || first ? 0 : -1;
    if (snapshot) {
        struct quorum_voters *voters = o->snapshot_voters ? o->snapshot_voters : o->config->voters;
        /* One of before the voters stood in the log, which begins behind it. */
        if (!voters && o->named_count > 0)
            voters = o->named[0].voters;
        if (!voters)
            return refuse_without_voters(o);
        quorum_core_load_snapshot(o->core, quorum_index_of(snapshot->id.end_offset - 1),
                                  quorum_term_of(snapshot->id.epoch), voters);
        if (o->snapshot_voters)
            o->voters_offset = 0;
        o->last_epoch = snapshot->id.epoch;
    } else if (start > 0) {
        return refuse(o, -EBADMSG,
                      "the metadata log in %s begins at offset %" PRId64
                      " and there is no checkpoint of what was before",
                      o->config->directory, start);
    } else if (end > start && !first) {
        return refuse_without_voters(o);
    }
    int rv = 0;
    if (start == 0 && first)
        rv = quorum_core_load_batch(o->core, QUORUM_INDEX_BOOTSTRAP, 1, QUORUM_TERM_BOOTSTRAP,
                                    first);
    CHECK(rv == 0);
    rv = end > start ? log_scan(o->log, start, true, load_batch, o) : 0;
    if (rv != 0 && o->sentence[0] == '\0')
        return refuse_disk(o, rv, "read the metadata log");
    return rv;
}

/* A static quorum is taken over as it was: with another set its members would elect without us. */
static bool same_static_voters(const struct quorum_state *state, const struct quorum_voters *voters)
{
    if (state->current_voter_count == 0 || !voters)
        return true;
    for (int i = 0; i < state->current_voter_count; i++) {
        if (!quorum_voters_find_node(voters, state->current_voters[i]))
            return false;
    }
    return quorum_voters_count(voters) == state->current_voter_count;
}

static int refuse_other_voters(struct quorum_opening *o, const struct quorum_state *state)
{
    char ids[128] = "";
    size_t len = 0;
    for (int i = 0; i < state->current_voter_count && len + 16 < sizeof(ids); i++)
        len += (size_t)snprintf(ids + len, sizeof(ids) - len, "%s%" PRId32, i ? ", " : "",
                                state->current_voters[i]);
    return refuse(o, -EINVAL,
                  "the metadata log in %s is of a static quorum of the nodes %s, and other voters "
                  "are configured: set controller.quorum.voters as it was",
                  o->config->directory, ids);
}

/* It was in that epoch as an observer, who keeps none, and so has not voted in it. */
static int store_epoch(struct quorum_opening *o)
{
    struct quorum_state state = QUORUM_STATE_INIT;
    state.leader_epoch = o->known_epoch;
    char *path = mem_printf("%s/" QUORUM_STATE_FILE, o->config->directory);
    int rv = quorum_state_store(o->env->disk, path, &state);
    free(path);
    if (rv != 0)
        return refuse_disk(o, rv, "write " QUORUM_STATE_FILE);
    quorum_core_load_state(o->core, quorum_term_of(o->known_epoch), 0);
    return 0;
}

static int load_state(struct quorum_opening *o)
{
    struct quorum_state state;
    const char *what = "";
    char *path = mem_printf("%s/" QUORUM_STATE_FILE, o->config->directory);
    int rv = quorum_state_load(o->env->disk, path, &state, &what);
    free(path);
    if (rv == -EBADMSG)
        return refuse(o, rv, "%s in %s is damaged (%s): how this node voted is not known",
                      QUORUM_STATE_FILE, o->config->directory, what);
    if (rv != 0 && rv != -ENOENT)
        return refuse_disk(o, rv, "read " QUORUM_STATE_FILE);
    if (rv == 0 && o->voters_offset == INT64_MAX &&
        !same_static_voters(&state, quorum_core_voters(o->core)))
        return refuse_other_voters(o, &state);
    uint64_t term, vote;
    quorum_state_import(rv == 0 ? &state : NULL, o->last_epoch, o->config->node_id,
                        o->config->directory_id, quorum_core_voters(o->core), guards_off(o), &term,
                        &vote);
    if (o->known_epoch >= 0 && quorum_term_of(o->known_epoch) > term)
        return store_epoch(o);
    quorum_core_load_state(o->core, term, vote);
    return 0;
}

static int make_durable(struct quorum_opening *o)
{
    int64_t end = log_end_offset(o->log);
    /* A log that was made just now has nothing to keep: its files become durable with the first
     * batch. */
    if (end == 0 && !o->has_log_files)
        return 0;
    int rv = log_write_again(o->log, MAX(o->mark, log_start_offset(o->log)));
    if (rv == 0)
        rv = log_flush_now(o->log, true, o->wall_ms);
    if (rv == 0 && o->mark != end)
        rv = quorum_mark_write(o->env->disk, o->config->directory, end);
    if (rv != 0)
        return refuse_disk(o, rv, "make the metadata log durable");
    o->mark = end;
    return 0;
}

static int start_core(struct quorum_opening *o)
{
    int rv = quorum_core_start(o->core, env_now_ms(o->env));
    if (rv != 0)
        return refuse(o, -EBADMSG,
                      "the metadata log in %s begins at offset %" PRId64
                      ", behind its newest whole checkpoint: what was between is lost",
                      o->config->directory, log_start_offset(o->log));
    /* Also a log that is empty: a checkpoint was being taken over. */
    bool behind = newest(o) && log_end_offset(o->log) < newest(o)->id.end_offset;
    if (!quorum_core_log_forgotten(o->core) && !behind)
        return 0;
    int64_t offset = newest(o)->id.end_offset;
    rv = quorum_mark_write(o->env->disk, o->config->directory, 0);
    if (rv == 0)
        rv = log_truncate_fully(o->log, offset, offset, o->wall_ms);
    if (rv == 0)
        rv = quorum_mark_write(o->env->disk, o->config->directory, offset);
    o->mark = offset;
    return rv != 0 ? refuse_disk(o, rv, "empty the metadata log") : 0;
}

static int make_core(struct quorum_opening *o)
{
    struct quorum_core_config core = {
        .node_id = o->config->node_id,
        .directory_id = o->config->directory_id,
        .election_timeout_ms = o->config->election_timeout_ms,
        .heartbeat_ms = o->config->heartbeat_ms,
        .install_timeout_ms = 30000,
        .seed = o->seed,
        .guards_off = guards_off(o),
    };
    o->core = quorum_core_new(&core);
    int rv = load_core(o);
    if (rv == 0)
        rv = load_state(o);
    if (rv == 0)
        rv = make_durable(o);
    return rv == 0 ? start_core(o) : rv;
}

static int find_any(void *ctx, const char *name)
{
    (void)name;
    *(bool *)ctx = true;
    return 0;
}

/* A voter that comes back with nothing would vote as if it never had (W11). */
static int check_files(struct quorum_opening *o)
{
    struct disk *disk = o->env->disk;
    bool found = false;
    if (!o->config->had_files || MUTATED(disk, KEEP_RAFT_ID))
        return 0;
    int rv = disk->ops->list(disk, o->config->directory, find_any, &found);
    if (rv != 0)
        return refuse_disk(o, rv, "list the files");
    if (found)
        return 0;
    return refuse(
        o, -EBADMSG,
        "the metadata log in %s is gone: this disk has lost committed metadata. Bring the "
        "directory back from a copy; a voter of several may instead be started with empty "
        "log directories",
        o->config->directory);
}

static int open_all(struct quorum_opening *o)
{
    int rv = disk_make_path(o->env->disk, o->config->directory);
    if (rv != 0)
        return refuse_disk(o, rv, "make the directory of the metadata log");
    rv = check_files(o);
    if (rv == 0)
        rv = open_checkpoints(o);
    if (rv == 0)
        rv = open_log(o);
    if (rv == 0 && o->config->follow)
        rv = opening_look(o);
    if (rv == 0 && o->observes)
        return opening_observe(o);
    return rv == 0 ? make_core(o) : rv;
}

void opening_reload(struct quorum_opening *o)
{
    o->rv = open_checkpoints(o);
    /* It may have followed the quorum from outside before it became a voter. */
    if (o->rv == 0 && o->named_count == 0)
        o->rv = opening_name_voters(o);
    if (o->rv == 0)
        o->rv = make_core(o);
}

void opening_run(struct work *work)
{
    struct quorum_opening *o = CONTAINER_OF(work, struct quorum_opening, work);
    o->rv = open_all(o);
}

void opening_free(struct quorum_opening *o)
{
    if (!o)
        return;
    quorum_core_free(o->core);
    if (o->log)
        log_close(o->log, false);
    quorum_voters_unref(o->bootstrap_voters);
    quorum_voters_unref(o->snapshot_voters);
    bytebuf_release(&o->bootstrap);
    for (size_t i = 0; i < o->named_count; i++)
        quorum_voters_unref(o->named[i].voters);
    free(o->named);
    free(o->kept.items);
    free(o);
}
