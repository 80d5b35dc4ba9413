/*
 * A key that is set, as text: of a resource in the image, in a request, in a change to be judged.
 * Owns nothing.
 */
#ifndef KRAFTD_METADATA_CONFIG_ENTRY_H
#define KRAFTD_METADATA_CONFIG_ENTRY_H

#include "common/base/str.h"

struct config_entry {
    struct str key, value;
};

#endif
