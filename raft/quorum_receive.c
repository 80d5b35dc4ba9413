/*
 * From the wire to libraft. A peer's message is checked first: libraft's asserts are compiled out,
 * so what they assume has to be true before it is fed. Then come the guards for what libraft would
 * take wrongly: W1 to W3, W6, W11, W12 and W14.
 */
#include "raft/quorum_core_internal.h"

#include <stdlib.h>

/* Versions of libraft's own messages that have all fields we fill. */
#define VOTE_MESSAGE_VERSION   2
#define RESULT_MESSAGE_VERSION 2
/* Epochs are 32 bits in Kafka. */
#define TERM_MAX ((uint64_t)INT32_MAX + 1)
/* Offsets are 63 bits; no sum of two of these overflows. */
#define INDEX_MAX ((uint64_t)1 << 62)
/* Entries in one append: bounds the memory of a step. */
#define APPEND_ENTRIES_MAX 4000000

static void drop_malformed(struct quorum_core *core)
{
    core->counters.malformed++;
}

static void feed(struct quorum_core *core, struct raft_message *raft_message,
                 const struct quorum_peer_id *peer, const struct quorum_batch *batches,
                 size_t batch_count)
{
    char address[UUID_TEXT_LEN + 1];
    uuid_format(peer->directory_id, address);
    raft_message->server_id = peer->raft_id;
    raft_message->server_address = address;
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = raft_message;
    step_or_fail(core, &event, batches, batch_count);
}

/* The batches follow each other, and prev. */
static bool append_is_whole(const struct quorum_message *message)
{
    const struct quorum_append *append = &message->append;
    uint64_t next = append->prev_index + 1, term = append->prev_term, entries = 0;
    if ((append->prev_index == 0) != (append->prev_term == 0) || append->prev_term > message->term)
        return false;
    for (size_t i = 0; i < append->batch_count; i++) {
        const struct quorum_batch *batch = &append->batches[i];
        if (batch->base != next || batch->count == 0 || batch->term < term ||
            batch->term > message->term || batch->term == 0)
            return false;
        if ((batch->kind == QUORUM_CHANGE) != (batch->voters != NULL))
            return false;
        if (batch->base == QUORUM_INDEX_BOOTSTRAP &&
            (batch->kind != QUORUM_CHANGE || batch->count != 1 ||
             batch->term != QUORUM_TERM_BOOTSTRAP))
            return false;
        next += batch->count;
        term = batch->term;
        entries += batch->count;
        if (entries > APPEND_ENTRIES_MAX)
            return false;
    }
    return true;
}

/* Where the leader's log and ours agree, they have the same batches. *ret_conflict: the first index
 * of ours that has to go, 0 when none has. */
static bool append_fits_batches(const struct quorum_core *core, uint64_t prev, uint64_t prev_term,
                                const struct quorum_batch *batches, size_t count,
                                uint64_t *ret_conflict)
{
    struct quorum_extent ours;
    if (prev > 0 && quorum_core_term_of(core, prev) != prev_term)
        return true; /* to be rejected */
    if (count > 0 && quorum_map_find(&core->map, prev, &ours) && ours.end != prev)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!quorum_map_find(&core->map, batches[i].base, &ours))
            return true;
        if (ours.base != batches[i].base)
            return false;
        if (ours.term != batches[i].term) {
            *ret_conflict = ours.base;
            return true;
        }
        if (ours.end != quorum_batch_end(&batches[i]))
            return false;
    }
    return true;
}

static void feed_append(struct quorum_core *core, const struct quorum_message *message,
                        uint64_t prev, uint64_t prev_term, const struct quorum_batch *batches,
                        size_t count)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        total += batches[i].count;
    struct raft_entry *entries = entries_room(core, total);
    void *marker = total > 0 ? raft_malloc(1) : NULL;
    CHECK(marker || total == 0);
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < batches[i].count; k++, at++) {
            entries[at] =
                (struct raft_entry){.term = batches[i].term, .type = RAFT_COMMAND, .batch = marker};
        }
        struct raft_entry *first = &entries[at - batches[i].count];
        first->type = (enum raft_entry_type)batches[i].kind;
        if (batches[i].kind == QUORUM_CHANGE)
            configuration_encode(batches[i].voters, &first->buf);
    }
    struct raft_message raft_message = {.type = RAFT_APPEND_ENTRIES};
    raft_message.append_entries.term = message->term;
    raft_message.append_entries.prev_log_index = prev;
    raft_message.append_entries.prev_log_term = prev_term;
    raft_message.append_entries.leader_commit = message->append.commit_index;
    raft_message.append_entries.entries = entries;
    raft_message.append_entries.n_entries = (unsigned)total;
    core->rejected = false;
    feed(core, &raft_message, &message->peer, batches, count);
    /* libraft frees it where it keeps none of the entries; configurations it has decoded. */
    if (core->flags & (RAFT_UPDATE_ENTRIES))
        raft_free(marker);
    for (size_t i = 0; i < total; i++)
        raft_free(entries[i].buf.base);
}

/*
 * A second change in the log means that the one before it is committed: tell libraft so before it
 * takes the second for the only open one, or a roll-back would go too far.
 */
static void settle_change(struct quorum_core *core, const struct quorum_batch *change,
                          uint64_t prev_term)
{
    uint64_t open = core->raft.configuration_uncommitted_index;
    if (open == 0 || open >= change->base ||
        quorum_core_term_of(core, change->base - 1) != prev_term)
        return;
    for (size_t i = 0; i < core->change_count; i++) {
        if (core->changes[i].index == open)
            change_commit(core, i);
    }
}

static void receive_append(struct quorum_core *core, const struct quorum_message *message)
{
    const struct quorum_batch *batches = message->append.batches;
    size_t count = message->append.batch_count;
    uint64_t prev = message->append.prev_index, prev_term = message->append.prev_term;
    /* W2: libraft takes a prev below its first entry for a log that is too short. */
    uint64_t conflict = 0;
    bool compacted = prev < core->map.first && prev != core->snapshot_index &&
                     core->snapshot_index > 0 && !(prev == 0 && core->map.first == 1);
    if (compacted && guard(core, QUORUM_W2_COMPACTED_PREFIX)) {
        while (count > 0 && quorum_batch_end(&batches[0]) <= core->snapshot_index) {
            batches++;
            count--;
        }
        prev = core->snapshot_index;
        prev_term = core->snapshot_term;
    }
    if ((count > 0 && batches[0].base != prev + 1) ||
        !append_fits_batches(core, prev, prev_term, batches, count, &conflict)) {
        drop_malformed(core);
        return;
    }
    /* libraft looks at its own commit index, which can be lower than what was given out (W8). */
    if (conflict != 0 && conflict <= core->commit) {
        core_fail(core, COMMITTED_DIFFERS);
        return;
    }
    core->leader_contact_ms = core->now_ms;
    core->leader_term = message->term;
    core->echo = message->append.echo;
    do {
        size_t part = count > 0 ? 1 : 0;
        while (part > 0 && part < count &&
               !(batches[part].kind == QUORUM_CHANGE && guard(core, QUORUM_W6_CHANGE_FIRST)))
            part++;
        if (part > 0 && batches[0].kind == QUORUM_CHANGE)
            settle_change(core, &batches[0], prev_term);
        feed_append(core, message, prev, prev_term, batches, part);
        if (part == 0 || core->failed || core->rejected)
            break;
        prev = quorum_batch_end(&batches[part - 1]);
        prev_term = batches[part - 1].term;
        batches += part;
        count -= part;
    } while (count > 0);
}

/* It is up to date now; or it has what was all there was when it was last heard, so it was then. */
static void note_heard(struct quorum_core *core, struct quorum_peer *peer,
                       const struct quorum_append_result *result)
{
    uint64_t end = quorum_core_last_index(core);
    if (result->rejected == 0 && result->last_index >= end)
        peer->caught_up_ms = core->now_ms;
    else if (result->rejected == 0 && peer->heard_ms != INT64_MIN &&
             result->last_index >= peer->heard_end)
        peer->caught_up_ms = MAX(peer->caught_up_ms, peer->heard_ms);
    peer->heard_ms = core->now_ms;
    peer->heard_end = end;
}

static void receive_append_result(struct quorum_core *core, const struct quorum_message *message)
{
    const struct quorum_append_result *result = &message->append_result;
    bool current =
        raft_state(&core->raft) == RAFT_LEADER && message->term == raft_current_term(&core->raft);
    if (current) {
        raft_index match;
        if (raft_match_index(&core->raft, message->peer.raft_id, &match) != 0)
            return;
        note_heard(core, peer_find(core, message->peer.raft_id), result);
        if (result->rejected > 0 && result->last_index < match &&
            guard(core, QUORUM_W3_STALE_REJECT))
            return;
    }
    struct raft_message raft_message = {.type = RAFT_APPEND_ENTRIES_RESULT};
    raft_message.append_entries_result.version = RESULT_MESSAGE_VERSION;
    raft_message.append_entries_result.term = message->term;
    raft_message.append_entries_result.rejected = result->rejected;
    raft_message.append_entries_result.last_log_index = result->last_index;
    feed(core, &raft_message, &message->peer, NULL, 0);
    /* It may have stored just now what was committed without it. */
    if (current && !core->failed && raft_state(&core->raft) == RAFT_LEADER)
        tell_commit(core, message->peer.raft_id);
}

/* W11: a server that has nothing might have had something, and voted then. */
static bool amnesiac(struct quorum_core *core)
{
    return quorum_core_last_index(core) == 0 && guard(core, QUORUM_W11_AMNESIAC);
}

/*
 * W14: a server that is no voter in its own newest set refuses votes and never forgets its leader.
 * It may be the survivor of a promotion that only it and the lost leader know as committed: for
 * this one question it is a voter. Candidates ignore votes they do not count. Touches public fields
 * of struct raft; quorum_core_new asserts the version they were read for.
 */
static void feed_vote(struct quorum_core *core, struct raft_message *raft_message,
                      const struct quorum_peer_id *peer)
{
    struct raft *raft = &core->raft;
    struct quorum_voters *voters = quorum_core_voters(core);
    bool lend = raft_state(raft) == RAFT_FOLLOWER && quorum_core_last_index(core) > 0 &&
                !(voters && quorum_voters_is_voter(voters, core->self.raft_id)) &&
                guard(core, QUORUM_W14_LAST_SURVIVOR);
    if (!lend) {
        feed(core, raft_message, peer, NULL, 0);
        return;
    }
    if (core->leader_contact_ms == INT64_MIN ||
        core->now_ms - core->leader_contact_ms >= (int64_t)core->config.election_timeout_ms)
        raft->follower_state.current_leader.id = 0;
    struct raft_configuration before = raft->configuration;
    struct raft_server self = {
        .id = core->self.raft_id, .address = core->address, .role = RAFT_VOTER};
    raft->configuration = (struct raft_configuration){.servers = &self, .n = 1};
    feed(core, raft_message, peer, NULL, 0);
    raft->configuration = before;
}

/*
 * libraft refuses votes as long as it has a leader, and forgets a silent one only when its own
 * election timer fires: the followers of a dead leader would all wait for the latest of their
 * timers. After the shortest election timeout (less what heartbeats arrive apart) it has none.
 */
static void forget_silent_leader(struct quorum_core *core)
{
    int64_t patience_ms =
        (int64_t)core->config.election_timeout_ms - (int64_t)core->config.heartbeat_ms;
    if (raft_state(&core->raft) == RAFT_FOLLOWER && core->leader_contact_ms != INT64_MIN &&
        core->now_ms - core->leader_contact_ms >= patience_ms)
        core->raft.follower_state.current_leader.id = 0;
}

static void receive_vote(struct quorum_core *core, const struct quorum_message *message)
{
    if (amnesiac(core))
        return;
    forget_silent_leader(core);
    struct raft_message raft_message = {.type = RAFT_REQUEST_VOTE};
    raft_message.request_vote.version = VOTE_MESSAGE_VERSION;
    raft_message.request_vote.term = message->term;
    raft_message.request_vote.candidate_id = message->peer.raft_id;
    raft_message.request_vote.last_log_index = message->vote.last_index;
    raft_message.request_vote.last_log_term = message->vote.last_term;
    raft_message.request_vote.disrupt_leader = message->vote.disrupt_leader;
    raft_message.request_vote.pre_vote = message->vote.pre_vote;
    feed_vote(core, &raft_message, &message->peer);
}

static void receive_vote_result(struct quorum_core *core, const struct quorum_message *message)
{
    if (raft_state(&core->raft) != RAFT_CANDIDATE && guard(core, QUORUM_W12_LATE_VOTE))
        return;
    if (message->vote_result.granted && !message->vote_result.pre_vote &&
        message->term == raft_current_term(&core->raft) && core->granted_count < QUORUM_SERVERS_MAX)
        core->granted[core->granted_count++] = message->peer.raft_id;
    struct raft_message raft_message = {.type = RAFT_REQUEST_VOTE_RESULT};
    raft_message.request_vote_result.version = RESULT_MESSAGE_VERSION;
    raft_message.request_vote_result.term = message->term;
    raft_message.request_vote_result.vote_granted = message->vote_result.granted;
    raft_message.request_vote_result.pre_vote = message->vote_result.pre_vote;
    feed(core, &raft_message, &message->peer, NULL, 0);
}

static void receive_install(struct quorum_core *core, const struct quorum_message *message)
{
    const struct quorum_install *install = &message->install;
    /* libraft leaks a second request and answers nothing; W21: entry 1 is no snapshot. */
    if (core->installing)
        return;
    /* What is committed here is no other leader's to replace. */
    bool replaces_commit = install->last_index <= core->commit &&
                           install->last_index > core->snapshot_index &&
                           quorum_core_term_of(core, install->last_index) != install->last_term;
    bool bootstrap =
        install->last_index <= QUORUM_INDEX_BOOTSTRAP && guard(core, QUORUM_W21_BOOTSTRAP);
    if (bootstrap || install->last_index == 0 || install->last_term == 0 ||
        install->last_term > message->term || !install->voters || install->voters->count == 0 ||
        replaces_commit) {
        drop_malformed(core);
        return;
    }
    core->leader_contact_ms = core->now_ms;
    core->leader_term = message->term;
    core->installing = quorum_voters_ref(install->voters);
    struct raft_message raft_message = {.type = RAFT_INSTALL_SNAPSHOT};
    raft_message.install_snapshot.term = message->term;
    raft_message.install_snapshot.last_index = install->last_index;
    raft_message.install_snapshot.last_term = install->last_term;
    raft_message.install_snapshot.conf_index = install->last_index;
    configuration_of(install->voters, &raft_message.install_snapshot.conf);
    feed(core, &raft_message, &message->peer, NULL, 0);
    if (!(core->flags & (RAFT_UPDATE_SNAPSHOT))) {
        quorum_voters_unref(core->installing);
        core->installing = NULL;
    }
}

static void feed_timeout_now(struct quorum_core *core, const struct quorum_peer_id *peer,
                             uint64_t term, const struct quorum_timeout_now *message)
{
    struct raft_message raft_message = {.type = RAFT_TIMEOUT_NOW};
    raft_message.timeout_now.term = term;
    raft_message.timeout_now.last_log_index = message->last_index;
    raft_message.timeout_now.last_log_term = message->last_term;
    feed(core, &raft_message, peer, NULL, 0);
}

/*
 * libraft drops a TimeoutNow while anything before its index is not stored, and a leader sends it
 * once: on its way while a batch is being synced it would be lost, and the leader leave without an
 * heir. It waits as long as the leader does.
 */
static void receive_timeout_now(struct quorum_core *core, const struct quorum_message *message)
{
    if (amnesiac(core))
        return;
    if (message->timeout_now.last_index <= core->raft.last_stored) {
        feed_timeout_now(core, &message->peer, message->term, &message->timeout_now);
        return;
    }
    core->summons.peer = message->peer;
    core->summons.term = message->term;
    core->summons.message = message->timeout_now;
    core->summons.until_ms = core->now_ms + (int64_t)core->config.election_timeout_ms;
}

void follow_summons(struct quorum_core *core)
{
    if (core->summons.term == 0 || core->summons.message.last_index > core->raft.last_stored)
        return;
    uint64_t term = core->summons.term;
    core->summons.term = 0;
    if (core->now_ms < core->summons.until_ms && term == raft_current_term(&core->raft))
        feed_timeout_now(core, &core->summons.peer, term, &core->summons.message);
}

static bool indexes_are_sane(const struct quorum_message *message)
{
    switch (message->type) {
    case QUORUM_APPEND:
        return message->append.prev_index <= INDEX_MAX && message->append.echo <= INDEX_MAX &&
               message->append.commit_index <= INDEX_MAX;
    case QUORUM_APPEND_RESULT:
        return message->append_result.rejected <= INDEX_MAX &&
               message->append_result.last_index <= INDEX_MAX;
    case QUORUM_VOTE:
        return message->vote.last_index <= INDEX_MAX;
    case QUORUM_INSTALL:
        return message->install.last_index <= INDEX_MAX;
    case QUORUM_TIMEOUT_NOW:
        return message->timeout_now.last_index <= INDEX_MAX;
    default:
        return true;
    }
}

/* What a leader sends. False: it was answered or dropped. */
static bool from_leader(struct quorum_core *core, const struct quorum_message *message)
{
    uint64_t term = raft_current_term(&core->raft);
    if (message->term < term && guard(core, QUORUM_W1_STALE_TERM)) {
        send_stale_term(core, &message->peer);
        return false;
    }
    /* Two leaders in one term: whoever sends this is not one of us. */
    if (message->term == term && raft_state(&core->raft) == RAFT_LEADER) {
        drop_malformed(core);
        return false;
    }
    return true;
}

static bool knows_a_leader(struct quorum_core *core)
{
    forget_silent_leader(core);
    return raft_state(&core->raft) == RAFT_LEADER || quorum_core_leader(core) != 0;
}

/*
 * Whoever is no member, of our newest set or the committed one, may be one of a newer set that we
 * do not have yet, so a candidate or leader among them is heard: but not as long as somebody leads
 * whom we know. A result, or the order to elect, can only come from a member. So whoever was
 * removed, or is no controller of this quorum at all, cannot unseat a leader with a high term.
 */
static bool is_heard(struct quorum_core *core, const struct quorum_message *message)
{
    const struct quorum_voters *newest = quorum_core_voters(core);
    if (!newest || quorum_voters_find(newest, message->peer.raft_id))
        return true;
    const struct quorum_voters *committed = quorum_core_voters_at(core, core->commit);
    if (committed && quorum_voters_find(committed, message->peer.raft_id))
        return true;
    switch (message->type) {
    case QUORUM_APPEND:
    case QUORUM_INSTALL:
    case QUORUM_VOTE:
        return !knows_a_leader(core) || quorum_core_leader(core) == message->peer.raft_id;
    default:
        return false;
    }
}

void quorum_core_receive(struct quorum_core *core, const struct quorum_message *message,
                         int64_t now_ms)
{
    if (!core->started || core->failed)
        return;
    core->now_ms = MAX(core->now_ms, now_ms);
    if (message->term == 0 || message->term > TERM_MAX || message->peer.raft_id == 0 ||
        message->peer.raft_id == core->self.raft_id || !indexes_are_sane(message)) {
        drop_malformed(core);
        return;
    }
    if (!is_heard(core, message))
        return;
    peer_meet(core, &message->peer);
    switch (message->type) {
    case QUORUM_APPEND:
        if (!append_is_whole(message))
            drop_malformed(core);
        else if (from_leader(core, message))
            receive_append(core, message);
        break;
    case QUORUM_APPEND_RESULT:
        receive_append_result(core, message);
        break;
    case QUORUM_VOTE:
        receive_vote(core, message);
        break;
    case QUORUM_VOTE_RESULT:
        receive_vote_result(core, message);
        break;
    case QUORUM_INSTALL:
        if (from_leader(core, message))
            receive_install(core, message);
        break;
    case QUORUM_TIMEOUT_NOW:
        receive_timeout_now(core, message);
        break;
    default:
        drop_malformed(core);
    }
}
