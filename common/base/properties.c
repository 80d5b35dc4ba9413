#include "common/base/properties.h"

#include "common/base/check.h"

#include <errno.h>
#include <stdio.h>

void properties_init(struct properties *p)
{
    arena_init(&p->arena, 0);
    map_init(&p->map, MAP_STR_BORROWED);
}

void properties_release(struct properties *p)
{
    map_release(&p->map);
    arena_release(&p->arena);
}

void properties_set(struct properties *p, struct str key, struct str value, int line)
{
    struct property *item = map_get(&p->map, map_key_str(key));
    if (item == NULL) {
        item = ARENA_NEW(&p->arena, struct property);
        item->key = str_from(arena_str_z(&p->arena, key), (size_t)key.len);
        map_put(&p->map, map_key_str(item->key), item);
    } else {
        item->earlier_line = item->line;
    }
    item->value = str_from(arena_str_z(&p->arena, value), (size_t)value.len);
    item->line = line;
}

const struct property *properties_find(const struct properties *p, struct str key)
{
    return map_get(&p->map, map_key_str(key));
}

struct str properties_get(const struct properties *p, struct str key)
{
    const struct property *item = properties_find(p, key);
    return item == NULL ? STR_NULL : item->value;
}

/* Reads the text; `line` is the line that `at` is in. */
struct reader {
    const char *at, *end;
    int line;
    const char *error;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool at_line_end(const struct reader *r)
{
    return r->at == r->end || *r->at == '\n' || *r->at == '\r';
}

static void skip_line_end(struct reader *r)
{
    if (r->at == r->end)
        return;
    bool two = *r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n';
    r->at += two ? 2 : 1;
    r->line++;
}

/* White space, and the breaks of continued lines with the white space behind them. */
static void skip_space(struct reader *r)
{
    while (r->at < r->end) {
        if (is_space(*r->at)) {
            r->at++;
        } else if (*r->at == '\\' && r->at + 1 < r->end && (r->at[1] == '\n' || r->at[1] == '\r')) {
            r->at++;
            skip_line_end(r);
        } else {
            return;
        }
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX; -1 when they are not there. */
static int32_t read_unit(struct reader *r)
{
    int32_t unit = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int digit = r->at < r->end ? hex_digit(*r->at) : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static void append_utf8(struct bytebuf *out, uint32_t point)
{
    uint8_t b[4];
    size_t len;
    if (point < 0x80) {
        b[0] = (uint8_t)point;
        len = 1;
    } else if (point < 0x800) {
        b[0] = (uint8_t)(0xc0 | point >> 6);
        len = 2;
    } else if (point < 0x10000) {
        b[0] = (uint8_t)(0xe0 | point >> 12);
        len = 3;
    } else {
        b[0] = (uint8_t)(0xf0 | point >> 18);
        len = 4;
    }
    for (size_t i = 1; i < len; i++)
        b[i] = (uint8_t)(0x80 | (point >> (6 * (len - 1 - i)) & 0x3f));
    bytebuf_append(out, b, len);
}

/* Behind "\u". Two units of a surrogate pair make one character; half a pair becomes U+FFFD. */
static void read_unicode(struct reader *r, struct bytebuf *out)
{
    int32_t unit = read_unit(r);
    if (unit < 0) {
        r->error = "\\u must be followed by four hexadecimal digits";
        return;
    }
    if (unit == 0) {
        r->error = "\\u0000 cannot stand in a key or a value";
        return;
    }
    uint32_t point = (uint32_t)unit;
    if (unit >= 0xd800 && unit < 0xdc00 && r->end - r->at >= 2 && r->at[0] == '\\' &&
        r->at[1] == 'u') {
        struct reader ahead = *r;
        ahead.at += 2;
        int32_t low = read_unit(&ahead);
        if (low >= 0xdc00 && low < 0xe000) {
            r->at = ahead.at;
            point = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        }
    }
    append_utf8(out, point >= 0xd800 && point < 0xe000 ? 0xfffd : point);
}

/* At a backslash that does not end the line. */
static void read_escape(struct reader *r, struct bytebuf *out)
{
    r->at++;
    char c = *r->at++;
    switch (c) {
    case 'u':
        read_unicode(r, out);
        return;
    case 't':
        c = '\t';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 'f':
        c = '\f';
        break;
    default:
        break;
    }
    bytebuf_append(out, &c, 1);
}

/* A key (up to its separator) or a value (up to the end of the logical line), unescaped. */
static void read_part(struct reader *r, bool is_key, struct bytebuf *out)
{
    while (!at_line_end(r) && r->error == NULL) {
        char c = *r->at;
        if (c == '\0') {
            r->error = "a zero byte cannot stand in a key or a value";
        } else if (c == '\\' && r->at + 1 == r->end) {
            r->at++;
        } else if (c == '\\' && (r->at[1] == '\n' || r->at[1] == '\r')) {
            skip_space(r);
        } else if (c == '\\') {
            read_escape(r, out);
        } else if (is_key && (c == '=' || c == ':' || is_space(c))) {
            return;
        } else {
            bytebuf_append(out, &c, 1);
            r->at++;
        }
    }
}

static struct str text_of(const struct bytebuf *b)
{
    return b->len == 0 ? STR_EMPTY : str_from((const char *)b->data, b->len);
}

/* One key and value; the reader stands on the first character of the key. */
static void read_pair(struct properties *p, struct reader *r, struct bytebuf *key,
                      struct bytebuf *value)
{
    int line = r->line;
    key->len = value->len = 0;
    read_part(r, true, key);
    if (r->error != NULL)
        return;
    skip_space(r);
    if (r->at < r->end && (*r->at == '=' || *r->at == ':')) {
        r->at++;
        skip_space(r);
    }
    read_part(r, false, value);
    if (r->error == NULL)
        properties_set(p, text_of(key), text_of(value), line);
}

int properties_parse(struct properties *p, struct str text, char error[PROPERTIES_ERROR_LEN])
{
    struct reader r = {.at = text.data, .end = text.data + MAX(text.len, 0), .line = 1};
    struct bytebuf key, value;
    bytebuf_init(&key);
    bytebuf_init(&value);
    while (r.at < r.end && r.error == NULL) {
        skip_space(&r);
        if (r.at < r.end && (*r.at == '#' || *r.at == '!')) {
            while (!at_line_end(&r))
                r.at++;
        } else if (!at_line_end(&r)) {
            read_pair(p, &r, &key, &value);
        }
        if (r.error == NULL)
            skip_line_end(&r);
    }
    bytebuf_release(&key);
    bytebuf_release(&value);
    if (r.error == NULL)
        return 0;
    snprintf(error, PROPERTIES_ERROR_LEN, "line %d: %s", r.line, r.error);
    return -EINVAL;
}

/* One character of valid UTF-8, or U+FFFD for one byte of anything else. */
static uint32_t next_point(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *s = *at;
    int more = s[0] < 0x80             ? 0
               : (s[0] & 0xe0) == 0xc0 ? 1
               : (s[0] & 0xf0) == 0xe0 ? 2
               : (s[0] & 0xf8) == 0xf0 ? 3
                                       : -1;
    uint32_t point = more <= 0 ? s[0] : s[0] & (0x3f >> more);
    bool valid = more >= 0 && more < end - s;
    for (int i = 1; valid && i <= more; i++) {
        valid = (s[i] & 0xc0) == 0x80;
        point = point << 6 | (s[i] & 0x3f);
    }
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    if (!valid || point < smallest[more] || point > 0x10ffff ||
        (point >= 0xd800 && point < 0xe000)) {
        *at = s + 1;
        return 0xfffd;
    }
    *at = s + more + 1;
    return point;
}

static void write_escaped(struct bytebuf *out, struct str s, bool all_spaces)
{
    const uint8_t *at = (const uint8_t *)s.data, *start = at, *end = at + MAX(s.len, 0);
    while (at < end) {
        bool first = at == start;
        uint32_t point = next_point(&at, end);
        if (point == ' ')
            bytebuf_printf(out, first || all_spaces ? "\\ " : " ");
        else if (point == '\t' || point == '\n' || point == '\r' || point == '\f')
            bytebuf_printf(out, "\\%c", "tn\0fr"[point - '\t']);
        else if (point < 0x80 && strchr("\\=:#!", (int)point) != NULL && point != 0)
            bytebuf_printf(out, "\\%c", (char)point);
        else if (point >= 0x20 && point <= 0x7e)
            bytebuf_printf(out, "%c", (char)point);
        else if (point < 0x10000)
            bytebuf_printf(out, "\\u%04X", point);
        else
            bytebuf_printf(out, "\\u%04X\\u%04X", 0xd800 + ((point - 0x10000) >> 10),
                           0xdc00 + ((point - 0x10000) & 0x3ff));
    }
}

void properties_write(struct bytebuf *out, struct str key, struct str value)
{
    write_escaped(out, key, true);
    bytebuf_append(out, "=", 1);
    write_escaped(out, value, false);
    bytebuf_append(out, "\n", 1);
}
