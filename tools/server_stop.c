/*
 * kafka-server-stop [--process-role=ROLE] [--node-id=ID]: asks the servers of this installation
 * that run on this machine to end, all of them or those with that role or id. SIGNAL names another
 * signal than TERM.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "tools/beside.h"
#include "tools/tool.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 1 << 20 };

static const struct option_spec specs[] = {
    {"node-id", OPTION_VALUE, "id", "Only the server with this node.id."},
    {"process-role", OPTION_VALUE, "broker|controller", "Only servers with this process.roles."},
    TOOL_COMMON_OPTIONS,
};

struct stopping {
    struct tool tool;
    const char *role; /* NULL: any */
    int32_t node_id;  /* -1: any */
    int signal;
    char *server; /* its path */
    json_t *stopped;
    int found, failed;
};

/* All of a small file with a zero byte behind it; NULL. The caller frees. */
static char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    char *text = mem_alloc(FILE_MAX_BYTES + 1);
    *ret_len = fread(text, 1, FILE_MAX_BYTES, file);
    text[*ret_len] = '\0';
    fclose(file);
    return text;
}

static bool is_server(const struct stopping *s, int pid)
{
    static const char replaced[] = " (deleted)"; /* by a newer version */
    char link[64], target[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/%d/exe", pid);
    ssize_t len = readlink(link, target, sizeof(target) - 1);
    if (len <= 0)
        return false;
    target[len] = '\0';
    struct str path = str_of(target);
    if (str_ends_with(path, str_of(replaced)))
        path.len -= (int32_t)strlen(replaced);
    return str_eq_z(path, s->server);
}

/* What a server was started with: its words, split at zero bytes. */
static bool load_config(int pid, const char *words, size_t len, struct server_config *config)
{
    struct str overrides[64];
    int count = 0;
    const char *file = NULL;
    for (const char *word = words + strlen(words) + 1; word < words + len;
         word += strlen(word) + 1) {
        const char *next = word + strlen(word) + 1;
        if (strcmp(word, "--override") == 0 && next < words + len &&
            count < (int)ARRAY_LEN(overrides)) {
            overrides[count++] = str_of(next);
            word = next;
        } else if (strncmp(word, "--override=", 11) == 0 && count < (int)ARRAY_LEN(overrides)) {
            overrides[count++] = str_of(word + 11);
        } else if (file == NULL && word[0] != '-') {
            file = word;
        }
    }
    struct server_config_options options = {.text = STR_NULL,
                                            .source = STR_EMPTY,
                                            .overrides = overrides,
                                            .overrides_count = count,
                                            .hostname = STR("localhost")};
    char *text = NULL;
    size_t text_len = 0;
    if (file != NULL) {
        char *path = file[0] == '/' ? mem_strdup(file) : mem_printf("/proc/%d/cwd/%s", pid, file);
        text = read_file(path, &text_len);
        free(path);
        if (text == NULL)
            return false;
        options.text = str_from(text, text_len);
    }
    int rv = server_config_load(config, &options);
    free(text);
    return rv == 0;
}

/* It has the role and the id that were asked for. */
static bool matches(const struct stopping *s, int pid)
{
    char path[64];
    size_t len;
    struct server_config config;
    if (s->role == NULL && s->node_id < 0)
        return true;
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    char *words = read_file(path, &len);
    if (words == NULL)
        return false;
    server_config_init(&config);
    bool match = load_config(pid, words, len, &config) &&
                 (s->node_id < 0 || config.node_id == s->node_id) &&
                 (s->role == NULL || (strcmp(s->role, "broker") == 0 && config.is_broker) ||
                  (strcmp(s->role, "controller") == 0 && config.is_controller));
    server_config_release(&config);
    free(words);
    return match;
}

static void stop(struct stopping *s, int pid)
{
    if (!is_server(s, pid) || !matches(s, pid))
        return;
    s->found++;
    if (kill(pid, s->signal) == 0) {
        json_array_append_new(s->stopped, json_integer(pid));
        return;
    }
    fprintf(stderr, "Cannot stop process %d: %s\n", pid, strerror(errno));
    s->failed++;
}

static bool find_signal(struct stopping *s)
{
    const char *name = getenv("SIGNAL");
    s->signal = SIGTERM;
    if (name == NULL || name[0] == '\0')
        return true;
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);
        if (known != NULL && strcmp(known, name) == 0) {
            s->signal = i;
            return true;
        }
    }
    return false;
}

static int fail(const struct stopping *s, const char *sentence)
{
    struct failure failure;
    failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST, "%s", sentence);
    return tool_fail(&s->tool, &failure);
}

static int run(struct tool *tool)
{
    struct stopping *s = CONTAINER_OF(tool, struct stopping, tool);
    s->node_id = -1;
    if (options_value(&s->tool.options, "process-role", &s->role) != 0 ||
        options_int(&s->tool.options, "node-id", &s->node_id) != 0)
        return tool_fail_options(&s->tool);
    if (s->role && strcmp(s->role, "broker") != 0 && strcmp(s->role, "controller") != 0)
        return fail(s, "--process-role is broker or controller");
    if (!find_signal(s))
        return fail(s, "The environment's SIGNAL names no signal");
    DIR *dir = opendir("/proc");
    if (dir == NULL)
        return fail(s, "There is no /proc to find servers in");
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int32_t pid;
        if (str_to_i32(str_of(entry->d_name), &pid) == 0)
            stop(s, pid);
    }
    closedir(dir);
    if (s->found == 0) {
        struct failure failure;
        failure_set(&failure, KAFKA_ERROR_BROKER_NOT_AVAILABLE, "No kafka server to stop");
        if (s->tool.json)
            return tool_fail(&s->tool, &failure);
        puts(failure.text);
        return 1;
    }
    if (s->tool.json)
        tool_print_json(json_pack("{s:O}", "stopped", s->stopped));
    return s->failed > 0;
}

int server_stop_main(int argc, char **argv)
{
    struct stopping s = {.server = beside_path("kraftd"), .stopped = json_array()};
    int code = tool_main(&s.tool, "Stops the servers that run on this machine.", specs, 0, argc,
                         argv, run);
    json_decref(s.stopped);
    free(s.server);
    return code;
}
