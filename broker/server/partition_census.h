/*
 * How many partitions of the whole cluster are without a leader, and how many are not led by their
 * first replica. Kept by what changes, so that it costs nothing of what there is. It starts with
 * the empty image and is handed every delta, in order.
 */
#ifndef KRAFTD_BROKER_SERVER_PARTITION_CENSUS_H
#define KRAFTD_BROKER_SERVER_PARTITION_CENSUS_H

#include <stdint.h>

struct image_delta;

struct partition_census {
    int64_t offline, imbalance;
};

void partition_census_apply(struct partition_census *census, const struct image_delta *delta);

#endif
