/*
 * bench_brokers CONTROLLERS CLUSTER FIRST COUNT: registers COUNT brokers from node id FIRST on with
 * the controllers of a quorum (HOST:PORT,... of their listeners) and sends their heartbeats, each
 * on a connection of its own, until the standard input ends. Says "ready" when none is fenced.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/broker_heartbeat.h"
#include "common/protocol/messages/broker_registration.h"
#include "metadata/feature.h"
#include "tests/bench/controllers.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEARTBEAT_MS = 2000 /* broker.heartbeat.interval.ms */, RETRY_MS = 50 };

struct broker {
    int32_t id;
    int64_t epoch; /* -1: not registered */
    struct uuid incarnation, directory;
    struct blocking_client *client;
    int controller;
    bool asked, unfenced;
    int64_t due_us;
};

static struct uuid some_uuid(int32_t id, uint64_t salt)
{
    struct uuid uuid;
    uint64_t high = hash_u64(salt + (uint64_t)id), low = hash_u64(high);
    memcpy(uuid.b, &high, sizeof(high));
    memcpy(uuid.b + 8, &low, sizeof(low));
    return uuid;
}

static int send_registration(struct broker *b, const char *cluster)
{
    struct broker_registration_request_feature features[16];
    struct broker_registration_request_listener listener;
    struct broker_registration_request request;
    int32_t count = (int32_t)MIN(feature_table_size, (size_t)16);
    message_init(&broker_registration_request_desc, &request);
    message_struct_init(&broker_registration_request_listener_struct, &listener, 1);
    message_struct_init(&broker_registration_request_feature_struct, features, count);
    for (int32_t i = 0; i < count; i++) {
        features[i].name = str_of(feature_table[i].name);
        features[i].min_supported_version = feature_table[i].min_level;
        features[i].max_supported_version = feature_table[i].max_level;
    }
    listener.name = STR("PLAINTEXT");
    listener.host = STR("127.0.0.1");
    listener.port = (uint16_t)(10000 + b->id % 10000);
    request.broker_id = b->id;
    request.cluster_id = str_of(cluster);
    request.incarnation_id = b->incarnation;
    request.listeners = &listener;
    request.listeners_count = 1;
    request.features = features;
    request.features_count = count;
    request.log_dirs = &b->directory;
    request.log_dirs_count = 1;
    return send_request(b->client, API_BROKER_REGISTRATION, &request);
}

static int send_heartbeat(struct broker *b)
{
    struct broker_heartbeat_request request;
    message_init(&broker_heartbeat_request_desc, &request);
    request.broker_id = b->id;
    request.broker_epoch = b->epoch;
    request.current_metadata_offset = b->epoch;
    return send_request(b->client, API_BROKER_HEARTBEAT, &request);
}

/* 0, a negative errno, or the answer's error. */
static int receive_registration(struct broker *b)
{
    struct broker_registration_response response;
    struct arena arena;
    struct buf *frame;
    arena_init(&arena, 0);
    int rv = receive_response(b->client, API_BROKER_REGISTRATION, &arena, &response, &frame);
    if (rv == 0) {
        rv = response.error_code;
        if (rv == 0)
            b->epoch = response.broker_epoch;
        b->due_us = 0;
        buf_unref(frame);
    }
    arena_release(&arena);
    return rv;
}

static int receive_heartbeat(struct broker *b)
{
    struct broker_heartbeat_response response;
    struct arena arena;
    struct buf *frame;
    arena_init(&arena, 0);
    int rv = receive_response(b->client, API_BROKER_HEARTBEAT, &arena, &response, &frame);
    if (rv == 0) {
        rv = response.error_code;
        b->unfenced = rv == 0 && !response.is_fenced;
        b->due_us = now_us() + (b->unfenced ? HEARTBEAT_MS : RETRY_MS) * 1000;
        buf_unref(frame);
    }
    arena_release(&arena);
    return rv;
}

static void lost(struct controllers *c, struct broker *b)
{
    blocking_client_free(b->client);
    b->client = NULL;
    b->asked = false;
    b->due_us = now_us() + RETRY_MS * 1000;
    if (c->hint == b->controller)
        controllers_next(c);
}

static void ask(struct controllers *c, struct broker *b, const char *cluster)
{
    if (!b->client) {
        b->controller = c->hint;
        b->client = connect_to(&c->items[c->hint]);
    }
    int rv = !b->client     ? -ENOTCONN
             : b->epoch < 0 ? send_registration(b, cluster)
                            : send_heartbeat(b);
    b->asked = rv == 0;
    if (rv != 0)
        lost(c, b);
}

static void hear(struct controllers *c, struct broker *b)
{
    b->asked = false;
    int rv = b->epoch < 0 ? receive_registration(b) : receive_heartbeat(b);
    if (rv == KAFKA_ERROR_STALE_BROKER_EPOCH || rv == KAFKA_ERROR_BROKER_ID_NOT_REGISTERED) {
        b->epoch = -1;
    } else if (rv != 0) {
        if (rv > 0 && rv != KAFKA_ERROR_NOT_CONTROLLER)
            fprintf(stderr, "broker %d: %s\n", b->id, kafka_error_message((int16_t)rv));
        lost(c, b);
    }
}

/* The broker that is due first. */
static int64_t ask_due(struct controllers *c, struct broker *brokers, long count,
                       const char *cluster)
{
    int64_t next_us = INT64_MAX;
    for (long i = 0; i < count; i++) {
        struct broker *b = &brokers[i];
        if (!b->asked && b->due_us <= now_us())
            ask(c, b, cluster);
        if (!b->asked)
            next_us = MIN(next_us, b->due_us);
    }
    return next_us;
}

static void run_brokers(struct controllers *c, const char *cluster, long first, long count)
{
    struct broker *brokers = mem_calloc((size_t)count, sizeof(*brokers));
    struct pollfd *fds = mem_calloc((size_t)count + 1, sizeof(*fds));
    bool said = false;
    for (long i = 0; i < count; i++) {
        int32_t id = (int32_t)(first + i);
        brokers[i] = (struct broker){
            .id = id,
            .epoch = -1,
            .incarnation = some_uuid(id, (uint64_t)now_us() << 20),
            .directory = some_uuid(id, 1 << 30),
            .due_us = now_us() + i * 1000,
        };
    }
    for (;;) {
        int64_t next_us = ask_due(c, brokers, count, cluster);
        long unfenced = 0;
        for (long i = 0; i < count; i++) {
            struct broker *b = &brokers[i];
            fds[i] = (struct pollfd){.fd = b->client ? blocking_client_fd(b->client) : -1,
                                     .events = POLLIN};
            unfenced += b->unfenced;
        }
        if (!said && unfenced == count) {
            printf("ready\n");
            fflush(stdout);
            said = true;
        }
        fds[count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        int64_t wait_ms = (next_us - now_us()) / 1000 + 1;
        if (poll(fds, (nfds_t)count + 1, (int)MAX(MIN(wait_ms, 1000), 0)) <= 0)
            continue;
        if (fds[count].revents)
            break;
        for (long i = 0; i < count; i++) {
            if (fds[i].revents && brokers[i].asked)
                hear(c, &brokers[i]);
            else if (fds[i].revents)
                lost(c, &brokers[i]);
        }
    }
    for (long i = 0; i < count; i++)
        blocking_client_free(brokers[i].client);
    free(brokers);
    free(fds);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        fail("bench_brokers CONTROLLERS CLUSTER FIRST COUNT", argc);
    struct controllers c = controllers_parse(argv[1]);
    run_brokers(&c, argv[2], number(argv[3]), number(argv[4]));
    return 0;
}
