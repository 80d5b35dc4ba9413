#include "common/net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

static int resolve_error(int code)
{
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_FAIL:
        return -ENOENT;
    case EAI_AGAIN: /* no name server answers */
        return -EHOSTUNREACH;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return errno != 0 ? -errno : -EIO;
    default:
        return -EINVAL;
    }
}

int resolve_endpoint(const struct endpoint *endpoint, bool numeric_only, bool passive,
                     struct addrinfo **ret_list)
{
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags =
            AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0) | (passive ? AI_PASSIVE : 0),
    };
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)endpoint->port);
    bool any = passive && endpoint->host[0] == '\0';
    int code = getaddrinfo(any ? NULL : endpoint->host, port, &hints, ret_list);
    return code != 0 ? resolve_error(code) : 0;
}

void endpoint_of_address(const struct sockaddr *address, struct endpoint *ret_endpoint)
{
    *ret_endpoint = (struct endpoint){.host = ""};
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        inet_ntop(AF_INET, &in->sin_addr, ret_endpoint->host, sizeof(ret_endpoint->host));
        ret_endpoint->port = ntohs(in->sin_port);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)address;
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr))
            inet_ntop(AF_INET, &in->sin6_addr.s6_addr[12], ret_endpoint->host,
                      sizeof(ret_endpoint->host));
        else
            inet_ntop(AF_INET6, &in->sin6_addr, ret_endpoint->host, sizeof(ret_endpoint->host));
        ret_endpoint->port = ntohs(in->sin6_port);
    }
}
