#include "common/storage/checkpoint_file.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* 100,000 partitions of the longest name are below 30 MB. */
enum { CHECKPOINT_MAX_BYTES = 256 << 20 };

static bool next_line(struct str *rest, struct str *ret_line)
{
    if (str_is_null(*rest) || rest->len == 0)
        return false;
    str_split(rest, '\n', ret_line);
    return true;
}

static int parse_checkpoint(struct str rest, int (*entry)(void *, struct str), void *ctx)
{
    struct str line;
    int64_t version, count;
    if (rest.len == 0)
        return 0; /* Kafka makes the file before it has something to write */
    if (!next_line(&rest, &line) || str_to_i64(line, &version) != 0)
        return -EBADMSG;
    if (version != 0)
        return -ENOTSUP;
    if (!next_line(&rest, &line) || str_to_i64(line, &count) != 0 || count < 0)
        return -EBADMSG;
    for (int64_t i = 0; i < count; i++) {
        if (!next_line(&rest, &line))
            return -EBADMSG;
        int rv = entry(ctx, line);
        if (rv != 0)
            return rv;
    }
    return next_line(&rest, &line) ? -EBADMSG : 0;
}

int checkpoint_read(struct disk *disk, const char *path, char **ret_text,
                    int (*entry)(void *ctx, struct str line), void *ctx)
{
    char *text;
    size_t len;
    int rv = disk_read_file(disk, path, CHECKPOINT_MAX_BYTES, &text, &len);
    if (rv != 0)
        return rv;
    /* One that was never synced may be cut off, even within a number. */
    rv = len == 0 || text[len - 1] == '\n' ? parse_checkpoint(str_from(text, len), entry, ctx)
                                           : -EBADMSG;
    if (rv != 0) {
        free(text);
        return rv;
    }
    *ret_text = text;
    return 0;
}

void checkpoint_writer_init(struct checkpoint_writer *writer)
{
    *writer = (struct checkpoint_writer){0};
    bytebuf_init(&writer->body);
}

void checkpoint_writer_release(struct checkpoint_writer *writer)
{
    bytebuf_release(&writer->body);
}

void checkpoint_writer_add(struct checkpoint_writer *writer, struct str topic, int32_t partition,
                           int64_t offset)
{
    bytebuf_printf(&writer->body, "%.*s %d %lld\n", STR_FMT(topic), partition, (long long)offset);
    writer->count++;
}

void checkpoint_writer_add_epoch(struct checkpoint_writer *writer, int32_t epoch, int64_t offset)
{
    bytebuf_printf(&writer->body, "%d %lld\n", epoch, (long long)offset);
    writer->count++;
}

/* Atomic for whoever looks at it, but nothing is synced: a power cut may leave an empty file, which
 * whoever reads it must be able to do without. */
static int replace_unsynced(struct disk *disk, const char *path, const void *data, size_t len)
{
    char *temporary = mem_printf("%s.tmp", path);
    struct disk_file *file;
    int rv = disk_open(disk, temporary, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file);
    if (rv == 0) {
        rv = disk_pwrite(file, data, len, 0);
        disk_file_unref(file);
        if (rv == 0)
            rv = disk->ops->rename(disk, temporary, path);
        if (rv != 0)
            (void)disk->ops->unlink(disk, temporary); /* the first error is the one to report */
    }
    free(temporary);
    return rv;
}

int checkpoint_writer_save(const struct checkpoint_writer *writer, struct disk *disk,
                           const char *path, bool sync)
{
    struct bytebuf text;
    bytebuf_init(&text);
    bytebuf_printf(&text, "0\n%lld\n", (long long)writer->count);
    bytebuf_append(&text, writer->body.data, writer->body.len);
    int rv = sync ? disk_replace_file(disk, path, text.data, text.len)
                  : replace_unsynced(disk, path, text.data, text.len);
    bytebuf_release(&text);
    return rv;
}

struct offset_line {
    struct str topic;
    int32_t partition;
};

struct offset_lines {
    struct offset_line *lines;
    int64_t *values;
    size_t count, lines_capacity, values_capacity;
};

/* A topic has no space in its name. */
static int offset_entry(void *ctx, struct str line)
{
    struct offset_lines *parsed = ctx;
    struct str topic, partition;
    struct offset_line entry;
    int64_t offset;
    if (!str_split(&line, ' ', &topic) || topic.len == 0 || !str_split(&line, ' ', &partition) ||
        str_to_i32(partition, &entry.partition) != 0 || str_to_i64(line, &offset) != 0 ||
        entry.partition < 0 || offset < 0)
        return -EBADMSG;
    entry.topic = topic;
    size_t count = parsed->count;
    VEC_PUSH(parsed->lines, count, parsed->lines_capacity) = entry;
    VEC_PUSH(parsed->values, parsed->count, parsed->values_capacity) = offset;
    return 0;
}

void offset_checkpoint_init(struct offset_checkpoint *checkpoint)
{
    *checkpoint = (struct offset_checkpoint){0};
    map_init(&checkpoint->offsets, MAP_STR_BORROWED);
}

int offset_checkpoint_load(struct offset_checkpoint *checkpoint, struct disk *disk,
                           const char *path)
{
    offset_checkpoint_init(checkpoint);
    struct offset_lines parsed = {0};
    int rv = checkpoint_read(disk, path, &checkpoint->text, offset_entry, &parsed);
    if (rv == 0) {
        checkpoint->values = parsed.values;
        checkpoint->count = parsed.count;
        for (size_t i = 0; i < parsed.count; i++)
            map_put(&checkpoint->offsets,
                    map_key_str_int(parsed.lines[i].topic, parsed.lines[i].partition),
                    &parsed.values[i]);
    } else {
        free(parsed.values);
    }
    free(parsed.lines);
    return rv;
}

void offset_checkpoint_release(struct offset_checkpoint *checkpoint)
{
    map_release(&checkpoint->offsets);
    free(checkpoint->values);
    free(checkpoint->text);
}

int64_t offset_checkpoint_get(const struct offset_checkpoint *checkpoint, struct str topic,
                              int32_t partition, int64_t missing)
{
    const int64_t *value = map_get(&checkpoint->offsets, map_key_str_int(topic, partition));
    return value != NULL ? *value : missing;
}
