/*
 * workload: what clients do to a node under simulation, and what they learn (checker.h).
 *   producers  idempotent, acks=all or 1, with retries over every fault
 *   auditor    reads all partitions from start to end, over and over
 *   tail       follows all partitions with long polls
 *   admin      creates and deletes topics, adds partitions, changes configs, deletes records, and
 *              compares what the node says of its topics with what it acknowledged
 * Each kind is a process of its own (or several); they are never killed.
 */
#ifndef KRAFTD_SIM_WORKLOAD_H
#define KRAFTD_SIM_WORKLOAD_H

#include "common/base/uuid.h"
#include "tests/sim/checker.h"
#include "tests/sim/sim_env.h"

#define WORKLOAD_TOPICS     7
#define WORKLOAD_PARTITIONS 4
#define WORKLOAD_CONFIGS    4
#define WORKLOAD_PORT       9092

struct bytebuf;
struct record_batch_builder;
struct session;

struct workload_config {
    const char *name;
    char value[32]; /* "": not set */
};

/* A topic as it was acknowledged. */
struct workload_topic {
    const char *name;
    bool durable, may_delete;
    bool churns; /* is created and deleted, nobody produces to it */
    bool exists;
    int32_t partitions;
    struct uuid id;
    struct workload_config configs[WORKLOAD_CONFIGS];
    struct checker_partition parts[WORKLOAD_PARTITIONS];
};

struct workload {
    struct sim *sim;
    struct sim_node *server;
    struct checker checker;
    struct workload_topic topics[WORKLOAD_TOPICS];
    bool created; /* the topics that stay */
    bool quiet;   /* nothing new: what was sent comes to its end */
    /* For knowing when that is. */
    int busy_producers;
    int64_t audits;        /* rounds over all partitions that were completed */
    int64_t audit_started; /* when the last completed one began, us */
    int64_t admin_checks;
    bool admin_busy;
};

void workload_init(struct workload *w, struct sim *sim, struct sim_node *server);
void workload_release(struct workload *w);
/* Makes the client processes and starts them. */
void workload_start(struct workload *w);
/* For the clients: to the server. `changed` may be NULL (session.h). */
struct session *workload_session(const struct workload *w, struct env *env, const char *client_id,
                                 void (*changed)(void *owner, bool up), void *owner);

/* Boot functions of the processes; ctx is the workload. */
void *producer_boot(struct env *env, void *ctx);
void *auditor_boot(struct env *env, void *ctx);
void *tail_boot(struct env *env, void *ctx);
void *admin_boot(struct env *env, void *ctx);

/* Errors that say: try again. */
bool workload_retriable(int16_t error_code);
/* 0 <= result < bound, from the env. */
int64_t workload_random(struct env *env, int64_t bound);
/* Appends a batch of random records to `out`, which has been emptied. */
void workload_batch(struct env *env, struct record_batch_builder *builder, int64_t producer_id,
                    int16_t producer_epoch, int32_t sequence, struct bytebuf *out);

#endif
