/*
 * What several tools ask a cluster: which topics there are, their partitions, configurations,
 * reassignments. Answers are in the arena. One thread.
 */
#ifndef KRAFTD_TOOLS_ADMIN_H
#define KRAFTD_TOOLS_ADMIN_H

#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/messages/list_partition_reassignments.h"
#include "tools/client.h"

struct admin_ids {
    int32_t *items;
    int32_t count; /* -1: the broker did not say */
};

struct admin_partition {
    int32_t index;
    int32_t leader; /* -1: none */
    int32_t leader_epoch;
    int16_t error;
    struct admin_ids replicas, isr, elr, last_known_elr;
};

struct admin_topic {
    struct str name;
    struct uuid id;
    bool internal;
    int16_t error;
    struct admin_partition *partitions; /* by index */
    int32_t partitions_count;
};

struct admin_topics {
    struct admin_topic *items;
    size_t count;
};

/* All topics that this client may see, by name. `call` is what a time-out calls it. */
bool admin_list_topics(struct client *client, const char *call, struct arena *arena,
                       struct admin_topics *ret_topics, struct failure *failure);
/* These topics, or all (count -1), by name; asks once, as client_try does. Topics with an error are
 * kept. `create` lets the broker create what is not there, where it is set up to do so. */
bool admin_try_topics(struct client_op *op, const struct str *names, int32_t count, bool create,
                      struct admin_topics *ret_topics, struct failure *failure);
/* These topics, by name, at most `limit` partitions in an answer. Fails where one is not there. */
bool admin_describe_topics(struct client *client, struct arena *arena, const struct str *names,
                           size_t count, int32_t limit, struct admin_topics *ret_topics,
                           struct failure *failure);
/* The same by id; who is eligible to lead is not said then. */
bool admin_describe_topics_by_id(struct client *client, struct arena *arena, const struct uuid *ids,
                                 size_t count, struct admin_topics *ret_topics,
                                 struct failure *failure);

/* Asks a node (CLIENT_ANY_NODE, or the broker itself for its own); per-resource errors stay in the
 * answer. */
bool admin_describe_configs(struct client *client, struct arena *arena, int32_t node,
                            const struct describe_configs_request *request,
                            struct describe_configs_response *ret_response,
                            struct failure *failure);

/* All reassignments that are going on. */
bool admin_reassignments(struct client *client, struct arena *arena,
                         struct list_partition_reassignments_response *ret_response,
                         struct failure *failure);

#endif
