/*
 * Images made of ConfigRecords, for tests of what is read from them.
 */
#ifndef KRAFTD_TESTS_CONFIG_IMAGE_H
#define KRAFTD_TESTS_CONFIG_IMAGE_H

#include "metadata/image_chain.h"
#include "metadata/record_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* A null value takes the key away. */
struct config_setting {
    int8_t type;
    const char *resource, *key, *value;
};

/* Publishes an image in which these are set, too. */
static inline const struct image *
config_image_set(struct image_chain *chain, const struct config_setting *settings, size_t count)
{
    static int64_t offset;
    struct image_draft *draft = image_chain_draft(chain);
    for (size_t i = 0; i < count; i++) {
        struct config_record record = {.resource_type = settings[i].type,
                                       .resource_name = str_of(settings[i].resource),
                                       .name = str_of(settings[i].key),
                                       .value = str_of(settings[i].value)};
        struct metadata_record item = {.key = METADATA_CONFIG_RECORD, .data = &record};
        assert_int_equal(image_apply(draft->image, &draft->edit, &item), 0);
    }
    image_chain_seal(chain, ++offset, 1, 0);
    assert_non_null(image_chain_publish(chain, offset));
    return image_chain_published(chain);
}

#endif
