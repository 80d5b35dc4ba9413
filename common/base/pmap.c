#include "common/base/pmap_internal.h"

#include "common/base/check.h"

struct pmap_key pmap_key_i64(int64_t value)
{
    return (struct pmap_key){(uint64_t)value ^ (UINT64_C(1) << 63), STR_NULL};
}

struct pmap_key pmap_key_str(struct str s)
{
    uint64_t prefix = 0;
    for (int i = 0; i < 8; i++)
        prefix = prefix << 8 | (i < s.len ? (uint8_t)s.data[i] : 0);
    return (struct pmap_key){prefix, s};
}

struct pmap_key pmap_key_uuid(const struct uuid *id)
{
    return pmap_key_str(str_from((const char *)id->b, sizeof(id->b)));
}

int pmap_compare(const struct pmap_kind *kind, struct pmap_key key, const struct pmap_item *item)
{
    if (key.prefix != item->prefix)
        return key.prefix < item->prefix ? -1 : 1;
    if (str_is_null(key.bytes))
        return 0;
    return str_cmp(key.bytes, kind->key_of(item->value).bytes);
}

int pmap_search(const struct pmap_kind *kind, const struct pmap_node *node, struct pmap_key key,
                bool *ret_found)
{
    int low = 0, high = node->count;
    *ret_found = false;
    while (low < high) {
        int middle = (low + high) / 2;
        int order = pmap_compare(kind, key, &node->items[middle]);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* --- reading ------------------------------------------------------------------------------ */

void *pmap_get(const struct pmap_kind *kind, struct pmap map, struct pmap_key key)
{
    const struct pmap_node *node = map.root;
    while (node) {
        bool found;
        int at = pmap_search(kind, node, key, &found);
        if (found)
            return node->items[at].value;
        node = node->height ? pmap_children(node)[at] : NULL;
    }
    return NULL;
}

static void descend_first(struct pmap_iter *iter, const struct pmap_node *node)
{
    for (; node; node = node->height ? pmap_children(node)[0] : NULL) {
        CHECK(iter->depth < PMAP_HEIGHT_MAX);
        iter->nodes[iter->depth] = node;
        iter->at[iter->depth++] = 0;
    }
}

void pmap_iter_first(struct pmap_iter *iter, struct pmap map)
{
    iter->depth = 0;
    descend_first(iter, map.root);
}

void pmap_iter_seek(const struct pmap_kind *kind, struct pmap_iter *iter, struct pmap map,
                    struct pmap_key key)
{
    iter->depth = 0;
    const struct pmap_node *node = map.root;
    while (node) {
        bool found;
        int at = pmap_search(kind, node, key, &found);
        CHECK(iter->depth < PMAP_HEIGHT_MAX);
        iter->nodes[iter->depth] = node;
        iter->at[iter->depth++] = (uint16_t)at;
        if (found)
            return;
        node = node->height ? pmap_children(node)[at] : NULL;
    }
}

void *pmap_iter_next(struct pmap_iter *iter)
{
    while (iter->depth > 0) {
        int top = iter->depth - 1;
        const struct pmap_node *node = iter->nodes[top];
        int at = iter->at[top];
        if (at >= node->count) {
            iter->depth--;
            continue;
        }
        iter->at[top]++;
        if (node->height)
            descend_first(iter, pmap_children(node)[at + 1]);
        return node->items[at].value;
    }
    return NULL;
}

/* --- comparing ---------------------------------------------------------------------------- */

/*
 * A cursor stands before a child or before an item of the node on top of its stack. Slots of a
 * node: child 0, item 0, child 1, item 1, ...; leaves have items only.
 */
struct cursor {
    const struct pmap_node *nodes[PMAP_HEIGHT_MAX];
    uint16_t slot[PMAP_HEIGHT_MAX];
    int depth;
    const struct pmap_node *child; /* what it stands before: either one or none at the end */
    const struct pmap_item *item;
};

static void cursor_settle(struct cursor *c)
{
    c->child = NULL;
    c->item = NULL;
    for (; c->depth > 0; c->depth--) {
        const struct pmap_node *node = c->nodes[c->depth - 1];
        int slot = c->slot[c->depth - 1];
        if (node->height == 0 && slot < node->count) {
            c->item = &node->items[slot];
            return;
        }
        if (node->height && slot <= 2 * node->count) {
            if (slot % 2)
                c->item = &node->items[slot / 2];
            else
                c->child = pmap_children(node)[slot / 2];
            return;
        }
    }
}

static void cursor_skip(struct cursor *c)
{
    c->slot[c->depth - 1]++;
    cursor_settle(c);
}

static void cursor_enter(struct cursor *c)
{
    const struct pmap_node *child = c->child;
    if (c->depth > 0)
        c->slot[c->depth - 1]++;
    CHECK(c->depth < PMAP_HEIGHT_MAX);
    c->nodes[c->depth] = child;
    c->slot[c->depth++] = 0;
    cursor_settle(c);
}

/* Enters or skips subtrees until both stand before an item or the end. */
static void align(struct cursor *a, struct cursor *b)
{
    while (a->child || b->child) {
        if (a->child == b->child) {
            cursor_skip(a);
            cursor_skip(b);
        } else if (!b->child || (a->child && a->child->height > b->child->height)) {
            cursor_enter(a);
        } else if (!a->child || b->child->height > a->child->height) {
            cursor_enter(b);
        } else {
            cursor_enter(a);
            cursor_enter(b);
        }
    }
}

void pmap_diff(const struct pmap_kind *kind, struct pmap before, struct pmap after,
               void (*report)(void *ctx, void *old_value, void *new_value), void *ctx)
{
    if (before.root == after.root)
        return;
    struct cursor a = {.child = before.root}, b = {.child = after.root};
    if (a.child)
        cursor_enter(&a);
    if (b.child)
        cursor_enter(&b);
    for (align(&a, &b); a.item || b.item; align(&a, &b)) {
        int order = !a.item ? 1 : !b.item ? -1 : 0;
        if (order == 0 && a.item->value != b.item->value)
            order = pmap_compare(kind, kind->key_of(a.item->value), b.item);
        if (order != 0 || a.item->value != b.item->value)
            report(ctx, order <= 0 ? a.item->value : NULL, order >= 0 ? b.item->value : NULL);
        if (order <= 0)
            cursor_skip(&a);
        if (order >= 0)
            cursor_skip(&b);
    }
}
