/*
 * The numbers of logs (kafka.log:type=Log and LogManager), asked of the log manager when they are
 * shown. Any thread.
 */
#ifndef KRAFTD_BROKER_SERVER_LOG_METRICS_H
#define KRAFTD_BROKER_SERVER_LOG_METRICS_H

#include "common/base/metrics.h"

/* A collector for metrics_add_collector; its ctx is a struct log_manager. */
void log_metrics_collect(void *log_manager, struct metrics_writer *writer);

#endif
