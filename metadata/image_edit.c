#include "metadata/image_edit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int image_fault(struct image_edit *edit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(edit->fault, sizeof(edit->fault), format, args);
    va_end(args);
    return -EBADMSG;
}

struct uuid_text uuid_text(struct uuid id)
{
    struct uuid_text text;
    uuid_format(id, text.z);
    return text;
}

bool image_maps_equal(struct pmap a, struct pmap b,
                      bool (*values_equal)(const void *, const void *))
{
    if (a.root == b.root)
        return true;
    if (a.count != b.count)
        return false;
    struct pmap_iter at_a, at_b;
    pmap_iter_first(&at_a, a);
    pmap_iter_first(&at_b, b);
    for (const void *value; (value = pmap_iter_next(&at_a)) != NULL;) {
        if (!values_equal(value, pmap_iter_next(&at_b)))
            return false;
    }
    return true;
}
