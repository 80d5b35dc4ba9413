/*
 * One step of libraft: the event goes in, and what the update asks for is queued in the order that
 * safety needs: term and vote, truncation, batches, snapshot, messages, role, commit. A step may
 * lead to further ones (a barrier of our own, committed changes), which queue behind it.
 */
#include "raft/quorum_core_internal.h"

#include <errno.h>
#include <stdlib.h>

int errno_of_raft(int rv)
{
    switch (rv) {
    case 0:
        return 0;
    case RAFT_NOTLEADER:
    case RAFT_LEADERSHIPLOST:
        return -EPERM;
    case RAFT_CANTCHANGE:
    case RAFT_BUSY:
        return -EAGAIN;
    case RAFT_BADID:
    case RAFT_BADROLE:
    case RAFT_NOTFOUND:
        return -ENOENT;
    case RAFT_NOSPACE:
        return -ENOSPC;
    case RAFT_NOMEM:
        return -ENOMEM;
    default:
        return -EINVAL;
    }
}

void core_fail(struct quorum_core *core, const char *reason)
{
    if (core->failed)
        return;
    core->failed = true;
    action_push(core, QUORUM_FAIL)->reason = reason;
}

void configuration_of(const struct quorum_voters *voters, struct raft_configuration *ret)
{
    raft_configuration_init(ret);
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        char address[UUID_TEXT_LEN + 1];
        uuid_format(server->directory_id, address);
        int rv = raft_configuration_add(ret, server->raft_id, address,
                                        server->role == QUORUM_VOTER ? RAFT_VOTER : RAFT_STANDBY);
        CHECK(rv == 0);
    }
}

void configuration_encode(const struct quorum_voters *voters, struct raft_buffer *ret)
{
    struct raft_configuration configuration;
    configuration_of(voters, &configuration);
    int rv = raft_configuration_encode(&configuration, ret);
    CHECK(rv == 0);
    raft_configuration_close(&configuration);
}

struct raft_entry *entries_room(struct quorum_core *core, size_t count)
{
    if (core->entry_capacity < count) {
        free(core->entries);
        core->entries = mem_calloc(count, sizeof(core->entries[0]));
        core->entry_capacity = count;
    } else if (count > 0) {
        memset(core->entries, 0, count * sizeof(core->entries[0]));
    }
    return core->entries;
}

void changes_push(struct quorum_core *core, uint64_t index, struct quorum_voters *voters)
{
    struct quorum_change_at change = {.index = index, .voters = quorum_voters_ref(voters)};
    VEC_PUSH(core->changes, core->change_count, core->change_capacity) = change;
}

void change_commit(struct quorum_core *core, size_t i)
{
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    event.configuration.index = core->changes[i].index;
    configuration_of(core->changes[i].voters, &event.configuration.conf);
    core->changes_applied = core->changes[i].index;
    step_or_fail(core, &event, NULL, 0);
}

static void store_state(struct quorum_core *core)
{
    /* Votes counted so far were of another term. */
    core->granted_count = 0;
    if (raft_voted_for(&core->raft) == core->self.raft_id)
        core->granted[core->granted_count++] = core->self.raft_id;
    struct quorum_peer_id voted = {.node_id = -1};
    if (raft_voted_for(&core->raft))
        voted = peer_id_of(core, raft_voted_for(&core->raft));
    struct quorum_action *action = action_push(core, QUORUM_STORE_STATE);
    action->state.term = raft_current_term(&core->raft);
    action->state.voted = voted;
}

static void truncate_from(struct quorum_core *core, uint64_t index)
{
    CHECK(index > core->commit);
    quorum_map_truncate(&core->map, index);
    while (core->change_count > 0 && core->changes[core->change_count - 1].index >= index)
        quorum_voters_unref(core->changes[--core->change_count].voters);
    if (core->changes_applied >= index)
        core->changes_applied = index - 1;
    for (size_t i = core->write_front; i < core->write_count; i++) {
        if (core->writes[i].end >= index && guard(core, QUORUM_W10_PERSISTED_ORDER))
            core->writes[i].end = index - 1;
    }
    for (size_t i = 0; i < core->peer_count; i++)
        core->peers[i].sent = MIN(core->peers[i].sent, index - 1);
    action_push(core, QUORUM_TRUNCATE)->index = index;
}

static void append_batch(struct quorum_core *core, const struct quorum_batch *batch)
{
    CHECK(batch->base == core->map.next);
    quorum_map_append(&core->map, batch->count, batch->term);
    if (batch->kind == QUORUM_CHANGE)
        changes_push(core, batch->base, batch->voters);
    if (core->write_front > 0 && core->write_front == core->write_count)
        core->write_front = core->write_count = 0;
    struct quorum_write write = {.id = ++core->last_write_id, .end = quorum_batch_end(batch)};
    VEC_PUSH(core->writes, core->write_count, core->write_capacity) = write;

    struct quorum_action *action = action_push(core, QUORUM_APPEND_BATCH);
    action->append.batch = *batch;
    action->append.write_id = write.id;
    if (batch->bytes.buf)
        buf_ref(batch->bytes.buf);
    if (batch->voters)
        quorum_voters_ref(batch->voters);
    if (batch->kind == QUORUM_BARRIER && !batch->bytes.buf) {
        struct quorum_voters *voters = quorum_core_voters(core);
        action->append.voters = quorum_voters_ref(voters);
        for (int i = 0; i < voters->count; i++) {
            for (int k = 0; k < core->granted_count; k++) {
                if (voters->servers[i].raft_id == core->granted[k])
                    action->append.granted |= (uint64_t)1 << i;
            }
        }
    }
}

static void append_entries(struct quorum_core *core, const struct raft_update *update,
                           const struct quorum_batch *batches, size_t batch_count)
{
    uint64_t index = update->entries.index;
    uint64_t end = index + update->entries.n - 1;
    struct quorum_batch barrier;
    if (update->entries.batch == &core->raft.barrier) {
        barrier = (struct quorum_batch){
            .base = index, .count = 1, .term = core->raft.barrier.term, .kind = QUORUM_BARRIER};
        batches = &barrier;
        batch_count = 1;
        raft_free(core->raft.barrier.buf.base);
    }
    if (index < core->map.next)
        truncate_from(core, index);
    for (size_t i = 0; i < batch_count; i++) {
        if (batches[i].base >= index)
            append_batch(core, &batches[i]);
    }
    CHECK(quorum_map_last(&core->map) == end);
}

/* libraft dropped its log for this snapshot already; the disk follows once it is fetched. */
static void begin_install(struct quorum_core *core, struct raft_update *update)
{
    struct raft_snapshot_metadata *metadata = &update->snapshot.metadata;
    raft_configuration_close(&metadata->configuration);
    CHECK(core->installing);
    core->snapshot_index = metadata->index;
    core->snapshot_term = metadata->term;
    quorum_map_reset(&core->map, metadata->index + 1);
    core->write_front = core->write_count = 0;
    while (core->change_count > 0)
        quorum_voters_unref(core->changes[--core->change_count].voters);
    changes_push(core, metadata->index, core->installing);
    core->changes_applied = metadata->index;

    struct quorum_action *action = action_push(core, QUORUM_INSTALL_SNAPSHOT);
    action->install.index = metadata->index;
    action->install.term = metadata->term;
    action->install.voters = quorum_voters_ref(core->installing);
    action->install.from = peer_id_of(core, quorum_core_leader(core));
}

static void forget_progress(struct quorum_core *core)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        core->peers[i].sent = core->peers[i].told = 0;
        core->peers[i].heard_ms = core->peers[i].caught_up_ms = INT64_MIN;
    }
}

static void submit_barrier(struct quorum_core *core)
{
    char marker;
    struct raft_entry entry = {
        .term = raft_current_term(&core->raft), .type = RAFT_BARRIER, .batch = &marker};
    struct quorum_batch batch = {
        .base = core->map.next, .count = 1, .term = entry.term, .kind = QUORUM_BARRIER};
    struct raft_event event = {.type = RAFT_SUBMIT};
    event.submit.entries = &entry;
    event.submit.n = 1;
    step_or_fail(core, &event, &batch, 1);
}

static void report_role(struct quorum_core *core)
{
    enum quorum_role role = QUORUM_FOLLOWER;
    if (raft_state(&core->raft) == RAFT_LEADER)
        role = QUORUM_LEADER;
    else if (raft_state(&core->raft) == RAFT_CANDIDATE)
        role = QUORUM_CANDIDATE;
    uint64_t term = raft_current_term(&core->raft), leader = quorum_core_leader(core);
    if (role == core->reported.role && term == core->reported.term &&
        leader == core->reported.leader)
        return;
    core->reported.role = role;
    core->reported.term = term;
    core->reported.leader = leader;
    struct quorum_peer_id id = leader ? peer_id_of(core, leader) : (struct quorum_peer_id){-1};
    struct quorum_action *action = action_push(core, QUORUM_ROLE);
    action->role.role = role;
    action->role.term = term;
    action->role.leader = id;
}

/* W8: libraft's commit index can go down, and be above what is stored here. */
static uint64_t commit_limit(struct quorum_core *core)
{
    uint64_t commit = raft_commit_index(&core->raft);
    core->commit_seen = MAX(core->commit_seen, commit);
    uint64_t limit = MIN(core->commit_seen, core->raft.last_stored);
    if (limit != commit && !guard(core, QUORUM_W8_COMMIT_MONOTONE))
        return commit;
    struct quorum_extent extent;
    if (quorum_map_find(&core->map, limit, &extent) && extent.end != limit)
        limit = extent.base - 1;
    return limit;
}

static void advance_commit(struct quorum_core *core)
{
    uint64_t before = core->commit_seen, limit = commit_limit(core);
    bool told = core->commit_seen > before;
    bool monotone = quorum_guard_on(core->config.guards_off, QUORUM_W8_COMMIT_MONOTONE);
    if (limit > core->commit || (limit < core->commit && !monotone)) {
        core->commit = limit;
        action_push(core, QUORUM_COMMIT)->index = limit;
        for (size_t i = 0; i < core->change_count; i++) {
            if (core->changes[i].index > core->changes_applied && core->changes[i].index <= limit)
                change_commit(core, i);
        }
    }
    if (told && raft_state(&core->raft) == RAFT_LEADER)
        send_commit(core);
}

static void absorb(struct quorum_core *core, struct raft_update *update,
                   const struct quorum_batch *batches, size_t batch_count)
{
    bool elected = update->flags & (RAFT_UPDATE_STATE) && raft_state(&core->raft) == RAFT_LEADER;
    bool has_barrier = update->flags & (RAFT_UPDATE_ENTRIES);
    if (update->flags & (RAFT_UPDATE_CURRENT_TERM) || update->flags & (RAFT_UPDATE_VOTED_FOR))
        store_state(core);
    if (elected)
        forget_progress(core);
    if (update->flags & (RAFT_UPDATE_ENTRIES))
        append_entries(core, update, batches, batch_count);
    if (update->flags & (RAFT_UPDATE_SNAPSHOT))
        begin_install(core, update);
    for (unsigned i = 0; i < update->messages.n; i++)
        send_message(core, &update->messages.batch[i]);
    report_role(core);
    if (elected && !has_barrier && guard(core, QUORUM_BARRIER_OWN))
        submit_barrier(core);
    advance_commit(core);
}

int step(struct quorum_core *core, struct raft_event *event, const struct quorum_batch *batches,
         size_t batch_count)
{
    struct raft_update update = {0};
    event->time = (raft_time)core->now_ms;
    int rv = raft_step(&core->raft, event, &update);
    core->flags = rv == 0 ? update.flags : 0;
    if (rv != 0)
        return rv;
    unsigned flags = update.flags;
    absorb(core, &update, batches, batch_count);
    core->flags = flags;
    return 0;
}

void step_or_fail(struct quorum_core *core, struct raft_event *event,
                  const struct quorum_batch *batches, size_t batch_count)
{
    if (core->failed)
        return;
    int rv = step(core, event, batches, batch_count);
    if (rv == RAFT_SHUTDOWN)
        core_fail(core, COMMITTED_DIFFERS);
    else if (rv != 0)
        core_fail(core, raft_strerror(rv));
}
