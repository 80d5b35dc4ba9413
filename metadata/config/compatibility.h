/*
 * The tables of docs/compatibility.md: every API of Kafka with the versions that are served, every
 * configuration key with its effect. Pure.
 */
#ifndef KRAFTD_METADATA_COMPATIBILITY_H
#define KRAFTD_METADATA_COMPATIBILITY_H

#include "common/base/buf.h"

#include <stdint.h>

struct served_api {
    int16_t key, min_version, max_version;
};

/* Appends Markdown. */
void compatibility_write(struct bytebuf *out, const struct served_api *served, int count);

#endif
