/*
 * What a follower's fetch session has to read on one loop of its leader: the session's partitions
 * that this loop owns, each at the place where the follower asked last, and which of them have
 * something new for it. So a fetch looks at what changed, not at all it replicates.
 *
 *   member: IDLE or NEWS --(append, watermark: stir)--> STIRRED --(read)--> GIVEN, NEWS, IDLE
 *           GIVEN: records went out; nothing more until the follower names its new place
 *           HELD: throttled; stirred again with the follower's next request
 *           NEWS: no records, but the follower does not know the high watermark yet: it goes out
 *                 with the next records, or alone after a moment
 *
 * Two requests of a session can be here at once: the earlier one is to be answered, but waits for a
 * disk. From the moment that the later one reads, what it names and all that is new is its own: in
 * the answer to the earlier one the follower would leave it aside, as from before it said where it
 * is, and not hear of it again.
 *
 * A session's own loop may be another one. It holds no pointer here, nor the other way: it sends
 * calls with its id, and is woken by id. Owner loop; a member belongs to its feed and its
 * partition, and goes with whichever goes first.
 */
#ifndef KRAFTD_BROKER_REPLICA_REPLICA_FEED_H
#define KRAFTD_BROKER_REPLICA_REPLICA_FEED_H

#include "broker/replica/fetch_session.h"

struct partition;

enum feed_state { FEED_IDLE, FEED_STIRRED, FEED_GIVEN, FEED_NEWS, FEED_HELD };

struct feed_member {
    struct replica_feed *feed;
    struct partition *partition;
    struct list of_feed, of_partition;
    struct list queued; /* of feed->stirred, ->news or ->held, by its state */
    enum feed_state state;
    int32_t named_by;          /* the request that said last where the follower is */
    struct fetch_partition at; /* without a name; sent_ fields: what the follower was told */
};

struct replica_feed {
    int32_t session_id;
    int asker;                       /* the loop of the session */
    int32_t request;                 /* epoch of the newest one that has read here */
    struct list members;             /* of feed_member.of_feed */
    struct list stirred, news, held; /* of feed_member.queued */
    bool armed;                      /* wake when something stirs */
    void (*wake)(struct replica_feed *feed);
    void *ctx;
};

/* `request`: the epoch of the one that is its first. */
struct replica_feed *replica_feed_new(int32_t session_id, int asker, int32_t request,
                                      void (*wake)(struct replica_feed *), void *ctx);
/* A request reads on this loop, by its epoch in the session. False: a later one has done so. */
bool replica_feed_begin(struct replica_feed *feed, int32_t request);
/* NULL is fine. */
void replica_feed_free(struct replica_feed *feed);

/* The member of this partition, whose members are in `of_partition`; NULL: it has none. */
struct feed_member *replica_feed_find(const struct replica_feed *feed,
                                      const struct list *of_partition);
struct feed_member *replica_feed_add(struct replica_feed *feed, struct partition *partition,
                                     struct list *of_partition);
void feed_member_free(struct feed_member *member);
/* The follower says where it is: what it was sent before it said so it may have left aside, so it
 * is told of the high watermark and the log start again. */
void feed_member_named(struct feed_member *member, int32_t request);
/* A later request than that one did. */
bool feed_member_is_beyond(const struct feed_member *member, int32_t request);
/* What comes next may have something for it. */
void feed_member_set(struct feed_member *member, enum feed_state state);
/* The oldest stirred member, or the oldest that has news, which stays so; NULL: none. */
struct feed_member *replica_feed_next(const struct replica_feed *feed);
struct feed_member *replica_feed_next_news(const struct replica_feed *feed);

/* All that was held back. */
void replica_feed_stir_held(struct replica_feed *feed);

/* For all feeds that have the partition. */
void replica_feeds_stir(struct list *of_partition);
void replica_feeds_drop(struct list *of_partition);

#endif
