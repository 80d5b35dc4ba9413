/*
 * Formation: how nodes with empty disks become one cluster, exactly once. Sans-I/O: messages, time
 * and what the disk did go in, actions come out. The rules:
 *
 * 1. A directory id is random and durable before the first contact; a new or reset disk has a new
 *    one.
 * 2. Only the lowest listed node, while blank, forms. It runs two complete collects one after the
 *    other, each under a fresh nonce: every listed node, itself too, answers that it is blank, its
 *    directory id and the hash of the listed set, and both sets are equal. A formed answer or a
 *    timeout starts over.
 * 3. It makes the record durable (a new cluster id each time; node and directory ids, end points)
 *    and then hands it out.
 * 4. A blank node adopts a record that names its node id with its current directory id, durably,
 *    before it answers or votes; from then on it is bound.
 * 5. Bound nodes answer with their record. Blank and not named: observe that cluster.
 * 6. A stillborn record is dropped: nothing in the log, no leader, all listed nodes answered one
 *    survey, none has data of this cluster, and fewer than a majority of the record's directory ids
 *    can still take part. The disk gets a new directory id.
 * 7. A node with data never resets.
 *
 * Who cannot tell which of the end points is its own asks them all and finds its own answer among
 * the others; without it a node never forms, it only joins.
 *
 * A listed set is the end points after resolving; node ids come from the answers, and two end
 * points with one directory id count once. A set of one forms only if nobody else made contact.
 */
#ifndef KRAFTD_RAFT_FORMATION_H
#define KRAFTD_RAFT_FORMATION_H

#include "raft/formation_record.h"

#define FORMATION_LISTED_MAX QUORUM_SERVERS_MAX

struct formation_message {
    bool ask;       /* else it tells */
    uint64_t nonce; /* of the question; 0: told without being asked */
    int32_t node_id;
    struct uuid directory_id;
    uint64_t listed_hash;
    bool has_data; /* a log beyond entry 1, or a leader is known */
    /* The sender's record; cluster_id "": it is blank. */
    char cluster_id[CLUSTER_ID_MAX + 1];
    const struct quorum_voters *voters;
    /* The sender's own listeners, for a blank one. */
    const struct quorum_voters *self;
};

struct formation_config {
    int32_t node_id;
    const struct quorum_voters *self; /* one server: our listeners; the directory id is set here */
    int listed_count;                 /* 1 to FORMATION_LISTED_MAX */
    int self_index;                   /* which of them we are; -1: not known, ask them all */
    char *const *listed_names;        /* for people; NULL: they are numbered */
    uint64_t listed_hash;
    int64_t round_timeout_ms, retry_ms;
    bool never_reset; /* the record was not made by a formation */
    /* Mutations, for tests. */
    bool one_collect, majority_is_enough;
};

enum formation_action_type {
    FORMATION_SEND,    /* message to end point `to` */
    FORMATION_WRITE,   /* make this record durable, then formation_written */
    FORMATION_START,   /* bound: the quorum may start with this record */
    FORMATION_OBSERVE, /* blank: follow this cluster as an observer; nothing durable */
    FORMATION_RESET,   /* stop the quorum, drop the record and everything of it, make a new
                          directory id durable, then formation_was_reset */
    FORMATION_SAY,     /* a sentence for people */
};

struct formation_action {
    enum formation_action_type type;
    int to;
    struct formation_message message;
    const struct formation_record *record; /* lives until the next call */
    char text[256];
};

struct formation;

/* `entropy` is random. record: what the disk holds, NULL when blank. */
struct formation *formation_new(const struct formation_config *config, struct uuid entropy,
                                struct uuid directory_id, const struct formation_record *record);
void formation_free(struct formation *formation); /* NULL is fine */

void formation_start(struct formation *formation, int64_t now_ms);
void formation_tick(struct formation *formation, int64_t now_ms);
int64_t formation_deadline_ms(const struct formation *formation);
/* `from`: the listed end point that sent it, -1 for any other node. An answer to it goes to the
 * same place, FORMATION_SEND with to -1 for one that is not listed. */
void formation_receive(struct formation *formation, int from,
                       const struct formation_message *message, int64_t now_ms);
void formation_written(struct formation *formation, int64_t now_ms);
void formation_was_reset(struct formation *formation, struct uuid directory_id, int64_t now_ms);
/* The quorum got a log beyond entry 1, or knows a leader. Never taken back. */
void formation_has_data(struct formation *formation);

bool formation_take(struct formation *formation, struct formation_action *ret_action);

enum formation_state { FORMATION_BLANK, FORMATION_WRITING, FORMATION_BOUND, FORMATION_RESETTING };
enum formation_state formation_state(const struct formation *formation);

#endif
