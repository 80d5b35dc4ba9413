/*
 * Names to addresses and addresses to text. No state; any thread.
 */
#ifndef KRAFTD_NET_RESOLVE_H
#define KRAFTD_NET_RESOLVE_H

#include "common/base/stream.h"

#include <netdb.h>
#include <sys/socket.h>

/* getaddrinfo for TCP: -ENOENT (unknown host), -EHOSTUNREACH (no name server answers) and others;
 * the caller frees the list with freeaddrinfo. May block unless numeric_only; passive: to bind. */
int resolve_endpoint(const struct endpoint *endpoint, bool numeric_only, bool passive,
                     struct addrinfo **ret_list);
/* Literal address and port; IPv4 inside of IPv6 is given as IPv4. */
void endpoint_of_address(const struct sockaddr *address, struct endpoint *ret_endpoint);

#endif
