/* diff, log, watch. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/control_record.h"
#include "common/protocol/codec.h"
#include "common/protocol/message_json.h"
#include "common/protocol/messages/control_records.h"
#include "common/protocol/record_iter.h"
#include "metadata/record_codec.h"
#include "metadata/shell/shell_diff.h"
#include "tools/shell.h"
#include "tools/signals.h"

#include <errno.h>
#include <stdlib.h>

enum {
    WAIT_MS = 250, /* between looks at whether somebody wants it to end */
    RECORD_BYTES_MAX = 1 << 30,
};

/* --- changes ---------------------------------------------------------------------------------- */

struct changes {
    json_t *json;        /* NULL: text */
    const char *pattern; /* paths below others are left out; NULL: none */
    const char *directory;
    size_t count;
    struct bytebuf text;
};

static void put_change(struct changes *changes, char sign, struct str path,
                       const struct shell_node *leaf)
{
    if (leaf == NULL)
        return;
    bytebuf_printf(&changes->text, "%c %.*s = ", sign, STR_FMT(path));
    shell_text(leaf, &changes->text);
    bytebuf_append(&changes->text, "\n", 1);
}

static void note_change(void *ctx, struct str path, const struct shell_node *before,
                        const struct shell_node *after)
{
    struct changes *changes = ctx;
    if (changes->pattern != NULL &&
        !shell_path_is_below(changes->directory, changes->pattern, path))
        return;
    changes->count++;
    if (changes->json == NULL) {
        put_change(changes, '-', path, before);
        put_change(changes, '+', path, after);
        return;
    }
    json_t *change = json_object();
    json_object_set_new(change, "path", tool_json_str(path));
    json_object_set_new(change, "before", before ? shell_json(before) : json_null());
    json_object_set_new(change, "after", after ? shell_json(after) : json_null());
    json_array_append_new(changes->json, change);
}

static void changes_init(struct changes *changes, const struct shell *shell)
{
    *changes = (struct changes){.directory = shell->directory};
    bytebuf_init(&changes->text);
    if (shell->json)
        changes->json = json_array();
}

static void print_changes(const struct changes *changes)
{
    if (changes->text.len > 0)
        fwrite(changes->text.data, 1, changes->text.len, stdout);
}

static void keep_node(void *ctx, const struct shell_found *found)
{
    *(struct shell_node *)ctx = found->node;
}

/* Everything below the part of the path that is no pattern. */
static void compare(struct changes *changes, const struct shell_view *before,
                    const struct shell_view *after, const char *target)
{
    struct shell_node old, new;
    struct arena arena;
    arena_init(&arena, 0);
    const char *base = shell_path_base(changes->directory, target, &arena);
    bool had = shell_visit(before, "/", base, keep_node, &old) > 0;
    bool has = shell_visit(after, "/", base, keep_node, &new) > 0;
    changes->pattern = shell_is_pattern(target) ? target : NULL;
    if (had || has)
        shell_diff(had ? &old : NULL, has ? &new : NULL, str_of(base), note_change, changes);
    arena_release(&arena);
}

/* --- diff ------------------------------------------------------------------------------------- */

/* One side: a view of the shell's own source at an offset, or of another source. */
struct side {
    struct metadata_source *source; /* NULL: the shell's */
    struct metadata_replay *replay; /* NULL: the shell's */
    const struct shell_view *view;
};

static bool side_open(struct side *side, struct shell *shell, const char *word,
                      struct failure *failure)
{
    int64_t offset = METADATA_REPLAY_NEWEST;
    struct metadata_source *source = shell->source;
    if (strcmp(word, "now") == 0 && shell->at_offset == METADATA_REPLAY_NEWEST) {
        side->view = metadata_replay_view(shell->replay);
        return true;
    }
    if (strcmp(word, "now") != 0 && (str_to_i64(str_of(word), &offset) != 0 || offset < 0)) {
        offset = METADATA_REPLAY_NEWEST;
        if (!metadata_files_open(word, &side->source, failure))
            return false;
        source = side->source;
    }
    if (!metadata_replay_new(source, offset, &side->replay, failure))
        return false;
    side->view = metadata_replay_view(side->replay);
    return true;
}

static void side_close(struct side *side)
{
    metadata_replay_free(side->replay);
    metadata_source_free(side->source);
}

void shell_diff_command(struct shell *shell, const struct shell_words *words)
{
    const char *target = words->count > 2 ? words->items[2] : "/image";
    struct side from = {0}, to = {0};
    struct changes changes;
    struct failure failure;
    changes_init(&changes, shell);
    if (!side_open(&from, shell, words->items[0], &failure) ||
        !side_open(&to, shell, words->items[1], &failure)) {
        shell_fail(shell, &failure);
        json_decref(changes.json);
    } else {
        compare(&changes, from.view, to.view, target);
        if (changes.json != NULL)
            tool_print_json(changes.json);
        print_changes(&changes);
    }
    bytebuf_release(&changes.text);
    side_close(&from);
    side_close(&to);
}

/* --- watch ------------------------------------------------------------------------------------ */

/* Prints what one commit changed. True where that was something. */
static bool show_commit(struct shell *shell, const struct shell_words *words,
                        const struct shell_view *before)
{
    const struct shell_view *after = metadata_replay_view(shell->replay);
    struct changes changes;
    changes_init(&changes, shell);
    for (size_t i = 0; i < words->count; i++)
        compare(&changes, before, after, words->items[i]);
    if (words->count == 0)
        compare(&changes, before, after, "/image");
    if (changes.count > 0 && changes.json != NULL) {
        tool_print_json(json_pack("{s:I,s:i,s:I,s:O}", "offset", (json_int_t)after->last_offset,
                                  "epoch", after->leader_epoch, "timestamp",
                                  (json_int_t)after->last_timestamp_ms, "changes", changes.json));
    } else if (changes.count > 0) {
        struct shell_node node;
        struct bytebuf where;
        /* A change of the leader or the voters is no change of the image. */
        struct shell_view here = *after;
        here.offset = after->last_offset;
        here.epoch = after->leader_epoch;
        here.timestamp_ms = after->last_timestamp_ms;
        bytebuf_init(&where);
        CHECK(shell_visit(&here, "/", "/image/provenance", keep_node, &node) == 1);
        shell_text(&node, &where);
        printf("%.*s\n", (int)where.len, (const char *)where.data);
        bytebuf_release(&where);
        print_changes(&changes);
    }
    fflush(stdout);
    json_decref(changes.json);
    bytebuf_release(&changes.text);
    return changes.count > 0;
}

void shell_watch(struct shell *shell, const struct shell_words *words)
{
    int64_t left = INT64_MAX;
    struct signals signals;
    struct failure failure = {0};
    bool ok = true;
    if (words->options[0] != NULL &&
        (str_to_i64(str_of(words->options[0]), &left) != 0 || left < 1))
        ok = failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST,
                         "watch: '%s' is no number of commits", words->options[0]);
    else if (!shell->source->live)
        ok = failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST,
                         "watch: a file does not change; open a directory or a cluster");
    signals_open(&signals);
    while (ok && left > 0 && signals_take(&signals) == 0) {
        const struct shell_view *before = metadata_replay_hold(shell->replay);
        bool applied;
        ok = metadata_replay_step(shell->replay, WAIT_MS, &applied, &failure);
        if (ok && applied && show_commit(shell, words, before))
            left--;
    }
    metadata_replay_release(shell->replay);
    signals_close(&signals);
    if (!ok)
        shell_fail(shell, &failure);
}

/* --- log -------------------------------------------------------------------------------------- */

struct records {
    struct shell *shell;
    const char *type; /* NULL: all */
    int64_t from, to;
    struct arena arena;
    struct record_scratch scratch;
    struct bytebuf line;
    bool failed;
};

static const struct message_desc *control_desc(int type)
{
    switch (type) {
    case CONTROL_LEADER_CHANGE:
        return &leader_change_message_desc;
    case CONTROL_SNAPSHOT_HEADER:
        return &snapshot_header_record_desc;
    case CONTROL_SNAPSHOT_FOOTER:
        return &snapshot_footer_record_desc;
    case CONTROL_KRAFT_VERSION:
        return &kraft_version_record_desc;
    case CONTROL_KRAFT_VOTERS:
        return &voters_record_desc;
    default:
        return NULL;
    }
}

static const char *control_name(int type)
{
    static const char *const names[] = {"ABORT",           "COMMIT",          "LEADER_CHANGE",
                                        "SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "KRAFT_VERSION",
                                        "KRAFT_VOTERS"};
    return type >= 0 && type < (int)ARRAY_LEN(names) ? names[type] : "UNKNOWN";
}

static bool is_wanted(const struct records *records, const char *type)
{
    return records->type == NULL || strcasecmp(records->type, type) == 0;
}

/* {"type":...,"version":...,"data":...}; NULL: it is none, and *ret_problem says why. */
static bool put_control(struct records *records, const struct record *record)
{
    const struct message_desc *desc;
    struct bytes value = record->value;
    int type;
    if (control_record_parse_key(record->key, &type) != 0)
        return false;
    desc = control_desc(type);
    if (!is_wanted(records, control_name(type)))
        return true;
    void *message = desc ? arena_calloc(&records->arena, 1, desc->body->size_bytes) : NULL;
    if (desc == NULL || message_decode(desc, 0, &value, &records->arena, message) != 0)
        return false;
    bytebuf_printf(&records->line, "{\"type\":\"%s\",\"version\":0,\"data\":", control_name(type));
    message_to_json(desc, 0, message, MESSAGE_JSON_KAFKA, &records->line);
    bytebuf_append(&records->line, "}", 1);
    return true;
}

static bool put_metadata(struct records *records, const struct record *record)
{
    struct metadata_record decoded;
    if (record_codec_decode(record->value, &records->arena, &decoded) != 0)
        return false;
    const struct message_desc *desc = metadata_record_find(decoded.key);
    size_t start = records->line.len;
    record_to_json(desc, decoded.version, decoded.data, &records->line);
    if (records->type == NULL)
        return true;
    struct str head = arena_printf(&records->arena, "{\"type\":\"%s\"", records->type);
    if ((size_t)head.len > records->line.len - start ||
        strncasecmp((const char *)records->line.data + start, head.data, (size_t)head.len) != 0)
        records->line.len = start;
    return true;
}

/* The place goes in front of what the record says of itself. */
static void print_record(struct records *records, const struct record_batch_header *header,
                         const struct record *record)
{
    bool control = (header->attributes & RECORD_BATCH_CONTROL) != 0;
    if (record->offset < records->from || record->offset > records->to)
        return;
    records->line.len = 0;
    bool ok = control ? put_control(records, record) : put_metadata(records, record);
    if (!ok) {
        records->failed = true;
        records->line.len = 0;
        bytebuf_printf(&records->line,
                       "{\"problem\":\"this build cannot read the record: it is damaged, or of a "
                       "kind or version that it does not know\"}");
    }
    if (records->line.len > 0)
        printf("{\"offset\":%lld,\"epoch\":%d,\"timestamp\":%lld,%.*s\n", (long long)record->offset,
               header->partition_leader_epoch, (long long)record->timestamp,
               (int)records->line.len - 1, (const char *)records->line.data + 1);
}

static bool print_run(void *ctx, struct bytes run, struct failure *failure)
{
    struct records *records = ctx;
    struct record_batches batches = record_batches_of(run);
    struct record_batch batch;
    while (record_batches_next(&batches, &batch) == 1) {
        struct record_iter iter;
        struct record record;
        int more = 0;
        int rv = record_iter_init(&iter, &batch, RECORD_BYTES_MAX, &records->scratch);
        while (rv == 0 && (more = record_iter_next(&iter, &record)) == 1) {
            print_record(records, &batch.header, &record);
            arena_reset(&records->arena);
        }
        if (rv == 0)
            record_iter_release(&iter);
        if (rv != 0 || more < 0)
            return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                               "The batch at offset %lld cannot be read",
                               (long long)batch.header.base_offset);
    }
    return true;
}

/* From records->from on; with `follow`, until somebody ends it. */
static bool print_log(struct records *records, bool follow, struct failure *failure)
{
    struct metadata_source *source = records->shell->source;
    int64_t offset = records->from;
    struct signals signals;
    bool ok = true;
    if (follow)
        signals_open(&signals);
    while (ok && offset <= records->to && (!follow || signals_take(&signals) == 0)) {
        struct bytes run;
        ok = source->ops->read(source, offset, follow ? WAIT_MS : 0, &run, failure) &&
             print_run(records, run, failure);
        if (!ok || (run.len == 0 && !follow))
            break;
        struct record_batches batches = record_batches_of(run);
        struct record_batch batch;
        while (record_batches_next(&batches, &batch) == 1)
            offset = record_batch_next_offset(&batch.header);
        fflush(stdout);
    }
    if (follow)
        signals_close(&signals);
    return ok;
}

static bool read_bound(const struct shell *shell, const char *word, int64_t *ret_offset,
                       struct failure *failure)
{
    if (str_to_i64(str_of(word), ret_offset) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "log: '%s' is no offset", word);
    if (*ret_offset < 0)
        *ret_offset = MAX(metadata_replay_next_offset(shell->replay) + *ret_offset, 0);
    return true;
}

static bool log_records(struct records *records, const struct shell_words *words,
                        struct failure *failure)
{
    struct shell *shell = records->shell;
    struct metadata_source *source = shell->source;
    bool follow = words->options[1] != NULL, alone;
    int64_t start;
    if (!source->ops->start(source, &start, &alone, failure))
        return false;
    records->from = start;
    records->to = shell->at_offset;
    if ((words->count > 0 && !read_bound(shell, words->items[0], &records->from, failure)) ||
        (words->count > 1 && !read_bound(shell, words->items[1], &records->to, failure)))
        return false;
    if (alone) {
        struct metadata_snapshot snapshot;
        return source->ops->snapshot(source, INT64_MAX, print_run, records, &snapshot, failure);
    }
    return print_log(records, follow && source->live, failure);
}

void shell_log(struct shell *shell, const struct shell_words *words)
{
    struct records records = {.shell = shell, .type = words->options[0]};
    struct failure failure;
    arena_init(&records.arena, 0);
    record_scratch_init(&records.scratch);
    bytebuf_init(&records.line);
    if (!log_records(&records, words, &failure))
        shell_fail(shell, &failure);
    if (records.failed)
        shell->code = 1;
    bytebuf_release(&records.line);
    record_scratch_release(&records.scratch);
    arena_release(&records.arena);
}
