/*
 * Inside of kafka-reassign-partitions: the options and what each action is given
 * (reassign_partitions.c), files and the assignment of now (reassign_plan.c), where replicas could
 * go (reassign_generate.c), execution and cancelling (reassign_execute.c), verification
 * (reassign_verify.c), throttles (reassign_throttle.c).
 *
 * Texts and lists are in the command's arena, or in the file's document. One thread. Functions that
 * return bool fill *failure and return false when they fail.
 */
#ifndef KRAFTD_TOOLS_REASSIGN_INTERNAL_H
#define KRAFTD_TOOLS_REASSIGN_INTERNAL_H

#include "common/protocol/messages/describe_log_dirs.h"
#include "tools/admin.h"
#include "tools/json_input.h"
#include "tools/tool.h"

struct reassign_command {
    struct tool tool;
    struct client *client;
    struct arena arena;
    json_t *file; /* topic names and directories point into it */
    int64_t throttle, dir_throttle;
    int64_t timeout_ms;
    bool additional, preserve_throttles, disable_rack_aware, keep_factor;
};

/* A partition and its replicas: of a file, or as it is. */
struct reassign_move {
    struct str topic;
    int32_t partition;
    int32_t *replicas;
    struct str *dirs; /* one for each replica; null: any; NULL: any for all */
    int32_t count;
    size_t place; /* in the file */
};

struct reassign_moves {
    struct reassign_move *items; /* by topic, then partition */
    size_t count;
};

typedef struct list_partition_reassignments_response_ongoing_partition_reassignment
    reassign_ongoing;

/* A topic has a name. */
bool reassign_topic_name(const json_t *field, struct str *ret_name, struct failure *failure);
/* Of two moves: topic, then partition. */
int reassign_by_name(const void *a, const void *b);
/* What a --reassignment-json-file says. Only what is to be executed has to make sense: otherwise
 * the last mention of a partition counts, and any list of replicas will do. */
bool reassign_read_moves(struct reassign_command *command, const char *path, bool to_execute,
                         struct reassign_moves *ret_moves, struct failure *failure);
/* The same partitions as they are now, in the directories where they are. */
bool reassign_current(struct reassign_command *command, const struct reassign_moves *moves,
                      struct reassign_moves *ret_current, struct failure *failure);
/* All partitions of these topics. */
bool reassign_topics_of(struct reassign_command *command, const struct str *names, size_t count,
                        struct reassign_moves *ret_current, struct failure *failure);
/* {"version":1,"partitions":[...]} */
json_t *reassign_to_json(const struct reassign_moves *moves);
/* NULL: not under way. */
const reassign_ongoing *reassign_find(const struct list_partition_reassignments_response *ongoing,
                                      struct str topic, int32_t partition);
/* "t-0,t-1" of those that `wanted` holds for; all where it is NULL. In the arena. */
struct str reassign_names(struct reassign_command *command, const struct reassign_moves *moves,
                          const bool *wanted, size_t *ret_count);
bool reassign_has(const int32_t *ids, int32_t count, int32_t id);
struct str reassign_ids_text(struct arena *arena, const int32_t *ids, int32_t count,
                             const char *separator);

/* Where a replica lies, or its copy that is on the way elsewhere; null: nowhere. */
struct str reassign_dir_of(const struct describe_log_dirs_response *response,
                           const struct reassign_move *move, bool future);

/* The actions; the exit code. */
int reassign_generate(struct reassign_command *command, const char *path, const char *brokers);
int reassign_execute(struct reassign_command *command, const char *path);
int reassign_cancel(struct reassign_command *command, const char *path);
int reassign_verify(struct reassign_command *command, const char *path);
/* "Error: ..." on standard output. */
int reassign_fail(const struct reassign_command *command, const struct failure *failure);

/* Of the brokers and topics that replicas leave and reach. */
bool reassign_set_throttles(struct reassign_command *command, const struct reassign_moves *moves,
                            const struct reassign_moves *current,
                            const struct list_partition_reassignments_response *ongoing,
                            struct failure *failure);
/* Of all brokers, and of the topics of these partitions; says so. */
bool reassign_clear_throttles(struct reassign_command *command, const struct reassign_moves *moves,
                              struct failure *failure);

#endif
