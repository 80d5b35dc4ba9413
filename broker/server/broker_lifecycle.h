/*
 * This broker towards the controller: registers (KIP-631), then heartbeats until it is unfenced,
 * then from time to time; at the end asks to be let go (controlled shutdown). Loop 0.
 *
 *   NOT_RUNNING -> STARTING (registering) -> RECOVERY (fenced) -> RUNNING -> PENDING_SHUTDOWN ->
 * done
 *
 * The names and numbers are those of Kafka's BrokerState metric.
 */
#ifndef KRAFTD_BROKER_SERVER_BROKER_LIFECYCLE_H
#define KRAFTD_BROKER_SERVER_BROKER_LIFECYCLE_H

#include "common/base/uuid.h"

struct broker_lifecycle;
struct node;

enum broker_state {
    BROKER_NOT_RUNNING = 0,
    BROKER_STARTING = 1,
    BROKER_RECOVERY = 2,
    BROKER_RUNNING = 3,
    BROKER_PENDING_SHUTDOWN = 6,
    BROKER_SHUTTING_DOWN = 7,
};

struct broker_lifecycle *broker_lifecycle_new(struct node *node);
/* NULL is fine. Nothing of it may be on its way: after broker_lifecycle_stop called back. */
void broker_lifecycle_free(struct broker_lifecycle *lifecycle);

/* Registers as soon as there is a controller; `running` comes once, when it is unfenced. */
void broker_lifecycle_start(struct broker_lifecycle *lifecycle, void (*running)(void *ctx),
                            void *ctx);
/* Controlled shutdown: `stopped` comes when the controller let it go, or after timeout_ms. */
void broker_lifecycle_stop(struct broker_lifecycle *lifecycle, int64_t timeout_ms,
                           void (*stopped)(void *ctx), void *ctx);
/* A registration that waits to be tried again need not wait any longer. */
void broker_lifecycle_controller_found(struct broker_lifecycle *lifecycle);
/* The metadata changed. Where it knows another process as this broker, which registered later, the
 * node stops: two that write to logs of one name lose what one of them acknowledged. */
void broker_lifecycle_image(struct broker_lifecycle *lifecycle);
/* The log directories that went offline: told with the next heartbeat, which is sent at once. */
void broker_lifecycle_dir_failed(struct broker_lifecycle *lifecycle, struct uuid directory_id);

/* Which directories are cordoned has changed: the same. */
void broker_lifecycle_dirs_cordoned(struct broker_lifecycle *lifecycle);

enum broker_state broker_lifecycle_state(const struct broker_lifecycle *lifecycle);
/* No heartbeat of the last one and a half intervals was answered well, or none before that one: a
 * process that was frozen stays out of touch for another interval. Any thread. */
bool broker_lifecycle_out_of_touch(const struct broker_lifecycle *lifecycle);
int64_t broker_lifecycle_epoch(const struct broker_lifecycle *lifecycle); /* -1: not registered */

#endif
