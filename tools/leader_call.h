/*
 * What is asked of the leaders of partitions: looks the leaders up, asks each for its partitions,
 * and does that again for those that have moved or have no leader, until the time of the operation
 * is up. A partition fails on its own. One thread.
 */
#ifndef KRAFTD_TOOLS_LEADER_CALL_H
#define KRAFTD_TOOLS_LEADER_CALL_H

#include "tools/client.h"

struct leader_item {
    struct str topic;
    int32_t partition;
    int64_t input, output; /* what is asked, what was answered */
    int32_t leader, leader_epoch;
    bool done;
    struct failure failure; /* done with error NONE: answered */
};

/*
 * Sends one request about items that have the same leader, those of one topic next to each other,
 * and calls leader_item_settle for each. False: the call failed, as client_call does.
 */
typedef bool (*leader_ask_fn)(struct client_op *op, int32_t leader, struct leader_item **items,
                              size_t count, const void *argument, struct failure *failure);

struct leader_call {
    const char *lookup_name, *ask_name; /* what time-outs call the two steps */
    leader_ask_fn ask;
    const void *argument;
};

/* Returns when every item is done. */
void leader_call_run(const struct leader_call *call, struct client *client,
                     struct leader_item *items, size_t count);
/* An answer: its error decides whether the item is done. */
void leader_item_settle(struct leader_item *item, int16_t error, int64_t output);

/* ListOffsets: input is a timestamp or one of the special ones, output the offset (-1: none). */
void leader_call_list_offsets(struct client *client, bool read_committed, struct leader_item *items,
                              size_t count);
/* DeleteRecords: input is the offset before which records go, output the new start. */
void leader_call_delete_records(struct client *client, struct leader_item *items, size_t count);

#endif
