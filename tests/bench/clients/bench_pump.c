/*
 * Requests at full speed, by a client that does next to nothing: what a broker needs for the same
 * bytes that raw_limit moves.
 *
 *   bench_pump produce PORT TOPIC PARTITIONS SIZE BATCH TIMES WINDOW
 *   bench_pump fetch   PORT TOPIC PARTITIONS BYTES
 *
 * produce sends one batch of BATCH records of SIZE bytes TIMES times, to the partitions in turn,
 * acks=1, with up to WINDOW requests under way. fetch reads all partitions from the start until
 * BYTES have come, 4 MB of each partition at a time. Prints seconds, requests, and bytes of record
 * batches.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PARTITION_BYTES = 4 << 20, RESPONSE_MAX = 64 << 20, BATCH_HEADER = 61, PARTITIONS_MAX = 64 };

static void die(const char *what)
{
    fprintf(stderr, "bench_pump: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0) {
        fprintf(stderr, "bench_pump: %s is no number\n", text);
        exit(2);
    }
    return value;
}

/* --- Writing --- */

struct out {
    uint8_t *data;
    size_t len;
};

static void put(struct out *o, const void *data, size_t len)
{
    memcpy(o->data + o->len, data, len);
    o->len += len;
}

static void put8(struct out *o, uint8_t v)
{
    put(o, &v, 1);
}

static void put16(struct out *o, uint16_t v)
{
    v = htobe16(v);
    put(o, &v, 2);
}

static void put32(struct out *o, uint32_t v)
{
    v = htobe32(v);
    put(o, &v, 4);
}

static void put64(struct out *o, uint64_t v)
{
    v = htobe64(v);
    put(o, &v, 8);
}

static void put_varint(struct out *o, int64_t value)
{
    uint64_t v = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; v >= 0x80; v >>= 7)
        put8(o, (uint8_t)(v | 0x80));
    put8(o, (uint8_t)v);
}

static void put_text(struct out *o, const char *text)
{
    put16(o, (uint16_t)strlen(text));
    put(o, text, strlen(text));
}

static void put_request(struct out *o, uint16_t key, uint16_t version)
{
    put32(o, 0); /* the length, see finish */
    put16(o, key);
    put16(o, version);
    put32(o, 7);
    put16(o, UINT16_MAX); /* no client id */
}

static void finish(struct out *o)
{
    uint32_t length = htobe32((uint32_t)(o->len - 4));
    memcpy(o->data, &length, 4);
}

static struct out make_batch(int records, size_t size)
{
    struct out o = {malloc(BATCH_HEADER + (size_t)records * (size + 32)), 0};
    struct out record = {malloc(size + 32), 0};
    uint8_t *value = calloc(1, size);
    for (size_t i = 0; i < size; i++)
        value[i] = (uint8_t)(i * 31);
    o.len = BATCH_HEADER;
    for (int i = 0; i < records; i++) {
        record.len = 0;
        put8(&record, 0);
        put_varint(&record, 0);
        put_varint(&record, i);
        put_varint(&record, -1);
        put_varint(&record, (int64_t)size);
        put(&record, value, size);
        put_varint(&record, 0);
        put_varint(&o, (int64_t)record.len);
        put(&o, record.data, record.len);
    }
    struct out head = {o.data, 0};
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    put64(&head, 0);
    put32(&head, (uint32_t)(o.len - 12));
    put32(&head, UINT32_MAX);
    put8(&head, 2);
    put32(&head, 0); /* the checksum, below */
    put16(&head, 0);
    put32(&head, (uint32_t)records - 1);
    put64(&head, (uint64_t)now_ms);
    put64(&head, (uint64_t)now_ms);
    put64(&head, UINT64_MAX);
    put16(&head, UINT16_MAX);
    put32(&head, UINT32_MAX);
    put32(&head, (uint32_t)records);
    uint32_t crc = htobe32(~crc32_iscsi(o.data + 21, (int)(o.len - 21), ~0U));
    memcpy(o.data + 17, &crc, 4);
    free(record.data);
    free(value);
    return o;
}

/* --- The connection --- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void send_all(int fd, const struct out *o)
{
    for (size_t done = 0; done < o->len;) {
        ssize_t n = write(fd, o->data + done, o->len - done);
        if (n <= 0)
            die("write");
        done += (size_t)n;
    }
}

static void receive_all(int fd, uint8_t *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, data + done, len - done);
        if (n <= 0)
            die("read");
        done += (size_t)n;
    }
}

static uint64_t get(const uint8_t *data, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | data[i];
    return v;
}

/* A response without its length. */
static size_t receive(int fd, uint8_t *room)
{
    uint8_t head[4];
    receive_all(fd, head, 4);
    size_t len = get(head, 4);
    if (len > RESPONSE_MAX) {
        errno = EMSGSIZE;
        die("a response");
    }
    receive_all(fd, room, len);
    return len;
}

static void check(uint16_t error)
{
    if (error == 0)
        return;
    fprintf(stderr, "bench_pump: answered with error %u\n", error);
    exit(1);
}

/* --- Produce --- */

static int produce(char **argv)
{
    const char *topic = argv[1];
    int partitions = (int)number(argv[2]);
    long times = number(argv[5]), window = number(argv[6]);
    struct out batch = make_batch((int)number(argv[4]), (size_t)number(argv[3]));
    struct out *frames = calloc((size_t)partitions, sizeof(*frames));
    for (int p = 0; p < partitions; p++) {
        struct out *o = &frames[p];
        o->data = malloc(batch.len + 256 + strlen(topic));
        put_request(o, 0, 3);
        put16(o, UINT16_MAX);
        put16(o, 1);
        put32(o, 30000);
        put32(o, 1);
        put_text(o, topic);
        put32(o, 1);
        put32(o, (uint32_t)p);
        put32(o, (uint32_t)batch.len);
        put(o, batch.data, batch.len);
        finish(o);
    }
    int fd = connect_to((uint16_t)(int)number(argv[0]));
    static uint8_t answer[4096];
    double begin = now_s();
    for (long sent = 0, got = 0; got < times;) {
        if (sent < times && sent - got < window) {
            send_all(fd, &frames[sent++ % partitions]);
            continue;
        }
        receive(fd, answer);
        check((uint16_t)get(answer + 4 + 4 + 2 + strlen(topic) + 4 + 4, 2));
        got++;
    }
    printf("%.6f %ld %lld\n", now_s() - begin, times, (long long)times * (long long)batch.len);
    return 0;
}

/* --- Fetch --- */

static void ask(int fd, const char *topic, int partitions, const int64_t *offsets)
{
    struct out o = {malloc(256 + strlen(topic) + (size_t)partitions * 16), 0};
    put_request(&o, 1, 4);
    put32(&o, UINT32_MAX);
    put32(&o, 500);
    put32(&o, 1);
    put32(&o, 50 << 20);
    put8(&o, 0);
    put32(&o, 1);
    put_text(&o, topic);
    put32(&o, (uint32_t)partitions);
    for (int p = 0; p < partitions; p++) {
        put32(&o, (uint32_t)p);
        put64(&o, (uint64_t)offsets[p]);
        put32(&o, PARTITION_BYTES);
    }
    finish(&o);
    send_all(fd, &o);
    free(o.data);
}

/* Where to go on behind the whole batches among these bytes. */
static int64_t next_offset(const uint8_t *data, size_t len, int64_t offset)
{
    while (len >= BATCH_HEADER && get(data + 8, 4) + 12 <= len) {
        size_t size = get(data + 8, 4) + 12;
        offset = (int64_t)get(data, 8) + (int64_t)get(data + 23, 4) + 1;
        data += size;
        len -= size;
    }
    return offset;
}

static int fetch(char **argv)
{
    const char *topic = argv[1];
    int partitions = (int)number(argv[2]);
    long long wanted = number(argv[3]), bytes = 0;
    long requests = 0;
    int64_t offsets[PARTITIONS_MAX] = {0};
    uint8_t *room = malloc(RESPONSE_MAX);
    int fd = connect_to((uint16_t)(int)number(argv[0]));
    double begin = now_s();
    for (; bytes < wanted; requests++) {
        ask(fd, topic, partitions, offsets);
        receive(fd, room);
        long long before = bytes;
        const uint8_t *at = room + 4 + 4 + 4 + 2 + strlen(topic);
        uint32_t count = (uint32_t)get(at, 4);
        at += 4;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t p = (uint32_t)get(at, 4), aborted = (uint32_t)get(at + 22, 4);
            check((uint16_t)get(at + 4, 2));
            at += 26 + (aborted == UINT32_MAX ? 0 : (size_t)aborted * 16);
            size_t len = get(at, 4);
            int64_t next = next_offset(at + 4, len, offsets[p]);
            bytes += next > offsets[p] ? (long long)len : 0;
            offsets[p] = next;
            at += 4 + len;
        }
        if (bytes == before) {
            errno = ENODATA;
            die("fetch");
        }
    }
    printf("%.6f %ld %lld\n", now_s() - begin, requests, bytes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 9 && strcmp(argv[1], "produce") == 0)
        return produce(argv + 2);
    if (argc == 6 && strcmp(argv[1], "fetch") == 0 && (int)number(argv[4]) <= PARTITIONS_MAX)
        return fetch(argv + 2);
    fprintf(stderr, "usage: bench_pump produce|fetch ...; see the head of its source\n");
    return 2;
}
