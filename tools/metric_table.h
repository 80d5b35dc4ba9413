/* What --print-metrics shows: names as Kafka's clients have them. One thread. */
#ifndef KRAFTD_TOOLS_METRIC_TABLE_H
#define KRAFTD_TOOLS_METRIC_TABLE_H

#include "common/base/str.h"

#include <jansson.h>

struct metric {
    const char *name;
    double value; /* NAN: there is none */
};

/* A table on standard output, in the order given. `group` is such as "producer-metrics". */
void metric_table_print(const char *group, struct str client_id, const struct metric *metrics,
                        size_t count);
/* Names to numbers; what has no value is null. */
json_t *metric_table_json(const struct metric *metrics, size_t count);

#endif
