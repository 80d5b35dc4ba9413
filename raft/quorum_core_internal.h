/*
 * The quorum core's state and what its files share. quorum_core.c: life and events; quorum_step.c:
 * one step of libraft and what follows from it; quorum_send.c and quorum_receive.c: messages and
 * their guards; quorum_change.c: membership; quorum_actions.c: the queue of actions.
 */
#ifndef KRAFTD_RAFT_QUORUM_CORE_INTERNAL_H
#define KRAFTD_RAFT_QUORUM_CORE_INTERNAL_H

#include "common/base/check.h"
#include "common/base/mem.h"
#include "raft/quorum_core.h"

#include <raft.h>

/* A server we exchanged messages with. */
struct quorum_peer {
    struct quorum_peer_id id;
    uint64_t sent;        /* end of the last batch that went out to it whole in this leadership */
    uint64_t told;        /* the commit index that it was told when it had all up to there */
    int64_t heard_ms;     /* its last append result in this leadership; INT64_MIN: none */
    uint64_t heard_end;   /* where our log ended then */
    int64_t caught_up_ms; /* when it last had all there was; INT64_MIN: never in this leadership */
};

/* The set of voters from this index on. */
struct quorum_change_at {
    uint64_t index; /* of the batch; of the snapshot; 1 for the bootstrap */
    struct quorum_voters *voters;
};

/* The newest set that was written once more as it was. */
struct quorum_repeated {
    uint64_t index; /* 0: none */
    int64_t at_ms;
};

struct quorum_write {
    uint64_t id, end;
};

struct quorum_core {
    struct raft raft;
    struct quorum_core_config config;
    struct quorum_peer_id self;
    char address[UUID_TEXT_LEN + 1]; /* what libraft has for an address: the directory id */

    uint64_t start_term, start_vote; /* as loaded, until the start */
    struct quorum_map map;
    struct quorum_change_at *changes; /* ascending; the first is the snapshot's or the bootstrap */
    size_t change_count, change_capacity;
    struct quorum_repeated repeated;
    uint64_t changes_applied; /* libraft was told that those up to here are committed */
    uint64_t snapshot_index, snapshot_term;

    struct quorum_action *actions; /* [action_front, action_count) wait */
    size_t action_front, action_count, action_capacity;
    struct quorum_write *writes; /* [write_front, write_count) are not yet durable */
    size_t write_front, write_count, write_capacity;
    uint64_t last_write_id;

    uint64_t commit;      /* given out: committed, stored, a batch end */
    uint64_t commit_seen; /* the highest libraft ever said */
    struct quorum_peer *peers;
    size_t peer_count, peer_capacity;
    uint64_t granted[QUORUM_SERVERS_MAX]; /* raft ids that voted for us in this term */
    int granted_count;

    int64_t now_ms, leader_contact_ms; /* contact: INT64_MIN for never */
    uint64_t leader_term;              /* of that contact */
    struct {
        enum quorum_role role;
        uint64_t term, leader;
    } reported;
    /* A TimeoutNow that names more than is stored; term 0: none. */
    struct {
        struct quorum_peer_id peer;
        uint64_t term;
        struct quorum_timeout_now message;
        int64_t until_ms;
    } summons;
    struct quorum_voters *installing; /* of the snapshot that is being fetched */
    uint64_t echo;                    /* of the append that is being received (W18) */
    bool rejected;                    /* its current part did not fit */
    struct raft_entry *entries;       /* scratch for one step */
    size_t entry_capacity;
    unsigned flags; /* of the last step */
    bool started, failed, log_forgotten;
    struct quorum_core_counters counters;
};

#define COMMITTED_DIFFERS "an entry that is committed here differs from the leader's"

/* Asked where the guard makes a difference, as the last part of its condition. */
static inline bool guard(struct quorum_core *core, enum quorum_guard which)
{
    if (!quorum_guard_on(core->config.guards_off, which))
        return false;
    core->counters.guarded[which]++;
    return true;
}

/* quorum_actions.c */
struct quorum_action *action_push(struct quorum_core *core, enum quorum_action_type type);
void actions_release(struct quorum_core *core);

/* quorum_step.c: feeds one event and queues what follows. `batches` are those the event may append,
 * ascending. 0, or libraft's error, after which nothing has changed. */
int step(struct quorum_core *core, struct raft_event *event, const struct quorum_batch *batches,
         size_t batch_count);
/* As step, for events that cannot fail: stops the core when they do. */
void step_or_fail(struct quorum_core *core, struct raft_event *event,
                  const struct quorum_batch *batches, size_t batch_count);
void core_fail(struct quorum_core *core, const char *reason);
int errno_of_raft(int rv);
void changes_push(struct quorum_core *core, uint64_t index, struct quorum_voters *voters);
void configuration_of(const struct quorum_voters *voters, struct raft_configuration *ret);
void configuration_encode(const struct quorum_voters *voters, struct raft_buffer *ret);
/* Room for so many entries in core->entries, all zero. */
struct raft_entry *entries_room(struct quorum_core *core, size_t count);
/* Gives libraft a leader's batch; its first entry is this change of the configuration, where there
 * is one. */
int submit_batch(struct quorum_core *core, const struct quorum_batch *batch,
                 const struct raft_buffer *configuration);
/* Tells libraft that the change at changes[i] is committed. */
void change_commit(struct quorum_core *core, size_t i);

/* quorum_send.c: what libraft wants to send, translated and queued. */
void send_message(struct quorum_core *core, const struct raft_message *message);
/* Tells a follower the commit index without waiting for a heartbeat, once it is known to have the
 * log: what it is told before it has stored it, it may forget. */
void tell_commit(struct quorum_core *core, uint64_t raft_id);
/* The same to every follower. */
void send_commit(struct quorum_core *core);
/* The answer to a message of an older term (W1). */
void send_stale_term(struct quorum_core *core, const struct quorum_peer_id *peer);

/* quorum_receive.c: a TimeoutNow that waited may be heard now. */
void follow_summons(struct quorum_core *core);

struct quorum_peer *peer_find(struct quorum_core *core, uint64_t raft_id);
/* Never NULL; remembers it. */
struct quorum_peer *peer_meet(struct quorum_core *core, const struct quorum_peer_id *id);
struct quorum_peer_id peer_id_of(struct quorum_core *core, uint64_t raft_id);

#endif
