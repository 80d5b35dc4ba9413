/*
 * The nodes of a pmap, shared by pmap.c (reading) and pmap_edit.c (writing).
 *
 * A B-tree with values in inner nodes too. Leaves are cut to size, because most maps are tiny (the
 * partitions of one topic); inner nodes have room for PMAP_ITEMS_MAX. One block per node:
 *
 *   version | count capacity height | items[capacity] | inner only: children[PMAP_ITEMS_MAX + 1]
 */
#ifndef KRAFTD_BASE_PMAP_INTERNAL_H
#define KRAFTD_BASE_PMAP_INTERNAL_H

#include "common/base/pmap.h"

#define PMAP_ITEMS_MAX 31
#define PMAP_ITEMS_MIN 15

struct pmap_item {
    uint64_t prefix;
    void *value;
};

struct pmap_node {
    uint64_t version;
    uint16_t count, capacity;
    uint16_t height; /* 0: leaf */
    struct pmap_item items[];
};

/* Only of inner nodes. */
static inline struct pmap_node **pmap_children(const struct pmap_node *node)
{
    const struct pmap_item *end = node->items + node->capacity;
    return (struct pmap_node **)(uintptr_t)end;
}

int pmap_compare(const struct pmap_kind *kind, struct pmap_key key, const struct pmap_item *item);
/* First index whose key is not below `key`; *ret_found when it is equal. */
int pmap_search(const struct pmap_kind *kind, const struct pmap_node *node, struct pmap_key key,
                bool *ret_found);

#endif
