/*
 * kafka-server-start [-daemon] server.properties [--override name=value]...: becomes kraftd, which
 * lies beside the tools. With -daemon it returns at once and the server goes on in the background,
 * its output in $LOG_DIR/kafkaServer.out (LOG_DIR is <prefix>/logs unless set). --format json says
 * which process that is; a server in the foreground prints its log and nothing else.
 */
#include "common/base/mem.h"
#include "tools/beside.h"
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage_line[] =
    "USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*\n";

static const struct option_spec specs[] = {
    {"daemon", OPTION_FLAG, NULL,
     "First, as -daemon: in the background, output in $LOG_DIR/kafkaServer.out."},
    {"override", OPTION_VALUE, "name=value", "Counts before what server.properties says."},
    TOOL_COMMON_OPTIONS,
};

static int usage(FILE *out)
{
    fputs(usage_line, out);
    options_print_help(specs, out);
    return 1;
}

static int cannot_run(const char *path, int error)
{
    fprintf(stderr, "Cannot run %s: %s\n", path, strerror(error));
    return 1;
}

/* The file that takes the output, opened; -1 after saying why not. */
static int open_output(void)
{
    const char *dir = getenv("LOG_DIR");
    char *bin = beside_path(""), *made = NULL, *path;
    if (dir == NULL || dir[0] == '\0') {
        bin[strlen(bin) - 1] = '\0'; /* the slash */
        char *slash = strrchr(bin, '/');
        made = mem_printf("%.*s/logs", slash ? (int)(slash - bin) : 0, bin);
        dir = made;
    }
    path = mem_printf("%s/kafkaServer.out", dir);
    (void)mkdir(dir, 0777);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        fprintf(stderr, "Cannot write %s: %s\nSet LOG_DIR to a directory that can be written.\n",
                path, strerror(errno));
    free(path);
    free(made);
    free(bin);
    return fd;
}

/* The child reports through the pipe that it could not become the server; a server closes it. */
static int run_daemon(const char *path, char **words, bool json)
{
    int ends[2], error = 0;
    int out = open_output();
    if (out < 0)
        return 1;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return cannot_run(path, errno);
    pid_t child = fork();
    if (child == 0) {
        setsid();
        int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
        dup2(in, 0);
        dup2(out, 1);
        dup2(out, 2);
        execv(path, words);
        error = errno;
        _exit(write(ends[1], &error, sizeof(error)) == sizeof(error) ? 1 : 2);
    }
    if (child < 0)
        error = errno;
    close(ends[1]);
    close(out);
    if (child > 0 && read(ends[0], &error, sizeof(error)) == sizeof(error))
        waitpid(child, NULL, 0);
    close(ends[0]);
    if (error)
        return cannot_run(path, error);
    if (json)
        tool_print_json(json_pack("{s:i}", "pid", (int)child));
    return 0;
}

/* Takes --format out of the words; false when its value is none. */
static bool take_format(int *argc, char **words, bool *ret_json)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        const char *value;
        if (strcmp(words[i], "--format") == 0 && i + 1 < *argc) {
            value = words[++i];
        } else if (strncmp(words[i], "--format=", 9) == 0) {
            value = words[i] + 9;
        } else {
            words[kept++] = words[i];
            continue;
        }
        *ret_json = strcmp(value, "json") == 0;
        if (!*ret_json && strcmp(value, "text") != 0) {
            fprintf(stderr, "--format is text or json, not %s\n", value);
            return false;
        }
    }
    words[kept] = NULL;
    *argc = kept;
    return true;
}

int server_start_main(int argc, char **argv)
{
    bool in_background = argc > 0 && strcmp(argv[0], "-daemon") == 0;
    argc -= in_background;
    argv += in_background;
    if (argc == 0)
        return usage(stderr);
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0) {
            puts(TOOL_VERSION);
            return 0;
        }
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 0;
        }
    }
    char *path = beside_path("kraftd");
    char **words = mem_calloc((size_t)argc + 2, sizeof(*words));
    bool json = false;
    words[0] = path;
    for (int i = 0; i < argc; i++)
        words[i + 1] = argv[i];
    int code = 1;
    if (take_format(&argc, words + 1, &json)) {
        if (in_background) {
            code = run_daemon(path, words, json);
        } else {
            execv(path, words);
            code = cannot_run(path, errno);
        }
    }
    free(words);
    free(path);
    return code;
}
