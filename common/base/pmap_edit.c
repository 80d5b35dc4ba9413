#include "common/base/pmap_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

/* A leaf has room for its items, rounded up to this. */
#define LEAF_STEP 2

/* --- blocks ------------------------------------------------------------------------------- */

void *pmap_edit_new(struct pmap_edit *edit, size_t size_bytes)
{
    uint64_t *block = mem_calloc(1, size_bytes);
    *block = edit->version;
    return block;
}

void pmap_edit_retire(struct pmap_edit *edit, void *block)
{
    if (pmap_edit_owns(edit, block)) {
        free(block);
        return;
    }
    struct pmap_retired *retired = &edit->retired;
    VEC_PUSH(retired->blocks, retired->count, retired->capacity) = block;
}

void pmap_retired_free(struct pmap_retired *retired)
{
    for (size_t i = 0; i < retired->count; i++)
        free(retired->blocks[i]);
    free(retired->blocks);
    *retired = (struct pmap_retired){0};
}

void pmap_retired_undo(struct pmap_retired *retired, uint64_t kept)
{
    for (size_t i = 0; i < retired->count; i++) {
        if (*(const uint64_t *)retired->blocks[i] > kept)
            free(retired->blocks[i]);
    }
    free(retired->blocks);
    *retired = (struct pmap_retired){0};
}

static void retire_value(const struct pmap_kind *kind, struct pmap_edit *edit, void *value)
{
    if (kind->owns_values)
        pmap_edit_retire(edit, value);
}

static struct pmap_node *node_new(struct pmap_edit *edit, int height, int count)
{
    int capacity = height ? PMAP_ITEMS_MAX
                          : MIN(PMAP_ITEMS_MAX, (count + LEAF_STEP - 1) / LEAF_STEP * LEAF_STEP);
    capacity = MAX(capacity, 1);
    size_t size = sizeof(struct pmap_node) + (size_t)capacity * sizeof(struct pmap_item);
    if (height)
        size += (PMAP_ITEMS_MAX + 1) * sizeof(struct pmap_node *);
    struct pmap_node *node = mem_alloc(size);
    *node = (struct pmap_node){
        .version = edit->version, .capacity = (uint16_t)capacity, .height = (uint16_t)height};
    return node;
}

/* Makes the node in *slot one of this edit, with room for `room` more items. */
static struct pmap_node *editable(struct pmap_edit *edit, struct pmap_node **slot, int room)
{
    struct pmap_node *node = *slot;
    int wanted = node->count + room;
    CHECK(wanted <= PMAP_ITEMS_MAX);
    if (pmap_edit_owns(edit, node) && node->capacity >= wanted)
        return node;
    struct pmap_node *copy = node_new(edit, node->height, wanted);
    copy->count = node->count;
    memcpy(copy->items, node->items, node->count * sizeof(struct pmap_item));
    if (node->height)
        memcpy(pmap_children(copy), pmap_children(node),
               (node->count + 1U) * sizeof(struct pmap_node *));
    pmap_edit_retire(edit, node);
    return *slot = copy;
}

/* --- inserting ---------------------------------------------------------------------------- */

static void open_gap(struct pmap_node *node, int at)
{
    memmove(&node->items[at + 1], &node->items[at],
            (size_t)(node->count - at) * sizeof(struct pmap_item));
    if (node->height)
        memmove(&pmap_children(node)[at + 2], &pmap_children(node)[at + 1],
                (size_t)(node->count - at) * sizeof(struct pmap_node *));
    node->count++;
}

/* Item `at` and the child right of it go away. */
static void close_gap(struct pmap_node *node, int at)
{
    node->count--;
    memmove(&node->items[at], &node->items[at + 1],
            (size_t)(node->count - at) * sizeof(struct pmap_item));
    if (node->height)
        memmove(&pmap_children(node)[at + 1], &pmap_children(node)[at + 2],
                (size_t)(node->count - at) * sizeof(struct pmap_node *));
}

/* Splits the full child `at` of an editable parent that has room; its middle item moves up. */
static void split_child(struct pmap_edit *edit, struct pmap_node *parent, int at)
{
    struct pmap_node *full = pmap_children(parent)[at];
    int left_count = full->count / 2;
    int right_count = full->count - left_count - 1;
    struct pmap_node *left = node_new(edit, full->height, left_count);
    struct pmap_node *right = node_new(edit, full->height, right_count);
    left->count = (uint16_t)left_count;
    right->count = (uint16_t)right_count;
    memcpy(left->items, full->items, (size_t)left_count * sizeof(struct pmap_item));
    memcpy(right->items, full->items + left_count + 1,
           (size_t)right_count * sizeof(struct pmap_item));
    if (full->height) {
        memcpy(pmap_children(left), pmap_children(full), ((size_t)left_count + 1) * sizeof(full));
        memcpy(pmap_children(right), pmap_children(full) + left_count + 1,
               ((size_t)right_count + 1) * sizeof(full));
    }
    open_gap(parent, at);
    parent->items[at] = full->items[left_count];
    pmap_children(parent)[at] = left;
    pmap_children(parent)[at + 1] = right;
    pmap_edit_retire(edit, full);
}

static void replace(const struct pmap_kind *kind, struct pmap *map, struct pmap_edit *edit,
                    struct pmap_key key, void *value)
{
    struct pmap_node **slot = &map->root;
    for (;;) {
        struct pmap_node *node = editable(edit, slot, 0);
        bool found;
        int at = pmap_search(kind, node, key, &found);
        if (found) {
            node->items[at].value = value;
            return;
        }
        CHECK(node->height > 0);
        slot = &pmap_children(node)[at];
    }
}

static void insert(const struct pmap_kind *kind, struct pmap *map, struct pmap_edit *edit,
                   struct pmap_key key, void *value)
{
    if (!map->root)
        map->root = node_new(edit, 0, 1);
    if (map->root->count == PMAP_ITEMS_MAX) {
        struct pmap_node *root = node_new(edit, map->root->height + 1, 0);
        CHECK(root->height < PMAP_HEIGHT_MAX);
        pmap_children(root)[0] = map->root;
        map->root = root;
        split_child(edit, root, 0);
    }
    struct pmap_node **slot = &map->root;
    for (;;) {
        struct pmap_node *node = editable(edit, slot, 1);
        bool found;
        int at = pmap_search(kind, node, key, &found);
        CHECK(!found);
        if (node->height == 0) {
            open_gap(node, at);
            node->items[at] = (struct pmap_item){key.prefix, value};
            break;
        }
        if (pmap_children(node)[at]->count == PMAP_ITEMS_MAX) {
            split_child(edit, node, at);
            at += pmap_compare(kind, key, &node->items[at]) > 0;
        }
        slot = &pmap_children(node)[at];
    }
    map->count++;
}

void pmap_put(const struct pmap_kind *kind, struct pmap *map, struct pmap_edit *edit, void *value)
{
    struct pmap_key key = kind->key_of(value);
    void *old = pmap_get(kind, *map, key);
    if (!old) {
        insert(kind, map, edit, key, value);
        return;
    }
    if (old == value) {
        CHECK(pmap_edit_owns(edit, value)); /* changed in place; its path is this edit's already */
        return;
    }
    replace(kind, map, edit, key, value);
    retire_value(kind, edit, old);
}

/* --- removing ----------------------------------------------------------------------------- */

/* Child `at`, the item between and child `at` + 1 become one node. */
static void merge_children(struct pmap_edit *edit, struct pmap_node *parent, int at)
{
    struct pmap_node *right = pmap_children(parent)[at + 1];
    struct pmap_node *left = editable(edit, &pmap_children(parent)[at], 1 + right->count);
    left->items[left->count] = parent->items[at];
    memcpy(&left->items[left->count + 1], right->items, right->count * sizeof(struct pmap_item));
    if (left->height)
        memcpy(&pmap_children(left)[left->count + 1], pmap_children(right),
               (right->count + 1U) * sizeof(struct pmap_node *));
    left->count = (uint16_t)(left->count + 1 + right->count);
    close_gap(parent, at);
    pmap_edit_retire(edit, right);
}

static void borrow_from_left(struct pmap_edit *edit, struct pmap_node *parent, int at)
{
    struct pmap_node *left = editable(edit, &pmap_children(parent)[at - 1], 0);
    struct pmap_node *node = editable(edit, &pmap_children(parent)[at], 1);
    memmove(&node->items[1], node->items, node->count * sizeof(struct pmap_item));
    node->items[0] = parent->items[at - 1];
    if (node->height) {
        memmove(&pmap_children(node)[1], pmap_children(node),
                (node->count + 1U) * sizeof(struct pmap_node *));
        pmap_children(node)[0] = pmap_children(left)[left->count];
    }
    node->count++;
    parent->items[at - 1] = left->items[--left->count];
}

static void borrow_from_right(struct pmap_edit *edit, struct pmap_node *parent, int at)
{
    struct pmap_node *right = editable(edit, &pmap_children(parent)[at + 1], 0);
    struct pmap_node *node = editable(edit, &pmap_children(parent)[at], 1);
    node->items[node->count++] = parent->items[at];
    parent->items[at] = right->items[0];
    memmove(right->items, &right->items[1], (right->count - 1U) * sizeof(struct pmap_item));
    if (node->height) {
        pmap_children(node)[node->count] = pmap_children(right)[0];
        memmove(pmap_children(right), &pmap_children(right)[1],
                right->count * sizeof(struct pmap_node *));
    }
    right->count--;
}

/* Makes child `at` hold more than PMAP_ITEMS_MIN items; returns its index, which a merge may move.
 */
static int fill_child(struct pmap_edit *edit, struct pmap_node *parent, int at)
{
    if (pmap_children(parent)[at]->count > PMAP_ITEMS_MIN)
        return at;
    if (at > 0 && pmap_children(parent)[at - 1]->count > PMAP_ITEMS_MIN) {
        borrow_from_left(edit, parent, at);
        return at;
    }
    if (at < parent->count && pmap_children(parent)[at + 1]->count > PMAP_ITEMS_MIN) {
        borrow_from_right(edit, parent, at);
        return at;
    }
    int left = at < parent->count ? at : at - 1;
    merge_children(edit, parent, left);
    return left;
}

/* Takes the largest item out of the subtree in *slot, which holds more than PMAP_ITEMS_MIN items.
 */
static struct pmap_item take_last(struct pmap_edit *edit, struct pmap_node **slot)
{
    for (;;) {
        struct pmap_node *node = editable(edit, slot, 0);
        if (node->height == 0)
            return node->items[--node->count];
        int at = fill_child(edit, node, node->count);
        slot = &pmap_children(node)[at];
    }
}

static struct pmap_item take_first(struct pmap_edit *edit, struct pmap_node **slot)
{
    for (;;) {
        struct pmap_node *node = editable(edit, slot, 0);
        if (node->height == 0) {
            struct pmap_item first = node->items[0];
            close_gap(node, 0);
            return first;
        }
        fill_child(edit, node, 0);
        slot = &pmap_children(node)[0];
    }
}

/* The key is in the tree, and the node in *slot holds more than PMAP_ITEMS_MIN items or is the
 * root. */
static void remove_from(const struct pmap_kind *kind, struct pmap_edit *edit,
                        struct pmap_node **slot, struct pmap_key key)
{
    for (;;) {
        struct pmap_node *node = editable(edit, slot, 0);
        bool found;
        int at = pmap_search(kind, node, key, &found);
        if (node->height == 0) {
            CHECK(found);
            close_gap(node, at);
            return;
        }
        if (!found) {
            at = fill_child(edit, node, at);
            slot = &pmap_children(node)[at];
        } else if (pmap_children(node)[at]->count > PMAP_ITEMS_MIN) {
            node->items[at] = take_last(edit, &pmap_children(node)[at]);
            return;
        } else if (pmap_children(node)[at + 1]->count > PMAP_ITEMS_MIN) {
            node->items[at] = take_first(edit, &pmap_children(node)[at + 1]);
            return;
        } else {
            merge_children(edit, node, at);
            slot = &pmap_children(node)[at];
        }
    }
}

bool pmap_remove(const struct pmap_kind *kind, struct pmap *map, struct pmap_edit *edit,
                 struct pmap_key key)
{
    void *value = pmap_get(kind, *map, key);
    if (!value)
        return false;
    remove_from(kind, edit, &map->root, key);
    struct pmap_node *root = map->root;
    if (root->count == 0) {
        map->root = root->height ? pmap_children(root)[0] : NULL;
        pmap_edit_retire(edit, root);
    }
    map->count--;
    retire_value(kind, edit, value);
    return true;
}

static void clear_node(const struct pmap_kind *kind, struct pmap_edit *edit, struct pmap_node *node)
{
    for (int i = 0; i < node->count; i++)
        retire_value(kind, edit, node->items[i].value);
    for (int i = 0; node->height && i <= node->count; i++)
        clear_node(kind, edit, pmap_children(node)[i]);
    pmap_edit_retire(edit, node);
}

void pmap_clear(const struct pmap_kind *kind, struct pmap *map, struct pmap_edit *edit)
{
    if (map->root)
        clear_node(kind, edit, map->root);
    *map = PMAP_EMPTY;
}

static void discard_node(const struct pmap_kind *kind, struct pmap_node *node, uint64_t newer_than)
{
    /* A node is at least as new as all below it. */
    if (node->version <= newer_than)
        return;
    for (int i = 0; node->height && i <= node->count; i++)
        discard_node(kind, pmap_children(node)[i], newer_than);
    for (int i = 0; kind->owns_values && i < node->count; i++) {
        void *value = node->items[i].value;
        if (*(const uint64_t *)value <= newer_than)
            continue;
        if (kind->discard_nested)
            kind->discard_nested(value, newer_than);
        free(value);
    }
    free(node);
}

void pmap_discard(const struct pmap_kind *kind, struct pmap *map, uint64_t newer_than)
{
    if (map->root)
        discard_node(kind, map->root, newer_than);
    *map = PMAP_EMPTY;
}
