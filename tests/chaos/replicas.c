/*
 * Of a batch: base offset (8 bytes), length of what follows (4), leader epoch (4), magic (1), CRC
 * (4), attributes (2), last offset delta (4), and more that is only compared. All big-endian.
 */
#include "tests/chaos/replicas.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_AT = 8, EPOCH_AT = 12, DELTA_AT = 23, HEADER = 61, PREFIX = 12, BATCH_MAX = 1 << 30 };

/* One copy, batch by batch. */
struct copy {
    const char *folder;
    char **segments;
    size_t segment_count, segment_capacity, segment;
    FILE *file;
    uint8_t *batch; /* PREFIX + length bytes; valid unless `over` */
    size_t size, capacity;
    int64_t base; /* of the batch, or where the damage is */
    int64_t next; /* -1: no batch yet */
    int32_t epoch;
    bool over;
    const char *damage; /* why it is over before its time */
};

static uint32_t big32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static int copy_open(struct copy *copy, const char *folder)
{
    *copy = (struct copy){.folder = folder, .epoch = -1, .next = -1};
    DIR *directory = opendir(folder);
    if (!directory)
        return -errno;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        size_t length = strlen(entry->d_name);
        if (length == 24 && strcmp(entry->d_name + 20, ".log") == 0)
            VEC_PUSH(copy->segments, copy->segment_count, copy->segment_capacity) =
                mem_printf("%s/%s", folder, entry->d_name);
    }
    closedir(directory);
    if (copy->segment_count > 0)
        qsort(copy->segments, copy->segment_count, sizeof(*copy->segments), by_name);
    return 0;
}

static void copy_close(struct copy *copy)
{
    for (size_t i = 0; i < copy->segment_count; i++)
        free(copy->segments[i]);
    free(copy->segments);
    free(copy->batch);
    if (copy->file)
        fclose(copy->file);
}

static void copy_end(struct copy *copy, int64_t at, const char *damage)
{
    copy->over = true;
    copy->damage = damage;
    copy->base = MAX(at, 0);
}

/* Fills batch from the current file. False at its end, or when copy_end was called. */
static bool read_batch(struct copy *copy)
{
    uint8_t prefix[PREFIX];
    size_t got = fread(prefix, 1, sizeof(prefix), copy->file);
    if (got == 0)
        return false;
    uint32_t length = got == PREFIX ? big32(prefix + LENGTH_AT) : 0;
    if (length < HEADER - PREFIX || length > BATCH_MAX) {
        copy_end(copy, copy->next, "a torn or damaged batch");
        return false;
    }
    if (PREFIX + length > copy->capacity) {
        copy->capacity = 2 * (PREFIX + (size_t)length);
        copy->batch = mem_realloc(copy->batch, copy->capacity);
    }
    memcpy(copy->batch, prefix, PREFIX);
    copy->size = PREFIX + length;
    if (fread(copy->batch + PREFIX, 1, length, copy->file) != length) {
        copy_end(copy, copy->next, "a torn batch");
        return false;
    }
    return true;
}

/* The next batch: over when there is none, or when it does not continue what was before. */
static int copy_next(struct copy *copy)
{
    while (!copy->over && !(copy->file && read_batch(copy))) {
        if (copy->file)
            fclose(copy->file);
        copy->file = NULL;
        if (copy->over || copy->segment == copy->segment_count) {
            copy->over = true;
            return 0;
        }
        copy->file = fopen(copy->segments[copy->segment++], "re");
        if (!copy->file)
            return -errno;
    }
    if (copy->over)
        return 0;
    copy->base = (int64_t)((uint64_t)big32(copy->batch) << 32 | big32(copy->batch + 4));
    int32_t epoch = (int32_t)big32(copy->batch + EPOCH_AT);
    if (copy->next >= 0 && copy->base != copy->next)
        copy_end(copy, copy->base, "offsets do not join");
    else if (epoch < copy->epoch)
        copy_end(copy, copy->base, "an epoch that falls");
    copy->epoch = epoch;
    copy->next = copy->base + (int32_t)big32(copy->batch + DELTA_AT) + 1;
    return 0;
}

static void differs(struct replicas_verdict *verdict, const struct copy *copy, int64_t at,
                    const char *what)
{
    verdict->at = at;
    snprintf(verdict->text, sizeof(verdict->text), "%s at offset %" PRId64 ": %s", copy->folder, at,
             what);
}

/* All copies stand at a batch or at their end. False when the walk is over. */
static bool compare_batches(struct copy *copies, size_t count, int64_t end,
                            struct replicas_verdict *verdict)
{
    for (size_t i = 0; i < count; i++) {
        struct copy *copy = &copies[i];
        if (copy->over && copy->damage && copy->base < end) {
            differs(verdict, copy, copy->base, copy->damage);
            return false;
        }
        if (copy->over && MAX(copy->next, 0) < end) {
            differs(verdict, copy, MAX(copy->next, 0), "ends below the high watermark");
            return false;
        }
    }
    if (copies[0].over || copies[0].base >= end)
        return false;
    for (size_t i = 1; i < count; i++) {
        const char *what = copies[i].base != copies[0].base     ? "another base offset"
                           : copies[i].size != copies[0].size   ? "another size"
                           : copies[i].epoch != copies[0].epoch ? "another leader epoch"
                           : memcmp(copies[i].batch, copies[0].batch, copies[0].size) != 0
                               ? "other bytes"
                               : NULL;
        if (what) {
            differs(verdict, &copies[i], copies[i].base, what);
            size_t used = strlen(verdict->text);
            snprintf(verdict->text + used, sizeof(verdict->text) - used, " than in %s",
                     copies[0].folder);
            return false;
        }
    }
    verdict->batches++;
    verdict->bytes += (int64_t)copies[0].size;
    return true;
}

int replicas_compare(const char *const *folders, size_t count, int64_t end,
                     struct replicas_verdict *ret_verdict)
{
    CHECK(count >= 1);
    struct replicas_verdict verdict = {.at = -1};
    struct copy *copies = mem_calloc(count, sizeof(*copies));
    size_t opened = 0;
    int error = 0;
    int64_t start = 0;
    for (; opened < count && error == 0; opened++) {
        error = copy_open(&copies[opened], folders[opened]);
        if (error == 0)
            error = copy_next(&copies[opened]);
        if (error == 0 && !copies[opened].over)
            start = MAX(start, copies[opened].base);
    }
    for (size_t i = 0; i < opened && error == 0; i++) {
        while (error == 0 && !copies[i].over && copies[i].base < start)
            error = copy_next(&copies[i]);
    }
    while (error == 0 && compare_batches(copies, count, end, &verdict)) {
        for (size_t i = 0; i < count && error == 0; i++)
            error = copy_next(&copies[i]);
    }
    for (size_t i = 0; i < opened; i++)
        copy_close(&copies[i]);
    free(copies);
    if (error == 0)
        *ret_verdict = verdict;
    return error;
}
