/*
 * Kafka's 16-byte ids (topic, directory, incarnation, cluster), shown as 22 characters of URL-safe
 * base64 without padding.
 */
#ifndef KRAFTD_BASE_UUID_H
#define KRAFTD_BASE_UUID_H

#include "common/base/str.h"

#define UUID_TEXT_LEN 22

struct uuid {
    uint8_t b[16];
};

#define UUID_ZERO ((struct uuid){{0}})
/* Topic id of __cluster_metadata. */
#define UUID_METADATA_TOPIC ((struct uuid){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}})
/* Reserved directory ids of KIP-858: UNASSIGNED is zero, MIGRATING 2, LOST 1. */
#define UUID_DIRECTORY_LOST      ((struct uuid){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}})
#define UUID_DIRECTORY_MIGRATING ((struct uuid){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}})

static inline bool uuid_eq(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, 16) == 0;
}

static inline bool uuid_is_zero(struct uuid u)
{
    return uuid_eq(u, UUID_ZERO);
}

/* text gets 22 characters and a zero byte. */
void uuid_format(struct uuid u, char text[UUID_TEXT_LEN + 1]);
/* 0 or -EINVAL. Accepts exactly 22 URL-safe characters, or 24 with the padding "==". */
int uuid_parse(struct str text, struct uuid *ret_uuid);
/* Makes the version and variant bits of 16 random bytes those of a random (type 4) UUID. Kafka
 * never gives out an id whose text starts with '-' (options would take it for a flag): false then,
 * draw again. */
bool uuid_from_random(const uint8_t random[16], struct uuid *ret_uuid);

#endif
