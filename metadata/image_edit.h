/*
 * What the parts of the image need to change themselves: the edit of the persistent maps, and the
 * reason why a record cannot be applied. A record that does not fit the image it meets (a change of
 * a partition that is not there) is a fault of the log, never of ours: -EBADMSG, and the text says
 * what was wrong. Metadata loop only.
 *
 * Also the flat block: a value of a persistent map is one block of memory, so its arrays and
 * strings stand behind its struct.
 */
#ifndef KRAFTD_METADATA_IMAGE_EDIT_H
#define KRAFTD_METADATA_IMAGE_EDIT_H

#include "common/base/check.h"
#include "common/base/pmap.h"
#include "common/base/str.h"

#include <string.h>

struct image_edit {
    struct pmap_edit pmap;
    char fault[256];
};

/* Says why, and returns -EBADMSG. */
__attribute__((format(printf, 2, 3))) int image_fault(struct image_edit *edit, const char *format,
                                                      ...);

/* printf's %.*s takes an id as text: UUID_FMT(id) with a buffer on the caller's stack. */
struct uuid_text {
    char z[UUID_TEXT_LEN + 1];
};
struct uuid_text uuid_text(struct uuid id);

/* True when both maps hold pairwise equal values in the same order. */
bool image_maps_equal(struct pmap a, struct pmap b,
                      bool (*values_equal)(const void *a, const void *b));

struct flat {
    char *at, *end;
};

static inline size_t flat_str_bytes(struct str s)
{
    return s.len > 0 ? (size_t)s.len : 0;
}

static inline void *flat_array(struct flat *flat, const void *source, size_t count,
                               size_t item_bytes)
{
    size_t len = count * item_bytes;
    CHECK((size_t)(flat->end - flat->at) >= len);
    void *copy = flat->at;
    if (len > 0)
        memcpy(copy, source, len);
    flat->at += len;
    return copy;
}

static inline struct str flat_str(struct flat *flat, struct str s)
{
    if (str_is_null(s))
        return STR_NULL;
    return str_from(flat_array(flat, s.data, flat_str_bytes(s), 1), flat_str_bytes(s));
}

#endif
