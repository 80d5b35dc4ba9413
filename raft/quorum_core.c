#include "raft/quorum_core_internal.h"

#include <errno.h>
#include <stdlib.h>

/* W14 and the mapping read and write fields of struct raft: only this version was read for it. */
#define LIBRAFT_VERSION (0 * 100 * 100 + 22 * 100 + 1)
_Static_assert(RAFT_VERSION_NUMBER == LIBRAFT_VERSION, "check the guards against this libraft");

/* It counts records, and a large batch must not stop the pipeline. */
#define INFLIGHT_ENTRIES_MAX 100000

static void *heap_malloc(void *data, size_t size)
{
    (void)data;
    return malloc(size);
}

static void heap_free(void *data, void *ptr)
{
    (void)data;
    free(ptr);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
    (void)data;
    return calloc(count, size);
}

static void *heap_realloc(void *data, void *ptr, size_t size)
{
    (void)data;
    return realloc(ptr, size);
}

/* libraft's memory comes from the program's own malloc, which a simulation replaces so that a node
 * can die without help. */
static const struct raft_heap heap_of_program = {
    .malloc = heap_malloc, .free = heap_free, .calloc = heap_calloc, .realloc = heap_realloc};

static void use_heap_of_program(void)
{
    union {
        const struct raft_heap *in;
        struct raft_heap *out;
    } cast = {.in = &heap_of_program};
    if (raft_heap_get() != cast.in)
        raft_heap_set(cast.out);
}

/* libraft does not export its version. That its defaults stand where the header says proves that
 * the library at run time has the fields this was built with. */
static void check_layout(const struct raft *raft)
{
    CHECK(raft->election_timeout == 1000 && raft->heartbeat_timeout == 100);
    CHECK(raft->install_snapshot_timeout == 30000 && raft->max_inflight_entries == 32);
    CHECK(raft->state == RAFT_FOLLOWER && !raft->pre_vote && raft->max_catch_up_rounds == 10);
}

struct quorum_core *quorum_core_new(const struct quorum_core_config *config)
{
    use_heap_of_program();
    struct quorum_core *core = mem_calloc(1, sizeof(*core));
    core->config = *config;
    core->self = (struct quorum_peer_id){config->node_id, config->directory_id,
                                         quorum_raft_id(config->directory_id)};
    uuid_format(config->directory_id, core->address);
    int rv = raft_init(&core->raft, NULL, NULL, core->self.raft_id, core->address);
    CHECK(rv == 0);
    check_layout(&core->raft);
    raft_seed(&core->raft, config->seed);
    raft_set_election_timeout(&core->raft, config->election_timeout_ms);
    raft_set_heartbeat_timeout(&core->raft, config->heartbeat_ms);
    raft_set_install_snapshot_timeout(&core->raft, config->install_timeout_ms);
    raft_set_max_inflight_entries(&core->raft, INFLIGHT_ENTRIES_MAX);
    raft_set_pre_vote(&core->raft, true);
    quorum_map_init(&core->map, QUORUM_INDEX_BOOTSTRAP);
    core->leader_contact_ms = INT64_MIN;
    core->reported.role = QUORUM_FOLLOWER;
    return core;
}

void quorum_core_free(struct quorum_core *core)
{
    if (!core)
        return;
    actions_release(core);
    raft_close(&core->raft, NULL);
    quorum_map_release(&core->map);
    while (core->change_count > 0)
        quorum_voters_unref(core->changes[--core->change_count].voters);
    quorum_voters_unref(core->installing);
    free(core->changes);
    free(core->writes);
    free(core->peers);
    free(core->entries);
    free(core);
}

void quorum_core_load_state(struct quorum_core *core, uint64_t term, uint64_t voted_raft_id)
{
    CHECK(!core->started);
    core->start_term = term;
    core->start_vote = voted_raft_id;
}

void quorum_core_load_snapshot(struct quorum_core *core, uint64_t index, uint64_t term,
                               struct quorum_voters *voters)
{
    CHECK(!core->started && core->change_count == 0 && quorum_map_empty(&core->map));
    CHECK(index > QUORUM_INDEX_BOOTSTRAP && term > 0);
    core->snapshot_index = index;
    core->snapshot_term = term;
    changes_push(core, index, voters);
}

int quorum_core_load_batch(struct quorum_core *core, uint64_t base, uint32_t count, uint64_t term,
                           struct quorum_voters *voters)
{
    CHECK(!core->started);
    if (count == 0 || term == 0)
        return -EINVAL;
    if (quorum_map_empty(&core->map))
        quorum_map_reset(&core->map, base);
    else if (base != core->map.next ||
             term < quorum_map_term(&core->map, quorum_map_last(&core->map)))
        return -EINVAL;
    quorum_map_append(&core->map, count, term);
    /* The snapshot's set stands for all changes below it. */
    if (voters && base > core->snapshot_index)
        changes_push(core, base, voters);
    return 0;
}

/* Nothing behind the snapshot: neither batches nor changes. */
static void forget_log(struct quorum_core *core)
{
    quorum_map_reset(&core->map, core->snapshot_index + 1);
    while (core->change_count > 1)
        quorum_voters_unref(core->changes[--core->change_count].voters);
    core->log_forgotten = true;
}

/*
 * A snapshot that was installed just before a crash may stand beside the log it was to replace: one
 * that ends below it, or holds something else at its index, which then was never committed.
 */
static int settle_snapshot(struct quorum_core *core)
{
    if (core->snapshot_index == 0) {
        bool bootstrapped = core->map.first == QUORUM_INDEX_BOOTSTRAP && core->change_count > 0 &&
                            core->changes[0].index == QUORUM_INDEX_BOOTSTRAP;
        return quorum_map_empty(&core->map) || bootstrapped ? 0 : -EINVAL;
    }
    if (quorum_map_empty(&core->map)) {
        quorum_map_reset(&core->map, core->snapshot_index + 1);
        return 0;
    }
    if (core->map.first > core->snapshot_index + 1)
        return -EINVAL;
    if (core->map.first == core->snapshot_index + 1)
        return 0;
    struct quorum_extent batch;
    if (!quorum_map_find(&core->map, core->snapshot_index, &batch) ||
        batch.term != core->snapshot_term || batch.end != core->snapshot_index)
        forget_log(core);
    return 0;
}

/*
 * The state to start with. W15: a sole voter elects itself at once, without a new term; what it had
 * sent but not synced would be written a second time under the same index and term. So it begins a
 * new term, with its own vote in it.
 */
static void settle_state(struct quorum_core *core)
{
    uint64_t last = quorum_core_last_index(core), term = core->start_term;
    uint64_t vote = core->start_vote;
    uint64_t last_term = last ? quorum_core_term_of(core, last) : 0;
    if (last_term > term) {
        /* How we voted in that term is not known: only for ourselves can be safe. */
        term = last_term;
        vote = last_term == QUORUM_TERM_BOOTSTRAP ? 0 : core->self.raft_id;
    }
    const struct quorum_voters *voters = quorum_core_voters(core);
    if (voters && quorum_voters_is_sole(voters, core->self.raft_id) &&
        guard(core, QUORUM_W15_SOLE_VOTER_TERM)) {
        term++;
        vote = core->self.raft_id;
    }
    if (term == core->start_term && vote == core->start_vote)
        return;
    core->start_term = term;
    core->start_vote = vote;
    struct quorum_action *action = action_push(core, QUORUM_STORE_STATE);
    action->state.term = term;
    action->state.voted =
        vote == core->self.raft_id ? core->self : (struct quorum_peer_id){.node_id = -1};
}

static void load_entries(struct quorum_core *core, struct raft_entry *entries)
{
    struct quorum_extent batch;
    size_t at = 0;
    for (uint64_t index = core->map.first; index < core->map.next; index = batch.end + 1) {
        bool found = quorum_map_find(&core->map, index, &batch);
        CHECK(found);
        for (uint64_t i = batch.base; i <= batch.end; i++)
            entries[at++] = (struct raft_entry){.term = batch.term, .type = RAFT_COMMAND};
    }
    for (size_t i = 0; i < core->change_count; i++) {
        uint64_t index = core->changes[i].index;
        if (index < core->map.first || index == core->snapshot_index)
            continue;
        struct raft_entry *entry = &entries[index - core->map.first];
        entry->type = RAFT_CHANGE;
        configuration_encode(core->changes[i].voters, &entry->buf);
    }
}

int quorum_core_start(struct quorum_core *core, int64_t now_ms)
{
    CHECK(!core->started);
    core->now_ms = now_ms;
    int rv = settle_snapshot(core);
    if (rv != 0)
        return rv;
    settle_state(core);
    core->started = true;
    core->commit = core->commit_seen = core->snapshot_index;
    core->changes_applied = core->snapshot_index ? core->snapshot_index : QUORUM_INDEX_BOOTSTRAP;
    if (core->start_vote == core->self.raft_id)
        core->granted[core->granted_count++] = core->self.raft_id;

    size_t count = (size_t)(core->map.next - core->map.first);
    struct raft_entry *entries = count > 0 ? mem_calloc(count, sizeof(entries[0])) : NULL;
    load_entries(core, entries);
    struct raft_snapshot_metadata metadata = {0};
    struct raft_event event = {.type = RAFT_START};
    event.start.term = core->start_term;
    event.start.voted_for = core->start_vote;
    if (core->snapshot_index) {
        metadata.index = metadata.configuration_index = core->snapshot_index;
        metadata.term = core->snapshot_term;
        configuration_of(core->changes[0].voters, &metadata.configuration);
        event.start.metadata = &metadata;
    }
    event.start.start_index = core->map.first;
    event.start.entries = entries;
    event.start.n_entries = (unsigned)count;
    step_or_fail(core, &event, NULL, 0);
    for (size_t i = 0; i < core->change_count && count > 0; i++) {
        if (core->changes[i].index >= core->map.first &&
            core->changes[i].index - core->map.first < count)
            raft_free(entries[core->changes[i].index - core->map.first].buf.base);
    }
    free(entries);
    return 0;
}

int64_t quorum_core_deadline_ms(const struct quorum_core *core)
{
    return core->started && !core->failed ? (int64_t)raft_timeout(&core->raft) : INT64_MAX;
}

void quorum_core_tick(struct quorum_core *core, int64_t now_ms)
{
    if (!core->started || core->failed)
        return;
    core->now_ms = MAX(core->now_ms, now_ms);
    if (core->now_ms < quorum_core_deadline_ms(core))
        return;
    struct raft_event event = {.type = RAFT_TIMEOUT};
    step_or_fail(core, &event, NULL, 0);
}

void quorum_core_persisted(struct quorum_core *core, uint64_t write_id, int64_t now_ms)
{
    core->now_ms = MAX(core->now_ms, now_ms);
    uint64_t end = 0;
    while (core->write_front < core->write_count && core->writes[core->write_front].id <= write_id)
        end = core->writes[core->write_front++].end;
    /* W10: libraft believes any index; a truncated write has been clamped by then. */
    if (core->failed || end == 0 || core->installing)
        return;
    if ((end <= core->raft.last_stored || end > quorum_map_last(&core->map)) &&
        guard(core, QUORUM_W10_PERSISTED_ORDER))
        return;
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};
    event.persisted_entries.index = end;
    step_or_fail(core, &event, NULL, 0);
    if (!core->failed)
        follow_summons(core);
}

int submit_batch(struct quorum_core *core, const struct quorum_batch *batch,
                 const struct raft_buffer *configuration)
{
    char marker;
    struct raft_entry *entries = entries_room(core, batch->count);
    for (uint32_t i = 0; i < batch->count; i++) {
        entries[i] =
            (struct raft_entry){.term = batch->term, .type = RAFT_COMMAND, .batch = &marker};
    }
    if (configuration) {
        entries[0].type = RAFT_CHANGE;
        entries[0].buf = *configuration;
    }
    struct raft_event event = {.type = RAFT_SUBMIT};
    event.submit.entries = entries;
    event.submit.n = batch->count;
    return errno_of_raft(step(core, &event, batch, 1));
}

int quorum_core_submit(struct quorum_core *core, uint32_t count, struct quorum_bytes bytes,
                       int64_t now_ms, uint64_t *ret_base)
{
    CHECK(count > 0);
    if (!core->started || core->failed || raft_state(&core->raft) != RAFT_LEADER)
        return -EPERM;
    core->now_ms = MAX(core->now_ms, now_ms);
    struct quorum_batch batch = {
        .base = core->map.next,
        .count = count,
        .term = raft_current_term(&core->raft),
        .kind = QUORUM_COMMAND,
        .bytes = bytes,
    };
    int rv = submit_batch(core, &batch, NULL);
    if (rv == 0)
        *ret_base = batch.base;
    return rv;
}

int quorum_core_snapshot_taken(struct quorum_core *core, uint64_t index, uint64_t first_index,
                               int64_t now_ms)
{
    if (core->failed || core->installing || index <= core->snapshot_index)
        return -ESTALE;
    core->now_ms = MAX(core->now_ms, now_ms);
    struct quorum_extent batch;
    bool found = quorum_map_find(&core->map, index, &batch);
    CHECK(found && batch.end == index && index <= core->commit);
    CHECK(first_index <= index + 1);
    first_index = MAX(first_index, core->map.first);

    struct quorum_voters *voters = quorum_voters_ref(quorum_core_voters_at(core, index));
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    event.snapshot.metadata.index = event.snapshot.metadata.configuration_index = index;
    event.snapshot.metadata.term = batch.term;
    configuration_of(voters, &event.snapshot.metadata.configuration);
    event.snapshot.trailing = (unsigned)(index + 1 - first_index);
    core->snapshot_index = index;
    core->snapshot_term = batch.term;
    quorum_map_drop_prefix(&core->map, first_index);
    size_t kept = 0;
    for (size_t i = 0; i < core->change_count; i++) {
        if (core->changes[i].index <= index)
            quorum_voters_unref(core->changes[i].voters);
        else
            core->changes[kept++] = core->changes[i];
    }
    core->change_count = kept;
    changes_push(core, index, voters);
    memmove(core->changes + 1, core->changes, kept * sizeof(core->changes[0]));
    core->changes[0] = (struct quorum_change_at){.index = index, .voters = voters};
    core->changes_applied = MAX(core->changes_applied, index);
    quorum_voters_unref(voters);
    step_or_fail(core, &event, NULL, 0);
    return 0;
}

void quorum_core_snapshot_installed(struct quorum_core *core, int64_t now_ms)
{
    CHECK(core->installing);
    if (core->failed)
        return;
    core->now_ms = MAX(core->now_ms, now_ms);
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT};
    event.persisted_snapshot.metadata.index = core->snapshot_index;
    event.persisted_snapshot.metadata.configuration_index = core->snapshot_index;
    event.persisted_snapshot.metadata.term = core->snapshot_term;
    event.persisted_snapshot.last = true;
    configuration_of(core->installing, &event.persisted_snapshot.metadata.configuration);
    quorum_voters_unref(core->installing);
    core->installing = NULL;
    step_or_fail(core, &event, NULL, 0);
}
