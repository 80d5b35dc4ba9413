/*
 * Formation in a model world: nodes that crash, restart and lose their disks at any time, a network
 * that delays and drops, writes that a crash forgets. A cluster counts as elected as soon as a
 * majority of a record's disks is bound to it, up and connected. FORMATION_SEEDS=A-B runs more.
 */
#include "tests/unit/mutate.h"
#include "raft/formation.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/sim/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>

#define NODES_MAX   5
#define WIRE_MAX    4096
#define ROUND_MS    300
#define RETRY_MS    100
#define FAULTY_MS   8000
#define TOGETHER_MS 8000

struct wire {
    int64_t at_ms;
    int from, to;

    struct formation_message message;
    struct quorum_voters *voters, *self;
};

struct box {
    struct formation *formation; /* NULL: down */
    struct uuid directory_id;
    struct formation_record durable;
    bool has_data; /* durable too */
    bool writing, resetting;
    int64_t io_done_ms;
    struct formation_record pending;
    bool started, observing;
    char observed[CLUSTER_ID_MAX + 1];
    int64_t restart_ms; /* 0: not planned */
};

struct room {
    uint64_t random;
    int64_t now_ms;
    int nodes;
    bool faulty;
    unsigned drop_percent;
    bool cut[NODES_MAX][NODES_MAX];
    struct box boxes[NODES_MAX];
    struct wire *wires;
    size_t wire_count;
    char elected[CLUSTER_ID_MAX + 1];
    struct quorum_voters *elected_voters;
    unsigned adopted, resets, wipes, crashes;
    char broken[200];
    bool one_collect, majority_is_enough, never_reset;
};

static uint64_t draw(struct room *r, uint64_t below)
{
    r->random = hash_u64(r->random + 0x9e3779b97f4a7c15u);
    return below ? r->random % below : 0;
}

static struct uuid draw_id(struct room *r)
{
    struct uuid id;
    for (int i = 0; i < 16; i++)
        id.b[i] = (uint8_t)(1 + draw(r, 255));
    return id;
}

__attribute__((format(printf, 2, 3))) static void broken(struct room *r, const char *format, ...)
{
    va_list args;
    if (r->broken[0])
        return;
    va_start(args, format);
    vsnprintf(r->broken, sizeof(r->broken), format, args);
    va_end(args);
}

static void post(struct room *r, int from, int to, const struct formation_message *message)
{
    if (to < 0 || r->cut[from][to] || draw(r, 100) < r->drop_percent)
        return;
    if (r->wire_count < WIRE_MAX) {
        int64_t delay = 1 + (int64_t)draw(r, 20);
        if (r->faulty && draw(r, 30) == 0)
            delay += (int64_t)draw(r, 1500);
        r->wires[r->wire_count++] =
            (struct wire){r->now_ms + delay,
                          from,
                          to,
                          *message,
                          message->voters ? quorum_voters_copy(message->voters) : NULL,
                          quorum_voters_copy(message->self)};
    }
}

static void run_actions(struct room *r, int n)
{
    struct box *b = &r->boxes[n];
    struct formation_action action;
    while (b->formation && formation_take(b->formation, &action)) {
        switch (action.type) {
        case FORMATION_SEND:
            post(r, n, action.to, &action.message);
            break;
        case FORMATION_WRITE:

            formation_record_release(&b->pending);
            formation_record_copy(&b->pending, action.record);
            b->writing = true;
            b->io_done_ms = r->now_ms + 1 + (int64_t)draw(r, 60);
            break;
        case FORMATION_START:
            b->started = true;
            break;
        case FORMATION_OBSERVE:
            b->observing = true;
            memcpy(b->observed, action.record->cluster_id, sizeof(b->observed));
            break;
        case FORMATION_RESET:
            b->started = false;
            b->resetting = true;
            b->io_done_ms = r->now_ms + 1 + (int64_t)draw(r, 60);
            if (b->has_data)
                broken(r, "node %d with data resets", n);
            r->resets++;
            break;
        case FORMATION_SAY:
            break;
        }
    }
}

static void boot_box(struct room *r, int n)
{
    struct box *b = &r->boxes[n];
    struct quorum_voters *self = quorum_voters_new();
    quorum_voters_add(self, n, b->directory_id, QUORUM_VOTER);
    quorum_voters_add_listener(self, STR("CONTROLLER"), STR("host"), (uint16_t)(9000 + n));
    struct formation_config config = {
        .node_id = n,
        .self = self,
        .listed_count = r->nodes,
        .self_index = n,
        .listed_hash = 77,
        .round_timeout_ms = ROUND_MS,
        .retry_ms = RETRY_MS,
        .one_collect = r->one_collect || mutate().on[MUTATION_FORMATION_ONE_COLLECT],
        .majority_is_enough = r->majority_is_enough || mutate().on[MUTATION_FORMATION_MAJORITY],
        .never_reset = r->never_reset || mutate().on[MUTATION_FORMATION_NO_RESET],
    };
    b->formation = formation_new(&config, draw_id(r), b->directory_id, &b->durable);
    quorum_voters_unref(self);
    b->started = b->observing = b->writing = b->resetting = false;
    b->restart_ms = 0;
    if (b->has_data)
        formation_has_data(b->formation);
    formation_start(b->formation, r->now_ms);
    run_actions(r, n);
}

static void crash_box(struct room *r, int n)
{
    struct box *b = &r->boxes[n];
    /* What was being written may or may not be there. */
    if (b->writing && draw(r, 2)) {
        formation_record_release(&b->durable);
        b->durable = b->pending;
        b->pending = (struct formation_record){0};
    }
    formation_free(b->formation);
    b->formation = NULL;
    b->started = false;
    r->crashes++;
    b->restart_ms = r->now_ms + 10 + (int64_t)draw(r, 900);
}

static void empty_box(struct room *r, int n)
{
    formation_record_release(&r->boxes[n].durable);
    formation_record_release(&r->boxes[n].pending);
    r->boxes[n].directory_id = draw_id(r);
    r->boxes[n].has_data = false;
}

/* A majority of the elected disks must stay. */
static bool may_wipe(struct room *r, int n)
{
    if (!r->elected_voters)
        return true;
    int left = 0;
    for (int i = 0; i < r->nodes; i++) {
        left += i != n && strcmp(r->boxes[i].durable.cluster_id, r->elected) == 0 &&
                quorum_voters_find(r->elected_voters, quorum_raft_id(r->boxes[i].directory_id));
    }
    return left > r->elected_voters->count / 2;
}

static void fault(struct room *r)
{
    int n = (int)draw(r, (uint64_t)r->nodes);
    switch (draw(r, 5)) {
    case 0:
        if (r->boxes[n].formation)
            crash_box(r, n);
        break;
    case 1:
    case 2:
        if (may_wipe(r, n)) {
            if (r->boxes[n].formation)
                crash_box(r, n);
            empty_box(r, n);
            r->wipes++;
        }
        break;
    case 3:
        for (int i = 0; i < r->nodes; i++) {
            r->cut[i][n] = draw(r, 2);
            r->cut[n][i] = draw(r, 2);
        }
        break;
    default:
        memset(r->cut, 0, sizeof(r->cut));
        r->drop_percent = (unsigned)draw(r, 30);
    }
}

static void finish_io(struct room *r, int n)
{
    struct box *b = &r->boxes[n];
    if (!b->formation || r->now_ms < b->io_done_ms)
        return;
    if (b->writing) {
        b->writing = false;
        formation_record_release(&b->durable);
        formation_record_copy(&b->durable, &b->pending);
        r->adopted++;
        formation_written(b->formation, r->now_ms);
    } else if (b->resetting) {
        b->resetting = false;
        empty_box(r, n);
        formation_was_reset(b->formation, b->directory_id, r->now_ms);
    }
    run_actions(r, n);
}

/* Is there a majority of one record's disks that can hear each other? */
static void try_election(struct room *r, int n)
{
    struct box *leader = &r->boxes[n];
    if (!leader->formation || !leader->started)
        return;
    struct quorum_voters *voters = leader->durable.voters;
    bool member[NODES_MAX] = {false};
    int count = 0;
    for (int i = 0; i < r->nodes; i++) {
        const struct box *b = &r->boxes[i];
        member[i] = b->formation && b->started && !r->cut[i][n] && !r->cut[n][i] &&
                    strcmp(b->durable.cluster_id, leader->durable.cluster_id) == 0 &&
                    quorum_voters_is_voter(voters, quorum_raft_id(b->directory_id));
        count += member[i];
    }
    if (count <= voters->count / 2)
        return;
    if (r->elected[0] && strcmp(r->elected, leader->durable.cluster_id) != 0)
        broken(r, "two clusters elected: %s and %s", r->elected, leader->durable.cluster_id);
    if (!r->elected[0]) {
        memcpy(r->elected, leader->durable.cluster_id, sizeof(r->elected));
        r->elected_voters = quorum_voters_copy(voters);
    }
    for (int i = 0; i < r->nodes; i++) {
        if (member[i]) {
            r->boxes[i].has_data = true;
            formation_has_data(r->boxes[i].formation);
        }
    }
}

static void deliver(struct room *r)
{
    for (size_t i = 0; i < r->wire_count;) {
        struct wire arrived = r->wires[i];
        if (arrived.at_ms > r->now_ms) {
            i++;
            continue;
        }
        r->wires[i] = r->wires[--r->wire_count];
        struct box *b = &r->boxes[arrived.to];
        arrived.message.voters = arrived.voters;
        arrived.message.self = arrived.self;
        if (b->formation) {
            formation_receive(b->formation, arrived.from, &arrived.message, r->now_ms);
            run_actions(r, arrived.to);
        }
        quorum_voters_unref(arrived.voters);
        quorum_voters_unref(arrived.self);
    }
}

static void turn(struct room *r)
{
    r->now_ms++;
    deliver(r);
    for (int n = 0; n < r->nodes; n++) {
        struct box *b = &r->boxes[n];
        if (!b->formation && b->restart_ms && r->now_ms >= b->restart_ms)
            boot_box(r, n);
        finish_io(r, n);
        if (b->formation && r->now_ms >= formation_deadline_ms(b->formation)) {
            formation_tick(b->formation, r->now_ms);
            run_actions(r, n);
        }
        if (draw(r, r->faulty ? 4000 : 200) == 0)
            try_election(r, n);
    }
    if (r->faulty && draw(r, 120) == 0)
        fault(r);
}

static void check_together(struct room *r)
{
    if (!r->elected[0])
        broken(r, "no cluster came to be");
    for (int n = 0; n < r->nodes; n++) {
        const struct box *b = &r->boxes[n];
        bool bound = strcmp(b->durable.cluster_id, r->elected) == 0;
        bool observes = b->observing && strcmp(b->observed, r->elected) == 0;
        if (!bound && !observes)
            broken(r, "node %d neither belongs to the cluster nor observes it", n);
    }
}

static void room_run(struct room *r, uint64_t seed, int nodes)
{
    r->random = seed;
    r->nodes = nodes;
    r->faulty = true;
    r->wires = calloc(WIRE_MAX, sizeof(r->wires[0]));
    for (int n = 0; n < nodes; n++) {
        r->boxes[n].directory_id = draw_id(r);
        r->boxes[n].restart_ms = 1 + (int64_t)draw(r, 500);
    }
    while (r->now_ms < FAULTY_MS && !r->broken[0])
        turn(r);
    r->faulty = false;
    r->drop_percent = 0;
    memset(r->cut, 0, sizeof(r->cut));
    for (int64_t end = r->now_ms + TOGETHER_MS; r->now_ms < end && !r->broken[0];)
        turn(r);
    check_together(r);
    for (size_t i = 0; i < r->wire_count; i++) {
        quorum_voters_unref(r->wires[i].voters);
        quorum_voters_unref(r->wires[i].self);
    }
    free(r->wires);
    for (int n = 0; n < nodes; n++) {
        formation_free(r->boxes[n].formation);
        formation_record_release(&r->boxes[n].durable);
        formation_record_release(&r->boxes[n].pending);
    }
    quorum_voters_unref(r->elected_voters);
}
