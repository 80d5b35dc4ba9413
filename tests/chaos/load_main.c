/*
 * kraftd-chaos-load: produces and reads until it is told to stop, and writes a history (history.h).
 *
 *   kraftd-chaos-load --bootstrap HOST:PORT,... --topics NAME:PARTITIONS,... --history FILE
 *       [--origin-ms N] [--producers N] [--rate RECORDS] [--record-bytes N] [--outstanding N]
 *       [--flush-seconds S] [--read-seconds S] [-X KEY=VALUE]...
 *
 * Twice a second a line of what happened so far goes to standard output:
 *   progress AT ATTEMPTED ACKNOWLEDGED GIVEN_UP READ STALLED_MS PARTITION
 * STALLED_MS: how long the partition that waits longest has had no acknowledgement. A line "stop"
 * on standard input ends the producing; then all is read to its end, once more from the beginning,
 * and the exit code is 0 (everything was read), or 1. Standard input that ends before means: give
 * up.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/chaos/load.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRODUCERS_MAX = 64, OVERRIDES_MAX = 64, PROGRESS_MS = 500 };

void load_note(struct load *load, const char *format, ...)
{
    char text[220];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    history_write(load->history, (struct history_event){.kind = 'n', .text = text});
}

rd_kafka_conf_t *load_conf(const struct load *load)
{
    static const char *const common[] = {
        "client.id",
        "kraftd-chaos",
        "socket.timeout.ms",
        "4000",
        "socket.keepalive.enable",
        "true",
        "topic.metadata.refresh.interval.ms",
        "5000",
        "reconnect.backoff.ms",
        "50",
        "reconnect.backoff.max.ms",
        "500",
        "retry.backoff.ms",
        "50",
        "log_level",
        "2",
        NULL,
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const bootstrap[] = {"bootstrap.servers", load->bootstrap, NULL};
    const char *const *lists[] = {common, bootstrap, load->overrides};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (const char *const *pair = lists[i]; *pair; pair += 2) {
            char text[200];
            if (rd_kafka_conf_set(conf, pair[0], pair[1], text, sizeof(text)) != RD_KAFKA_CONF_OK) {
                fprintf(stderr, "kraftd-chaos-load: %s\n", text);
                exit(2);
            }
        }
    }
    return conf;
}

/* "a:4,b:2"; false when it is not that. */
static bool parse_topics(struct load *load, char *text)
{
    size_t capacity = 0, count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        char *colon = strchr(word, ':');
        long partitions = colon ? strtol(colon + 1, NULL, 10) : 0;
        if (partitions < 1 || partitions > 10000)
            return false;
        *colon = '\0';
        for (int32_t i = 0; i < partitions; i++)
            VEC_PUSH(load->partitions, count, capacity) =
                (struct load_partition){.topic = mem_strdup(word), .index = i, .end = -1};
    }
    load->partition_count = (uint32_t)count;
    return count > 0;
}

static bool number(const char *text, int64_t low, int64_t high, int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end || value < low || value > high)
        return false;
    *ret_value = value;
    return true;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: kraftd-chaos-load --bootstrap HOST:PORT,... --topics NAME:PARTITIONS,..."
            " --history FILE\n"
            "           [--origin-ms N] [--producers N] [--rate RECORDS] [--record-bytes N]\n"
            "           [--outstanding N] [--flush-seconds S] [--read-seconds S]"
            " [-X KEY=VALUE]...\n");
    return 2;
}

struct arguments {
    char *topics, *history;
    int64_t origin_ms;
    const char *overrides[2 * OVERRIDES_MAX + 1];
    size_t override_count;
};

static bool parse_option(struct load *load, struct arguments *arguments, int option, char *value)
{
    int64_t n = 0;
    char *equals = strchr(value, '=');
    switch (option) {
    case 'b':
        load->bootstrap = value;
        return true;
    case 't':
        arguments->topics = value;
        return true;
    case 'h':
        arguments->history = value;
        return true;
    case 'X':
        if (!equals || arguments->override_count == OVERRIDES_MAX)
            return false;
        *equals = '\0';
        arguments->overrides[2 * arguments->override_count] = value;
        arguments->overrides[2 * arguments->override_count++ + 1] = equals + 1;
        return true;
    case 'o':
        return number(value, 0, INT64_MAX, &arguments->origin_ms);
    default:
        break;
    }
    int64_t low = option == 's' ? RECORD_HEADER : 1;
    int64_t high = option == 'p' ? PRODUCERS_MAX : option == 's' ? RECORD_MAX : 10000000;
    if (!number(value, low, high, &n))
        return false;
    load->producers = option == 'p' ? (uint32_t)n : load->producers;
    load->rate = option == 'r' ? (uint32_t)n : load->rate;
    load->record_bytes = option == 's' ? (uint32_t)n : load->record_bytes;
    load->outstanding_max = option == 'u' ? (uint32_t)n : load->outstanding_max;
    load->flush_ms = option == 'f' ? n * 1000 : load->flush_ms;
    load->read_ms = option == 'e' ? n * 1000 : load->read_ms;
    return true;
}

static bool parse(struct load *load, struct arguments *arguments, int argc, char **argv)
{
    static const struct option options[] = {
        {"bootstrap", required_argument, NULL, 'b'},
        {"topics", required_argument, NULL, 't'},
        {"history", required_argument, NULL, 'h'},
        {"origin-ms", required_argument, NULL, 'o'},
        {"producers", required_argument, NULL, 'p'},
        {"rate", required_argument, NULL, 'r'},
        {"record-bytes", required_argument, NULL, 's'},
        {"outstanding", required_argument, NULL, 'u'},
        {"flush-seconds", required_argument, NULL, 'f'},
        {"read-seconds", required_argument, NULL, 'e'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "X:", options, NULL)) != -1) {
        if (option == '?' || !parse_option(load, arguments, option, optarg))
            return false;
    }
    return optind == argc && load->bootstrap && arguments->topics && arguments->history &&
           parse_topics(load, arguments->topics);
}

static void print_progress(struct load *load)
{
    int64_t now = history_now(load->history), oldest = now;
    uint32_t slowest = 0;
    for (uint32_t i = 0; i < load->partition_count; i++) {
        int64_t at = load->partitions[i].acknowledged_at_ms;
        if (at < oldest) {
            oldest = at;
            slowest = i;
        }
    }
    printf("progress %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
           " %s-%" PRId32 "\n",
           now, load->attempted, load->acknowledged, load->given_up, load->read, now - oldest,
           load->partitions[slowest].topic, load->partitions[slowest].index);
    fflush(stdout);
    history_flush(load->history);
}

/* True when it was told to stop, false when whoever started it is gone. */
static bool wait_for_stop(struct load *load)
{
    char word[16] = "";
    size_t length = 0;
    while (length < sizeof(word) - 1 && !strchr(word, '\n')) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&input, 1, PROGRESS_MS) > 0) {
            ssize_t got = read(STDIN_FILENO, word + length, sizeof(word) - 1 - length);
            if (got <= 0)
                return false;
            length += (size_t)got;
            word[length] = '\0';
        }
        print_progress(load);
    }
    return strcmp(word, "stop\n") == 0;
}

static bool run(struct load *load)
{
    pthread_t producers[PRODUCERS_MAX], tail;
    struct reader_arguments following = {.load = load, .reader = READER_TAIL};
    struct reader_arguments last = {.load = load, .reader = READER_FINAL};
    CHECK(pthread_create(&tail, NULL, reader_run, &following) == 0);
    for (uint32_t i = 0; i < load->producers; i++)
        CHECK(pthread_create(&producers[i], NULL, producer_run, load) == 0);
    load->aborted = !wait_for_stop(load);
    history_write(load->history, (struct history_event){.kind = 's'});
    load->stopping = true;
    for (uint32_t i = 0; i < load->producers; i++)
        pthread_join(producers[i], NULL);
    bool ok = !load->aborted && reader_find_ends(load);
    load->aborted = load->aborted || !ok;
    pthread_join(tail, NULL);
    if (ok)
        reader_run(&last);
    print_progress(load);
    return ok && following.complete && last.complete;
}

int main(int argc, char **argv)
{
    struct load load = {
        .producers = 3,
        .rate = 2000,
        .record_bytes = 300,
        .outstanding_max = 500,
        .flush_ms = 120000,
        .read_ms = 300000,
    };
    struct arguments arguments = {0};
    if (!parse(&load, &arguments, argc, argv))
        return usage();
    load.overrides = arguments.overrides;
    load.history = history_open(arguments.history, arguments.origin_ms);
    if (!load.history) {
        fprintf(stderr, "kraftd-chaos-load: %s: %s\n", arguments.history, strerror(errno));
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (uint32_t i = 0; i < load.partition_count; i++) {
        char name[300];
        snprintf(name, sizeof(name), "%s-%" PRId32, load.partitions[i].topic,
                 load.partitions[i].index);
        history_write(load.history,
                      (struct history_event){.kind = 't', .partition = i, .text = name});
    }
    bool complete = run(&load);
    int error = history_close(load.history);
    if (error != 0)
        fprintf(stderr, "kraftd-chaos-load: %s: %s\n", arguments.history, strerror(-error));
    for (uint32_t i = 0; i < load.partition_count; i++)
        free(load.partitions[i].topic);
    free(load.partitions);
    return error != 0 ? 2 : complete ? 0 : 1;
}
