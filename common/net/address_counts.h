/*
 * How many connections each address has, and may have (max.connections.per.ip and its overrides).
 * Addresses are literals; each has one spelling here. The owner's thread.
 */
#ifndef KRAFTD_NET_ADDRESS_COUNTS_H
#define KRAFTD_NET_ADDRESS_COUNTS_H

#include "common/base/map.h"

struct address_override {
    const char *address;
    int connections_max;
};

struct address_counts {
    struct map counts, overrides; /* address -> struct address_count */
    int each_max;
};

void address_counts_init(struct address_counts *counts);
void address_counts_release(struct address_counts *counts);
/* The overrides are copied. */
void address_counts_limit(struct address_counts *counts, int each_max,
                          const struct address_override *overrides, size_t override_count);
bool address_counts_full(const struct address_counts *counts, const char *address);
void address_counts_add(struct address_counts *counts, const char *address);
/* One that was added. */
void address_counts_remove(struct address_counts *counts, const char *address);

#endif
