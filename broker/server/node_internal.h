/*
 * Inside of a node: node.c (start and stop), node_formation.c and node_quorum.c (its
 * cluster and quorum), node_repair.c (a damaged metadata log),
 * node_storage.c (what partitions need of the disks), and node_view.c (what others ask).
 */
#ifndef KRAFTD_BROKER_SERVER_NODE_INTERNAL_H
#define KRAFTD_BROKER_SERVER_NODE_INTERNAL_H

#include "broker/server/node.h"
#include "broker/server/node_disk.h"
#include "broker/server/shard.h"
#include "broker/server/throttles.h"
#include "common/storage/file_cache.h"

#include <stdatomic.h>

struct broker_lifecycle;
struct node_formation;
struct node_repair;
struct quorum_peers;
struct controller_channel;
struct controller_lifecycle;
struct directory_assignments;
struct isr_changes;
struct broker_watch;
struct listeners;

enum node_state {
    NODE_NEW,
    NODE_STARTING,
    NODE_RUNNING,
    NODE_FAILED, /* only stop is left */
    NODE_STOPPING,
    NODE_STOPPED,
};

struct node_shard_stop {
    struct task task;
    struct node *node;
    int index;
};

/* On its way to loop 0. */
struct node_event {
    struct task task;
    struct node *node;
};

struct node {
    struct env *env;
    const struct server_config *config;
    enum node_state state;
    struct node_disk disk;
    struct broker_metrics *metrics;
    struct shard *shards;
    struct metadata_loop *metadata;
    struct controller_channel *channel;
    struct throttles throttles;
    struct isr_changes *isr_changes;
    struct broker_watch *watch;
    struct directory_assignments *directory_assignments;
    struct listeners *listeners;
    struct uuid incarnation_id; /* of the broker: drawn at each start */
    struct broker_lifecycle *lifecycle;
    struct node_formation *formation;
    bool reset_wanted; /* a stillborn formation: the disks become blank at the end */
    struct node_repair *repair;
    bool aside_wanted; /* a damaged metadata log is set aside at the end */
    struct quorum_peers *peers;
    struct timer resign_timer;
    int64_t resign_due_ms;
    void (*resigned)(void *node);
    struct quorum_membership *membership; /* NULL: no controller here */
    void (*quorum_stopped)(void *ctx);
    void *quorum_stopped_ctx;
    struct controller_lifecycle *controller_lifecycle; /* NULL: no controller here */

    bool *dirs_told; /* those that are known to be offline, by the number of the directory */
    bool metadata_loaded, unfenced;
    _Atomic bool ready; /* /readyz */
    /* On workers now; at the start also one for each shard that has not seen which ones are its
     * own. */
    _Atomic int64_t opening_partitions;
    _Atomic int64_t partition_count;
    struct timer checkpoint_timer;
    struct work checkpoint_work;
    bool checkpointing;

    struct image_reader stray_reader; /* holds stray_image while a worker looks at it */
    const struct image *stray_image;
    struct work work; /* the step of start or stop that is on a worker */
    int work_status;
    bool work_running, stop_waits;
    int64_t stop_epoch;
    int stopping_shards;
    struct node_shard_stop *shard_stops;
    void (*started)(void *ctx, int status);
    void *started_ctx;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    void (*fatal)(void *ctx);
    void *fatal_ctx;
};

void node_check_ready(struct node *node);
void node_stop_continue(struct node *node);
/* Before anything is opened: those that are offline already are told by the registration. */
void node_note_dirs(struct node *node);
void node_fill_host(struct node *node, struct shard *shard, struct loop *loop);
/* Begins to write the checkpoints of the log directories from time to time. */
void node_checkpoint_init(struct node *node);
void node_checkpoint_arm(struct node *node);

#endif
