/*
 * The controller: a pure state machine that turns requests into metadata records. It never reads a
 * clock, a socket or a file; whoever owns it (the quorum's glue, on the metadata loop) passes the
 * time, randomness and the log's next offset, appends the records it returns, and tells it what was
 * committed.
 *
 * How one request goes through:
 *
 *   1. controller_<api>() (controller_api.h) decides on the newest image, proposed ones included,
 *      and fills in the response and the records. Nothing has changed yet.
 *   2. The glue cuts the records into batches of at most CONTROLLER_BATCH_RECORDS, appends them to
 *      the log one right after the other, and calls controller_propose with the first one's offset.
 *   3. The response is sent once the log is committed up to the last record (without records: up to
 *      controller_pending_offset), where the glue calls loader_commit with the batches as every
 *      node does; the loader publishes the image that was proposed.
 *
 * On loss of leadership all proposals are dropped (controller_deactivate); the glue then answers
 * what waits with NOT_CONTROLLER and feeds the loader again from loader->next_offset, because
 * committed batches of a proposal that was not committed whole have not been applied.
 */
#ifndef KRAFTD_METADATA_CONTROLLER_H
#define KRAFTD_METADATA_CONTROLLER_H

#include "metadata/loader.h"

/* As Kafka's. A list of records that has to be all or nothing and is longer is framed by
 * BeginTransaction and EndTransaction. */
#define CONTROLLER_BATCH_RECORDS 10000

struct controller;
struct mutations;

struct random_source {
    void (*fill)(void *ctx, void *ret_bytes, size_t len);
    void *ctx;
};

/* What a controller is told once; all of it must outlive the controller. */
struct controller_config {
    int32_t node_id;
    struct str cluster_id;
    int32_t num_partitions;             /* num.partitions */
    int16_t default_replication_factor; /* default.replication.factor */
    bool delete_topic_enable;
    int64_t session_timeout_ms;   /* broker.session.timeout.ms */
    int64_t max_idle_interval_ms; /* metadata.max.idle.interval.ms; 0: no NoOp records */
    /* leader.imbalance.check.interval.seconds; 0: leadership stays (auto.leader.rebalance.enable)
     */
    int64_t imbalance_check_interval_ms;
    int64_t unclean_interval_ms; /* unclean.leader.election.interval.ms; 0: never by itself */
    /* What server.properties says for a broker key, null when it does not; may be NULL. */
    struct str (*static_config)(void *ctx, struct str name);
    void *static_config_ctx;
    struct random_source random;
    const struct mutations *mutations; /* for tests (common/base/mutation.h); NULL: none */
};

/* What comes with one call. */
struct controller_context {
    int64_t now_ms;      /* monotonic */
    int64_t next_offset; /* of the next record in the log */
    /* Whether the caller may see the configs of a topic it creates; NULL: yes. */
    bool (*may_describe_configs)(void *ctx, struct str topic);
    void *may_describe_configs_ctx;
};

struct controller_result {
    struct metadata_records records;
    bool atomic; /* all or nothing */
};

/* The loader's chain must keep the index of hosted partitions. */
struct controller *controller_new(const struct controller_config *config, struct loader *loader);
/* NULL is fine. */
void controller_free(struct controller *controller);

bool controller_is_active(const struct controller *controller);

/*
 * The quorum made this node leader of `epoch`, and everything before its LeaderChange is committed
 * and loaded. Returns the records that the new controller writes first: those of `bootstrap` into
 * an empty log (feature levels, credentials; see controller_bootstrap_records), an AbortTransaction
 * where the last leader left a transaction open, a NoOp otherwise. 0, or -EBADMSG with
 * *ret_reason when this log cannot be led (a transaction open at a level without transactions).
 */
int controller_activate(struct controller *controller, const struct controller_context *ctx,
                        int32_t epoch, const struct metadata_records *bootstrap,
                        struct arena *arena, struct controller_result *ret_result,
                        const char **ret_reason);
/* Harmless when it is not active. */
void controller_deactivate(struct controller *controller);

/* The feature levels of a new cluster of this metadata.version, as kafka-storage format writes
 * them. `levels` (level -1: the default) may override; NULL for none. */
struct feature_choice {
    struct str name;
    int16_t level;
};
void controller_bootstrap_records(int16_t metadata_version, const struct feature_choice *choices,
                                  size_t choice_count, struct arena *arena,
                                  struct metadata_records *records);

/* Frames records that have to be atomic and do not fit one batch. Before appending. */
void controller_frame(const struct controller *controller, struct arena *arena,
                      struct controller_result *result);
/* The records were appended to the log from first_offset on; they become part of what later
 * decisions are made on. Not with an empty list. */
void controller_propose(struct controller *controller, const struct controller_result *result,
                        int64_t first_offset, int64_t timestamp_ms);
/* What has to be committed before an answer may leave that was decided now; -1: nothing. */
int64_t controller_pending_offset(const struct controller *controller);

/*
 * What is due by itself: brokers whose session ended are fenced, leaderless partitions and those
 * with another leader than the preferred one get an election, the idle log gets its NoOp.
 * Returns at most one action per call; call again until the result has no records. *ret_next_ms
 * says when to call next, INT64_MAX for never.
 */
void controller_tick(struct controller *controller, const struct controller_context *ctx,
                     struct arena *arena, struct controller_result *ret_result,
                     int64_t *ret_next_ms);

/* A new controller gives each broker a whole session. The node that led the quorum before is known
 * better: it was heard of for the last time then. Not when that is longer ago than a session. */
void controller_last_heard(struct controller *controller, int64_t now_ms, int32_t broker,
                           int64_t heard_ms);
/* The process of this incarnation is known to be gone: the next tick fences the broker. False when
 * that is no news. */
bool controller_broker_gone(struct controller *controller, int64_t now_ms, int32_t broker,
                            int64_t epoch);

/* The image decisions are made on. */
const struct image *controller_image(const struct controller *controller);

#endif
