#include "tools/options.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

struct option_use {
    const struct option_spec *spec;
    const char *value; /* NULL: none */
};

__attribute__((format(printf, 2, 3))) static int fail(struct options *options, const char *format,
                                                      ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(options->error, sizeof(options->error), format, args);
    va_end(args);
    return -EINVAL;
}

static const struct option_spec *find_spec(const struct option_spec *specs, struct str name)
{
    for (; specs->name != NULL; specs++)
        if (str_eq_z(name, specs->name))
            return specs;
    return NULL;
}

static void add_use(struct options *options, const struct option_spec *spec, const char *value)
{
    VEC_PUSH(options->uses, options->use_count, options->use_capacity) =
        (struct option_use){spec, value};
}

static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

/* The word at *at begins an option; moves past what belongs to it. */
static int parse_option(struct options *options, int argc, char **argv, int *at)
{
    const char *word = argv[*at] + (argv[*at][1] == '-' ? 2 : 1);
    const char *equals = strchr(word, '=');
    struct str name = equals ? str_from(word, (size_t)(equals - word)) : str_of(word);
    const struct option_spec *spec = find_spec(options->specs, name);
    if (spec == NULL)
        return fail(options, "%.*s is not a recognized option", STR_FMT(name));
    (*at)++;
    if (spec->kind == OPTION_FLAG) {
        add_use(options, spec, NULL);
        return 0;
    }
    const char *value = equals ? equals + 1 : NULL;
    if (value == NULL && *at < argc &&
        (spec->kind == OPTION_VALUE || !looks_like_option(argv[*at])))
        value = argv[(*at)++];
    if (value == NULL && spec->kind == OPTION_VALUE)
        return fail(options, "Option %s requires an argument", spec->name);
    add_use(options, spec, value);
    return 0;
}

int options_parse(struct options *options, const struct option_spec *specs, int argc, char **argv)
{
    *options = (struct options){.specs = specs};
    bool ended = false;
    for (int at = 0; at < argc;) {
        if (!ended && strcmp(argv[at], "--") == 0) {
            ended = true;
            at++;
        } else if (!ended && looks_like_option(argv[at])) {
            int rv = parse_option(options, argc, argv, &at);
            if (rv != 0)
                return rv;
        } else {
            VEC_PUSH(options->rest, options->rest_count, options->rest_capacity) = argv[at++];
        }
    }
    return 0;
}

void options_release(struct options *options)
{
    free(options->uses);
    free(options->rest);
    *options = (struct options){0};
}

int options_check_required(struct options *options)
{
    char missing[512] = "";
    size_t len = 0;
    for (const struct option_spec *spec = options->specs; spec->name != NULL; spec++) {
        if (!spec->required || options_has(options, spec->name))
            continue;
        int more =
            snprintf(missing + len, sizeof(missing) - len, "%s%s", len ? ", " : "", spec->name);
        len = MIN(len + (size_t)more, sizeof(missing) - 1);
    }
    return len == 0 ? 0 : fail(options, "Missing required option(s) [%s]", missing);
}

bool options_has(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->use_count; i++)
        if (strcmp(options->uses[i].spec->name, name) == 0)
            return true;
    return false;
}

bool options_use_at(const struct options *options, size_t n, const char **ret_name,
                    const char **ret_value)
{
    if (n >= options->use_count)
        return false;
    *ret_name = options->uses[n].spec->name;
    *ret_value = options->uses[n].value;
    return true;
}

const char *options_value_at(const struct options *options, const char *name, size_t n)
{
    for (size_t i = 0; i < options->use_count; i++)
        if (options->uses[i].value && strcmp(options->uses[i].spec->name, name) == 0 && n-- == 0)
            return options->uses[i].value;
    return NULL;
}

size_t options_count(const struct options *options, const char *name)
{
    size_t count = 0;
    while (options_value_at(options, name, count) != NULL)
        count++;
    return count;
}

int options_value(struct options *options, const char *name, const char **ret_value)
{
    size_t count = options_count(options, name);
    if (count > 1)
        return fail(options, "Found multiple arguments for option %s, but you asked for only one",
                    name);
    if (count == 1) {
        *ret_value = options_value_at(options, name, 0);
        return 0;
    }
    const struct option_spec *spec = find_spec(options->specs, str_of(name));
    CHECK(spec != NULL);
    *ret_value = spec->fallback;
    return 0;
}

int options_long(struct options *options, const char *name, int64_t *ret_value)
{
    const char *text;
    int rv = options_value(options, name, &text);
    if (rv != 0 || text == NULL)
        return rv;
    if (str_to_i64(str_of(text), ret_value) != 0)
        return fail(options, "Cannot parse argument '%s' of option %s", text, name);
    return 0;
}

int options_int(struct options *options, const char *name, int32_t *ret_value)
{
    const char *text;
    int rv = options_value(options, name, &text);
    if (rv != 0 || text == NULL)
        return rv;
    if (str_to_i32(str_of(text), ret_value) != 0)
        return fail(options, "Cannot parse argument '%s' of option %s", text, name);
    return 0;
}

enum { HELP_COLUMN = 40, HELP_WIDTH = 80 };

/* Words of `text` in lines between the two columns. */
static void print_wrapped(const char *text, FILE *out)
{
    int column = HELP_COLUMN;
    struct str rest = str_of(text), word;
    while (!str_is_null(rest)) {
        str_split(&rest, ' ', &word);
        if (column > HELP_COLUMN && column + 1 + word.len > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        fprintf(out, "%s%.*s", column > HELP_COLUMN ? " " : "", STR_FMT(word));
        column += word.len + (column > HELP_COLUMN);
    }
    fputc('\n', out);
}

void options_print_help(const struct option_spec *specs, FILE *out)
{
    fprintf(out, "%-*s%s\n%-*s%s\n", HELP_COLUMN, "Option", "Description", HELP_COLUMN, "------",
            "-----------");
    for (; specs->name != NULL; specs++) {
        char left[128];
        const char *argument = specs->argument ? specs->argument : "";
        int len = snprintf(left, sizeof(left),
                           specs->kind == OPTION_FLAG    ? "%s%s%s"
                           : specs->kind == OPTION_VALUE ? "%s%s <String: %s>"
                                                         : "%s%s [String: %s]",
                           specs->name[1] ? "--" : "-", specs->name, argument);
        if (len >= HELP_COLUMN)
            fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
        else
            fprintf(out, "%-*s", HELP_COLUMN, left);
        print_wrapped(specs->help, out);
    }
}
