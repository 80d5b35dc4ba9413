#include "common/storage/log_names.h"

#include "common/base/check.h"

#include <stdio.h>

enum { OFFSET_DIGITS = 20, EPOCH_DIGITS = 10 };

static const char *const kind_suffix[] = {
    [LOG_FILE_LOG] = ".log",
    [LOG_FILE_INDEX] = ".index",
    [LOG_FILE_TIME_INDEX] = ".timeindex",
    [LOG_FILE_TXN_INDEX] = ".txnindex",
    [LOG_FILE_SNAPSHOT] = ".snapshot",
    [LOG_FILE_CHECKPOINT] = ".checkpoint",
};

static const char *const state_suffix[] = {
    [LOG_FILE_LIVE] = "",      [LOG_FILE_DELETED] = ".deleted", [LOG_FILE_CLEANED] = ".cleaned",
    [LOG_FILE_SWAP] = ".swap", [LOG_FILE_TEMPORARY] = ".tmp",
};

static bool strip_suffix(struct str *s, const char *suffix)
{
    struct str end = str_of(suffix);
    if (!str_ends_with(*s, end))
        return false;
    s->len -= end.len;
    return true;
}

static bool parse_digits(struct str s, int64_t max, int64_t *ret_value)
{
    for (int32_t i = 0; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    int64_t value;
    if (str_to_i64(s, &value) != 0 || value > max)
        return false;
    *ret_value = value;
    return true;
}

static enum log_file_state strip_state(struct str *name)
{
    for (int state = LOG_FILE_DELETED; state <= LOG_FILE_TEMPORARY; state++)
        if (strip_suffix(name, state_suffix[state]))
            return (enum log_file_state)state;
    return strip_suffix(name, ".part") ? LOG_FILE_TEMPORARY : LOG_FILE_LIVE;
}

/* The number in front of the suffix; for a checkpoint the epoch too. */
static bool parse_numbers(struct str stem, struct log_file_name *file)
{
    struct str offset = str_from(stem.data, (size_t)MIN(stem.len, OFFSET_DIGITS));
    int64_t value, epoch = -1;
    if (offset.len != OFFSET_DIGITS || !parse_digits(offset, INT64_MAX, &value))
        return false;
    struct str rest = str_from(stem.data + offset.len, (size_t)(stem.len - offset.len));
    if (file->kind == LOG_FILE_CHECKPOINT) {
        if (rest.len != 1 + EPOCH_DIGITS || rest.data[0] != '-' ||
            !parse_digits(str_from(rest.data + 1, EPOCH_DIGITS), INT32_MAX, &epoch))
            return false;
    } else if (rest.len != 0) {
        return false;
    }
    file->offset = value;
    file->epoch = (int32_t)epoch;
    return true;
}

struct log_file_name log_file_parse(const char *name)
{
    struct str rest = str_of(name);
    struct log_file_name file = {.offset = -1, .epoch = -1};
    file.state = strip_state(&rest);
    for (int kind = 0; kind < (int)ARRAY_LEN(kind_suffix); kind++) {
        struct str stem = rest;
        if (!strip_suffix(&stem, kind_suffix[kind]))
            continue;
        file.kind = (enum log_file_kind)kind;
        if (parse_numbers(stem, &file))
            return file;
    }
    file.kind = str_eq_z(rest, "leader-epoch-checkpoint") ? LOG_FILE_LEADER_EPOCHS
                : str_eq_z(rest, "partition.metadata")    ? LOG_FILE_PARTITION_METADATA
                : str_eq_z(rest, "quorum-state")          ? LOG_FILE_QUORUM_STATE
                                                          : LOG_FILE_OTHER;
    return file;
}

bool log_file_path(char path[PATH_MAX], const char *directory, enum log_file_kind kind,
                   int64_t offset, enum log_file_state state)
{
    CHECK((size_t)kind < ARRAY_LEN(kind_suffix) && kind != LOG_FILE_CHECKPOINT);
    int n = snprintf(path, PATH_MAX, "%s/%020lld%s%s", directory, (long long)offset,
                     kind_suffix[kind], state_suffix[state]);
    return n > 0 && n < PATH_MAX;
}

static const char *const dir_suffix[] = {
    [LOG_DIR_LIVE] = "",
    [LOG_DIR_DELETE] = "-delete",
    [LOG_DIR_FUTURE] = "-future",
    [LOG_DIR_STRAY] = "-stray",
};

enum { UNIQUE_DIGITS = 32 };

/* Takes ".<32 hex>" off the end. */
static bool strip_unique(struct str *s)
{
    if (s->len < UNIQUE_DIGITS + 1 || s->data[s->len - UNIQUE_DIGITS - 1] != '.')
        return false;
    for (int32_t i = s->len - UNIQUE_DIGITS; i < s->len; i++) {
        char c = s->data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    s->len -= UNIQUE_DIGITS + 1;
    return true;
}

bool log_dir_name_parse(const char *name, struct log_dir_name *ret_name)
{
    struct str rest = str_of(name);
    struct log_dir_name parsed = {.kind = LOG_DIR_LIVE};
    for (int kind = LOG_DIR_DELETE; kind <= LOG_DIR_STRAY; kind++) {
        struct str marked = rest;
        if (strip_suffix(&marked, dir_suffix[kind]) && strip_unique(&marked)) {
            rest = marked;
            parsed.kind = (enum log_dir_kind)kind;
            break;
        }
    }
    int32_t dash = rest.len - 1;
    while (dash > 0 && rest.data[dash] != '-')
        dash--;
    int64_t partition;
    if (dash <= 0 || !parse_digits(str_from(rest.data + dash + 1, (size_t)(rest.len - dash - 1)),
                                   INT32_MAX, &partition))
        return false;
    parsed.topic = str_from(rest.data, (size_t)dash);
    parsed.partition = (int32_t)partition;
    *ret_name = parsed;
    return true;
}

void log_dir_name_format(char name[LOG_DIR_NAME_MAX + 1], struct str topic, int32_t partition,
                         enum log_dir_kind kind, struct uuid unique)
{
    char tail[80];
    int n = snprintf(tail, sizeof(tail), "-%d", partition);
    if (kind != LOG_DIR_LIVE) {
        tail[n++] = '.';
        for (int i = 0; i < 16; i++)
            n += snprintf(tail + n, sizeof(tail) - (size_t)n, "%02x", unique.b[i]);
        n += snprintf(tail + n, sizeof(tail) - (size_t)n, "%s", dir_suffix[kind]);
    }
    int32_t topic_len = MIN(topic.len, LOG_DIR_NAME_MAX - n);
    snprintf(name, LOG_DIR_NAME_MAX + 1, "%.*s%s", topic_len, topic.data, tail);
}

bool log_dir_name_is_metadata(const char *name)
{
    return strcmp(name, "__cluster_metadata-0") == 0;
}
