/*
 * Notices at once that a broker's process is gone (on the node of the active controller): when the
 * connection closes over which a broker registered or sent its heartbeats, the broker's own
 * listener is dialled. Refused: nobody is there any more, and the broker is fenced without waiting
 * for its session to end. That is always safe: a broker that lives after all is let in again by its
 * next heartbeat. Anything else, silence above all, says nothing, and the session decides.
 *
 * A refusal means something only where the same listener was reached before: an address that
 * brokers advertise need not lead to them from here. So each controller dials every broker once
 * when it is let in.
 *
 * A process that is being killed closes its connections before its listeners or after them: a dial
 * that gets through is kept for a moment, and tried again when it breaks.
 *
 * A node that becomes the active controller dials all brokers that are not fenced: the one that
 * died with the last controller is among them. Loop 0.
 */
#ifndef KRAFTD_BROKER_SERVER_BROKER_WATCH_H
#define KRAFTD_BROKER_SERVER_BROKER_WATCH_H

#include <stdint.h>

struct broker_watch;
struct image_delta;
struct node;

struct broker_watch *broker_watch_new(struct node *node);
/* After broker_watch_stop called back. NULL is fine. */
void broker_watch_free(struct broker_watch *watch);
/* Nothing is dialled any more; `stopped` may come from inside. */
void broker_watch_stop(struct broker_watch *watch, void (*stopped)(void *ctx), void *ctx);

/* The metadata changed. */
void broker_watch_image(struct broker_watch *watch, const struct image_delta *delta);
/* The connection of this incarnation was lost. */
void broker_watch_lost(struct broker_watch *watch, int32_t broker, int64_t epoch);
/* This node became the active controller. */
void broker_watch_all(struct broker_watch *watch);

#endif
