#include "common/base/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void stream_close(struct env *env, struct stream *s, bool flush, void (*closed)(void *owner),
                  void *owner)
{
    env->net->close(s, flush, closed, owner);
}

/* Letters, digits and what stands in host names and literal addresses, with an IPv6 zone. */
static bool host_is_valid(struct str host, bool in_brackets)
{
    if (host.len > HOST_MAX)
        return false;
    for (int32_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.data[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '.' || c == '-' || c == '_' || c >= 0x80 ||
                  (in_brackets && (c == ':' || c == '%'));
        if (!ok)
            return false;
    }
    return true;
}

/* Splits into host and ":port" (null when there is no port). */
static int split_port(struct str text, struct str *ret_host, struct str *ret_port,
                      bool *ret_in_brackets)
{
    struct str host, rest;
    if (text.len > 0 && text.data[0] == '[') {
        const char *end = memchr(text.data, ']', (size_t)text.len);
        if (end == NULL || end == text.data + 1)
            return -EINVAL;
        host = str_from(text.data + 1, (size_t)(end - text.data - 1));
        rest = str_from(end + 1, (size_t)(text.data + text.len - end - 1));
        if (rest.len > 0 && rest.data[0] != ':')
            return -EINVAL;
        *ret_in_brackets = true;
    } else {
        /* An IPv6 address without brackets leaves a ':' in the port, which is then no number. */
        const char *colon = text.len > 0 ? memchr(text.data, ':', (size_t)text.len) : NULL;
        host = colon ? str_from(text.data, (size_t)(colon - text.data)) : text;
        rest = colon ? str_from(colon, (size_t)(text.data + text.len - colon)) : STR_EMPTY;
        *ret_in_brackets = false;
    }
    *ret_host = host;
    *ret_port = rest.len > 0 ? str_from(rest.data + 1, (size_t)rest.len - 1) : STR_NULL;
    return 0;
}

int endpoint_parse(struct str text, int default_port, struct endpoint *ret_endpoint)
{
    struct str host, port_text;
    bool in_brackets;
    if (text.len < 0 || split_port(text, &host, &port_text, &in_brackets) != 0)
        return -EINVAL;
    if (!host_is_valid(host, in_brackets))
        return -EINVAL;
    int32_t port = default_port;
    if (!str_is_null(port_text)) {
        int rv =
            port_text.len > 0 && port_text.data[0] == '+' ? -EINVAL : str_to_i32(port_text, &port);
        if (rv != 0)
            return -EINVAL;
        if (port == -1)
            port = default_port;
        else if (port < 0)
            return -EINVAL;
    } else if (default_port <= 0) {
        return -EINVAL;
    }
    if (port < 0 || port > UINT16_MAX)
        return -EINVAL;
    memcpy(ret_endpoint->host, host.data, (size_t)host.len);
    ret_endpoint->host[host.len] = '\0';
    ret_endpoint->port = (uint16_t)port;
    return 0;
}

void endpoint_format(const struct endpoint *endpoint, char *text)
{
    bool v6 = strchr(endpoint->host, ':') != NULL;
    snprintf(text, HOST_MAX + 9, "%s%s%s:%u", v6 ? "[" : "", endpoint->host, v6 ? "]" : "",
             (unsigned)endpoint->port);
}
