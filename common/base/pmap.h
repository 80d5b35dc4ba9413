/*
 * pmap: a persistent ordered map (copy-on-write B-tree). A `struct pmap` is one version of a map
 * and may be copied like a number; older versions stay readable while newer ones are built.
 *
 * Values are single malloc blocks that begin with a `uint64_t version`, set with pmap_edit_tag. The
 * key is found in the value by the kind's key_of: at most 8 bytes stand in the tree (`prefix`,
 * ordered as a number), the rest (`bytes`) is looked at only when prefixes are equal.
 *
 * Threads: one writer. A node or value whose version is at most a published one never changes, so
 * readers on other threads need no lock. What an edit replaces goes to its list of retired blocks,
 * which the writer frees (pmap_retired_free) when no reader holds an older version, or hands to
 * pmap_retired_undo when the newer versions are given up. Within one edit, blocks of the edit's own
 * version are changed in place and never retired.
 */
#ifndef KRAFTD_BASE_PMAP_H
#define KRAFTD_BASE_PMAP_H

#include "common/base/str.h"
#include "common/base/uuid.h"

#include <stddef.h>
#include <stdint.h>

struct pmap_node;

struct pmap {
    struct pmap_node *root; /* NULL: empty */
    uint32_t count;
};

#define PMAP_EMPTY ((struct pmap){NULL, 0})

struct pmap_key {
    uint64_t prefix;
    struct str bytes; /* null for integers: the prefix says all */
};

struct pmap_kind {
    struct pmap_key (*key_of)(const void *value);
    /* False for an index whose values belong to another map: it never frees or retires them. */
    bool owns_values;
    /* Frees what nested maps of a value hold that is newer than `newer_than`; not the value. NULL
     * when values have no nested maps. */
    void (*discard_nested)(void *value, uint64_t newer_than);
};

struct pmap_key pmap_key_i64(int64_t value);
struct pmap_key pmap_key_uuid(const struct uuid *id);
/* Bytes in order; s must outlive the key. */
struct pmap_key pmap_key_str(struct str s);

struct pmap_retired {
    void **blocks;
    size_t count, capacity;
};

/* One round of changes; `version` is larger than that of everything built before. */
struct pmap_edit {
    uint64_t version;
    struct pmap_retired retired;
};

/* Fresh zeroed memory for a value of this edit. */
void *pmap_edit_new(struct pmap_edit *edit, size_t size_bytes);
/* True when the block was made by this edit, so that it may be changed in place. */
static inline bool pmap_edit_owns(const struct pmap_edit *edit, const void *block)
{
    return *(const uint64_t *)block == edit->version;
}
/* Gives up a block: at once when it is this edit's own, else when readers have passed. */
void pmap_edit_retire(struct pmap_edit *edit, void *block);

/* NULL when there is none. Any thread that holds the version. */
void *pmap_get(const struct pmap_kind *kind, struct pmap map, struct pmap_key key);
/* Inserts, or replaces the value of the same key, which is retired. */
void pmap_put(const struct pmap_kind *kind, struct pmap *map, struct pmap_edit *edit, void *value);
/* Takes the value out and retires it. False when there is none. */
bool pmap_remove(const struct pmap_kind *kind, struct pmap *map, struct pmap_edit *edit,
                 struct pmap_key key);
/* Retires every node, and every value of an owning map; nested maps are the caller's. */
void pmap_clear(const struct pmap_kind *kind, struct pmap *map, struct pmap_edit *edit);

/* Frees blocks that nobody can see any more and empties the list. */
void pmap_retired_free(struct pmap_retired *retired);
/* Going back to version `kept`: frees the retired blocks that are newer, the rest live again. */
void pmap_retired_undo(struct pmap_retired *retired, uint64_t kept);
/* Frees all that is newer than `newer_than` (0: the whole map). */
void pmap_discard(const struct pmap_kind *kind, struct pmap *map, uint64_t newer_than);

#define PMAP_HEIGHT_MAX 12

struct pmap_iter {
    const struct pmap_node *nodes[PMAP_HEIGHT_MAX];
    uint16_t at[PMAP_HEIGHT_MAX];
    int depth;
};

void pmap_iter_first(struct pmap_iter *iter, struct pmap map);
/* At the first value whose key is not below `key`. */
void pmap_iter_seek(const struct pmap_kind *kind, struct pmap_iter *iter, struct pmap map,
                    struct pmap_key key);
/* The value at the iterator, which then moves on; NULL at the end. */
void *pmap_iter_next(struct pmap_iter *iter);

/*
 * Reports, in key order, each key whose value block differs: (old, new), NULL where it is missing.
 * Subtrees that both versions share are skipped, so the cost follows the size of the change.
 */
void pmap_diff(const struct pmap_kind *kind, struct pmap before, struct pmap after,
               void (*report)(void *ctx, void *old_value, void *new_value), void *ctx);

#endif
