#include "tools/java_text.h"

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Whether `second` may follow `first`: no overlong form, no surrogate left to later, no character
 * above U+10FFFF. */
static bool may_follow(uint8_t first, uint8_t second)
{
    return is_continuation(second) && !(first == 0xe0 && second < 0xa0) &&
           !(first == 0xf0 && second < 0x90) && !(first == 0xf4 && second > 0x8f);
}

/*
 * Length of the well-formed sequence at the start; where there is none, minus the length of what
 * becomes one U+FFFD. A surrogate in three bytes is replaced as a whole.
 */
static int32_t sequence_len(const uint8_t *s, int32_t left)
{
    int32_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len == 0 || s[0] > 0xf4)
        return -1;
    for (int32_t i = 1; i < len; i++) {
        if (i == left)
            return -left;
        if (i == 1 ? !may_follow(s[0], s[1]) : !is_continuation(s[i]))
            return -i;
    }
    return len == 3 && s[0] == 0xed && s[1] >= 0xa0 ? -3 : len;
}

void java_text_append(struct bytebuf *out, struct bytes text)
{
    int32_t good = 0;
    for (int32_t at = 0; at < text.len;) {
        int32_t len = sequence_len(text.data + at, text.len - at);
        if (len > 0) {
            at += len;
            continue;
        }
        bytebuf_append(out, text.data + good, (size_t)(at - good));
        bytebuf_append(out, "\xef\xbf\xbd", 3);
        at -= len;
        good = at;
    }
    if (text.len > good)
        bytebuf_append(out, text.data + good, (size_t)(text.len - good));
}
