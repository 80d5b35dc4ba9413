#include "broker/server/metadata_loop.h"

#define LOG_MODULE "metadata_loop"

#include "broker/server/broker_watch.h"
#include "broker/server/controller_call.h"
#include "broker/server/metadata_loop_internal.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/node.h"
#include "broker/server/node_repair.h"
#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/base/mutation.h"
#include "metadata/config/server_config.h"
#include "raft/quorum_serve.h"

#include <errno.h>
#include <stdlib.h>

#define RETRY_MS        100
#define INTERVAL_MAX_MS INT64_C(1000000000000) /* what may be added to any time */

static struct logger *logger_of(const struct metadata_loop *ml)
{
    return node_env(ml->node)->logger;
}

/* Answers go out in the order of the log. */
static void answer_committed(struct metadata_loop *ml)
{
    int64_t end = ml->loader.next_offset;
    while (!list_empty(&ml->waiting)) {
        struct controller_call *call = LIST_ITEM(ml->waiting.next, struct controller_call, link);
        if (call->offset >= end)
            return;
        list_remove(&call->link);
        shard_call_answer(&call->call);
    }
}

static void fail_waiting(struct metadata_loop *ml, enum kafka_error error)
{
    struct list failed;
    list_init(&failed);
    while (!list_empty(&ml->waiting))
        list_push_back(&failed, list_pop_front(&ml->waiting));
    struct list *node;
    while ((node = list_pop_front(&failed)) != NULL) {
        controller_call_finish(LIST_ITEM(node, struct controller_call, link), error);
    }
}

static void publish(struct metadata_loop *ml, const struct image_delta *delta)
{
    if (delta == NULL)
        return;
    const struct image *image = image_chain_published(ml->chain);
    for (int i = 0; i < shard_count(ml->node); i++)
        shard_send_image(node_shard(ml->node, i), image, delta);
    broker_watch_image(node_broker_watch(ml->node), delta);
    node_image_published(ml->node);
}

static struct controller_context context_now(const struct metadata_loop *ml)
{
    return (struct controller_context){.now_ms = env_now_ms(node_env(ml->node)),
                                       .next_offset = quorum_node_next_offset(ml->quorum)};
}

/* Appends the records in batches; *ret_last gets the offset of the last. All of them are encoded
 * before the first is appended: a decision is never written in part because of a record that cannot
 * be. */
static int propose(struct metadata_loop *ml, struct arena *arena, struct controller_result *result,
                   int64_t *ret_last)
{
    controller_frame(ml->controller, arena, result);
    const struct metadata_records *records = &result->records;
    int64_t first = quorum_node_next_offset(ml->quorum), base = first;
    int64_t now_ms = env_wall_ms(node_env(ml->node));
    size_t count = (records->count + CONTROLLER_BATCH_RECORDS - 1) / CONTROLLER_BATCH_RECORDS;
    struct buf **batches = ARENA_ARRAY(arena, struct buf *, count);
    int rv = 0;
    size_t made = 0, sent = 0;
    for (; rv == 0 && made < count; made++) {
        size_t at = made * CONTROLLER_BATCH_RECORDS;
        size_t size = MIN(records->count - at, (size_t)CONTROLLER_BATCH_RECORDS);
        struct bytebuf out;
        bytebuf_init(&out);
        rv = record_codec_encode_batch(records->items + at, size, base, ml->epoch, now_ms, &out);
        batches[made] = bytebuf_to_buf(&out);
        base += (int64_t)size;
    }
    for (; rv == 0 && sent < count; sent++)
        rv = quorum_node_propose(ml->quorum, batches[sent], NULL);
    for (; sent < made; sent++)
        buf_unref(batches[sent]);
    if (rv != 0)
        return rv;
    controller_propose(ml->controller, result, first, now_ms);
    *ret_last = base - 1;
    return 0;
}

static void run_due(struct metadata_loop *ml);

static void encode_failed(struct metadata_loop *ml, int status)
{
    log_error(logger_of(ml), "The records of a decision cannot be written: %s", strerror(-status));
}

void metadata_loop_decide(struct metadata_loop *ml, struct controller_call *call)
{
    call->error = KAFKA_ERROR_NONE;
    if (ml->stopping || !metadata_loop_is_active(ml)) {
        controller_call_finish(call, KAFKA_ERROR_NOT_CONTROLLER);
        return;
    }
    if (call->run != NULL) {
        call->run(ml, call);
        return;
    }
    struct controller_context ctx = context_now(ml);
    struct controller_result result = {0};
    call->decide(ml->controller, &ctx, call->body, call->arena, call->response, &result);
    call->offset = controller_pending_offset(ml->controller);
    if (result.records.count > 0) {
        int rv = propose(ml, call->arena, &result, &call->offset);
        if (rv != 0) {
            if (rv != -EPERM)
                encode_failed(ml, rv);
            controller_call_finish(call, rv == -EPERM ? KAFKA_ERROR_NOT_CONTROLLER
                                                      : KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
            return;
        }
    }
    list_push_back(&ml->waiting, &call->link);
    answer_committed(ml);
    run_due(ml);
}

static void run_due(struct metadata_loop *ml)
{
    int64_t next_ms = INT64_MAX;
    struct arena arena;
    arena_init(&arena, 0);
    while (!ml->stopping && metadata_loop_is_active(ml)) {
        struct controller_context ctx = context_now(ml);
        struct controller_result result = {0};
        int64_t last;
        controller_tick(ml->controller, &ctx, &arena, &result, &next_ms);
        if (result.records.count == 0)
            break;
        int rv = propose(ml, &arena, &result, &last);
        if (rv != 0) {
            if (rv != -EPERM)
                encode_failed(ml, rv);
            next_ms = ctx.now_ms + RETRY_MS;
            break;
        }
    }
    arena_release(&arena);
    if (next_ms == INT64_MAX)
        timer_stop(&ml->timer);
    else
        timer_start_at_us(&ml->timer, next_ms * 1000);
}

bool metadata_loop_broker_gone(struct metadata_loop *ml, int32_t broker, int64_t epoch)
{
    const struct image *image = metadata_loop_decided(ml);
    const struct broker_image *found = image ? cluster_image_broker(&image->cluster, broker) : NULL;
    if (ml->stopping || !found || found->fenced ||
        !controller_broker_gone(ml->controller, env_now_ms(node_env(ml->node)), broker, epoch))
        return false;
    run_due(ml);
    return true;
}

static void tick(struct timer *timer)
{
    run_due(CONTAINER_OF(timer, struct metadata_loop, timer));
}

/* Who became leader writes what a new controller writes first. */
static void on_leader(void *ctx, int32_t epoch)
{
    struct metadata_loop *ml = ctx;
    ml->epoch = epoch;
    ml->leader_id = node_id(ml->node);
    struct arena arena;
    arena_init(&arena, 0);
    struct controller_context context = context_now(ml);
    struct controller_result result = {0};
    const char *reason = NULL;
    int rv = controller_activate(ml->controller, &context, epoch, &ml->bootstrap, &arena, &result,
                                 &reason);
    int64_t last;
    if (rv == 0 && result.records.count > 0)
        rv = propose(ml, &arena, &result, &last);
    if (rv != 0) {
        log_error(logger_of(ml), "This node cannot lead the metadata log: %s",
                  reason ? reason : strerror(-rv));
        controller_deactivate(ml->controller);
    } else {
        controller_last_heard(ml->controller, context.now_ms, ml->former_leader_id,
                              quorum_core_leader_contact_ms(quorum_node_core(ml->quorum)));
        log_info(logger_of(ml), "Became the active controller epoch=%d offset=%lld", epoch,
                 (long long)context.next_offset);
    }
    arena_release(&arena);
    run_due(ml);
    node_controller_changed(ml->node);
}

/* What was proposed and is not committed is forgotten; what is committed is read again. */
static void on_follower(void *ctx, int32_t epoch, int32_t leader_id)
{
    struct metadata_loop *ml = ctx;
    ml->epoch = epoch;
    ml->leader_id = leader_id;
    if (leader_id >= 0)
        ml->former_leader_id = leader_id;
    if (metadata_loop_is_active(ml)) {
        log_info(logger_of(ml), "No longer the active controller epoch=%d leader=%d", epoch,
                 leader_id);
        controller_deactivate(ml->controller);
        fail_waiting(ml, KAFKA_ERROR_NOT_CONTROLLER);
        timer_stop(&ml->timer);
        quorum_node_rewind(ml->quorum, ml->loader.next_offset);
    }
    node_controller_changed(ml->node);
}

/* How long what we proposed took, by the time that its batch carries. */
static void note_commit(struct metadata_loop *ml)
{
    int64_t proposed_ms = image_chain_published(ml->chain)->timestamp_ms;
    int64_t now_ms = env_wall_ms(node_env(ml->node));
    if (metadata_loop_is_active(ml))
        quorum_gauges_committed(broker_metrics_quorum(node_metrics(ml->node)),
                                MAX(now_ms - proposed_ms, 0));
}

static int committed(void *ctx, struct bytes batches)
{
    struct metadata_loop *ml = ctx;
    const struct image_delta *delta = NULL;
    int rv = loader_commit(&ml->loader, batches, &delta);
    if (rv != 0) {
        log_error(logger_of(ml), "The metadata log cannot be applied: %s",
                  loader_error(&ml->loader));
        return rv;
    }
    note_commit(ml);
    publish(ml, delta);
    answer_committed(ml);
    metadata_snapshot_if_due(ml);
    return 0;
}

static int bootstrap(void *ctx, struct bytes batches)
{
    struct metadata_loop *ml = ctx;
    return metadata_records_collect(batches, &ml->bootstrap_arena, &ml->bootstrap);
}

static int snapshot_begin(void *ctx)
{
    return loader_snapshot_begin(&((struct metadata_loop *)ctx)->loader);
}

static int snapshot_batches(void *ctx, struct bytes batches)
{
    return loader_snapshot_add(&((struct metadata_loop *)ctx)->loader, batches);
}

static int snapshot_end(void *ctx, struct quorum_checkpoint_id id)
{
    struct metadata_loop *ml = ctx;
    const struct image_delta *delta = NULL;
    int rv = loader_snapshot_end(&ml->loader, id.end_offset, id.epoch, &delta);
    if (rv != 0) {
        log_error(logger_of(ml), "A metadata checkpoint cannot be applied: %s",
                  loader_error(&ml->loader));
        return rv;
    }
    publish(ml, delta);
    answer_committed(ml);
    return 0;
}

static void started(struct metadata_loop *ml, int status)
{
    void (*call)(void *, int) = ml->started;
    ml->started = NULL;
    if (call != NULL)
        call(ml->started_ctx, status);
}

static void loaded(void *ctx)
{
    started(ctx, 0);
}

static void failed(void *ctx, const char *sentence)
{
    struct metadata_loop *ml = ctx;
    if (ml->started != NULL && quorum_node_is_damaged(ml->quorum) &&
        node_repair_start(ml->node, sentence))
        return;
    log_at(logger_of(ml), LOG_FATAL, "%s", sentence);
    controller_deactivate(ml->controller);
    fail_waiting(ml, KAFKA_ERROR_NOT_CONTROLLER);
    timer_stop(&ml->timer);
    if (ml->started != NULL)
        started(ml, -EIO);
    else
        node_fatal(ml->node);
}

void metadata_loop_give_up(struct metadata_loop *ml)
{
    if (ml->started != NULL)
        started(ml, -EIO);
}

static void opened(void *ctx)
{
}

static const struct quorum_handler handler = {
    .opened = opened,
    .bootstrap = bootstrap,
    .snapshot_begin = snapshot_begin,
    .snapshot_batches = snapshot_batches,
    .snapshot_end = snapshot_end,
    .committed = committed,
    .loaded = loaded,
    .on_leader = on_leader,
    .on_follower = on_follower,
    .failed = failed,
};

static struct str static_config(void *ctx, struct str name)
{
    const struct server_config *config = ctx;
    return properties_get(&config->properties, name);
}

static void random_fill(void *ctx, void *ret_bytes, size_t len)
{
    env_random(ctx, ret_bytes, len);
}

static int64_t imbalance_check_interval_ms(const struct server_config *config)
{
    if (!server_config_boolean(config, CONFIG_BROKER_AUTO_LEADER_REBALANCE_ENABLE))
        return 0;
    int64_t seconds =
        server_config_integer(config, CONFIG_BROKER_LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS);
    return MIN(seconds, INTERVAL_MAX_MS / 1000) * 1000;
}

static void make_controller(struct metadata_loop *ml)
{
    const struct server_config *config = node_config(ml->node);
    ml->controller_config = (struct controller_config){
        .node_id = config->node_id,
        .cluster_id = node_cluster_id(ml->node),
        .num_partitions = (int32_t)server_config_integer(config, CONFIG_BROKER_NUM_PARTITIONS),
        .default_replication_factor =
            (int16_t)server_config_integer(config, CONFIG_BROKER_DEFAULT_REPLICATION_FACTOR),
        .delete_topic_enable = server_config_boolean(config, CONFIG_BROKER_DELETE_TOPIC_ENABLE),
        .session_timeout_ms =
            server_config_integer(config, CONFIG_BROKER_BROKER_SESSION_TIMEOUT_MS),
        .max_idle_interval_ms =
            server_config_integer(config, CONFIG_BROKER_METADATA_MAX_IDLE_INTERVAL_MS),
        .imbalance_check_interval_ms = imbalance_check_interval_ms(config),
        .unclean_interval_ms =
            MIN(server_config_integer(config, CONFIG_BROKER_UNCLEAN_LEADER_ELECTION_INTERVAL_MS),
                INTERVAL_MAX_MS),
        .static_config = static_config,
        .static_config_ctx = (void *)(uintptr_t)config,
        .random = {.fill = random_fill, .ctx = node_env(ml->node)},
        .mutations = MUTATIONS_OF(node_env(ml->node)->disk),
    };
    ml->controller = controller_new(&ml->controller_config, &ml->loader);
}

struct metadata_loop *metadata_loop_new(struct node *node)
{
    struct metadata_loop *ml = mem_calloc(1, sizeof(*ml));
    ml->node = node;
    ml->leader_id = -1;
    ml->former_leader_id = -1;
    ml->chain = image_chain_new(true);
    loader_init(&ml->loader, ml->chain);
    list_init(&ml->waiting);
    arena_init(&ml->bootstrap_arena, 0);
    timer_init(&ml->timer, node_env(node)->loops[0], tick);
    return ml;
}

void metadata_loop_free(struct metadata_loop *ml)
{
    if (ml == NULL)
        return;
    CHECK(list_empty(&ml->waiting));
    controller_free(ml->controller);
    arena_release(&ml->bootstrap_arena);
    loader_release(&ml->loader);
    image_chain_free(ml->chain);
    free(ml);
}

void metadata_loop_start(struct metadata_loop *ml, const struct quorum_node_config *config,
                         void (*start_done)(void *ctx, int status), void *ctx)
{
    ml->started = start_done;
    ml->started_ctx = ctx;
    make_controller(ml);
    ml->quorum = quorum_node_new(node_env(ml->node)->loops[0], config, &handler, ml);
    quorum_node_start(ml->quorum);
}

void metadata_loop_end_waits(struct metadata_loop *ml)
{
    if (ml->quorum != NULL)
        quorum_node_end_waits(ml->quorum);
}

static void quorum_stopped(void *ctx)
{
    struct metadata_loop *ml = ctx;
    quorum_node_free(ml->quorum);
    ml->quorum = NULL;
    ml->stopped(ml->stopped_ctx);
}

void metadata_loop_stop(struct metadata_loop *ml, void (*stopped)(void *ctx), void *ctx)
{
    ml->stopping = true;
    ml->stopped = stopped;
    ml->stopped_ctx = ctx;
    timer_stop(&ml->timer);
    fail_waiting(ml, KAFKA_ERROR_NOT_CONTROLLER);
    if (ml->quorum != NULL)
        quorum_node_stop(ml->quorum, quorum_stopped, ml);
    else
        stopped(ctx);
}

struct quorum_node *metadata_loop_quorum(const struct metadata_loop *ml)
{
    return ml->quorum;
}

bool metadata_loop_is_active(const struct metadata_loop *ml)
{
    return ml->controller != NULL && controller_is_active(ml->controller);
}

const struct image *metadata_loop_decided(const struct metadata_loop *ml)
{
    return metadata_loop_is_active(ml) ? controller_image(ml->controller) : NULL;
}

bool metadata_loop_leader(const struct metadata_loop *ml, struct metadata_leader *ret_leader)
{
    struct quorum_leader leader;
    if (ml->quorum == NULL || !quorum_node_leader(ml->quorum, &leader))
        return false;
    *ret_leader = (struct metadata_leader){leader.id, leader.epoch, leader.endpoint};
    return true;
}

int32_t metadata_loop_leader_id(const struct metadata_loop *ml)
{
    return ml->leader_id;
}

const struct image *metadata_loop_add_reader(struct metadata_loop *ml, struct image_reader *reader)
{
    return image_reader_add(ml->chain, reader);
}

void metadata_loop_remove_reader(struct metadata_loop *ml, struct image_reader *reader)
{
    image_reader_remove(ml->chain, reader);
}
