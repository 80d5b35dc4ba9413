/* One core whose peers the test plays; included by the tests that use it. */
#include "raft/quorum_core_internal.h"
#include "tests/unit/mutate.h"

/* Not every test needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#define ELECTION_MS 1000

/* One core among four servers A to D; the tests play the others. */
struct bench {
    struct quorum_core *core;
    struct quorum_peer_id ids[4];
    int64_t now_ms;
    struct quorum_action log[256]; /* what came out, released already */
    size_t count;
};

static struct quorum_peer_id peer(int i)
{
    struct quorum_peer_id id = {.node_id = i};
    id.directory_id = (struct uuid){{(uint8_t)(i + 1), 7, 7, 7, 7, 7, 7, 7, 1, 2, 3, 4}};
    id.raft_id = quorum_raft_id(id.directory_id);
    return id;
}

static struct quorum_voters *voters_of(int voters, int standbys)
{
    struct quorum_voters *set = quorum_voters_new();
    for (int i = 0; i < voters + standbys; i++)
        quorum_voters_add(set, i, peer(i).directory_id, i < voters ? QUORUM_VOTER : QUORUM_STANDBY);
    return set;
}

static quorum_guards_off off(enum quorum_guard guard)
{
    return (quorum_guards_off)1 << guard;
}

static void bench_init(struct bench *b, int self, quorum_guards_off guards_off)
{
    *b = (struct bench){.now_ms = 5000};
    struct quorum_core_config config = {
        .node_id = self,
        .directory_id = peer(self).directory_id,
        .election_timeout_ms = ELECTION_MS,
        .heartbeat_ms = 100,
        .install_timeout_ms = 30000,
        .seed = 1,
        .guards_off = guards_off | mutate().guards_off,
    };
    b->core = quorum_core_new(&config);
}

static void bench_drain(struct bench *b)
{
    struct quorum_action action;
    b->count = 0;
    while (quorum_core_take(b->core, &action)) {
        assert_true(b->count < ARRAY_LEN(b->log));
        b->log[b->count++] = action;
        struct quorum_action copy = action;
        quorum_action_release(&copy);
    }
}

static void bench_release(struct bench *b)
{
    quorum_core_free(b->core);
}

static const struct quorum_action *find(const struct bench *b, enum quorum_action_type type)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->log[i].type == type)
            return &b->log[i];
    }
    return NULL;
}

static const struct quorum_message *sent(const struct bench *b, enum quorum_message_type type)
{
    const struct quorum_message *last = NULL;
    for (size_t i = 0; i < b->count; i++) {
        if (b->log[i].type == QUORUM_SEND && b->log[i].message.type == type)
            last = &b->log[i].message;
    }
    return last;
}

/* A log of the bootstrap entry and batches of `size` entries, one term each. */
static void load(struct bench *b, struct quorum_voters *voters, const uint64_t *terms, int count,
                 uint32_t size)
{
    assert_int_equal(quorum_core_load_batch(b->core, 1, 1, 1, voters), 0);
    for (int i = 0; i < count; i++)
        assert_int_equal(
            quorum_core_load_batch(b->core, 2 + (uint64_t)i * size, size, terms[i], NULL), 0);
}

static void start(struct bench *b, uint64_t term)
{
    quorum_core_load_state(b->core, term, 0);
    assert_int_equal(quorum_core_start(b->core, b->now_ms), 0);
    bench_drain(b);
}

/* A follower with voters A to C, entries 2-6 of term 2 and 7-11 of term 3, at term 5. */
static void start_follower(struct bench *b, quorum_guards_off guards_off)
{
    struct quorum_voters *voters = voters_of(3, 0);
    bench_init(b, 0, guards_off);
    load(b, voters, (uint64_t[]){2, 3}, 2, 5);
    start(b, 5);
    quorum_voters_unref(voters);
}

static void receive(struct bench *b, int from, struct quorum_message message)
{
    message.peer = peer(from);
    quorum_core_receive(b->core, &message, b->now_ms);
    bench_drain(b);
}

static struct quorum_message append_of(uint64_t term, uint64_t prev, uint64_t prev_term,
                                       struct quorum_batch *batches, size_t count)
{
    struct quorum_message message = {.type = QUORUM_APPEND, .term = term};
    message.append = (struct quorum_append){.prev_index = prev,
                                            .prev_term = prev_term,
                                            .echo = prev,
                                            .batches = batches,
                                            .batch_count = count};
    return message;
}

static struct quorum_batch batch(uint64_t base, uint32_t count, uint64_t term)
{
    return (struct quorum_batch){
        .base = base, .count = count, .term = term, .kind = QUORUM_COMMAND};
}

static struct quorum_batch change(uint64_t base, uint64_t term, struct quorum_voters *voters)
{
    return (struct quorum_batch){
        .base = base, .count = 1, .term = term, .kind = QUORUM_CHANGE, .voters = voters};
}

static void persist_all(struct bench *b)
{
    quorum_core_persisted(b->core, b->core->last_write_id, b->now_ms);
    bench_drain(b);
}

/* Times out and wins with the vote of B. */
static void elect(struct bench *b)
{
    b->now_ms = quorum_core_deadline_ms(b->core);
    quorum_core_tick(b->core, b->now_ms);
    bench_drain(b);
    for (int pre_vote = 1; pre_vote >= 0; pre_vote--) {
        const struct quorum_message *vote = sent(b, QUORUM_VOTE);
        assert_non_null(vote);
        assert_int_equal(vote->vote.pre_vote, pre_vote);
        struct quorum_message result = {.type = QUORUM_VOTE_RESULT, .term = vote->term};
        result.vote_result.granted = true;
        result.vote_result.pre_vote = pre_vote;
        receive(b, 1, result);
    }
    assert_true(quorum_core_is_leader(b->core));
}

/* The leader at term 6, its barrier at 12; B has all of it. */
static void start_leader(struct bench *b, quorum_guards_off guards_off)
{
    start_follower(b, guards_off);
    elect(b);
    assert_int_equal(quorum_core_term(b->core), 6);
}

static void answer(struct bench *b, int from, uint64_t rejected, uint64_t last)
{
    struct quorum_message result = {.type = QUORUM_APPEND_RESULT,
                                    .term = quorum_core_term(b->core)};
    result.append_result.rejected = rejected;
    result.append_result.last_index = last;
    receive(b, from, result);
}

/* B and C have the barrier at 12 and were told; A has stored a batch at 13. */
static void start_with_a_batch(struct bench *b)
{
    uint64_t base;
    start_leader(b, 0);
    persist_all(b);
    answer(b, 1, 0, 12);
    answer(b, 2, 0, 12);
    assert_int_equal(quorum_core_submit(b->core, 1, (struct quorum_bytes){0}, b->now_ms, &base), 0);
    assert_int_equal(base, 13);
    bench_drain(b);
    persist_all(b);
}
