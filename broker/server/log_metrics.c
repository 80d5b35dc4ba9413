#include "broker/server/log_metrics.h"

#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_manager.h"

#include <stdio.h>
#include <stdlib.h>

/* How many digits a partition's number has at most, and a zero byte. */
#define INDEX_ROOM 12

/* What the log manager knew a moment ago: its mutex is not held while texts are made. */
struct log_list {
    struct arena arena;
    struct log_manager_entry *items;
    size_t count, capacity;
};

static void add_log(void *ctx, const struct log_manager_entry *entry)
{
    struct log_list *list = ctx;
    struct log_manager_entry copy = *entry;
    copy.topic = arena_str(&list->arena, entry->topic);
    VEC_PUSH(list->items, list->count, list->capacity) = copy;
}

static void write_log(struct metrics_writer *w, const struct log_manager_entry *entry)
{
    char index[INDEX_ROOM];
    int len = snprintf(index, sizeof(index), "%d", entry->partition);
    struct metric_label labels[] = {{"topic", entry->topic},
                                    {"partition", str_from(index, (size_t)len)},
                                    {"is_future", STR("true")}};
    /* As in Kafka only the copy of a log that moves says what it is. */
    int label_count = ARRAY_LEN(labels) - !entry->is_future;
    const struct {
        const char *mbean;
        int64_t value;
    } values[] = {
        {"kafka.log:type=Log,name=Size", entry->size_bytes},
        {"kafka.log:type=Log,name=LogStartOffset", entry->start_offset},
        {"kafka.log:type=Log,name=LogEndOffset", entry->end_offset},
        {"kafka.log:type=Log,name=NumLogSegments", entry->segment_count},
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        metrics_write(w, METRIC_GAUGE, values[i].mbean, labels, label_count,
                      (double)values[i].value);
}

void log_metrics_collect(void *ctx, struct metrics_writer *w)
{
    struct log_manager *logs = ctx;
    int64_t offline = 0;
    for (size_t i = 0; i < log_manager_dir_count(logs); i++) {
        struct metric_label label = {"logDirectory", str_of(log_manager_dir(logs, i)->path)};
        bool is_offline = log_manager_dir_status(logs, i) != 0;
        metrics_write(w, METRIC_GAUGE, "kafka.log:type=LogManager,name=LogDirectoryOffline", &label,
                      1, is_offline);
        offline += is_offline;
    }
    metrics_write(w, METRIC_GAUGE, "kafka.log:type=LogManager,name=OfflineLogDirectoryCount", NULL,
                  0, (double)offline);
    struct log_list list = {0};
    arena_init(&list.arena, 0);
    log_manager_each(logs, add_log, &list);
    for (size_t i = 0; i < list.count; i++)
        write_log(w, &list.items[i]);
    free(list.items);
    arena_release(&list.arena);
}
