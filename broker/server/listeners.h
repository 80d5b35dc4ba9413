/*
 * The node's listeners: opens what `listeners` names and turns frames into requests of the shard
 * whose loop has the connection. Loop 0, but for the frames.
 *
 * The dynamic configuration of this broker may name others than server.properties: of those that
 * are not the controller's, new ones are opened and those that are gone closed with all their
 * connections while the node runs (KIP-226). What is advertised stays as it was at the start.
 * Limits on connections are of all listeners of the broker together and of each one
 * (listener.name.<name>.max.connections, KIP-402 and KIP-612).
 */
#ifndef KRAFTD_BROKER_SERVER_LISTENERS_H
#define KRAFTD_BROKER_SERVER_LISTENERS_H

#include "common/base/str.h"

#include <stdint.h>

struct image;
struct listeners;
struct node;

struct listeners *listeners_new(struct node *node);
/* First those of the controller, which are needed to load the metadata; then all others. Each call
 * opens its part whole, or the error was logged with the end point and what to do. */
int listeners_open_controller(struct listeners *listeners);
int listeners_open_rest(struct listeners *listeners);
/* Until then clients wait with their connections: the metadata of an earlier life, or of a quorum
 * without a leader, would tell them that topics are gone. */
void listeners_serve_clients(struct listeners *listeners);
/* The dynamic configuration of brokers has changed. What cannot be opened is logged. NULL is fine.
 */
void listeners_update(struct listeners *listeners, const struct image *image);
/* Stops accepting, answers what was received, closes; drained comes when no connection is left. */
void listeners_drain(struct listeners *listeners, void (*drained)(void *ctx), void *ctx);
/* After drained, or when nothing was opened. NULL is fine. */
void listeners_free(struct listeners *listeners);

/* The port that a listener of this name got (it may have asked for 0). */
uint16_t listeners_port(const struct listeners *listeners, struct str name);

#endif
