/*
 * record_client: what the clients of record_load.h have in common: a connection to each
 * broker and who leads which partition. Lives in its process.
 */
#ifndef KRAFTD_SIM_RECORD_CLIENT_H
#define KRAFTD_SIM_RECORD_CLIENT_H

#include "common/base/env.h"
#include "tests/sim/record_load.h"
#include "tests/sim/session.h"

struct record_leader {
    int at;        /* in load->brokers; -1: not known */
    int32_t epoch; /* an answer that is older than that is not believed */
    int life;      /* of the topic (deletion_watch.h) */
};

struct record_client {
    struct env *env;
    struct record_load *load;
    struct session *sessions[RECORD_LOAD_NODES];
    struct record_leader leaders[RECORD_LOAD_PARTITIONS];
    struct timer tick;
    bool wants_leaders, asks;
};

void record_client_init(struct record_client *c, struct env *env, struct record_load *load,
                        const char *name);
/* Somebody did not lead, or did not answer. */
void record_client_ask(struct record_client *c);
struct session *record_client_any(struct record_client *c);
/* NULL: not known, or there is no connection. */
struct session *record_client_leader(struct record_client *c, int partition);
/* The number of a broker among load->brokers; -1. */
int record_client_broker(const struct record_client *c, int32_t id);

/* Boot functions of the processes; ctx is the load. */
void *record_writer_boot(struct env *env, void *ctx);
void *record_reader_boot(struct env *env, void *ctx);
void *record_mover_boot(struct env *env, void *ctx);
void *record_churner_boot(struct env *env, void *ctx);
void *record_shifter_boot(struct env *env, void *ctx);

#endif
