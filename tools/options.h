/*
 * Command-line options as Kafka's tools take them: --name value, --name=value, never abbreviated,
 * in any order; the sentences of errors are those that scripts know.
 *
 * One thread (tools have one). Texts of arguments point into argv. `error` holds the first thing
 * that went wrong, as one sentence; empty: nothing.
 */
#ifndef KRAFTD_TOOLS_OPTIONS_H
#define KRAFTD_TOOLS_OPTIONS_H

#include "common/base/str.h"

#include <stdio.h>

enum option_kind {
    OPTION_FLAG,  /* takes no argument; what follows "=" is passed over */
    OPTION_VALUE, /* needs one */
    OPTION_MAYBE, /* may have one: the next word, unless that is an option */
};

struct option_spec {
    const char *name; /* without dashes; a single letter is given with one dash */
    enum option_kind kind;
    const char *argument; /* what help calls it, such as "topic"; NULL for a flag */
    const char *help;
    bool required;
    const char *fallback; /* value when it is not given; NULL: none */
};

struct option_use;

struct options {
    const struct option_spec *specs; /* ends with name NULL */
    struct option_use *uses;         /* in the order of the command line */
    size_t use_count, use_capacity;
    const char **rest; /* words that belong to no option */
    size_t rest_count, rest_capacity;
    char error[1024];
};

/* argv without the tool's name. -EINVAL with error set. */
int options_parse(struct options *options, const struct option_spec *specs, int argc, char **argv);
void options_release(struct options *options);
/* MISSING: "Missing required option(s) [a, b]". Separate from parsing, since --help comes first. */
int options_check_required(struct options *options);

bool options_has(const struct options *options, const char *name);
/* The n-th option of the command line and its value (NULL: none); false behind the last. */
bool options_use_at(const struct options *options, size_t n, const char **ret_name,
                    const char **ret_value);
/* How often it was given with a value, and the n-th of them. */
size_t options_count(const struct options *options, const char *name);
const char *options_value_at(const struct options *options, const char *name, size_t n);
/*
 * The value, the fallback, or NULL. Given twice is an error (-EINVAL, error set): "Found multiple
 * arguments for option x, but you asked for only one".
 */
int options_value(struct options *options, const char *name, const char **ret_value);
/* As options_value, as a number: "Cannot parse argument 'x' of option y". */
int options_long(struct options *options, const char *name, int64_t *ret_value);
int options_int(struct options *options, const char *name, int32_t *ret_value);

/* The table of options, as wide as people expect it: "Option   Description". */
void options_print_help(const struct option_spec *specs, FILE *out);

#endif
