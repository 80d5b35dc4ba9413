#include "metadata/config/config_value.h"

#include "common/base/buf.h"
#include "common/base/check.h"
#include "metadata/config/config_rule_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Java's trim: everything up to the space goes. */
static struct str trim(struct str s)
{
    while (s.len > 0 && (unsigned char)s.data[0] <= ' ') {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && (unsigned char)s.data[s.len - 1] <= ' ')
        s.len--;
    return s.len == 0 ? STR_EMPTY : s;
}

static bool equals_any_case(struct str s, const char *word)
{
    return s.len == (int32_t)strlen(word) && strncasecmp(s.data, word, (size_t)s.len) == 0;
}

/* The digits from *at on; how many. */
static int32_t skip_digits(struct str s, int32_t *at)
{
    int32_t start = *at;
    while (*at < s.len && s.data[*at] >= '0' && s.data[*at] <= '9')
        (*at)++;
    return *at - start;
}

/* What Java's parseDouble takes, without its hexadecimal form. */
static int read_double(struct str s, struct arena *arena, double *ret_value)
{
    int32_t at = s.len > 0 && (s.data[0] == '-' || s.data[0] == '+') ? 1 : 0;
    double sign = at == 1 && s.data[0] == '-' ? -1 : 1;
    struct str word = str_from(s.data + at, (size_t)(s.len - at));
    if (str_eq_z(word, "NaN") || str_eq_z(word, "Infinity")) {
        *ret_value = sign * (word.data[0] == 'N' ? NAN : INFINITY);
        return 0;
    }
    int32_t digits = skip_digits(s, &at);
    if (at < s.len && s.data[at] == '.') {
        at++;
        digits += skip_digits(s, &at);
    }
    if (digits == 0)
        return -EINVAL;
    if (at < s.len && (s.data[at] | 0x20) == 'e') {
        at++;
        if (at < s.len && (s.data[at] == '-' || s.data[at] == '+'))
            at++;
        if (skip_digits(s, &at) == 0)
            return -EINVAL;
    }
    int32_t number_len = at;
    if (at < s.len && ((s.data[at] | 0x20) == 'd' || (s.data[at] | 0x20) == 'f'))
        at++;
    if (at != s.len)
        return -EINVAL;
    *ret_value = strtod(arena_str_z(arena, str_from(s.data, (size_t)number_len)), NULL);
    return 0;
}

static bool in_range_of_type(enum config_type type, int64_t n)
{
    return type == CONFIG_TYPE_LONG || (type == CONFIG_TYPE_INT && n == (int32_t)n) ||
           (type == CONFIG_TYPE_SHORT && n == (int16_t)n);
}

struct config_value config_split_list(struct str text, struct arena *arena)
{
    struct config_value value = {.type = CONFIG_TYPE_LIST};
    struct str rest = trim(text), item;
    if (rest.len <= 0)
        return value;
    int32_t commas = 0;
    for (int32_t i = 0; i < rest.len; i++)
        commas += rest.data[i] == ',';
    value.list.items = ARENA_ARRAY(arena, struct str, commas + 1);
    bool more = true;
    while (more) {
        more = str_split(&rest, ',', &item);
        item = str_trim(item);
        value.list.items[value.list.count++] = item.len == 0 ? STR_EMPTY : arena_str(arena, item);
    }
    return value;
}

static int refuse(const struct config_def *def, struct str text, struct arena *arena,
                  const char *why, struct str *ret_error)
{
    *ret_error = arena_printf(arena, "Invalid value %.*s for configuration %s: %s", STR_FMT(text),
                              def->name.data, why);
    return -EINVAL;
}

static int refuse_number(const struct config_def *def, struct str text, struct arena *arena,
                         struct str *ret_error)
{
    struct str why = arena_printf(arena, "Not a number of type %s", config_type_name(def->type));
    return refuse(def, text, arena, why.data, ret_error);
}

static int read_class(const struct config_def *def, struct str text, struct arena *arena,
                      struct config_value *ret_value, struct str *ret_error)
{
    if (!str_eq(text, def->default_value)) {
        struct str why = arena_printf(arena, "Class %.*s could not be found.", STR_FMT(text));
        return refuse(def, text, arena, why.data, ret_error);
    }
    *ret_value = (struct config_value){.type = CONFIG_TYPE_CLASS, .text = def->default_value};
    return 0;
}

int config_value_read(const struct config_def *def, struct str text, struct arena *arena,
                      struct config_value *ret_value, struct str *ret_error)
{
    struct str s = trim(text);
    struct config_value value = {.type = def->type};
    switch (def->type) {
    case CONFIG_TYPE_BOOLEAN:
        value.boolean = equals_any_case(s, "true");
        if (!value.boolean && !equals_any_case(s, "false"))
            return refuse(def, text, arena, "Expected value to be either true or false", ret_error);
        break;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_SHORT:
    case CONFIG_TYPE_LONG:
        if (str_to_i64(s, &value.integer) != 0 || !in_range_of_type(def->type, value.integer))
            return refuse_number(def, text, arena, ret_error);
        break;
    case CONFIG_TYPE_DOUBLE:
        if (read_double(s, arena, &value.real) != 0)
            return refuse_number(def, text, arena, ret_error);
        break;
    case CONFIG_TYPE_LIST:
        value = config_split_list(text, arena);
        break;
    case CONFIG_TYPE_CLASS:
        return read_class(def, text, arena, ret_value, ret_error);
    case CONFIG_TYPE_STRING:
    case CONFIG_TYPE_PASSWORD:
        value.text = arena_str(arena, s);
        break;
    case CONFIG_TYPE_UNKNOWN:
        UNREACHABLE();
    }
    *ret_value = value;
    return 0;
}

int config_value_parse(const struct config_def *def, struct str text, struct arena *arena,
                       struct config_value *ret_value, struct str *ret_error)
{
    struct config_value value;
    int rv = config_value_read(def, text, arena, &value, ret_error);
    if (rv == 0)
        rv = config_rule_check(def, &value, arena, ret_error);
    if (rv == 0)
        *ret_value = value;
    return rv;
}

struct config_value config_value_default(const struct config_def *def, struct arena *arena)
{
    struct config_value value = {0};
    struct str error;
    if (!str_is_null(def->default_value))
        CHECK(config_value_read(def, def->default_value, arena, &value, &error) == 0);
    return value;
}

/* The shortest digits that read back as the same number, as d.ddd without an exponent from 0.001
 * up to 10^7, and as d.dddEn else. */
struct str config_format_double(double value, struct arena *arena)
{
    if (isnan(value))
        return STR("NaN");
    if (isinf(value))
        return value < 0 ? STR("-Infinity") : STR("Infinity");
    char text[40];
    int precision = 0;
    do
        snprintf(text, sizeof(text), "%.*e", precision, value);
    while (strtod(text, NULL) != value && precision++ < 17);
    int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    double size = fabs(value);
    if (size == 0 || (size >= 1e-3 && size < 1e7))
        return arena_printf(arena, "%.*f", MAX(precision - exponent, 1), value);
    snprintf(text, sizeof(text), "%.*e", MAX(precision, 1), value);
    *strchr(text, 'e') = '\0';
    return arena_printf(arena, "%sE%d", text, exponent);
}

struct str config_value_join(const struct config_value *value, struct str separator,
                             struct arena *arena)
{
    struct bytebuf text;
    bytebuf_init(&text);
    for (int32_t i = 0; i < value->list.count; i++) {
        if (i > 0)
            bytebuf_append(&text, separator.data, (size_t)separator.len);
        bytebuf_append(&text, value->list.items[i].data, (size_t)value->list.items[i].len);
    }
    struct str joined = arena_str(arena, str_from((const char *)text.data, text.len));
    bytebuf_release(&text);
    return joined;
}

struct str config_value_format(const struct config_value *value, struct arena *arena)
{
    switch (value->type) {
    case CONFIG_TYPE_UNKNOWN:
        return STR_NULL;
    case CONFIG_TYPE_BOOLEAN:
        return value->boolean ? STR("true") : STR("false");
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_SHORT:
    case CONFIG_TYPE_LONG:
        return arena_printf(arena, "%lld", (long long)value->integer);
    case CONFIG_TYPE_DOUBLE:
        return config_format_double(value->real, arena);
    case CONFIG_TYPE_LIST:
        return config_value_join(value, STR(","), arena);
    case CONFIG_TYPE_STRING:
    case CONFIG_TYPE_CLASS:
    case CONFIG_TYPE_PASSWORD:
        return value->text;
    }
    UNREACHABLE();
}

bool config_value_list_has(const struct config_value *value, struct str item)
{
    for (int32_t i = 0; value->type == CONFIG_TYPE_LIST && i < value->list.count; i++)
        if (str_eq(value->list.items[i], item))
            return true;
    return false;
}

static bool list_has(const struct str *items, int32_t count, struct str item)
{
    for (int32_t i = 0; i < count; i++) {
        if (str_eq(items[i], item))
            return true;
    }
    return false;
}

struct str config_list_edit(struct str list, struct str change, bool append, struct arena *arena)
{
    struct config_value now = config_split_list(list, arena);
    struct config_value other = config_split_list(change, arena);
    int32_t room = now.list.count + other.list.count, count = 0;
    struct str *items = ARENA_ARRAY(arena, struct str, room);
    for (int32_t i = 0; i < now.list.count; i++) {
        if (append || !list_has(other.list.items, other.list.count, now.list.items[i]))
            items[count++] = now.list.items[i];
    }
    for (int32_t i = 0; append && i < other.list.count; i++) {
        if (!list_has(items, count, other.list.items[i]))
            items[count++] = other.list.items[i];
    }
    struct config_value result = {.type = CONFIG_TYPE_LIST, .list = {items, count}};
    return config_value_format(&result, arena);
}
