/*
 * bench_quorum: the clients of a quorum that is measured (scripts/bench quorum).
 * CONTROLLERS is HOST:PORT,... of controller listeners; whoever leads is looked for. Times are of
 * the monotonic clock, which all processes share.
 *
 *   create CONTROLLERS PREFIX REQUESTS TOPICS PARTITIONS REPLICAS
 *       REQUESTS times TOPICS topics; prints the milliseconds of each request.
 *   commit CONTROLLERS TOPIC
 *       changes the topic's configuration as soon as somebody does it; prints when, in us, and
 *       which of the controllers it was, from 0 up.
 *   commits CONTROLLERS TOPIC RATE SECONDS
 *       RATE changes a second, whether or not the last ones were answered; prints for each the us
 *       from the time that it was due.
 *   turns CONTROLLERS RATE SECONDS
 *       the same for a request that changes nothing and is answered at once.
 *   sync DIRECTORY WRITERS SECONDS BYTES
 *       so many threads append BYTES to a file of their own and sync it, again and again; prints as
 *       commits does.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "tests/bench/controllers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 16, RESOURCE_TOPIC = 2 };

/* A change of a topic's configuration that is always news. */
static int send_change(struct blocking_client *client, const char *topic)
{
    char value[32];
    snprintf(value, sizeof(value), "%lld", (long long)now_us());
    struct incremental_alter_configs_request_alterable_config config;
    message_struct_init(&incremental_alter_configs_request_alterable_config_struct, &config, 1);
    config.name = STR("retention.ms");
    config.value = str_of(value);
    struct incremental_alter_configs_request_alter_configs_resource resource;
    message_struct_init(&incremental_alter_configs_request_alter_configs_resource_struct, &resource,
                        1);
    resource.resource_type = RESOURCE_TOPIC;
    resource.resource_name = str_of(topic);
    resource.configs = &config;
    resource.configs_count = 1;
    struct incremental_alter_configs_request request;
    message_init(&incremental_alter_configs_request_desc, &request);
    request.resources = &resource;
    request.resources_count = 1;
    return send_request(client, API_INCREMENTAL_ALTER_CONFIGS, &request);
}

/* A negative errno, or the answer's error. */
static int receive_change(struct blocking_client *client)
{
    struct incremental_alter_configs_response response;
    struct arena arena;
    struct buf *frame;
    arena_init(&arena, 0);
    int rv = receive_response(client, API_INCREMENTAL_ALTER_CONFIGS, &arena, &response, &frame);
    if (rv == 0) {
        rv = response.responses_count == 1 ? response.responses[0].error_code : -EPROTO;
        buf_unref(frame);
    }
    arena_release(&arena);
    return rv;
}

/* Until somebody committed a change; its connection. Those to the others stay between attempts, so
 * that asking again and again costs them little. */
static struct blocking_client *first_commit(struct controllers *c, const char *topic)
{
    struct blocking_client *clients[CONTROLLERS_MAX] = {NULL}, *found = NULL;
    for (int64_t end_us = now_us() + REQUEST_TIMEOUT_MS * 1000LL; !found && now_us() < end_us;) {
        struct blocking_client **client = &clients[c->hint];
        if (!*client)
            *client = connect_to(&c->items[c->hint]);
        int rv = *client ? send_change(*client, topic) : -ENOTCONN;
        if (rv == 0)
            rv = receive_change(*client);
        if (rv > 0 && rv != KAFKA_ERROR_NOT_CONTROLLER && rv != KAFKA_ERROR_REQUEST_TIMED_OUT)
            fail(kafka_error_message((int16_t)rv), rv);
        if (rv < 0) {
            blocking_client_free(*client);
            *client = NULL;
        }
        if (rv == 0)
            found = *client;
        else if (!controllers_next(c))
            usleep(5000);
    }
    for (int i = 0; i < c->count; i++) {
        if (clients[i] != found)
            blocking_client_free(clients[i]);
    }
    if (!found)
        fail("nobody commits", -ETIMEDOUT);
    return found;
}

/* --- many at a rate ----------------------------------------------------------------------- */

static void print_latencies(const int64_t *us, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%lld\n", (long long)us[i]);
}

static int send_turn(struct blocking_client *client, const char *topic)
{
    struct api_versions_request request;
    message_init(&api_versions_request_desc, &request);
    request.client_software_name = STR("bench");
    request.client_software_version = STR("1");
    return send_request(client, API_API_VERSIONS, &request);
}

static int receive_turn(struct blocking_client *client)
{
    struct buf *frame;
    int rv = blocking_client_receive(client, 1 << 20, REQUEST_TIMEOUT_MS, &frame);
    if (rv == 0)
        buf_unref(frame);
    return rv;
}

/* Connections in turn; the answers on each come in the order of its requests. */
struct lane {
    struct blocking_client *client;
    size_t *sent; /* which ones, and from where to where they are unanswered */
    size_t first, end;
};

struct rate {
    int (*send)(struct blocking_client *client, const char *topic);
    int (*receive)(struct blocking_client *client);
    const char *topic;
    struct lane lanes[CONNECTIONS];
    size_t count, sent, answered;
    int64_t *us, begin_us, step_us;
};

static void send_due(struct rate *r)
{
    while (r->sent < r->count && r->begin_us + (int64_t)r->sent * r->step_us <= now_us()) {
        struct lane *lane = &r->lanes[r->sent % CONNECTIONS];
        int rv = r->send(lane->client, r->topic);
        if (rv != 0)
            fail("send", rv);
        lane->sent[lane->end++] = r->sent++;
    }
}

static void receive_ready(struct rate *r, const struct pollfd *fds)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        if (fds[i].revents == 0)
            continue;
        struct lane *lane = &r->lanes[i];
        int rv = lane->first < lane->end ? r->receive(lane->client) : -EPROTO;
        if (rv != 0)
            fail("answer", rv);
        size_t which = lane->sent[lane->first++];
        r->us[which] = now_us() - r->begin_us - (int64_t)which * r->step_us;
        r->answered++;
    }
}

static void run_rate(struct rate *r, const struct endpoint *to, long rate, long seconds)
{
    struct pollfd fds[CONNECTIONS];
    r->count = (size_t)(rate * seconds);
    r->us = mem_calloc(r->count, sizeof(*r->us));
    for (int i = 0; i < CONNECTIONS; i++) {
        struct lane *lane = &r->lanes[i];
        lane->client = connect_to(to);
        if (!lane->client)
            fail("connect", 0);
        lane->sent = mem_calloc(r->count / CONNECTIONS + 1, sizeof(*lane->sent));
        fds[i] = (struct pollfd){.fd = blocking_client_fd(lane->client), .events = POLLIN};
    }
    r->step_us = 1000000 / rate;
    r->begin_us = now_us();
    while (r->answered < r->count) {
        send_due(r);
        int64_t due_us = r->begin_us + (int64_t)r->sent * r->step_us;
        int64_t wait_us = r->sent < r->count ? MAX(due_us - now_us(), 0) : 1000000;
        struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};
        if (ppoll(fds, CONNECTIONS, &wait, NULL) > 0)
            receive_ready(r, fds);
    }
    print_latencies(r->us, r->count);
    for (int i = 0; i < CONNECTIONS; i++) {
        blocking_client_free(r->lanes[i].client);
        free(r->lanes[i].sent);
    }
    free(r->us);
}

/* --- topics ------------------------------------------------------------------------------- */

/* The connection to whoever leads: it answers what changes nothing. */
static struct blocking_client *create(struct controllers *c, const char *prefix, long first,
                                      long topics, long partitions, long replicas)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct create_topics_request request;
    message_init(&create_topics_request_desc, &request);
    request.timeout_ms = REQUEST_TIMEOUT_MS;
    request.topics_count = (int32_t)topics;
    request.topics = MESSAGE_ARRAY(&arena, create_topics_request_creatable_topic, (int32_t)topics);
    for (long i = 0; i < topics; i++) {
        request.topics[i].name = arena_printf(&arena, "%s%ld", prefix, first + i);
        request.topics[i].num_partitions = (int32_t)partitions;
        request.topics[i].replication_factor = (int16_t)replicas;
    }
    struct blocking_client *client = NULL;
    bool again = false;
    for (int64_t end_us = now_us() + REQUEST_TIMEOUT_MS * 1000LL; !client && now_us() < end_us;) {
        struct create_topics_response response;
        struct buf *frame;
        int64_t begin_us = now_us();
        client = connect_to(&c->items[c->hint]);
        int rv = client ? send_request(client, API_CREATE_TOPICS, &request) : -ENOTCONN;
        if (rv == 0)
            rv = receive_response(client, API_CREATE_TOPICS, &arena, &response, &frame);
        if (rv == 0) {
            for (int32_t i = 0; rv == 0 && i < response.topics_count; i++)
                rv = response.topics[i].error_code;
            /* Who led before had done it without being able to say so. */
            if (again && rv == KAFKA_ERROR_TOPIC_ALREADY_EXISTS)
                rv = 0;
            buf_unref(frame);
        }
        if (rv == 0) {
            printf("%.1f\n", (double)(now_us() - begin_us) / 1000);
            fflush(stdout);
            break;
        }
        /* A cluster that is forming has too few brokers for a while. */
        if (rv > 0 && rv != KAFKA_ERROR_NOT_CONTROLLER &&
            rv != KAFKA_ERROR_INVALID_REPLICATION_FACTOR)
            fail(kafka_error_message((int16_t)rv), rv);
        blocking_client_free(client);
        client = NULL;
        again = true;
        controllers_next(c);
        usleep(5000);
    }
    arena_release(&arena);
    if (!client)
        fail("nobody creates topics", -ETIMEDOUT);
    return client;
}

/* --- the disk ----------------------------------------------------------------------------- */

struct writer {
    pthread_t thread;
    char path[512];
    int64_t end_us, *us;
    size_t count, capacity, size_bytes;
};

static void *write_and_sync(void *arg)
{
    struct writer *w = arg;
    char *data = mem_calloc(1, w->size_bytes);
    int fd = open(w->path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        fail(w->path, errno);
    while (now_us() < w->end_us) {
        if (write(fd, data, w->size_bytes) != (ssize_t)w->size_bytes)
            fail("write", errno);
        int64_t begin_us = now_us();
        if (fdatasync(fd) != 0)
            fail("fdatasync", errno);
        VEC_PUSH(w->us, w->count, w->capacity) = now_us() - begin_us;
    }
    close(fd);
    unlink(w->path);
    free(data);
    return NULL;
}

static void run_sync(const char *directory, long writers, long seconds, long size_bytes)
{
    struct writer all[16] = {0};
    int64_t *us = NULL;
    size_t count = 0, capacity = 0;
    writers = MIN(writers, 16);
    for (long i = 0; i < writers; i++) {
        snprintf(all[i].path, sizeof(all[i].path), "%s/sync-%ld", directory, i);
        all[i].end_us = now_us() + seconds * 1000000;
        all[i].size_bytes = (size_t)size_bytes;
        CHECK(pthread_create(&all[i].thread, NULL, write_and_sync, &all[i]) == 0);
    }
    for (long i = 0; i < writers; i++) {
        CHECK(pthread_join(all[i].thread, NULL) == 0);
        for (size_t k = 0; k < all[i].count; k++)
            VEC_PUSH(us, count, capacity) = all[i].us[k];
        free(all[i].us);
    }
    print_latencies(us, count);
    free(us);
}

/* ------------------------------------------------------------------------------------------ */

static int run(int argc, char **argv)
{
    const char *what = argv[1];
    if (strcmp(what, "sync") == 0 && argc == 6) {
        run_sync(argv[2], number(argv[3]), number(argv[4]), number(argv[5]));
        return 0;
    }
    struct controllers c = controllers_parse(argv[2]);
    if (strcmp(what, "create") == 0 && argc == 8) {
        for (long i = 0; i < number(argv[4]); i++)
            blocking_client_free(create(&c, argv[3], i * number(argv[5]), number(argv[5]),
                                        number(argv[6]), number(argv[7])));
    } else if (strcmp(what, "commit") == 0 && argc == 4) {
        blocking_client_free(first_commit(&c, argv[3]));
        printf("%lld %d\n", (long long)now_us(), c.hint);
    } else if (strcmp(what, "commits") == 0 && argc == 6) {
        struct rate rate = {.send = send_change, .receive = receive_change, .topic = argv[3]};
        blocking_client_free(first_commit(&c, argv[3]));
        run_rate(&rate, &c.items[c.hint], number(argv[4]), number(argv[5]));
    } else if (strcmp(what, "turns") == 0 && argc == 5) {
        struct rate rate = {.send = send_turn, .receive = receive_turn};
        run_rate(&rate, &c.items[0], number(argv[3]), number(argv[4]));
    } else {
        return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    int rv = argc < 3 ? 2 : run(argc, argv);
    if (rv != 0)
        fprintf(stderr, "what it can do stands at the head of bench_quorum.c\n");
    return rv;
}
