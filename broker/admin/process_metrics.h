/*
 * What the kernel says about this process, under the names that dashboards ask for: process_cpu_
 * seconds_total, process_open_fds, process_max_fds, process_resident_memory_bytes,
 * process_virtual_memory_bytes, process_start_time_seconds, and Kafka's disk bytes of
 * kafka.server:type=KafkaServer. Any thread; what cannot be read is left out.
 */
#ifndef KRAFTD_BROKER_ADMIN_PROCESS_METRICS_H
#define KRAFTD_BROKER_ADMIN_PROCESS_METRICS_H

#include "common/base/metrics.h"

/* A collector for metrics_add_collector; ctx is not used. */
void process_metrics_collect(void *ctx, struct metrics_writer *writer);

#endif
