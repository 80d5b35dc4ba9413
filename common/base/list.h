/*
 * Intrusive doubly linked list. A node is embedded in the struct it links; a list owns nothing.
 * Single-threaded. LIST_FOR_EACH allows removal of the current item.
 */
#ifndef KRAFTD_BASE_LIST_H
#define KRAFTD_BASE_LIST_H

#include "common/base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert(struct list *at, struct list *node)
{
    node->prev = at;
    node->next = at->next;
    at->next->prev = node;
    at->next = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert(head, node);
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert(head->prev, node);
}

/* Unlinks; the node is then an empty list of its own, so removing twice is harmless. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list *list_pop_front(struct list *head)
{
    if (list_empty(head))
        return NULL;
    struct list *node = head->next;
    list_remove(node);
    return node;
}

#define LIST_ITEM(node, type, member) CONTAINER_OF(node, type, member)
#define LIST_FOR_EACH(node, head)                                                                  \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)

#endif
