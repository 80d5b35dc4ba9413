#include "metadata/config/config_rule_internal.h"

#include "common/base/check.h"
#include "common/base/map.h"
#include "common/base/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <strings.h>

struct check {
    const struct config_def *def;
    struct config_value *value;
    struct arena *arena;
    struct str *ret_error;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct check *c, const char *format,
                                                        ...);

static int refuse(const struct check *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *c->ret_error = arena_vprintf(c->arena, format, args);
    va_end(args);
    return -EINVAL;
}

/* "Invalid value V for configuration K: why" */
static int refuse_value(const struct check *c, struct str value, const char *why)
{
    return refuse(c, "Invalid value %.*s for configuration %s: %s", STR_FMT(value),
                  c->def->name.data, why);
}

static struct str shown(const struct check *c)
{
    return config_value_format(c->value, c->arena);
}

static int check_range(const struct check *c)
{
    double number =
        c->value->type == CONFIG_TYPE_DOUBLE ? c->value->real : (double)c->value->integer;
    struct str why;
    if (number < c->def->min)
        why = arena_printf(c->arena, "Value must be at least %s", c->def->min_text.data);
    else if (number > c->def->max)
        why = arena_printf(c->arena, "Value must be no more than %s", c->def->max_text.data);
    else
        return 0;
    return refuse_value(c, shown(c), why.data);
}

static struct str joined_choices(const struct check *c)
{
    struct str text = STR_EMPTY;
    for (int i = 0; i < c->def->choices_count; i++)
        text = arena_printf(c->arena, "%.*s%s%s", STR_FMT(text), i == 0 ? "" : ", ",
                            c->def->choices[i].data);
    return text;
}

static bool is_choice(const struct check *c, struct str text)
{
    bool any_case = c->def->rule == CONFIG_RULE_ANYCASE;
    for (int i = 0; i < c->def->choices_count; i++) {
        struct str choice = c->def->choices[i];
        if (str_eq(choice, text) || (any_case && choice.len == text.len &&
                                     strncasecmp(choice.data, text.data, (size_t)text.len) == 0))
            return true;
    }
    return false;
}

static int check_choice(const struct check *c, struct str text)
{
    if (is_choice(c, text))
        return 0;
    struct str why = arena_printf(c->arena, "String must be one of%s: %s",
                                  c->def->rule == CONFIG_RULE_ANYCASE ? " (case insensitive)" : "",
                                  joined_choices(c).data);
    return refuse_value(c, text, why.data);
}

/* Doubled items were always accepted, so they are dropped without a word. */
static void drop_doubled(struct config_value *value)
{
    struct map seen;
    map_init(&seen, MAP_STR_BORROWED);
    int32_t kept = 0;
    for (int32_t i = 0; i < value->list.count; i++) {
        struct str item = value->list.items[i];
        if (map_put(&seen, map_key_str(item), value) == NULL)
            value->list.items[kept++] = item;
    }
    value->list.count = kept;
    map_release(&seen);
}

static int check_list(const struct check *c)
{
    drop_doubled(c->value);
    if (c->value->list.count == 0 && c->def->rule == CONFIG_RULE_LIST) {
        struct str any = STR("any non-empty value");
        if (c->def->choices_count > 0)
            any = arena_printf(c->arena, "[%s]", joined_choices(c).data);
        return refuse(c, "Configuration '%s' must not be empty. Valid values include: %.*s",
                      c->def->name.data, STR_FMT(any));
    }
    for (int32_t i = 0; i < c->value->list.count; i++) {
        struct str item = c->value->list.items[i];
        if (item.len == 0)
            return refuse(c, "Configuration '%s' values must not be empty.", c->def->name.data);
        int rv = c->def->choices_count > 0 ? check_choice(c, item) : 0;
        if (rv != 0)
            return rv;
    }
    return 0;
}

static int check_gzip(const struct check *c)
{
    if (c->value->integer == -1 || (c->value->integer >= 1 && c->value->integer <= 9))
        return 0;
    return refuse_value(c, shown(c), "Value must be between 1 and 9 or equal to -1");
}

/* "5:1": digits on both sides of one colon. */
static bool is_replica(struct str item)
{
    struct str rest = item, part;
    if (!str_split(&rest, ':', &part) || part.len == 0 || rest.len == 0)
        return false;
    for (int32_t i = 0; i < item.len; i++)
        if ((item.data[i] < '0' || item.data[i] > '9') && &item.data[i] != rest.data - 1)
            return false;
    return true;
}

static int check_replicas(const struct check *c)
{
    const struct config_value *value = c->value;
    bool good = value->list.count == 1 && str_eq_z(value->list.items[0], "*");
    if (!good) {
        good = true;
        for (int32_t i = 0; i < value->list.count && good; i++)
            good = is_replica(value->list.items[i]);
    }
    if (good)
        return 0;
    struct str all = config_value_join(value, STR(", "), c->arena);
    return refuse(c,
                  "Invalid value [%.*s] for configuration %s: %s must be the literal '*' or a list "
                  "of replicas in the following format: "
                  "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
                  STR_FMT(all), c->def->name.data, c->def->name.data);
}

static int check_voters(const struct check *c)
{
    static const char form[] = "Each entry should be in the form `{id}@{host}:{port}`.";
    for (int32_t i = 0; i < c->value->list.count; i++) {
        struct str entry = c->value->list.items[i], rest = entry, id;
        int32_t number;
        struct endpoint endpoint;
        if (!str_split(&rest, '@', &id))
            return refuse(c, "Invalid configuration value for %s. %s", c->def->name.data, form);
        if (str_to_i32(id, &number) != 0)
            return refuse(c, "Failed to parse voter ID as an integer from %.*s", STR_FMT(id));
        if (endpoint_parse(rest, -1, &endpoint) != 0)
            return refuse(c,
                          "Failed to parse host name from entry %.*s for the configuration %s. %s",
                          STR_FMT(entry), c->def->name.data, form);
    }
    return 0;
}

static int check_bootstrap(const struct check *c)
{
    for (int32_t i = 0; i < c->value->list.count; i++) {
        struct endpoint endpoint;
        if (endpoint_parse(c->value->list.items[i], -1, &endpoint) != 0)
            return refuse(
                c,
                "Failed to parse host name from %.*s for the configuration %s. Each entry "
                "should be in the form \"{host}:{port}\"",
                STR_FMT(c->value->list.items[i]), c->def->name.data);
    }
    return 0;
}

/* A number and its unit, as 3H or 4.5S; false when it is not there. */
static bool skip_duration_part(struct str *s, const char *units, bool *ret_any)
{
    int32_t at = 0;
    bool fraction = false;
    if (at < s->len && (s->data[at] == '-' || s->data[at] == '+'))
        at++;
    int32_t start = at;
    while (at < s->len && ((s->data[at] >= '0' && s->data[at] <= '9') ||
                           (s->data[at] == '.' && !fraction && at > start))) {
        fraction = fraction || s->data[at] == '.';
        at++;
    }
    if (at == start || at == s->len)
        return false;
    const char *unit = strchr(units, s->data[at] & ~0x20);
    if (unit == NULL || *unit == '\0' || (fraction && *unit != 'S'))
        return false;
    *s = str_from(s->data + at + 1, (size_t)(s->len - at - 1));
    *ret_any = true;
    return true;
}

/* ISO 8601 in days, hours, minutes and seconds, not negative: P1DT2H3M4.5S. */
static bool is_duration(struct str s)
{
    bool any = false;
    if (s.len < 1 || (s.data[0] & ~0x20) != 'P' || memchr(s.data, '-', (size_t)s.len) != NULL)
        return false;
    s = str_from(s.data + 1, (size_t)s.len - 1);
    skip_duration_part(&s, "D", &any);
    if (s.len > 0 && (s.data[0] & ~0x20) == 'T') {
        bool time = false;
        s = str_from(s.data + 1, (size_t)s.len - 1);
        skip_duration_part(&s, "H", &time);
        skip_duration_part(&s, "M", &time);
        skip_duration_part(&s, "S", &time);
        any = time;
    }
    return any && s.len == 0;
}

static int check_reset(const struct check *c)
{
    struct str text = c->value->text, prefix = STR("by_duration:");
    if (str_eq_z(text, "latest") || str_eq_z(text, "earliest"))
        return 0;
    if (str_starts_with(text, prefix) &&
        is_duration(str_from(text.data + prefix.len, (size_t)(text.len - prefix.len))))
        return 0;
    struct str why = arena_printf(c->arena,
                                  "Invalid value `%.*s` for configuration %s. The value must be "
                                  "either 'earliest', 'latest' or of the format "
                                  "'by_duration:<PnDTnHnMn.nS>'.",
                                  STR_FMT(text), c->def->name.data);
    return refuse_value(c, text, why.data);
}

int config_rule_check(const struct config_def *def, struct config_value *value, struct arena *arena,
                      struct str *ret_error)
{
    struct check c = {.def = def, .value = value, .arena = arena, .ret_error = ret_error};
    switch (def->rule) {
    case CONFIG_RULE_NONE:
        return 0;
    case CONFIG_RULE_RANGE:
        return check_range(&c);
    case CONFIG_RULE_IN:
    case CONFIG_RULE_ANYCASE:
        return check_choice(&c, value->text);
    case CONFIG_RULE_LIST:
    case CONFIG_RULE_LIST_EMPTY:
        return check_list(&c);
    case CONFIG_RULE_NONEMPTY:
        return value->text.len > 0 ? 0 : refuse_value(&c, value->text, "String must be non-empty");
    case CONFIG_RULE_GZIP:
        return check_gzip(&c);
    case CONFIG_RULE_REPLICAS:
        return check_replicas(&c);
    case CONFIG_RULE_VOTERS:
        return check_voters(&c);
    case CONFIG_RULE_BOOTSTRAP:
        return check_bootstrap(&c);
    case CONFIG_RULE_RESET:
        return check_reset(&c);
    }
    UNREACHABLE();
}
