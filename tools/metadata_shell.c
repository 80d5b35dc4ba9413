/* kafka-metadata-shell: the command line, and which source it opens. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/shell.h"

#include <stdarg.h>
#include <stdlib.h>

#define NAME "kafka-metadata-shell"

enum {
    OPT_SNAPSHOT,
    OPT_SERVER,
    OPT_CONTROLLER,
    OPT_COMMAND_CONFIG,
    OPT_AT,
    OPT_FORMAT,
    OPT_COUNT
};

static const struct {
    const char *name, *argument, *help;
    char letter;
} options[OPT_COUNT] = {
    {"snapshot", "SNAPSHOT",
     "A snapshot (.checkpoint), a segment (.log), or the directory of a node, which may run.", 's'},
    {"bootstrap-server", "HOST:PORT", "Brokers of the cluster to look into, live.", 0},
    {"bootstrap-controller", "HOST:PORT", "Controllers of the cluster to look into, live.", 0},
    {"command-config", "FILE", "Properties of the client.", 0},
    {"at-offset", "OFFSET", "Show the cluster as it was when this offset was committed.", 0},
    {"format", "text|json", "How to print the result; text unless given.", 0},
};

struct line {
    const char *values[OPT_COUNT]; /* NULL: not given */
    const char **words;            /* of the command */
    size_t count;
    bool help, version;
};

static void print_usage(FILE *out)
{
    fputs("usage: " NAME " [-h] (--snapshot SNAPSHOT | --bootstrap-server HOST:PORT |\n"
          "                            --bootstrap-controller HOST:PORT) [--at-offset OFFSET]\n"
          "                            [--command-config FILE] [--format text|json]\n"
          "                            [command [command ...]]\n",
          out);
}

static void print_help(void)
{
    print_usage(stdout);
    printf("\nLooks into the metadata of a cluster.\n\npositional arguments:\n"
           "  %-24s The command to run; commands are read one by one where there is none.\n\n"
           "optional arguments:\n  %-24s show this help message and exit\n",
           "command", "-h, --help");
    for (int i = 0; i < OPT_COUNT; i++) {
        char name[64];
        int len = snprintf(name, sizeof(name), "--%s %s", options[i].name, options[i].argument);
        if (options[i].letter != 0)
            snprintf(name + len, sizeof(name) - (size_t)len, ", -%c", options[i].letter);
        printf("  %-24s%s%s\n", name, strlen(name) > 24 ? "\n                           " : " ",
               options[i].help);
    }
    printf("  %-24s Print the version of Kafka that this tool stands for.\n", "--version");
    printf("\ncommands:\n");
    for (size_t i = 0; i < shell_command_count; i++)
        printf("  %s%s\n      %s%s\n", shell_commands[i].name, shell_commands[i].usage,
               shell_commands[i].description,
               shell_commands[i].shell_only ? " Not on the command line." : "");
}

__attribute__((format(printf, 2, 3))) static bool refuse(bool json, const char *format, ...)
{
    struct failure failure = {.error = KAFKA_ERROR_INVALID_REQUEST};
    va_list args;
    va_start(args, format);
    vsnprintf(failure.text, sizeof(failure.text), format, args);
    va_end(args);
    if (json) {
        tool_print_json(tool_json_of_failure(&failure));
        return false;
    }
    print_usage(stderr);
    fprintf(stderr, NAME ": error: %s\n", failure.text);
    return false;
}

/*
 * The option that a word is, whole or cut where it stays the only one, and its value where that
 * stands in the same word; OPT_COUNT: none.
 */
static int find_option(const char *word, const char **ret_value)
{
    size_t len = strncmp(word, "--", 2) == 0 ? strcspn(word + 2, "=") : 0;
    int cut = OPT_COUNT, cuts = 0;
    *ret_value = len > 0 && word[2 + len] == '=' ? word + 3 + len : NULL;
    for (int i = 0; i < OPT_COUNT; i++) {
        if (len > 0 && strncmp(word + 2, options[i].name, len) == 0) {
            if (options[i].name[len] == '\0')
                return i;
            cut = i;
            cuts++;
        }
        if (options[i].letter != 0 && word[0] == '-' && word[1] == options[i].letter) {
            *ret_value = word[2] != '\0' ? word + 2 : NULL;
            return i;
        }
    }
    return cuts == 1 ? cut : OPT_COUNT;
}

static bool is_json(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char *value;
        if (find_option(argv[i], &value) != OPT_FORMAT)
            continue;
        if (value == NULL && i + 1 < argc)
            value = argv[i + 1];
        if (value != NULL && strcmp(value, "json") == 0)
            return true;
    }
    return false;
}

/* A word of the command, or an option of its own. */
static bool take_word(struct line *line, int argc, char **argv, int *at)
{
    const struct shell_command *command = line->count ? shell_find_command(line->words[0]) : NULL;
    const char *word = argv[*at];
    bool option = word[0] == '-' && word[1] != '\0', takes_value = false;
    if (option && strspn(word + 1, "0123456789") == strlen(word + 1))
        option = false;
    if (option && (command == NULL || !shell_has_option(command, word, &takes_value)))
        return refuse(is_json(argc, argv), "unrecognized arguments: '%s'", word);
    line->words[line->count++] = word;
    if (takes_value && *at + 1 < argc)
        line->words[line->count++] = argv[++*at];
    return true;
}

static bool parse(struct line *line, int argc, char **argv)
{
    bool json = is_json(argc, argv);
    line->words = mem_calloc((size_t)argc + 1, sizeof(*line->words));
    for (int i = 0; i < argc; i++) {
        const char *value;
        int option = find_option(argv[i], &value);
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            line->help = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            line->version = true;
        } else if (strcmp(argv[i], "--") == 0) {
            /* Behind the command it ends that one's options. */
            for (i += line->count == 0; i < argc; i++)
                line->words[line->count++] = argv[i];
        } else if (option == OPT_COUNT) {
            if (!take_word(line, argc, argv, &i))
                return false;
        } else if (value == NULL && i + 1 == argc) {
            return refuse(json, "argument --%s: expected one argument", options[option].name);
        } else {
            line->values[option] = value ? value : argv[++i];
        }
    }
    return true;
}

static bool check(const struct line *line, bool json, int64_t *ret_at)
{
    int sources = (line->values[OPT_SNAPSHOT] != NULL) + (line->values[OPT_SERVER] != NULL) +
                  (line->values[OPT_CONTROLLER] != NULL);
    const char *format = line->values[OPT_FORMAT], *at = line->values[OPT_AT];
    if (format != NULL && strcmp(format, "json") != 0 && strcmp(format, "text") != 0)
        return refuse(json, "Format %s is neither text nor json", format);
    if (sources == 0)
        return refuse(json, "one of the arguments --snapshot/-s --bootstrap-server "
                            "--bootstrap-controller is required");
    if (sources > 1)
        return refuse(json, "only one of the arguments --snapshot/-s, --bootstrap-server and "
                            "--bootstrap-controller can be given");
    *ret_at = METADATA_REPLAY_NEWEST;
    if (at != NULL && (str_to_i64(str_of(at), ret_at) != 0 || *ret_at < 0))
        return refuse(json, "argument --at-offset: '%s' is no offset", at);
    return true;
}

/* What is behind the options; the client and its config live as long as the source. */
struct place {
    struct client_config config;
    struct client *client;
    struct metadata_source *source;
};

static bool place_open(struct place *place, const struct line *line, struct failure *failure)
{
    client_config_init(&place->config, NAME);
    if (line->values[OPT_SNAPSHOT] != NULL)
        return metadata_files_open(line->values[OPT_SNAPSHOT], &place->source, failure);
    enum client_kind kind = line->values[OPT_SERVER] ? CLIENT_OF_BROKERS : CLIENT_OF_CONTROLLERS;
    const char *bootstrap = line->values[line->values[OPT_SERVER] ? OPT_SERVER : OPT_CONTROLLER];
    return client_config_read(&place->config, line->values[OPT_COMMAND_CONFIG], failure) &&
           client_new(bootstrap, kind, &place->config, &place->client, failure) &&
           metadata_cluster_open(place->client, kind, &place->source, failure);
}

static void place_close(struct place *place)
{
    metadata_source_free(place->source);
    client_free(place->client);
    client_config_release(&place->config);
}

static void warn(const struct metadata_source *source)
{
    const char *warning = source->ops->warning ? source->ops->warning(source) : NULL;
    if (warning != NULL)
        fprintf(stderr, "%s\n", warning);
}

static int run(const struct line *line, bool json, int64_t at)
{
    struct shell shell = {.at_offset = at, .json = json, .interactive = line->count == 0};
    struct place place = {0};
    struct failure failure;
    if (shell.interactive) {
        puts("Loading...");
        fflush(stdout);
    }
    if (place_open(&place, line, &failure) &&
        metadata_replay_new(place.source, at, &shell.replay, &failure)) {
        shell.source = place.source;
        shell.directory = mem_strdup("/");
        warn(place.source);
        if (shell.interactive) {
            puts("Starting...");
            shell_session(&shell);
            shell.code = 0;
        } else {
            shell_run(&shell, line->words, line->count);
        }
    } else {
        /* Not interactive: it is the tool that fails, not a command. */
        shell.interactive = false;
        shell_fail(&shell, &failure);
    }
    metadata_replay_free(shell.replay);
    free(shell.directory);
    place_close(&place);
    return shell.code;
}

int metadata_shell_main(int argc, char **argv)
{
    struct line line = {0};
    bool json = is_json(argc, argv);
    int64_t at;
    int code = 1;
    if (parse(&line, argc, argv)) {
        if (line.help) {
            /* Behind a command it was not asked for alone: 1, as Kafka's. */
            print_help();
            code = line.count > 0;
        } else if (line.version) {
            puts(TOOL_VERSION);
            code = 0;
        } else if (check(&line, json, &at)) {
            code = run(&line, json, at);
        }
    }
    free(line.words);
    return code;
}
