/*
 * bench_brokers CONTROLLERS CLUSTER FIRST COUNT: registers COUNT brokers from node id FIRST on with
 * the controllers of a quorum (HOST:PORT,... of their listeners) and sends their heartbeats, each
 * on a connection of its own, until the standard input ends. Says "ready" when none is fenced. All
 * of them listen at one port, where nothing is answered: a controller looks whether they are there.
 *
 * A line "make NAME TOPICS" on the standard input creates topics of 10 partitions on the first
 * three brokers, the first one leads. "alter CHANGES" has it change the ISR of these partitions in
 * turn, each by a request of its own, WINDOW at a time. When it is done, the seconds are printed.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/alter_partition.h"
#include "common/protocol/messages/broker_heartbeat.h"
#include "common/protocol/messages/broker_registration.h"
#include "common/protocol/messages/create_topics.h"
#include "metadata/feature.h"
#include "tests/bench/controllers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEARTBEAT_MS = 2000, /* broker.heartbeat.interval.ms */
    RETRY_MS = 50,
    PARTITIONS = 10,
    REPLICAS = 3,
    WINDOW = 100,
};

struct broker {
    int32_t id;
    int64_t epoch; /* -1: not registered */
    struct uuid incarnation, directory;
    uint16_t port;
    struct blocking_client *client;
    int controller;
    bool asked, unfenced;
    int64_t due_us;
};

/* --- the port that they share -------------------------------------------------------------- */

struct port {
    int fd;
    uint16_t number;
};

/* Keeps connections until the other side closes them. */
static void *hold_connections(void *arg)
{
    const struct port *port = arg;
    struct pollfd *fds = NULL;
    size_t count = 0, capacity = 0;
    VEC_PUSH(fds, count, capacity) = (struct pollfd){.fd = port->fd, .events = POLLIN};
    while (poll(fds, count, -1) >= 0) {
        for (size_t i = count - 1; i > 0; i--) {
            char byte;
            if (fds[i].revents == 0 || recv(fds[i].fd, &byte, 1, 0) > 0)
                continue;
            close(fds[i].fd);
            fds[i] = fds[--count];
        }
        int fd = fds[0].revents ? accept(port->fd, NULL, NULL) : -1;
        if (fd >= 0)
            VEC_PUSH(fds, count, capacity) = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    return NULL;
}

static void listen_at(struct port *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    pthread_t thread;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    port->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(port->fd, (struct sockaddr *)&address, len) == 0 && listen(port->fd, 1024) == 0);
    CHECK(getsockname(port->fd, (struct sockaddr *)&address, &len) == 0);
    port->number = ntohs(address.sin_port);
    CHECK(pthread_create(&thread, NULL, hold_connections, port) == 0);
    CHECK(pthread_detach(thread) == 0);
}

/* --- brokers ------------------------------------------------------------------------------ */

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
    listener.port = b->port;
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

/* --- partitions that the first broker leads ------------------------------------------------ */

struct led {
    struct uuid *topics;
    int32_t count;
    long altered;
};

static void make_topics(struct controllers *c, const struct broker *brokers, const char *name,
                        int32_t count, struct led *led)
{
    struct arena arena;
    struct create_topics_request request;
    struct create_topics_response response;
    int32_t ids[REPLICAS];
    arena_init(&arena, 0);
    for (int i = 0; i < REPLICAS; i++)
        ids[i] = brokers[i].id;
    message_init(&create_topics_request_desc, &request);
    request.timeout_ms = REQUEST_TIMEOUT_MS;
    request.topics = MESSAGE_ARRAY(&arena, create_topics_request_creatable_topic, count);
    request.topics_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct create_topics_request_creatable_topic *topic = &request.topics[i];
        topic->name = arena_printf(&arena, "%s%d", name, i);
        topic->num_partitions = -1;
        topic->replication_factor = -1;
        topic->assignments =
            MESSAGE_ARRAY(&arena, create_topics_request_creatable_replica_assignment, PARTITIONS);
        topic->assignments_count = PARTITIONS;
        for (int32_t p = 0; p < PARTITIONS; p++) {
            topic->assignments[p].partition_index = p;
            topic->assignments[p].broker_ids = ids;
            topic->assignments[p].broker_ids_count = REPLICAS;
        }
    }
    struct blocking_client *client = connect_to(&c->items[brokers[0].controller]);
    struct buf *frame;
    int rv = client ? send_request(client, API_CREATE_TOPICS, &request) : -ENOTCONN;
    if (rv == 0)
        rv = receive_response(client, API_CREATE_TOPICS, &arena, &response, &frame);
    if (rv != 0)
        fail("make", rv);
    free(led->topics);
    *led = (struct led){mem_calloc((size_t)count, sizeof(*led->topics)), response.topics_count, 0};
    for (int32_t i = 0; i < response.topics_count; i++) {
        if (response.topics[i].error_code != 0)
            fail("make", response.topics[i].error_code);
        led->topics[i] = response.topics[i].topic_id;
    }
    buf_unref(frame);
    blocking_client_free(client);
    arena_release(&arena);
}

/* Round about, each partition's ISR loses the followers or gets them back. */
static int send_alteration(struct blocking_client *client, const struct broker *brokers,
                           const struct led *led, long change)
{
    long partitions = (long)led->count * PARTITIONS, round = change / partitions;
    long at = change % partitions;
    struct alter_partition_request request;
    struct alter_partition_request_topic_data topic;
    struct alter_partition_request_partition_data partition;
    struct alter_partition_request_broker_state isr[REPLICAS];
    message_init(&alter_partition_request_desc, &request);
    message_struct_init(&alter_partition_request_topic_data_struct, &topic, 1);
    message_struct_init(&alter_partition_request_partition_data_struct, &partition, 1);
    message_struct_init(&alter_partition_request_broker_state_struct, isr, REPLICAS);
    for (int i = 0; i < REPLICAS; i++)
        isr[i].broker_id = brokers[i].id;
    request.broker_id = brokers[0].id;
    request.broker_epoch = brokers[0].epoch;
    request.topics = &topic;
    request.topics_count = 1;
    topic.topic_id = led->topics[at / PARTITIONS];
    topic.partitions = &partition;
    topic.partitions_count = 1;
    partition.partition_index = (int32_t)(at % PARTITIONS);
    partition.leader_epoch = 0;
    partition.partition_epoch = (int32_t)round;
    partition.new_isr_with_epochs = isr;
    partition.new_isr_with_epochs_count = round % 2 == 0 ? 1 : REPLICAS;
    return send_request(client, API_ALTER_PARTITION, &request);
}

static int receive_alteration(struct blocking_client *client)
{
    struct alter_partition_response response;
    struct arena arena;
    struct buf *frame;
    arena_init(&arena, 0);
    int rv = receive_response(client, API_ALTER_PARTITION, &arena, &response, &frame);
    if (rv == 0) {
        bool is_one = response.topics_count == 1 && response.topics[0].partitions_count == 1;
        rv = response.error_code != 0 ? response.error_code
             : is_one                 ? response.topics[0].partitions[0].error_code
                                      : -EPROTO;
        buf_unref(frame);
    }
    arena_release(&arena);
    return rv;
}

static void alter_partitions(struct controllers *c, const struct broker *brokers, struct led *led,
                             long changes)
{
    struct blocking_client *client = connect_to(&c->items[brokers[0].controller]);
    int rv = client && led->count > 0 ? 0 : -ENOTCONN;
    for (long sent = 0, answered = 0; rv == 0 && answered < changes;) {
        if (sent < changes && sent - answered < WINDOW)
            rv = send_alteration(client, brokers, led, led->altered + sent++);
        else if ((rv = receive_alteration(client)) == 0)
            answered++;
    }
    if (rv != 0)
        fail("alter", rv);
    led->altered += changes;
    blocking_client_free(client);
}

/* False at the end of the standard input. */
static bool obey(struct controllers *c, const struct broker *brokers, struct led *led)
{
    char line[128], name[64];
    int topics;
    long changes;
    if (fgets(line, sizeof(line), stdin) == NULL)
        return false;
    int64_t begin_us = now_us();
    if (sscanf(line, "make %63s %d", name, &topics) == 2)
        make_topics(c, brokers, name, topics, led);
    else if (sscanf(line, "alter %ld", &changes) == 1)
        alter_partitions(c, brokers, led, changes);
    else
        fail(line, -EINVAL);
    printf("%.3f\n", (double)(now_us() - begin_us) / 1e6);
    fflush(stdout);
    return true;
}

static void run_brokers(struct controllers *c, const char *cluster, long first, long count)
{
    struct port port;
    listen_at(&port);
    struct broker *brokers = mem_calloc((size_t)count, sizeof(*brokers));
    struct pollfd *fds = mem_calloc((size_t)count + 1, sizeof(*fds));
    struct led led = {0};
    bool said = false;
    for (long i = 0; i < count; i++) {
        int32_t id = (int32_t)(first + i);
        brokers[i] = (struct broker){
            .id = id,
            .epoch = -1,
            .incarnation = some_uuid(id, (uint64_t)now_us() << 20),
            .directory = some_uuid(id, 1 << 30),
            .port = port.number,
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
        if (fds[count].revents && !obey(c, brokers, &led))
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
    free(led.topics);
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
