/* What commands there are, what they take, and what is said where that is not what was typed. */
#include "common/base/check.h"
#include "tools/shell.h"

#include <stdarg.h>

static void run_exit(struct shell *shell, const struct shell_words *words);
static void run_help(struct shell *shell, const struct shell_words *words);
static void run_history(struct shell *shell, const struct shell_words *words);
static void run_man(struct shell *shell, const struct shell_words *words);

const struct shell_command shell_commands[] = {
    {.name = "cat",
     .description = "Show the contents of metadata files.",
     .usage = " targets [targets ...]",
     .argument = "targets",
     .argument_help = "The metadata files to display.",
     .min = 1,
     .max = -1,
     .paths = true,
     .run = shell_cat},
    {.name = "cd",
     .description = "Set the current working directory.",
     .usage = " [target]",
     .argument = "target",
     .argument_help = "The directory to change to.",
     .max = 1,
     .shell_only = true,
     .paths = true,
     .run = shell_cd},
    {.name = "diff",
     .description = "Show what differs between two snapshots or offsets.",
     .usage = " from to [path]",
     .argument = "from, to, path",
     .argument_help = "Each an offset, \"now\", or the path of a snapshot, segment or directory; "
                      "and what to compare (/image).",
     .min = 2,
     .max = 3,
     .run = shell_diff_command},
    {.name = "exit",
     .description = "Exit the metadata shell.",
     .usage = "",
     .shell_only = true,
     .run = run_exit},
    {.name = "find",
     .description = "Search for nodes in the directory hierarchy.",
     .usage = " [--name GLOB] [--value REGEX] [paths [paths ...]]",
     .argument = "paths",
     .argument_help = "The paths to start at.",
     .max = -1,
     .paths = true,
     .run = shell_find,
     .options = {{"name", "GLOB", "Only nodes of this name."},
                 {"value", "REGEX", "Only files whose contents match."}}},
    {.name = "help",
     .description = "Display this help message.",
     .usage = "",
     .shell_only = true,
     .run = run_help},
    {.name = "history",
     .description = "Print command history.",
     .usage = " [numEntriesToShow]",
     .argument = "numEntriesToShow",
     .argument_help = "The number of entries to show.",
     .max = 1,
     .shell_only = true,
     .run = run_history},
    {.name = "log",
     .description = "Print the records of the metadata log as JSON, one a line.",
     .usage = " [--type TYPE] [--follow] [from [to]]",
     .argument = "from, to",
     .argument_help = "The offsets to begin and to end at; below 0: so many before the end.",
     .max = 2,
     .run = shell_log,
     .options = {{"type", "TYPE", "Only records of this type, such as TOPIC_RECORD."},
                 {"follow", NULL, "Go on with what is committed from now on."}}},
    {.name = "ls",
     .description = "List metadata nodes.",
     .usage = " [--all] [targets [targets ...]]",
     .argument = "targets",
     .argument_help = "The metadata node paths to list.",
     .max = -1,
     .paths = true,
     .run = shell_ls,
     .options = {{"all", NULL, "Names of older documentation too, such as /topics."}}},
    {.name = "man",
     .description = "Show the help text for a specific command.",
     .usage = " cmd",
     .argument = "cmd",
     .argument_help = "The command to get help text for.",
     .min = 1,
     .max = 1,
     .shell_only = true,
     .run = run_man},
    {.name = "pwd",
     .description = "Print the current working directory.",
     .usage = "",
     .shell_only = true,
     .run = shell_pwd},
    {.name = "tree",
     .description = "Show the contents of metadata nodes in a tree structure.",
     .usage = " targets [targets ...]",
     .argument = "targets",
     .argument_help = "The metadata nodes to display.",
     .min = 1,
     .max = -1,
     .paths = true,
     .run = shell_tree},
    {.name = "watch",
     .description = "Print changes as they are committed.",
     .usage = " [--count N] [paths [paths ...]]",
     .argument = "paths",
     .argument_help = "What to look at (/image).",
     .max = -1,
     .paths = true,
     .run = shell_watch,
     .options = {{"count", "N", "End after so many commits that changed something there."}}},
};

const size_t shell_command_count = ARRAY_LEN(shell_commands);

const struct shell_command *shell_find_command(const char *name)
{
    for (size_t i = 0; i < shell_command_count; i++) {
        if (strcmp(shell_commands[i].name, name) == 0)
            return &shell_commands[i];
    }
    return NULL;
}

void shell_fail(struct shell *shell, const struct failure *failure)
{
    if (shell->json)
        tool_print_json(tool_json_of_failure(failure));
    else if (shell->interactive)
        puts(failure->text);
    else
        fprintf(stderr, "%s\n", failure->text);
    shell->code = 1;
}

/* What was typed is no command: said on standard output, and the exit code stays 0, as in Kafka. */
__attribute__((format(printf, 2, 3))) static void refuse(struct shell *shell, const char *format,
                                                         ...)
{
    struct failure failure = {.error = KAFKA_ERROR_INVALID_REQUEST};
    va_list args;
    va_start(args, format);
    vsnprintf(failure.text, sizeof(failure.text), format, args);
    va_end(args);
    if (shell->json)
        shell_fail(shell, &failure);
    else
        puts(failure.text);
}

/* --- options ---------------------------------------------------------------------------------- */

/* "--value", "-value", "--val" or "--value=X": its place; -1: none of them, or several. */
static int find_option(const struct shell_command *command, const char *word,
                       const char **ret_value)
{
    const char *name = word + strspn(word, "-");
    size_t len = strcspn(name, "=");
    int cut = -1, cuts = 0;
    if (word[0] != '-' || name == word || len == 0)
        return -1;
    *ret_value = name[len] == '=' ? name + len + 1 : NULL;
    for (int i = 0; i < (int)ARRAY_LEN(command->options) && command->options[i].name; i++) {
        const char *known = command->options[i].name;
        bool letter = command->options[i].argument == NULL && len == 1 && name[0] == known[0];
        if (letter || (strlen(known) == len && strncmp(name, known, len) == 0))
            return i;
        if (name - word == 2 && strncmp(name, known, len) == 0) {
            cut = i;
            cuts++;
        }
    }
    return cuts == 1 ? cut : -1;
}

static bool is_help(const struct shell_command *command, const char *word)
{
    const char *value;
    return strcmp(word, "-h") == 0 ||
           (strlen(word) > 2 && strlen(word) <= strlen("--help") &&
            strncmp(word, "--help", strlen(word)) == 0 && find_option(command, word, &value) < 0);
}

bool shell_has_option(const struct shell_command *command, const char *word, bool *ret_takes_value)
{
    const char *value;
    int at = find_option(command, word, &value);
    *ret_takes_value = at >= 0 && command->options[at].argument != NULL && value == NULL;
    return at >= 0;
}

static bool is_number(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && word[1 + strspn(word + 1, "0123456789")] == '\0';
}

static void print_arguments(const struct shell_command *command, bool with_help)
{
    if (command->argument != NULL)
        printf("\npositional arguments:\n  %-22s %s\n", command->argument, command->argument_help);
    if (command->options[0].name == NULL && !with_help)
        return;
    printf("\noptional arguments:\n");
    if (with_help)
        printf("  %-22s %s\n", "-h, --help", "show this help message and exit");
    for (size_t i = 0; i < ARRAY_LEN(command->options) && command->options[i].name; i++) {
        char name[64];
        const struct shell_option *option = &command->options[i];
        snprintf(name, sizeof(name), "--%s%s%s", option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        printf("  %-22s %s\n", name, option->help);
    }
}

/* Words and options of a command. False: it was said what is wrong, or help was printed. */
static bool parse(struct shell *shell, const struct shell_command *command,
                  const char *const *items, size_t count, struct shell_words *words)
{
    bool only_words = false;
    for (size_t i = 0; i < count; i++) {
        const char *word = items[i], *value;
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        if (only_words || word[0] != '-' || word[1] == '\0' || is_number(word)) {
            words->items[words->count++] = word;
            continue;
        }
        bool help = is_help(command, word);
        int at = help ? -1 : find_option(command, word, &value);
        if (help) {
            printf("usage:  %s [-h]%s\n", command->name, command->usage);
            print_arguments(command, true);
            return false;
        }
        if (at < 0) {
            refuse(shell, "unrecognized arguments: '%s'", word);
            return false;
        }
        if (command->options[at].argument != NULL && value == NULL && ++i == count) {
            refuse(shell, "argument --%s: expected one argument", command->options[at].name);
            return false;
        }
        words->options[at] = command->options[at].argument == NULL ? ""
                             : value != NULL                       ? value
                                                                   : items[i];
    }
    if (command->max >= 0 && words->count > (size_t)command->max)
        refuse(shell, "unrecognized arguments: '%s'", words->items[command->max]);
    else if (words->count < (size_t)command->min)
        refuse(shell, "too few arguments");
    else
        return true;
    return false;
}

static void refuse_name(struct shell *shell, const char *name)
{
    char choices[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < shell_command_count; i++) {
        if (shell_commands[i].shell_only && !shell->interactive)
            continue;
        len += (size_t)snprintf(choices + len, sizeof(choices) - len, "%s'%s'", len ? ", " : "",
                                shell_commands[i].name);
        CHECK(len < sizeof(choices));
    }
    refuse(shell, "invalid choice: '%s' (choose from %s)", name, choices);
}

bool shell_refresh(struct shell *shell, struct failure *failure)
{
    return shell->at_offset != METADATA_REPLAY_NEWEST || !shell->source->live ||
           metadata_replay_catch_up(shell->replay, failure);
}

void shell_run(struct shell *shell, const char *const *items, size_t count)
{
    struct shell_words words = {0};
    struct failure failure;
    if (count == 0)
        return;
    const struct shell_command *command = shell_find_command(items[0]);
    if (command == NULL || (command->shell_only && !shell->interactive)) {
        refuse_name(shell, items[0]);
        return;
    }
    struct arena arena;
    arena_init(&arena, 0);
    words.items = ARENA_ARRAY(&arena, const char *, count);
    if (parse(shell, command, items + 1, count - 1, &words)) {
        /* What was shown before is better than nothing. */
        if (shell->interactive && !shell_refresh(shell, &failure))
            fprintf(stderr, "What is shown may be old: %s\n", failure.text);
        command->run(shell, &words);
    }
    arena_release(&arena);
    fflush(stdout);
}

/* --- commands about commands ------------------------------------------------------------------ */

static void run_exit(struct shell *shell, const struct shell_words *words)
{
    shell->leaving = true;
}

static void run_help(struct shell *shell, const struct shell_words *words)
{
    printf("Welcome to the Apache Kafka metadata shell.\n\nusage:  {");
    for (size_t i = 0; i < shell_command_count; i++)
        printf("%s%s", i ? "," : "", shell_commands[i].name);
    printf("} ...\n\npositional arguments:\n");
    for (size_t i = 0; i < shell_command_count; i++)
        printf("    %-20s %s\n", shell_commands[i].name, shell_commands[i].description);
    printf("\nBeside /image and /local there are the paths of older documentation: /brokers,\n"
           "/client-quotas, /configs, /features, /metadataQuorum, /producerIds, /topicIds and\n"
           "/topics. \"ls --all /\" lists them.\n");
}

static void run_man(struct shell *shell, const struct shell_words *words)
{
    const struct shell_command *command = shell_find_command(words->items[0]);
    if (command == NULL) {
        printf("man: unknown command %s. Type help to get a list of commands.\n", words->items[0]);
        return;
    }
    printf("%s: %s\n\nusage: %s%s\n", command->name, command->description, command->name,
           command->usage);
    print_arguments(command, false);
}

static void run_history(struct shell *shell, const struct shell_words *words)
{
    const struct shell_history *history = &shell->history;
    int32_t number = INT32_MAX;
    if (words->count > 0 && str_to_i32(str_of(words->items[0]), &number) != 0) {
        refuse(shell,
               "argument numEntriesToShow: could not convert '%s' to Integer (For input string: "
               "\"%s\")",
               words->items[0], words->items[0]);
        return;
    }
    size_t shown = MIN((size_t)MAX(number, 0), history->count);
    for (size_t i = history->count - shown; i < history->count; i++)
        printf("%5zu  %s\n", i, history->lines[i]);
}
