#include "tests/unit/raft/cluster_internal.h"

#include <stdlib.h>

#define ELECTION_MS  300
#define HEARTBEAT_MS 50

struct server *cluster_server_of(struct cluster *c, struct uuid directory_id)
{
    for (int i = 0; i < c->options.servers; i++) {
        if (uuid_eq(c->servers[i].disk.directory_id, directory_id))
            return &c->servers[i];
    }
    return NULL;
}

/* The bytes of a batch in flight carry its payload in the offset of its bytes. */
static void load_append(struct cluster *c, struct server *server, struct quorum_append *append)
{
    size_t capacity = 0;
    append->batches = NULL;
    append->batch_count = 0;
    for (uint64_t index = append->prev_index + 1; index <= append->end_index;) {
        const struct entry_batch *batch = batches_at(&server->disk.log, index);
        if (!batch) {
            cluster_broken(c, "an append from %llu is off batch ends", (unsigned long long)index);
            return;
        }
        VEC_PUSH(append->batches, append->batch_count, capacity) = batch->batch;
        append->batches[append->batch_count - 1].bytes.offset = batch->payload;
        if (batch->batch.voters)
            quorum_voters_ref(batch->batch.voters);
        index = quorum_batch_end(&batch->batch) + 1;
        if (index > append->end_index + 1)
            cluster_broken(c, "an append to %llu cuts a batch",
                           (unsigned long long)append->end_index);
    }
}

static void send(struct cluster *c, struct server *server, struct quorum_message *message,
                 bool again)
{
    struct server *to = cluster_server_of(c, message->peer.directory_id);
    if (!to || c->cut[server->slot][to->slot] || cluster_random(c, 100) < c->drop_percent)
        return;
    struct event event = {.type = DELIVER, .slot = to->slot, .to = message->peer.directory_id};
    event.at_ms = c->now_ms + 1 + (int64_t)cluster_random(c, c->delay_max_ms + 1);
    int64_t *last = &c->last_arrival[server->slot][to->slot];
    if (!c->options.reorder)
        event.at_ms = MAX(event.at_ms, *last);
    else if (c->faulty && cluster_random(c, 40) == 0)
        event.at_ms += (int64_t)cluster_random(c, 1500); /* arrives in another time */
    *last = MAX(*last, event.at_ms);
    event.message = *message;
    event.message.peer = (struct quorum_peer_id){server->slot, server->disk.directory_id,
                                                 quorum_raft_id(server->disk.directory_id)};
    if (message->type == QUORUM_APPEND)
        load_append(c, server, &event.message.append);
    if (message->type == QUORUM_INSTALL)
        quorum_voters_ref(message->install.voters);
    event_push(c, &event);
    if (c->options.reorder && c->faulty && cluster_random(c, 30) == 0 && !again)
        send(c, server, message, true);
}

static void start_sync(struct cluster *c, struct server *server)
{
    if (server->syncing || !server->core)
        return;
    server->syncing = server->written;
    batches_copy(&server->sync_image, &server->disk.log);
    int64_t slow = cluster_random(c, 50) == 0 ? 400 : 20;
    struct event event = {.at_ms = c->now_ms + 1 + (int64_t)cluster_random(c, (uint64_t)slow),
                          .type = SYNC_DONE,
                          .slot = server->slot,
                          .life = server->life,
                          .log_life = server->log_life};
    event_push(c, &event);
}

static uint64_t chain(uint64_t hash, const struct entry_batch *batch)
{
    hash = hash_u64(hash ^ batch->batch.base);
    hash = hash_u64(hash ^ batch->batch.count);
    hash = hash_u64(hash ^ batch->batch.term);
    return hash_u64(hash ^ batch->payload);
}

static void committed_record(struct cluster *c, const struct entry_batch *batch, uint64_t hash)
{
    uint64_t base = batch->batch.base;
    if (base >= c->committed_capacity) {
        size_t capacity = MAX(c->committed_capacity * 2, base + 4096);
        c->committed = mem_realloc(c->committed, capacity * sizeof(c->committed[0]));
        memset(c->committed + c->committed_capacity, 0,
               (capacity - c->committed_capacity) * sizeof(c->committed[0]));
        c->committed_capacity = capacity;
    }
    struct committed *known = &c->committed[base];
    if (known->count == 0) {
        if (base <= c->committed_end)
            cluster_broken(c, "a batch at %llu where another one was committed",
                           (unsigned long long)base);
        *known = (struct committed){batch->batch.count, batch->batch.term, batch->payload, hash};
        c->committed_end = quorum_batch_end(&batch->batch);
        c->result->commits++;
    } else if (known->hash != hash) {
        cluster_broken(c, "two different batches committed at %llu", (unsigned long long)base);
    }
}

static void take_snapshot(struct cluster *c, struct server *server)
{
    struct quorum_extent batch;
    if (server->snapshotting || !server->core ||
        server->applied < server->disk.snapshot.index + 30 + cluster_random(c, 300) ||
        !quorum_core_find_batch(server->core, server->applied, &batch))
        return;
    struct event event = {.at_ms = c->now_ms + 1 + (int64_t)cluster_random(c, 40),
                          .type = SNAPSHOT_DONE,
                          .slot = server->slot,
                          .life = server->life};
    event.snapshot =
        (struct snapshot){server->applied, batch.term, server->hash,
                          quorum_voters_copy(quorum_core_voters_at(server->core, server->applied))};
    server->snapshotting = true;
    event_push(c, &event);
}

static void apply(struct cluster *c, struct server *server, uint64_t index)
{
    if (index < server->applied)
        cluster_broken(c, "the commit index went back to %llu", (unsigned long long)index);
    uint64_t durable = server->disk.snapshot.index;
    if (server->disk.durable.count > 0)
        durable = MAX(
            durable,
            quorum_batch_end(&server->disk.durable.items[server->disk.durable.count - 1].batch));
    if (index > durable)
        cluster_broken(c, "%llu is given out as committed but is not durable",
                       (unsigned long long)index);
    while (server->applied < index && !cluster_ended(c)) {
        const struct entry_batch *batch = batches_at(&server->disk.log, server->applied + 1);
        if (!batch || quorum_batch_end(&batch->batch) > index) {
            cluster_broken(c, "the commit index %llu is no batch end", (unsigned long long)index);
            return;
        }
        server->hash = chain(server->hash, batch);
        server->applied = quorum_batch_end(&batch->batch);
        committed_record(c, batch, server->hash);
    }
    take_snapshot(c, server);
}

/* Whoever leads has all that was ever committed, unless late votes made it leader of a past term.
 */
static void check_leader(struct cluster *c, struct server *server, uint64_t term)
{
    uint64_t raft_id = quorum_core_raft_id(server->core);
    CHECK(term < ARRAY_LEN(c->leaders));
    if (c->leaders[term] != 0 && c->leaders[term] != raft_id)
        cluster_broken(c, "two leaders in term %llu", (unsigned long long)term);
    if (c->leaders[term] == 0)
        c->result->elections++;
    c->leaders[term] = raft_id;
    for (size_t later = (size_t)term + 1; later < ARRAY_LEN(c->leaders); later++) {
        if (c->leaders[later] != 0)
            return;
    }
    if (quorum_core_last_index(server->core) < c->committed_end)
        cluster_broken(c, "the leader of term %llu lacks committed batches",
                       (unsigned long long)term);
    for (size_t i = 0; i < server->disk.log.count; i++) {
        const struct entry_batch *batch = &server->disk.log.items[i];
        if (batch->batch.base > c->committed_end)
            break;
        if (c->committed[batch->batch.base].payload != batch->payload ||
            c->committed[batch->batch.base].term != batch->batch.term)
            cluster_broken(c, "the leader of term %llu has another batch at %llu",
                           (unsigned long long)term, (unsigned long long)batch->batch.base);
    }
}

static void append(struct cluster *c, struct server *server, struct quorum_action *action)
{
    struct entry_batch batch = {.batch = action->append.batch,
                                .payload = action->append.batch.bytes.offset};
    if (batch.batch.kind == QUORUM_BARRIER && batch.payload == 0)
        batch.payload = hash_u64(batch.batch.term);
    if (batch.batch.kind == QUORUM_CHANGE && batch.payload == 0 && batch.batch.base > 1)
        batch.payload = ++c->payloads;
    uint64_t last = 0;
    if (server->disk.log.count > 0)
        last = quorum_batch_end(&server->disk.log.items[server->disk.log.count - 1].batch);
    else if (server->disk.snapshot.index)
        last = server->disk.snapshot.index;
    if (batch.batch.base != last + 1)
        cluster_broken(c, "an append at %llu behind %llu", (unsigned long long)batch.batch.base,
                       (unsigned long long)last);
    batches_push(&server->disk.log, &batch);
    server->written = action->append.write_id;
}

static void store_state(struct cluster *c, struct server *server,
                        const struct quorum_action *action)
{
    struct disk_image *disk = &server->disk;
    disk->lazy_term = action->state.term;
    disk->lazy_vote = action->state.voted.raft_id;
    if (c->options.vote_after_send && cluster_random(c, 2))
        return;
    disk->term = disk->lazy_term;
    disk->vote = disk->lazy_vote;
}

static void install(struct cluster *c, struct server *server, const struct quorum_action *action)
{
    struct event event = {.at_ms = c->now_ms + 1 + (int64_t)cluster_random(c, 80),
                          .type = INSTALL_DONE,
                          .slot = server->slot,
                          .life = server->life};
    for (size_t i = 0; i < c->snapshot_count; i++) {
        if (c->snapshots[i].index == action->install.index)
            event.snapshot = c->snapshots[i];
    }
    if (event.snapshot.index == 0 || event.snapshot.term != action->install.term) {
        cluster_broken(c, "asked to install a snapshot that nobody took");
        return;
    }
    event_push(c, &event);
}

static void run_action(struct cluster *c, struct server *server, struct quorum_action *action)
{
    c->result->digest = hash_u64(c->result->digest ^ ((uint64_t)action->type << 56) ^
                                 (uint64_t)c->now_ms ^ (uint64_t)server->slot << 48);
    switch (action->type) {
    case QUORUM_STORE_STATE:
        store_state(c, server, action);
        break;
    case QUORUM_TRUNCATE:
        if (action->index <= server->applied)
            cluster_broken(c, "committed batches are truncated");
        batches_truncate(&server->disk.log, action->index);
        break;
    case QUORUM_APPEND_BATCH:
        append(c, server, action);
        break;
    case QUORUM_INSTALL_SNAPSHOT:
        install(c, server, action);
        break;
    case QUORUM_SEND:
        send(c, server, &action->message, false);
        break;
    case QUORUM_ROLE:
        server->leading = action->role.role == QUORUM_LEADER;
        if (server->leading)
            check_leader(c, server, action->role.term);
        break;
    case QUORUM_COMMIT:
        apply(c, server, action->index);
        break;
    case QUORUM_FAIL:
        cluster_broken(c, "a server stopped: %s", action->reason);
        break;
    }
}

void server_run_actions(struct cluster *c, struct server *server)
{
    struct quorum_action action;
    uint64_t told = 0;
    while (server->core && !cluster_ended(c)) {
        if (!quorum_core_take(server->core, &action)) {
            start_sync(c, server);
            if (!c->options.persisted_before_sync || told == server->written)
                return;
            told = server->written;
            quorum_core_persisted(server->core, told, c->now_ms);
            continue;
        }
        run_action(c, server, &action);
        quorum_action_release(&action);
        if (c->faulty && cluster_random(c, 100000) < c->crash_per_mille) {
            server_crash(c, server);
            struct event event = {.at_ms = c->now_ms + 10 + (int64_t)cluster_random(c, 600),
                                  .type = RESTART,
                                  .slot = server->slot,
                                  .life = server->life};
            event_push(c, &event);
        }
    }
}

static void count_guards(struct cluster *c, const struct server *server)
{
    if (!server->core)
        return;
    struct quorum_core_counters counters = quorum_core_counters(server->core);
    for (int i = 0; i < QUORUM_GUARDS; i++)
        c->result->guarded[i] += counters.guarded[i];
    c->result->malformed += counters.malformed;
}

void server_crash(struct cluster *c, struct server *server)
{
    count_guards(c, server);
    quorum_core_free(server->core);
    server->core = NULL;
    server->leading = false;
    server->life++;
    disk_power_cut(c, &server->disk);
    c->result->crashes++;
}

void server_start(struct cluster *c, struct server *server)
{
    struct disk_image *disk = &server->disk;
    batches_copy(&disk->durable, &disk->log);
    struct quorum_core_config config = {
        .node_id = server->slot,
        .directory_id = disk->directory_id,
        .election_timeout_ms = ELECTION_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .install_timeout_ms = 2000,
        .seed = (unsigned)cluster_random(c, UINT32_MAX),
        .guards_off = c->options.guards_off,
    };
    struct quorum_core *core = server->core = quorum_core_new(&config);
    quorum_core_load_state(core, disk->term, disk->vote);
    server->applied = disk->snapshot.index;
    server->hash = disk->snapshot.hash;
    if (disk->snapshot.index)
        quorum_core_load_snapshot(core, disk->snapshot.index, disk->snapshot.term,
                                  disk->snapshot.voters);
    for (size_t i = 0; i < disk->log.count; i++) {
        const struct quorum_batch *batch = &disk->log.items[i].batch;
        if (quorum_core_load_batch(core, batch->base, batch->count, batch->term, batch->voters))
            cluster_broken(c, "the log does not load");
    }
    if (quorum_core_start(core, c->now_ms) != 0)
        cluster_broken(c, "the core does not start");
    if (quorum_core_log_forgotten(core)) {
        batches_clear(&disk->log);
        batches_clear(&disk->durable);
    }
    server->written = server->syncing = 0;
    server->snapshotting = false;
    server->leading = false;
    server_run_actions(c, server);
}

static void sync_done(struct cluster *c, struct server *server, const struct event *event)
{
    if (event->life != server->life || event->log_life != server->log_life)
        return;
    batches_copy(&server->disk.durable, &server->sync_image);
    uint64_t first = server->disk.log.count ? server->disk.log.items[0].batch.base : UINT64_MAX;
    batches_drop_prefix(&server->disk.durable, first);
    uint64_t id = server->syncing;
    server->syncing = 0;
    quorum_core_persisted(server->core, id, c->now_ms);
    server_run_actions(c, server);
    if (server->core && server->written > id)
        start_sync(c, server);
}

static uint64_t choose_first(struct cluster *c, struct server *server, uint64_t index)
{
    const struct batches *log = &server->disk.log;
    uint64_t how = cluster_random(c, 3);
    if (how == 0 || log->count == 0)
        return index + 1;
    if (how == 1)
        return log->items[0].batch.base;
    uint64_t base = log->items[cluster_random(c, log->count)].batch.base;
    return MIN(base, index + 1);
}

static void snapshot_done(struct cluster *c, struct server *server, struct event *event)
{
    if (event->life != server->life)
        return;
    server->snapshotting = false;
    if (quorum_core_snapshot_index(server->core) >= event->snapshot.index)
        return;
    quorum_voters_unref(server->disk.snapshot.voters);
    server->disk.snapshot = event->snapshot;
    quorum_voters_ref(event->snapshot.voters);
    struct snapshot shared = event->snapshot;
    quorum_voters_ref(shared.voters);
    VEC_PUSH(c->snapshots, c->snapshot_count, c->snapshot_capacity) = shared;
    c->result->snapshots++;
    if (c->faulty && cluster_random(c, 20) == 0) {
        server_crash(c, server);
        server_start(c, server);
        return;
    }
    uint64_t first = choose_first(c, server, event->snapshot.index);
    batches_drop_prefix(&server->disk.log, first);
    batches_drop_prefix(&server->disk.durable, first);
    int rv = quorum_core_snapshot_taken(server->core, event->snapshot.index, first, c->now_ms);
    CHECK(rv == 0);
    server_run_actions(c, server);
}

static void install_done(struct cluster *c, struct server *server, struct event *event)
{
    if (event->life != server->life)
        return;
    quorum_voters_unref(server->disk.snapshot.voters);
    server->disk.snapshot = event->snapshot;
    quorum_voters_ref(event->snapshot.voters);
    c->result->installs++;
    if (c->faulty && cluster_random(c, 10) == 0) {
        server_crash(c, server);
        server_start(c, server);
        return;
    }
    batches_clear(&server->disk.log);
    batches_clear(&server->disk.durable);
    server->log_life++;
    server->syncing = 0;
    server->applied = event->snapshot.index;
    server->hash = event->snapshot.hash;
    quorum_core_snapshot_installed(server->core, c->now_ms);
    server_run_actions(c, server);
}

static void client(struct cluster *c)
{
    for (int i = 0; i < c->options.servers && !cluster_ended(c); i++) {
        struct server *server = &c->servers[i];
        if (!server->leading || !server->core)
            continue;
        uint32_t count = 1 + (uint32_t)cluster_random(c, 5);
        if (c->options.huge_batches && cluster_random(c, 4) == 0)
            count = 1 + (uint32_t)cluster_random(c, 300);
        struct quorum_bytes bytes = {.offset = ++c->payloads};
        uint64_t base;
        quorum_core_submit(server->core, count, bytes, c->now_ms, &base);
        server_run_actions(c, server);
    }
    struct event event = {.at_ms = c->now_ms + 1 + (int64_t)cluster_random(c, 25), .type = CLIENT};
    event_push(c, &event);
}

static void handle(struct cluster *c, struct event *event)
{
    struct server *server = &c->servers[event->slot];
    switch (event->type) {
    case DELIVER:
        if (server->core && uuid_eq(server->disk.directory_id, event->to)) {
            quorum_core_receive(server->core, &event->message, c->now_ms);
            server_run_actions(c, server);
        }
        break;
    case SYNC_DONE:
        sync_done(c, server, event);
        break;
    case RESTART:
        if (!server->core && event->life == server->life)
            server_start(c, server);
        break;
    case SNAPSHOT_DONE:
        snapshot_done(c, server, event);
        break;
    case INSTALL_DONE:
        install_done(c, server, event);
        break;
    case FAULT:
        if (c->faulty) {
            cluster_fault(c);
            struct event next = {.at_ms = c->now_ms + 100 + (int64_t)cluster_random(c, 900),
                                 .type = FAULT};
            event_push(c, &next);
        }
        break;
    case CLIENT:
        client(c);
        break;
    case HEAL:
        c->faulty = false;
        cluster_heal(c);
        break;
    }
    event_release(event);
}

static void run_until(struct cluster *c, int64_t end_ms)
{
    while (!cluster_ended(c)) {
        int64_t due = event_next_ms(c);
        struct server *who = NULL;
        for (int i = 0; i < c->options.servers; i++) {
            struct server *server = &c->servers[i];
            if (!server->core)
                continue;
            int64_t deadline = MAX(quorum_core_deadline_ms(server->core), c->now_ms);
            if (c->options.wipe && server->leading)
                deadline = MIN(deadline, MAX(server->next_driver_ms, c->now_ms));
            if (deadline < due) {
                due = deadline;
                who = server;
            }
        }
        if (due > end_ms)
            break;
        c->now_ms = MAX(c->now_ms, due);
        if (!who) {
            struct event event;
            event_pop(c, &event);
            handle(c, &event);
            continue;
        }
        if (c->options.wipe && who->leading && who->next_driver_ms <= c->now_ms) {
            who->next_driver_ms = c->now_ms + 30;
            cluster_drive_membership(c, who);
        }
        if (who->core)
            quorum_core_tick(who->core, c->now_ms);
        server_run_actions(c, who);
    }
    c->now_ms = MAX(c->now_ms, end_ms);
}

/* Faults are over: all servers have to agree on something new. */
static void check_together(struct cluster *c)
{
    uint64_t goal = c->committed_end + 1;
    run_until(c, c->now_ms + 8000);
    for (int i = 0; i < c->options.servers && !cluster_ended(c); i++) {
        const struct server *server = &c->servers[i];
        if (!server->core)
            cluster_broken(c, "server %d is down at the end", i);
        else if (server->applied < goal)
            cluster_broken(c, "server %d is stuck at %llu, others had %llu", i,
                           (unsigned long long)server->applied, (unsigned long long)goal);
        else if (c->options.wipe &&
                 !quorum_voters_is_voter(quorum_core_voters(server->core),
                                         quorum_raft_id(server->disk.directory_id)))
            cluster_broken(c, "server %d did not become a voter again", i);
    }
}

static void release(struct cluster *c)
{
    struct event event;
    while (event_pop(c, &event))
        event_release(&event);
    for (int i = 0; i < c->options.servers; i++) {
        count_guards(c, &c->servers[i]);
        quorum_core_free(c->servers[i].core);
        batches_release(&c->servers[i].sync_image);
        disk_release(&c->servers[i].disk);
    }
    for (size_t i = 0; i < c->snapshot_count; i++)
        quorum_voters_unref(c->snapshots[i].voters);
    free(c->snapshots);
    free(c->committed);
    free(c->events);
    free(c);
}

void cluster_run(const struct cluster_options *options, struct cluster_result *ret)
{
    struct cluster *c = mem_calloc(1, sizeof(*c));
    *ret = (struct cluster_result){0};
    c->options = *options;
    c->result = ret;
    c->random = options->seed;
    c->now_ms = 1000;
    c->faulty = true;
    c->delay_max_ms = 4;
    c->crash_per_mille = (unsigned)cluster_random(c, 60);
    struct quorum_voters *voters = quorum_voters_new();
    for (int i = 0; i < options->servers; i++) {
        c->servers[i].slot = i;
        c->servers[i].disk.directory_id = disk_new_directory(c);
        quorum_voters_add(voters, i, c->servers[i].disk.directory_id, QUORUM_VOTER);
    }
    for (int i = 0; i < options->servers; i++)
        disk_format_voter(&c->servers[i].disk, voters);
    quorum_voters_unref(voters);
    for (int i = 0; i < options->servers; i++)
        server_start(c, &c->servers[i]);
    struct event first_client = {.at_ms = c->now_ms + 10, .type = CLIENT};
    struct event first_fault = {.at_ms = c->now_ms + 700, .type = FAULT};
    struct event heal = {.at_ms = c->now_ms + options->faulty_ms, .type = HEAL};
    event_push(c, &first_client);
    event_push(c, &first_fault);
    event_push(c, &heal);
    run_until(c, heal.at_ms + 4000);
    check_together(c);
    release(c);
}
