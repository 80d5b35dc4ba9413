/*
 * What all tools share: how a command line begins, how it is refused, how a result is printed. One
 * tool is one file with one entry, named in tool_list.def. One thread; a tool may exit without
 * giving its memory back only where it was killed.
 */
#ifndef KRAFTD_TOOLS_TOOL_H
#define KRAFTD_TOOLS_TOOL_H

#include "tools/failure.h"
#include "tools/options.h"

#include <jansson.h>

/* The release of Kafka whose tools these are. */
#define TOOL_VERSION "4.4.0"

#define TOOL(name, function) int function(int argc, char **argv);
#include "tools/tool_list.def"
#undef TOOL

struct tool {
    const char *purpose; /* one sentence, shown above the options */
    struct options options;
    bool json; /* --format json: one document on standard output, errors too */
};

/* Options that every tool takes; the last lines of its table. */
#define TOOL_COMMON_OPTIONS                                                                        \
    {"format", OPTION_VALUE, "text|json", "How to print the result; text unless given."},          \
        {"help", OPTION_FLAG, NULL, "Print this help."},                                           \
        {"version", OPTION_FLAG, NULL, "Print the version of Kafka that this tool stands for."},   \
    {                                                                                              \
        NULL                                                                                       \
    }

enum tool_begin {
    TOOL_GO_ON,
    TOOL_DONE,    /* help or version was asked for and printed: exit with 0 */
    TOOL_REFUSED, /* tool->options.error says why; print it as this tool does */
};

/* Parses, and answers --help and --version. Always followed by tool_release. */
enum tool_begin tool_begin(struct tool *tool, const char *purpose, const struct option_spec *specs,
                           int argc, char **argv);
void tool_release(struct tool *tool);

enum tool_habit {
    TOOL_NEEDS_WORDS = 1,      /* called without any: the purpose and the table of options */
    TOOL_REFUSES_AT_LENGTH = 2 /* an option that is wrong: with the table */
};

/* A whole tool: begins, calls run where there is something to do, releases. `habits` are of enum
 * tool_habit. The exit code. */
int tool_main(struct tool *tool, const char *purpose, const struct option_spec *specs, int habits,
              int argc, char **argv, int (*run)(struct tool *tool));

/* A sentence and the table of options, on standard error. The exit code, 1. */
__attribute__((format(printf, 2, 3))) int tool_usage(const struct tool *tool, const char *format,
                                                     ...);
/* A sentence on standard error, or {"error": ...} with --format json. The exit code, 1. */
int tool_fail(const struct tool *tool, const struct failure *failure);
/* The same for options.error. */
int tool_fail_options(const struct tool *tool);

/* "Missing required argument "[topic]"" unless it is there. */
bool tool_require(const struct tool *tool, const char *name);
/* "Please provide valid host:port like host1:9091,host2:9092" unless the list is that. */
bool tool_check_bootstrap(const struct tool *tool, const char *bootstrap);
/* "Option "[a]" can't be used with option "[b]"" where both are there. */
bool tool_exclude(const struct tool *tool, const char *name, const char *other);

/* Prints the document on one line and drops it. */
void tool_print_json(json_t *document);
/* {"error": {"code": "TOPIC_ALREADY_EXISTS", "message": ...}} */
json_t *tool_json_of_failure(const struct failure *failure);
/* A JSON string; null for null; what is not UTF-8 is replaced. */
json_t *tool_json_str(struct str s);

#endif
