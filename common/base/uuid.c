#include "common/base/uuid.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void uuid_format(struct uuid u, char text[UUID_TEXT_LEN + 1])
{
    uint32_t bits = 0;
    int count = 0, at = 0;
    for (int i = 0; i < 16; i++) {
        bits = (bits << 8) | u.b[i];
        count += 8;
        while (count >= 6) {
            count -= 6;
            text[at++] = alphabet[(bits >> count) & 63];
        }
    }
    text[at++] = alphabet[(bits << (6 - count)) & 63];
    text[at] = '\0';
}

static int digit_of(char c)
{
    if (c == '\0')
        return -1;
    const char *at = strchr(alphabet, c);
    return at ? (int)(at - alphabet) : -1;
}

int uuid_parse(struct str text, struct uuid *ret_uuid)
{
    if (text.len == UUID_TEXT_LEN + 2 && str_ends_with(text, STR("==")))
        text.len = UUID_TEXT_LEN;
    if (text.len != UUID_TEXT_LEN)
        return -EINVAL;
    struct uuid u;
    uint32_t bits = 0;
    int count = 0, at = 0;
    for (int i = 0; i < UUID_TEXT_LEN; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return -EINVAL;
        bits = (bits << 6) | (uint32_t)digit;
        count += 6;
        if (count >= 8 && at < 16) {
            count -= 8;
            u.b[at++] = (uint8_t)(bits >> count);
        }
    }
    *ret_uuid = u;
    return 0;
}

bool uuid_from_random(const uint8_t random[16], struct uuid *ret_uuid)
{
    struct uuid u;
    memcpy(u.b, random, 16);
    u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
    u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
    char text[UUID_TEXT_LEN + 1];
    uuid_format(u, text);
    if (text[0] == '-')
        return false;
    *ret_uuid = u;
    return true;
}
