/*
 * kraftd: reads the configuration, makes the env, runs one node until SIGTERM or SIGINT.
 *
 *   kraftd                                     one node on loopback, data in ./kraftd-data
 *   kraftd server.properties [--override k=v]...
 */
#include "broker/admin/broker_admin.h"
#include "broker/server/node.h"
#include "common/base/disk.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/uv_env.h"
#include "metadata/config/server_config_change.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_MODULE "kraftd"

/* More than a configuration file can sensibly be. */
#define PROPERTIES_MAX_BYTES ((size_t)16 << 20)

/* What jemalloc starts with: memory that was given up goes back to the kernel within a second. The
 * environment's MALLOC_CONF comes after it. */
extern const char *const malloc_conf;
const char *const malloc_conf = "dirty_decay_ms:1000,muzzy_decay_ms:0";

struct process {
    struct logger logger;
    struct disk *disk;
    struct env *env;
    struct server_config config;
    struct node *node;
    struct broker_admin *admin;
    struct work admin_work; /* ends it */
    bool stopping;
    bool restart; /* with the same arguments */
    int exit_code;
};

static const char usage_text[] =
    "usage: kraftd [server.properties] [--override key=value]... [--version]\n"
    "\n"
    "Runs a Kafka broker and controller. Without a file: one node on loopback, client port 9092,\n"
    "data in ./kraftd-data.\n";

struct arguments {
    const char *file; /* NULL: none */
    struct str *overrides;
    size_t override_count, override_capacity;
};

/* 0, or an exit code + 1 when there is nothing more to do. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0) {
            printf("kraftd %s\n", KRAFTD_VERSION);
            return 1;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage_text, stdout);
            return 1;
        }
        if (strcmp(argv[i], "--override") == 0 && i + 1 < argc) {
            VEC_PUSH(ret->overrides, ret->override_count, ret->override_capacity) =
                str_of(argv[++i]);
        } else if (strncmp(argv[i], "--override=", 11) == 0) {
            VEC_PUSH(ret->overrides, ret->override_count, ret->override_capacity) =
                str_of(argv[i] + 11);
        } else if (argv[i][0] == '-' || ret->file != NULL) {
            fprintf(stderr, "kraftd: the argument %s is not understood\n%s", argv[i], usage_text);
            return 2;
        } else {
            ret->file = argv[i];
        }
    }
    return 0;
}

static int load_config(struct process *process, const struct arguments *arguments)
{
    char *text = NULL;
    size_t len = 0;
    if (arguments->file != NULL) {
        int rv = disk_read_file(process->disk, arguments->file, PROPERTIES_MAX_BYTES, &text, &len);
        if (rv != 0) {
            log_at(&process->logger, LOG_FATAL, "Cannot read the configuration %s: %s",
                   arguments->file, strerror(-rv));
            return rv;
        }
    }
    char hostname[HOST_MAX + 1] = "localhost";
    gethostname(hostname, sizeof(hostname) - 1);
    char directory[PATH_MAX];
    struct server_config_options options = {
        .text = text ? str_from(text, len) : STR_NULL,
        .source = str_of(arguments->file),
        .overrides = arguments->overrides,
        .overrides_count = (int)arguments->override_count,
        .hostname = str_of(hostname),
        .directory = getcwd(directory, sizeof(directory)) ? str_of(directory) : STR_NULL,
    };
    int rv = server_config_load(&process->config, &options);
    for (size_t i = 0; i < process->config.notices_count; i++)
        log_at(&process->logger, process->config.notices[i].level, "%.*s",
               STR_FMT(process->config.notices[i].text));
    if (rv != 0)
        log_at(&process->logger, LOG_FATAL, "%s", process->config.error);
    free(text);
    return rv;
}

static void admin_stop_run(struct work *work)
{
    broker_admin_stop(CONTAINER_OF(work, struct process, admin_work)->admin);
}

static void admin_stop_done(struct work *work)
{
    uv_env_stop(CONTAINER_OF(work, struct process, admin_work)->env);
}

static void stopped(void *ctx)
{
    struct process *process = ctx;
    process->admin_work = (struct work){
        .run = admin_stop_run, .done = admin_stop_done, .loop = process->env->loops[0]};
    work_submit(&process->admin_work, WORK_DISK);
}

static void on_signal(void *ctx, int signal)
{
    struct process *process = ctx;
    if (process->stopping) {
        log_warn(&process->logger, "Signal %d again: ending at once", signal);
        _exit(128 + signal);
    }
    process->stopping = true;
    process->exit_code = 128 + signal;
    log_info(&process->logger, "Signal %d: stopping", signal);
    node_stop(process->node, stopped, process);
}

static void started(void *ctx, int status)
{
    struct process *process = ctx;
    if (status == 0 || process->stopping)
        return;
    process->exit_code = 1;
    process->stopping = true;
    node_stop(process->node, stopped, process);
}

static void on_fatal(void *ctx)
{
    started(ctx, -EIO);
}

static int run(struct process *process)
{
    uint64_t limit;
    if (uv_env_raise_descriptor_limit(1 << 20, &limit) == 0 && limit < 4096)
        log_warn(&process->logger,
                 "Only %llu files may be open: raise the limit (ulimit -n) for many partitions",
                 (unsigned long long)limit);
    struct uv_env_options options = {
        .loop_count = (int)server_config_integer(&process->config, CONFIG_KRAFTD_EVENT_LOOPS),
        .send_buffer_bytes =
            (int)server_config_integer(&process->config, CONFIG_BROKER_SOCKET_SEND_BUFFER_BYTES),
        .receive_buffer_bytes =
            (int)server_config_integer(&process->config, CONFIG_BROKER_SOCKET_RECEIVE_BUFFER_BYTES),
        .disk = process->disk,
        .logger = &process->logger,
    };
    options.worker_counts[WORK_DISK] = server_config_disk_workers(
        &process->config,
        server_config_integer(&process->config, CONFIG_BROKER_NUM_RECOVERY_THREADS_PER_DATA_DIR));
    int rv = uv_env_new(&options, &process->env);
    if (rv != 0) {
        log_at(&process->logger, LOG_FATAL, "Cannot make the event loops: %s", strerror(-rv));
        return 1;
    }
    uv_env_on_signal(process->env, SIGTERM, on_signal, process);
    uv_env_on_signal(process->env, SIGINT, on_signal, process);
    process->node = node_new(process->env, &process->config);
    node_on_fatal(process->node, on_fatal, process);
    rv = broker_admin_start(process->node, &process->admin);
    if (rv == 0) {
        node_start(process->node, started, process);
        uv_env_run(process->env);
    } else {
        process->exit_code = 1;
    }
    process->restart = node_wants_restart(process->node);
    node_free(process->node);
    uv_env_free(process->env);
    return process->exit_code;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int code = parse_arguments(argc, argv, &arguments);
    if (code != 0) {
        free(arguments.overrides);
        return code - 1;
    }
    struct process process = {.disk = disk_posix_new()};
    logger_init_stdout(&process.logger, LOG_INFO);
    server_config_init(&process.config);
    code = load_config(&process, &arguments) == 0 ? run(&process) : 1;
    server_config_release(&process.config);
    disk_posix_free(process.disk);
    free(arguments.overrides);
    if (process.restart && execv("/proc/self/exe", argv) != 0)
        fprintf(stderr, "kraftd: cannot begin anew: %s\n", strerror(errno));
    return code;
}
