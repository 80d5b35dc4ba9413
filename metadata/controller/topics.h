/*
 * What the requests about topics share. Inside metadata/controller. Pure.
 */
#ifndef KRAFTD_METADATA_CONTROLLER_TOPICS_H
#define KRAFTD_METADATA_CONTROLLER_TOPICS_H

#include "common/base/map.h"

/* How often a request names each topic. */
struct name_counts {
    struct map counts; /* the count as a pointer-sized number; CLAIMED once it was taken */
};

void name_counts_init(struct name_counts *names);
void name_counts_release(struct name_counts *names);
void name_counts_add(struct name_counts *names, struct str name);
/* 0 when it was never added. */
int32_t name_counts_of(const struct name_counts *names, struct str name);
/* The same, but for a name that was added more than once only the first call says so; then 0. */
int32_t name_counts_take(struct name_counts *names, struct str name);

#endif
