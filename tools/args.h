/*
 * Command lines of the tools that have commands ("kafka-storage format --cluster-id X"), and of
 * some that have none but take the same syntax: -c V, -cV, --config V, --config=V, a long name cut
 * where it stays the only one; given twice, the last one counts. What is wrong is said on standard
 * error behind a usage, in the words that scripts know.
 *
 * One thread. Texts of arguments point into argv.
 */
#ifndef KRAFTD_TOOLS_ARGS_H
#define KRAFTD_TOOLS_ARGS_H

#include "tools/tool.h"

struct args_option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    bool takes_value;
    bool required;
    int group; /* options of one group (not 0) exclude each other; they stand side by side. Where
                  they are required, one of them has to be there. */
    const char *help;
    bool number;       /* its value is an int32 */
    const char *value; /* what usage calls the value; NULL: made of the name */
    bool many;         /* takes one word or more, each a use of its own */
};

struct args_command {
    const char *name;
    const char *help;
    const struct args_option *options; /* ends with name NULL */
    bool apart; /* younger than the usage that scripts know: only its whole name is taken, and only
                   the help names it */
};

struct args_tool {
    const char *name, *purpose;
    const struct args_option *globals;   /* in front of the command; NULL: none */
    const struct args_command *commands; /* ends with name NULL; itself NULL: globals are all */
    bool brief; /* errors are one line, "Command line error: ... Type --help for help." */
};

struct args_use {
    const struct args_option *option;
    const char *value; /* NULL: a flag */
};

struct args {
    const struct args_command *command;
    struct args_use *uses; /* in the order of the command line */
    size_t count, capacity;
    bool json; /* --format json, which every tool takes */
};

/*
 * Finds the command and reads its options; -h and --help are answered. Always followed by
 * args_release. TOOL_REFUSED: it was said why; the exit code is 1.
 */
enum tool_begin args_parse_tool(struct args *args, const struct args_tool *tool, int argc,
                                char **argv);
enum tool_begin args_parse(struct args *args, const char *tool, const char *purpose,
                           const struct args_command *commands, int argc, char **argv);
void args_release(struct args *args);
/* What is found wrong afterwards, said in the same way: behind the usage. */
enum tool_begin args_refuse(const struct args *args, const struct args_tool *tool,
                            const char *sentence);

bool args_has(const struct args *args, const char *name);
/* The last value, or NULL. */
const char *args_value(const struct args *args, const char *name);
/* That of an option that is a number; `otherwise` where it is not given. */
int32_t args_number(const struct args *args, const char *name, int32_t otherwise);
/* The n-th of several, or NULL. */
const char *args_value_at(const struct args *args, const char *name, size_t n);

#endif
