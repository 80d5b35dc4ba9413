/*
 * From libraft to the wire. libraft addresses single entries; the wire carries whole batches (W17,
 * W20), so an append is widened to batch borders and remembers in `echo` what libraft meant; a
 * result is rounded to a batch end (W19) and rejects what the leader asked about (W18).
 */
#include "raft/quorum_core_internal.h"

/* How many queued actions are looked at: a batch and a message for each peer of a proposal. */
enum { JOIN_LOOK = 2 * QUORUM_SERVERS_MAX };

struct quorum_peer *peer_find(struct quorum_core *core, uint64_t raft_id)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        if (core->peers[i].id.raft_id == raft_id)
            return &core->peers[i];
    }
    return NULL;
}

struct quorum_peer *peer_meet(struct quorum_core *core, const struct quorum_peer_id *id)
{
    struct quorum_peer *peer = peer_find(core, id->raft_id);
    if (peer) {
        peer->id = *id;
        return peer;
    }
    /* Strangers must not fill the memory: one that is in no set gives way. */
    struct quorum_peer blank = {.id = *id, .heard_ms = INT64_MIN, .caught_up_ms = INT64_MIN};
    struct quorum_voters *voters = quorum_core_voters(core);
    for (size_t i = 0; core->peer_count >= (size_t)2 * QUORUM_SERVERS_MAX; i++) {
        CHECK(i < core->peer_count);
        if (voters && quorum_voters_find(voters, core->peers[i].id.raft_id))
            continue;
        core->peers[i] = blank;
        return &core->peers[i];
    }
    VEC_PUSH(core->peers, core->peer_count, core->peer_capacity) = blank;
    return &core->peers[core->peer_count - 1];
}

struct quorum_peer_id peer_id_of(struct quorum_core *core, uint64_t raft_id)
{
    if (raft_id == core->self.raft_id)
        return core->self;
    for (size_t i = core->change_count; i-- > 0;) {
        const struct quorum_server *server = quorum_voters_find(core->changes[i].voters, raft_id);
        if (server)
            return (struct quorum_peer_id){server->node_id, server->directory_id, raft_id};
    }
    const struct quorum_peer *peer = peer_find(core, raft_id);
    return peer ? peer->id : (struct quorum_peer_id){.node_id = -1, .raft_id = raft_id};
}

static struct quorum_message *message_push(struct quorum_core *core, enum quorum_message_type type,
                                           const struct quorum_peer_id *to, uint64_t term)
{
    struct quorum_message *message = &action_push(core, QUORUM_SEND)->message;
    *message = (struct quorum_message){.type = type, .peer = *to, .term = term};
    return message;
}

/*
 * libraft asks for `count` entries behind `prev`; what goes out is (W, E], all of it whole batches:
 * W is prev, or the border before the batch that prev lies in (so that batch goes along, even in a
 * heartbeat), or the border behind it when that batch went out whole just before.
 */
static void widen(struct quorum_core *core, struct quorum_peer *peer, uint64_t prev, uint64_t count,
                  struct quorum_append *append)
{
    uint64_t start = prev, end = prev + count;
    struct quorum_extent batch;
    append->echo = prev;
    if (prev > 0 && quorum_map_find(&core->map, prev, &batch) && batch.end != prev &&
        guard(core, QUORUM_W17_WHOLE_BATCHES)) {
        if (batch.end == peer->sent) {
            start = batch.end;
        } else if (batch.base == 1 || quorum_core_term_of(core, batch.base - 1) != 0 ||
                   !guard(core, QUORUM_W20_UNKNOWN_TERM)) {
            start = batch.base - 1;
            end = MAX(end, batch.end);
        } else {
            /* W20: ask about prev alone and let the answer, a batch end, move it on. */
            end = prev;
            append->commit_index = 0;
        }
    }
    if (end > start && quorum_map_find(&core->map, end, &batch) && batch.end != end &&
        guard(core, QUORUM_W17_WHOLE_BATCHES))
        end = batch.end;
    append->prev_index = start;
    append->prev_term = start ? quorum_core_term_of(core, start) : 0;
    append->end_index = MAX(end, start);
    peer->sent = MAX(peer->sent, append->end_index);
}

/*
 * What is proposed in one turn goes out in one message: an append joins the one to the same peer
 * that is still queued and ends where it begins, behind the batches that stand between them. One
 * without batches needs no message of its own then. False: it has to be sent by itself.
 */
static bool join_queued(struct quorum_core *core, const struct quorum_message *message)
{
    const struct quorum_append *append = &message->append;
    size_t end = core->action_count,
           stop = end - core->action_front > JOIN_LOOK ? end - JOIN_LOOK : core->action_front;
    while (end-- > stop) {
        struct quorum_action *action = &core->actions[end];
        if (action->type == QUORUM_APPEND_BATCH || action->type == QUORUM_COMMIT)
            continue;
        if (action->type != QUORUM_SEND)
            return false;
        if (action->message.peer.raft_id != message->peer.raft_id)
            continue;
        struct quorum_append *queued = &action->message.append;
        if (action->message.type != QUORUM_APPEND || action->message.term != message->term ||
            append->prev_index > queued->end_index)
            return false;
        bool is_empty = append->end_index == append->prev_index;
        if (!is_empty && append->prev_index != queued->end_index)
            return false;
        queued->commit_index = MAX(queued->commit_index, append->commit_index);
        if (is_empty)
            return true;
        queued->end_index = append->end_index;
        struct quorum_action joined = *action;
        memmove(action, action + 1, (core->action_count - end - 1) * sizeof(*action));
        core->actions[core->action_count - 1] = joined;
        return true;
    }
    return false;
}

/* With `ride` only as a part of what is on its way to it anyway. */
static void send_append(struct quorum_core *core, const struct quorum_peer_id *to,
                        const struct raft_append_entries *args, bool ride)
{
    struct quorum_message message = {.type = QUORUM_APPEND, .peer = *to, .term = args->term};
    struct quorum_peer *peer = peer_meet(core, to);
    uint64_t sent = peer->sent;
    message.append.commit_index = args->leader_commit;
    widen(core, peer, args->prev_log_index, args->n_entries, &message.append);
    if (join_queued(core, &message))
        return;
    if (ride)
        peer->sent = sent;
    else
        action_push(core, QUORUM_SEND)->message = message;
}

static void send_append_result(struct quorum_core *core, const struct quorum_peer_id *to,
                               const struct raft_append_entries_result *args)
{
    struct quorum_message *message = message_push(core, QUORUM_APPEND_RESULT, to, args->term);
    struct quorum_append_result *result = &message->append_result;
    result->rejected = args->rejected;
    result->last_index = args->last_log_index;
    if (result->rejected != 0) {
        core->rejected = true;
        if (core->echo != result->rejected && guard(core, QUORUM_W18_ECHO))
            result->rejected = core->echo;
        return;
    }
    struct quorum_extent batch;
    if (quorum_map_find(&core->map, result->last_index, &batch) &&
        batch.end != result->last_index && guard(core, QUORUM_W19_RESULT_BATCH_END))
        result->last_index = batch.end <= core->raft.last_stored ? batch.end : batch.base - 1;
}

void send_message(struct quorum_core *core, const struct raft_message *args)
{
    struct quorum_peer_id to = peer_id_of(core, args->server_id);
    struct quorum_message *message;
    switch (args->type) {
    case RAFT_APPEND_ENTRIES:
        send_append(core, &to, &args->append_entries, false);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        send_append_result(core, &to, &args->append_entries_result);
        break;
    case RAFT_REQUEST_VOTE:
        message = message_push(core, QUORUM_VOTE, &to, args->request_vote.term);
        message->vote = (struct quorum_vote){
            .last_index = args->request_vote.last_log_index,
            .last_term = args->request_vote.last_log_term,
            .disrupt_leader = args->request_vote.disrupt_leader,
            .pre_vote = args->request_vote.pre_vote,
        };
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        message = message_push(core, QUORUM_VOTE_RESULT, &to, args->request_vote_result.term);
        message->vote_result.granted = args->request_vote_result.vote_granted;
        message->vote_result.pre_vote = args->request_vote_result.pre_vote;
        /* A denial must show a higher term of ours, or the longest log is never elected. */
        if (message->vote_result.pre_vote && !message->vote_result.granted &&
            message->term < raft_current_term(&core->raft) && guard(core, QUORUM_W4_PRE_VOTE_TERM))
            message->term = raft_current_term(&core->raft);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        message = message_push(core, QUORUM_INSTALL, &to, args->install_snapshot.term);
        message->install.last_index = args->install_snapshot.last_index;
        message->install.last_term = args->install_snapshot.last_term;
        message->install.voters = quorum_voters_ref(core->changes[0].voters);
        break;
    case RAFT_TIMEOUT_NOW:
        message = message_push(core, QUORUM_TIMEOUT_NOW, &to, args->timeout_now.term);
        message->timeout_now.last_index = args->timeout_now.last_log_index;
        message->timeout_now.last_term = args->timeout_now.last_log_term;
        break;
    default:
        UNREACHABLE();
    }
}

void tell_commit(struct quorum_core *core, uint64_t raft_id)
{
    raft_index match, commit = raft_commit_index(&core->raft);
    if (raft_id == core->self.raft_id || raft_match_index(&core->raft, raft_id, &match) != 0)
        return;
    struct quorum_peer_id to = peer_id_of(core, raft_id);
    uint64_t known = MIN(match, commit), term = match ? quorum_core_term_of(core, match) : 0;
    struct quorum_peer *peer = peer_meet(core, &to);
    bool news = known > peer->told;
    if (term == 0 || (!news && known == commit))
        return;
    peer->told = known;
    struct raft_append_entries heartbeat = {
        .term = raft_current_term(&core->raft),
        .prev_log_index = match,
        .prev_log_term = term,
        .leader_commit = commit,
    };
    send_append(core, &to, &heartbeat, !news);
}

void send_commit(struct quorum_core *core)
{
    const struct quorum_voters *voters = quorum_core_voters(core);
    for (int i = 0; i < voters->count; i++)
        tell_commit(core, voters->servers[i].raft_id);
}

void send_stale_term(struct quorum_core *core, const struct quorum_peer_id *peer)
{
    message_push(core, QUORUM_APPEND_RESULT, peer, raft_current_term(&core->raft));
}
