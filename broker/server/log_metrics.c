#include "broker/server/log_metrics.h"

#include "common/base/check.h"
#include "common/storage/log_manager.h"

#include <stdio.h>

/* How many digits a partition's number has at most, and a zero byte. */
#define INDEX_ROOM 12

static void write_log(void *ctx, const struct log_manager_entry *entry)
{
    struct metrics_writer *w = ctx;
    char index[INDEX_ROOM];
    int len = snprintf(index, sizeof(index), "%d", entry->partition);
    struct metric_label labels[] = {{"topic", entry->topic},
                                    {"partition", str_from(index, (size_t)len)}};
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
        metrics_write(w, METRIC_GAUGE, values[i].mbean, labels, ARRAY_LEN(labels),
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
    log_manager_each(logs, write_log, w);
}
