#include "tests/bench/controllers.h"

#include "common/base/str.h"
#include "common/protocol/frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECT_MS = 500, FRAME_MAX_BYTES = 1 << 30 };

int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

_Noreturn void fail(const char *what, int64_t code)
{
    fprintf(stderr, "%s: %lld\n", what, (long long)code);
    exit(1);
}

long number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || value < 0)
        fail(text, -EINVAL);
    return value;
}

struct controllers controllers_parse(const char *text)
{
    struct controllers c = {.count = 0};
    while (*text != '\0' && c.count < CONTROLLERS_MAX) {
        struct endpoint *endpoint = &c.items[c.count++];
        size_t host = strcspn(text, ":");
        if (host >= sizeof(endpoint->host) || text[host] != ':')
            fail(text, -EINVAL);
        memcpy(endpoint->host, text, host);
        char *end;
        endpoint->port = (uint16_t)strtoul(text + host + 1, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return c;
}

bool controllers_next(struct controllers *c)
{
    c->hint = (c->hint + 1) % c->count;
    return c->hint != 0;
}

int send_request(struct blocking_client *client, int16_t key, const void *request)
{
    const struct api *api = api_find(key);
    struct bytebuf frame;
    bytebuf_init(&frame);
    int rv = frame_encode_request(api, api->request->max_version, 0, STR("bench"), request, &frame,
                                  NULL);
    if (rv != 0)
        fail("encode", rv);
    rv = blocking_client_send(client, frame.data, frame.len, REQUEST_TIMEOUT_MS);
    bytebuf_release(&frame);
    return rv;
}

int receive_response(struct blocking_client *client, int16_t key, struct arena *arena,
                     void *ret_response, struct buf **ret_frame)
{
    const struct api *api = api_find(key);
    struct buf *frame;
    int rv = blocking_client_receive(client, FRAME_MAX_BYTES, REQUEST_TIMEOUT_MS, &frame);
    if (rv != 0)
        return rv;
    struct bytes input = {frame->data, (int32_t)frame->size_bytes};
    struct response_header header;
    int16_t version = api->request->max_version;
    rv = response_header_decode(api, version, &input, arena, &header);
    if (rv == 0)
        rv = message_decode(api->response, version, &input, arena, ret_response);
    if (rv != 0)
        fail("decode", rv);
    *ret_frame = frame;
    return 0;
}

struct blocking_client *connect_to(const struct endpoint *endpoint)
{
    struct blocking_client *client;
    return blocking_client_connect(endpoint, CONNECT_MS, &client) == 0 ? client : NULL;
}
