/*
 * Which names a topic may have, and which names are too alike: '.' and '_' are the same letter in
 * names of metrics, so `a.b` and `a_b` must not both be made. Pure; any thread.
 */
#ifndef KRAFTD_METADATA_TOPIC_NAME_H
#define KRAFTD_METADATA_TOPIC_NAME_H

#include "common/base/arena.h"

#include <stdbool.h>
#include <string.h>

#define TOPIC_NAME_LEN_MAX 249

/* Null when the name is valid, else Kafka's sentence ("Topic name is invalid: ..."), in the arena.
 */
struct str topic_name_fault(struct str name, struct arena *arena);
bool topic_name_valid(struct str name);

/* Whether another name could collide with it at all. */
static inline bool topic_name_may_collide(struct str name)
{
    return name.len > 0 && (memchr(name.data, '.', (size_t)name.len) != NULL ||
                            memchr(name.data, '_', (size_t)name.len) != NULL);
}

/* Equal but for '.' and '_'. */
bool topic_names_collide(struct str a, struct str b);
/* Topics that the system makes for itself. */
bool topic_name_internal(struct str name);

#endif
