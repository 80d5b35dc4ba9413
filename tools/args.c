#include "tools/args.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

enum { USAGE_WIDTH = 75 };

struct parser {
    struct args *args;
    const struct args_tool *tool;
    int argc, at;
    char **argv;
};

/* Words of a usage: broken at USAGE_WIDTH, lines after the first indented. */
struct usage {
    FILE *out;
    int indent, column;
};

__attribute__((format(printf, 2, 3))) static void usage_word(struct usage *usage,
                                                             const char *format, ...)
{
    char word[256];
    va_list list;
    va_start(list, format);
    int len = vsnprintf(word, sizeof(word), format, list);
    va_end(list);
    if (usage->column + 1 + len > USAGE_WIDTH) {
        fprintf(usage->out, "\n%*s%s", usage->indent, "", word);
        usage->column = usage->indent + len;
    } else {
        fprintf(usage->out, " %s", word);
        usage->column += 1 + len;
    }
}

/* What an option's value is called: CLUSTER_ID. */
static void value_name(const struct args_option *option, char name[64])
{
    size_t len = 0;
    if (option->value != NULL) {
        snprintf(name, 64, "%s", option->value);
        return;
    }
    for (; option->name[len] != '\0' && len < 63; len++)
        name[len] =
            option->name[len] == '-' ? '_' : (char)toupper((unsigned char)option->name[len]);
    name[len] = '\0';
}

static bool same_group(const struct args_option *a, const struct args_option *b)
{
    return a->group != 0 && b->name != NULL && a->group == b->group;
}

/* One that has to be there, of several that exclude each other. */
static bool in_required_group(const struct args_option *option)
{
    return option->required && option->group != 0;
}

static void usage_option(struct usage *usage, const struct args_option *options,
                         const struct args_option *o)
{
    char value[64] = "", more[80] = "";
    bool group = in_required_group(o);
    bool opens = (group || !o->required) && !(o > options && same_group(o, o - 1));
    bool closes = (group || !o->required) && !same_group(o, o + 1);
    if (o->takes_value)
        value_name(o, value);
    if (o->many)
        snprintf(more, sizeof(more), " [%s ...]", value);
    usage_word(usage, "%s--%s%s%s%s%s%s",
               !opens  ? ""
               : group ? "("
                       : "[",
               o->name, value[0] ? " " : "", value, more,
               !closes ? ""
               : group ? ")"
                       : "]",
               same_group(o, o + 1) ? " |" : "");
}

static void usage_groups(struct usage *usage, const struct args_option *options)
{
    for (const struct args_option *o = options; o != NULL && o->name != NULL; o++)
        if (in_required_group(o))
            usage_option(usage, options, o);
}

static void usage_options(struct usage *usage, const struct args_option *options)
{
    usage_word(usage, "[-h]");
    for (const struct args_option *o = options; o != NULL && o->name != NULL; o++)
        if (!in_required_group(o))
            usage_option(usage, options, o);
    usage_groups(usage, options);
}

static void print_usage(const struct args *args, const struct args_tool *tool, FILE *out)
{
    struct usage usage = {.out = out};
    usage.indent = usage.column = fprintf(out, "usage: %s", tool->name);
    usage.indent++;
    if (usage.column * 5 > USAGE_WIDTH * 2) {
        /* Too long a name to stand in front of every line. */
        usage.indent = strlen("usage: ");
        usage.column = USAGE_WIDTH;
    }
    if (tool->commands == NULL) {
        usage_options(&usage, tool->globals);
    } else if (args->command != NULL) {
        usage_groups(&usage, tool->globals);
        usage_word(&usage, "%s", args->command->name);
        usage_options(&usage, args->command->options);
    } else {
        char names[256] = "";
        size_t len = 0;
        for (const struct args_command *c = tool->commands; c->name != NULL; c++)
            len += c->apart ? 0
                            : (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
                                               c == tool->commands ? "" : ",", c->name);
        CHECK(len < sizeof(names));
        usage_options(&usage, tool->globals);
        usage_word(&usage, "{%s}", names);
        usage_word(&usage, "...");
    }
    fputc('\n', out);
}

enum tool_begin args_refuse(const struct args *args, const struct args_tool *tool,
                            const char *sentence)
{
    if (args->json) {
        struct failure failure;
        failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST, "%s", sentence);
        tool_print_json(tool_json_of_failure(&failure));
    } else if (tool->brief) {
        fprintf(stderr, "Command line error: %s. Type --help for help.\n", sentence);
    } else {
        print_usage(args, tool, stderr);
        fprintf(stderr, "%s: error: %s\n", tool->name, sentence);
    }
    return TOOL_REFUSED;
}

__attribute__((format(printf, 2, 3))) static enum tool_begin refuse(const struct parser *p,
                                                                    const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    return args_refuse(p->args, p->tool, text);
}

/* "--config/-c", as errors name an option. */
static const char *full_name(const struct args_option *option, char name[80])
{
    int len = snprintf(name, 80, "--%s", option->name);
    if (option->letter != 0)
        snprintf(name + len, 80 - (size_t)len, "/-%c", option->letter);
    return name;
}

static void print_help(const struct parser *p)
{
    print_usage(p->args, p->tool, stdout);
    const struct args_command *command = p->args->command;
    printf("\n%s\n\n", command ? command->help : p->tool->purpose);
    for (const struct args_command *c = p->tool->commands; !command && c && c->name; c++)
        printf("  %-24s %s\n", c->name, c->help);
    const struct args_option *options = command ? command->options : p->tool->globals;
    for (const struct args_option *o = options; o && o->name; o++) {
        char name[80], value[64] = "";
        if (o->takes_value)
            value_name(o, value);
        printf("  %s %s\n      %s\n", full_name(o, name), value, o->help);
    }
    puts("  --format text|json\n      How to print the result; text unless given.");
    puts("  -h, --help\n      Print this help.");
}

/* A long name may be cut where it stays the only one. */
static const struct args_option *find_long(const struct args_option *options, const char *word,
                                           const char **ret_value)
{
    size_t len = strcspn(word, "=");
    const struct args_option *found = NULL;
    for (const struct args_option *o = options; o != NULL && o->name != NULL; o++) {
        if (len == 0 || strncmp(word, o->name, len) != 0)
            continue;
        bool whole = o->name[len] == '\0';
        if (found != NULL && !whole)
            return NULL;
        found = o;
        if (whole)
            break;
    }
    *ret_value = word[len] ? word + len + 1 : NULL;
    return found;
}

static const struct args_option *find_option(const struct args_option *options, const char *word,
                                             const char **ret_value)
{
    if (word[1] == '-')
        return find_long(options, word + 2, ret_value);
    for (const struct args_option *o = options; o != NULL && o->name != NULL; o++) {
        if (word[1] != o->letter)
            continue;
        *ret_value = word[2] ? word + 2 : NULL;
        return o;
    }
    return NULL;
}

/* Of a number below 0 the option says what is wrong with it. */
static bool is_value(const char *word)
{
    const char *digits = "0123456789";
    if (word[0] != '-' || word[1] == '\0')
        return true;
    const char *at = word + 1 + strspn(word + 1, digits);
    if (*at == '.' && at[1] != '\0')
        at += 1 + strspn(at + 1, digits);
    return *at == '\0';
}

static enum tool_begin add_use(struct parser *p, const struct args_option *option,
                               const char *value)
{
    char name[80], other[80];
    struct args *args = p->args;
    for (size_t i = 0; i < args->count; i++) {
        const struct args_option *before = args->uses[i].option;
        if (before != option && option->group != 0 && before->group == option->group)
            return refuse(p, "argument %s: not allowed with argument %s", full_name(option, name),
                          full_name(before, other));
    }
    if (option->takes_value && value == NULL) {
        if (p->at == p->argc || !is_value(p->argv[p->at]))
            return refuse(p, "argument %s: expected %s argument", full_name(option, name),
                          option->many ? "at least one" : "one");
        value = p->argv[p->at++];
    } else if (!option->takes_value && value != NULL) {
        return refuse(p, "argument %s: ignored explicit argument '%s'", full_name(option, name),
                      value);
    }
    int32_t number;
    if (option->number && str_to_i32(str_of(value), &number) != 0)
        return refuse(p,
                      "argument %s: could not convert '%s' to Integer (For input string: \"%s\")",
                      full_name(option, name), value, value);
    VEC_PUSH(args->uses, args->count, args->capacity) = (struct args_use){option, value};
    while (option->many && p->at < p->argc && is_value(p->argv[p->at]))
        VEC_PUSH(args->uses, args->count, args->capacity) =
            (struct args_use){option, p->argv[p->at++]};
    return TOOL_GO_ON;
}

/* Takes --format out of the words, wherever it stands: Kafka's usages do not know it. */
static enum tool_begin take_format(struct parser *p)
{
    int kept = 0;
    const char *format = NULL;
    for (int i = 0; i < p->argc; i++) {
        if (strcmp(p->argv[i], "--format") == 0 && i + 1 < p->argc)
            format = p->argv[++i];
        else if (strncmp(p->argv[i], "--format=", 9) == 0)
            format = p->argv[i] + 9;
        else
            p->argv[kept++] = p->argv[i];
    }
    p->argc = kept;
    if (format == NULL || strcmp(format, "text") == 0)
        return TOOL_GO_ON;
    if (strcmp(format, "json") != 0)
        return refuse(p, "argument --format: invalid choice: '%s' (choose from 'text', 'json')",
                      format);
    p->args->json = true;
    return TOOL_GO_ON;
}

static bool is_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

static enum tool_begin find_command(struct parser *p)
{
    char choices[256] = "";
    size_t len = 0;
    if (p->at == p->argc)
        return refuse(p, "too few arguments");
    const char *word = p->argv[p->at++];
    const struct args_command *found = NULL;
    size_t matches = 0;
    for (const struct args_command *c = p->tool->commands; c->name != NULL; c++) {
        if (c->apart) {
            if (strcmp(c->name, word) == 0) {
                p->args->command = c;
                return TOOL_GO_ON;
            }
            continue;
        }
        if (strncmp(c->name, word, strlen(word)) == 0) {
            found = c;
            matches++;
        }
        len += (size_t)snprintf(choices + len, sizeof(choices) - len, "%s'%s'", len ? ", " : "",
                                c->name);
    }
    CHECK(len < sizeof(choices));
    /* No name begins another one. */
    if (matches == 1 && word[0] != '\0') {
        p->args->command = found;
        return TOOL_GO_ON;
    }
    return refuse(p, "invalid choice: '%s' (choose from %s)", word, choices);
}

/* An option that stands at p->at, which moves on. */
static enum tool_begin read_option(struct parser *p, const struct args_option *options)
{
    const char *word = p->argv[p->at++], *value;
    if (is_help(word)) {
        print_help(p);
        return TOOL_DONE;
    }
    const struct args_option *option = NULL;
    if (word[0] == '-' && word[1] != '\0')
        option = find_option(options, word, &value);
    if (option == NULL)
        return refuse(p, "unrecognized arguments: '%s'", word);
    return add_use(p, option, value);
}

static bool group_is_used(const struct args *args, const struct args_option *option)
{
    for (size_t i = 0; i < args->count; i++)
        if (args->uses[i].option->group == option->group)
            return true;
    return false;
}

static enum tool_begin check_required(const struct parser *p, const struct args_option *options)
{
    char name[80], names[256] = "";
    const struct args_option *missing = NULL;
    for (const struct args_option *o = options; o != NULL && o->name != NULL; o++)
        if (o->required && o->group == 0 && !args_has(p->args, o->name))
            missing = o;
    if (missing != NULL)
        return refuse(p, "argument %s is required", full_name(missing, name));
    for (const struct args_option *o = options; o != NULL && o->name != NULL; o++) {
        if (!in_required_group(o) || group_is_used(p->args, o))
            continue;
        size_t len = strlen(names);
        snprintf(names + len, sizeof(names) - len, "%s%s", len ? " " : "", full_name(o, name));
    }
    if (names[0] != '\0')
        return refuse(p, "one of the arguments %s is required", names);
    return TOOL_GO_ON;
}

static enum tool_begin read_plain_line(struct parser *p)
{
    enum tool_begin begin = TOOL_GO_ON;
    if (p->argc == 0) {
        print_help(p);
        return TOOL_DONE;
    }
    while (begin == TOOL_GO_ON && p->at < p->argc)
        begin = read_option(p, p->tool->globals);
    return begin == TOOL_GO_ON ? check_required(p, p->tool->globals) : begin;
}

static enum tool_begin read_line(struct parser *p)
{
    enum tool_begin begin = TOOL_GO_ON;
    while (begin == TOOL_GO_ON && p->at < p->argc && p->argv[p->at][0] == '-')
        begin = read_option(p, p->tool->globals);
    if (begin == TOOL_GO_ON)
        begin = find_command(p);
    const struct args_command *command = p->args->command;
    while (begin == TOOL_GO_ON && p->at < p->argc)
        begin = read_option(p, command->options);
    if (begin == TOOL_GO_ON)
        begin = check_required(p, command->options);
    if (begin != TOOL_GO_ON)
        return begin;
    /* What is missing in front of the command is not the command's fault. */
    p->args->command = NULL;
    begin = check_required(p, p->tool->globals);
    p->args->command = command;
    return begin;
}

enum tool_begin args_parse_tool(struct args *args, const struct args_tool *tool, int argc,
                                char **argv)
{
    struct parser p = {.args = args, .tool = tool, .argc = argc, .argv = argv};
    *args = (struct args){0};
    enum tool_begin begin = take_format(&p);
    if (begin != TOOL_GO_ON)
        return begin;
    return tool->commands != NULL ? read_line(&p) : read_plain_line(&p);
}

enum tool_begin args_parse(struct args *args, const char *tool, const char *purpose,
                           const struct args_command *commands, int argc, char **argv)
{
    struct args_tool description = {.name = tool, .purpose = purpose, .commands = commands};
    return args_parse_tool(args, &description, argc, argv);
}

void args_release(struct args *args)
{
    free(args->uses);
    *args = (struct args){0};
}

const char *args_value_at(const struct args *args, const char *name, size_t n)
{
    for (size_t i = 0; i < args->count; i++)
        if (args->uses[i].value && strcmp(args->uses[i].option->name, name) == 0 && n-- == 0)
            return args->uses[i].value;
    return NULL;
}

bool args_has(const struct args *args, const char *name)
{
    for (size_t i = 0; i < args->count; i++)
        if (strcmp(args->uses[i].option->name, name) == 0)
            return true;
    return false;
}

const char *args_value(const struct args *args, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < args->count; i++)
        if (strcmp(args->uses[i].option->name, name) == 0)
            value = args->uses[i].value;
    return value;
}

int32_t args_number(const struct args *args, const char *name, int32_t otherwise)
{
    const char *value = args_value(args, name);
    int32_t number = otherwise;
    CHECK(value == NULL || str_to_i32(str_of(value), &number) == 0);
    return number;
}
