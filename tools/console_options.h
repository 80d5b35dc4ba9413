/*
 * What the console producer and the console consumer have in common on their command lines:
 * options under an old and a new name, properties given one by one and in files. One thread.
 */
#ifndef KRAFTD_TOOLS_CONSOLE_OPTIONS_H
#define KRAFTD_TOOLS_CONSOLE_OPTIONS_H

#include "tools/client_config.h"
#include "tools/tool.h"

/* An option and the name that it had before. */
struct console_alias {
    const char *name, *old;
};

/* "Options --a and --b cannot be specified together." as a usage error. */
bool console_check_together(const struct tool *tool, const char *a, const char *b);
/* The name under which it was given; the new one where it was not. `warning` is printed on standard
 * output for the old one: its %s are the old name and the new one. */
const char *console_name(const struct tool *tool, const struct console_alias *alias,
                         const char *warning);

/* All values of the option, key=value each, into the properties. */
bool console_add_properties(struct tool *tool, const char *option, struct properties *properties,
                            struct failure *failure);
/* The file that the option names, if it was given. */
bool console_add_file(struct tool *tool, const char *option, struct properties *properties,
                      struct failure *failure);
/* client_config from the file and, on top, from key=value pairs. */
bool console_read_config(struct tool *tool, const char *file_option, const char *property_option,
                         struct client_config *config, struct failure *failure);
/* Sets a key to an option's value where that was given or nothing else has set the key. */
bool console_merge(struct tool *tool, const char *option, const char *key,
                   struct client_config *config, struct failure *failure);

#endif
