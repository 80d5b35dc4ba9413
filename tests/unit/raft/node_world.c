#include "tests/unit/raft/node_world.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/endian.h"
#include "common/protocol/record_batch_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct number_proposal {
    struct quorum_proposal proposal;
    struct world *world;
    uint64_t first;
    int count;
};

static void build_batch(int64_t offset, const uint64_t *numbers, size_t count, struct bytebuf *out)
{
    struct record_batch_builder b;
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.base_offset = offset;
    record_batch_builder_init(&b);
    record_batch_builder_start(&b, &options);
    for (size_t i = 0; i < count; i++) {
        uint8_t value[8];
        put_i64(value, (int64_t)numbers[i]);
        int rv =
            record_batch_builder_append(&b, 1000, BYTES_NULL, (struct bytes){value, 8}, NULL, 0);
        CHECK(rv == 0);
    }
    record_batch_builder_close(&b, out);
    record_batch_builder_release(&b);
}

static void proposal_done(struct quorum_proposal *proposal, int status)
{
    struct number_proposal *p = CONTAINER_OF(proposal, struct number_proposal, proposal);
    for (int i = 0; i < p->count && status == 0; i++)
        p->world->acked[p->first + (uint64_t)i] = true;
    if (status == 0)
        p->world->acks++;
    else
        p->world->cancels++;
    free(p);
}

static void propose(struct program *p)
{
    struct world *w = p->world;
    uint64_t numbers[64];
    int count = w->batch_records;
    CHECK(w->next_number + (uint64_t)count < NUMBERS_MAX);
    struct number_proposal *proposal = mem_calloc(1, sizeof(*proposal));
    *proposal = (struct number_proposal){
        .proposal.done = proposal_done, .world = w, .first = w->next_number, .count = count};
    for (int i = 0; i < count; i++)
        numbers[i] = w->next_number++;
    struct bytebuf batch;
    bytebuf_init(&batch);
    build_batch(0, numbers, (size_t)count, &batch);
    int64_t expected = quorum_node_next_offset(p->node);
    int rv = quorum_node_propose(p->node, bytebuf_to_buf(&batch), &proposal->proposal);
    if (rv != 0)
        free(proposal);
    else
        CHECK(proposal->proposal.first_offset == expected);
}

static void on_propose_timer(struct timer *timer)
{
    struct program *p = CONTAINER_OF(timer, struct program, timer);
    int left = MAX(p->world->at_once, 1);
    while (quorum_node_is_active(p->node) && p->world->propose_every_ms > 0 && left-- > 0)
        propose(p);
    timer_start_in_ms(timer, MAX(p->world->propose_every_ms, 1));
}

static int fill_snapshot(struct quorum_snapshot *snapshot, struct quorum_checkpoint_writer *writer)
{
    struct program *p = CONTAINER_OF(snapshot, struct program, snapshot);
    struct bytebuf batch;
    bytebuf_init(&batch);
    int rv = 0;
    for (size_t at = 0; at < p->snapshot_count && rv == 0; at += 100) {
        batch.len = 0;
        build_batch(quorum_checkpoint_next_offset(writer), p->snapshot_numbers + at,
                    MIN(p->snapshot_count - at, 100), &batch);
        rv = quorum_checkpoint_write(writer, (struct bytes){batch.data, (int32_t)batch.len});
    }
    bytebuf_release(&batch);
    return rv;
}

static void snapshot_done(struct quorum_snapshot *snapshot, int status)
{
    struct program *p = CONTAINER_OF(snapshot, struct program, snapshot);
    free(p->snapshot_numbers);
    p->snapshot_numbers = NULL;
    if (status == 0)
        p->world->snapshots++;
    else
        p->world->snapshot_errors++;
}

static void on_snapshot_timer(struct timer *timer)
{
    struct program *p = CONTAINER_OF(timer, struct program, snapshot_timer);
    struct world *w = p->world;
    timer_start_in_ms(timer, MAX(w->snapshot_every_ms, 5));
    if (w->snapshot_every_ms == 0 || !p->loaded || p->snapshot_numbers || p->count == 0)
        return;
    p->snapshot_numbers = mem_alloc(p->count * sizeof(uint64_t));
    memcpy(p->snapshot_numbers, p->numbers, p->count * sizeof(uint64_t));
    p->snapshot_count = p->count;
    p->snapshot = (struct quorum_snapshot){
        .fill = fill_snapshot, .done = snapshot_done, .last_contained_ms = 1000};
    if (quorum_node_snapshot(p->node, &p->snapshot, p->next_offset) != 0) {
        free(p->snapshot_numbers);
        p->snapshot_numbers = NULL;
    }
}

static void take_records(struct program *p, const struct record_batch *batch, bool loading)
{
    struct record_iter it;
    struct record record;
    int rv = record_iter_init(&it, batch, 1 << 20, NULL);
    CHECK(rv == 0);
    while ((rv = record_iter_next(&it, &record)) == 1) {
        if (record.value.len != 8)
            continue; /* Kafka's own */
        uint64_t number = (uint64_t)get_i64(record.value.data);
        if (loading)
            VEC_PUSH(p->loading, p->loading_count, p->loading_capacity) = number;
        else
            VEC_PUSH(p->numbers, p->count, p->capacity) = number;
    }
    CHECK(rv == 0);
    record_iter_release(&it);
}

static int on_bootstrap(void *ctx, struct bytes batches)
{
    struct program *p = ctx;
    struct record_batches run = record_batches_of(batches);
    struct record_batch batch;
    while (record_batches_next(&run, &batch) == 1)
        p->bootstrap_records += batch.header.count;
    return 0;
}

static int on_snapshot_begin(void *ctx)
{
    struct program *p = ctx;
    p->loading_count = 0;
    return 0;
}

static int on_snapshot_batches(void *ctx, struct bytes batches)
{
    struct record_batches run = record_batches_of(batches);
    struct record_batch batch;
    while (record_batches_next(&run, &batch) == 1)
        take_records(ctx, &batch, true);
    return 0;
}

static int on_snapshot_end(void *ctx, struct quorum_checkpoint_id id)
{
    struct program *p = ctx;
    free(p->numbers);
    p->numbers = p->loading;
    p->count = p->loading_count;
    p->capacity = p->loading_capacity;
    p->loading = NULL;
    p->loading_count = p->loading_capacity = 0;
    p->next_offset = id.end_offset;
    return 0;
}

static int on_committed(void *ctx, struct bytes batches)
{
    struct program *p = ctx;
    struct record_batches run = record_batches_of(batches);
    struct record_batch batch;
    while (record_batches_next(&run, &batch) == 1) {
        CHECK(batch.header.base_offset == p->next_offset);
        CHECK(record_batch_crc_ok(&batch));
        p->next_offset = record_batch_next_offset(&batch.header);
        if (batch.header.attributes & RECORD_BATCH_CONTROL)
            p->control_records += batch.header.count;
        else
            take_records(p, &batch, false);
    }
    return 0;
}

static void on_opened(void *ctx)
{
}

static void on_loaded(void *ctx)
{
    struct program *p = ctx;
    p->loaded = true;
}

static void on_leader(void *ctx, int32_t epoch)
{
    struct program *p = ctx;
    CHECK(p->loaded && epoch > p->world->epoch);
    p->world->epoch = epoch;
    p->world->leaderships++;
}

static void on_follower(void *ctx, int32_t epoch, int32_t leader_id)
{
}

static void on_failed(void *ctx, const char *sentence)
{
    struct program *p = ctx;
    CHECK(p->world->failure[0] == '\0');
    snprintf(p->world->failure, sizeof(p->world->failure), "%s", sentence);
}

static const struct quorum_handler handler = {
    .opened = on_opened,
    .bootstrap = on_bootstrap,
    .snapshot_begin = on_snapshot_begin,
    .snapshot_batches = on_snapshot_batches,
    .snapshot_end = on_snapshot_end,
    .committed = on_committed,
    .loaded = on_loaded,
    .on_leader = on_leader,
    .on_follower = on_follower,
    .failed = on_failed,
};

void *world_boot(struct env *env, void *ctx)
{
    struct world *w = ctx;
    struct program *p = mem_calloc(1, sizeof(*p));
    p->world = w;
    p->env = env;
    p->voters = quorum_voters_new();
    quorum_voters_add(p->voters, w->node_id, w->directory_id, QUORUM_VOTER);
    quorum_voters_add_listener(p->voters, STR("CONTROLLER"), str_of(w->host), 9093);
    struct quorum_node_config config = {
        .node_id = w->node_id,
        .directory_id = w->directory_id,
        .directory = METADATA_DIR,
        .election_timeout_ms = 1000,
        .heartbeat_ms = 100,
        .log = LOG_CONFIG_DEFAULT,
        .retention_bytes = w->retention_bytes,
        .retention_ms = -1,
        .voters = w->without_voters || w->follow ? NULL : p->voters,
        .follow = w->follow,
        .transport = w->transport,
        .guards_off = w->guards_off,
        .had_files = w->had_files,
    };
    config.log.segment_bytes = w->segment_bytes;
    config.log.segment_index_bytes = 4096;
    p->node = quorum_node_new(env->loops[0], &config, &handler, p);
    quorum_node_start(p->node);
    timer_init(&p->timer, env->loops[0], on_propose_timer);
    timer_init(&p->snapshot_timer, env->loops[0], on_snapshot_timer);
    timer_start_in_ms(&p->timer, 1);
    timer_start_in_ms(&p->snapshot_timer, 5);
    return p;
}

void world_init(struct world *w, uint64_t seed)
{
    world_init_in(w, sim_new(seed, false), "node", world_boot, w);
}

void world_init_in(struct world *w, struct sim *sim, const char *name,
                   void *(*boot)(struct env *env, void *ctx), void *ctx)
{
    *w = (struct world){.node_id = 1,
                        .host = "127.0.0.1",
                        .batch_records = 3,
                        .retention_bytes = -1,
                        .segment_bytes = 1 << 20,
                        .directory_id = {{9, 8, 7, 6, 5, 4, 3, 2, 1}},
                        .next_number = 1,
                        .epoch = -1};
    w->sim = sim;
    struct sim_node_config config = {
        .name = name, .loops = 1, .log_level = LOG_ERROR, .boot = boot, .ctx = ctx};
    w->node = sim_node_new(w->sim, &config);
    w->mutations = mutate();
    sim_node_set_mutations(w->node, &w->mutations);
}

void world_release(struct world *w)
{
    assert_null(sim_failure(w->sim));
    sim_free(w->sim);
}

void world_start(struct world *w)
{
    w->failure[0] = '\0';
    w->stopped = false;
    sim_node_start(w->node);
}

struct program *world_program(struct world *w)
{
    return sim_node_program(w->node);
}

void world_run_ms(struct world *w, int64_t ms)
{
    sim_run_until(w->sim, sim_now_us(w->sim) + ms * SIM_MS);
}

bool world_run_until_active(struct world *w)
{
    for (int i = 0; i < 10000 && !w->failure[0] && sim_node_is_up(w->node); i++) {
        struct program *p = world_program(w);
        if (p && quorum_node_is_active(p->node))
            return true;
        world_run_ms(w, 1);
    }
    return false;
}

static void node_stopped(void *ctx)
{
    struct program *p = ctx;
    p->world->stopped = true;
}

static void stop(void *ctx)
{
    struct program *p = world_program(ctx);
    quorum_node_stop(p->node, node_stopped, p);
}

void world_stop(struct world *w)
{
    struct program *p = world_program(w);
    sim_at(w->sim, sim_now_us(w->sim) + 1, stop, w);
    for (int i = 0; i < 5000 && !w->stopped; i++)
        world_run_ms(w, 1);
    assert_true(w->stopped);
    quorum_node_free(p->node);
    sim_node_kill(w->node);
}

bool world_state_is_good(struct world *w)
{
    const struct program *p = world_program(w);
    uint8_t *seen = calloc(NUMBERS_MAX, 1);
    bool good = true;
    for (size_t i = 0; i < p->count && good; i++) {
        good = p->numbers[i] < w->next_number && !seen[p->numbers[i]];
        if (good)
            seen[p->numbers[i]] = 1;
    }
    for (uint64_t n = 0; n < NUMBERS_MAX; n++)
        good &= !w->acked[n] || seen[n];
    free(seen);
    return good;
}

void world_check_state(struct world *w)
{
    assert_true(world_state_is_good(w));
}
