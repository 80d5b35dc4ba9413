#define LOG_MODULE "replica_fetcher"

#include "broker/replica/follower_state.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/node.h"
#include "broker/server/replica_fetcher.h"
#include "broker/server/shard_topics.h"
#include "broker/server/throttles.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/protocol/frame.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/list_offsets.h"
#include "metadata/config/server_config.h"

#include <errno.h>

static struct followed *find(const struct replica_fetcher *f, struct partition *p)
{
    struct followed *followed = p ? *partition_followed(p) : NULL;
    return followed != NULL && followed->fetcher == f ? followed : NULL;
}

void replica_fetcher_pause(struct followed *followed)
{
    const struct shard *shard = followed->fetcher->shard;
    int64_t max_ms =
        server_config_integer(node_config(shard->node), CONFIG_BROKER_REPLICA_FETCH_BACKOFF_MS);
    /* The pause may be over before the next request, which then does not take it out first. */
    followed->again = true;
    timer_start_in_ms(&followed->pause, follower_backoff_ms(followed->errors++, max_ms));
    replica_fetcher_touch(followed->fetcher, followed);
}

void replica_fetcher_set_out_of_range(struct followed *followed, bool out_of_range)
{
    followed->fetcher->out_of_range_count += out_of_range - followed->out_of_range;
    followed->out_of_range = out_of_range;
    replica_fetcher_touch(followed->fetcher, followed);
}

static void say_corrupt(const struct replica_fetcher *f, const struct partition *p)
{
    log_error(
        node_env(f->shard->node)->logger,
        "Broker %d sent a corrupt batch of %.*s-%d at or after offset=%lld: it is refused and "
        "fetched again",
        f->source, STR_FMT(partition_topic(p)), partition_index(p),
        (long long)log_end_offset(partition_any_log(p)));
}

static void say_contradiction(const struct replica_fetcher *f, const struct partition *p,
                              const struct log_epoch_end *end)
{
    log_error(
        node_env(f->shard->node)->logger,
        "Broker %d disowns records of %.*s-%d that it gave in the same epoch: those of epoch=%d "
        "end at offset=%lld, it says now. They are fetched again, more slowly; if this goes "
        "on, move the leadership to another replica",
        f->source, STR_FMT(partition_topic(p)), partition_index(p), end->epoch,
        (long long)end->end_offset);
}

static void take_records(struct replica_fetcher *f, struct followed *followed,
                         const struct fetch_response_partition_data *in)
{
    struct partition *p = followed->partition;
    struct follow_answer answer = {
        .records = in->records,
        .high_watermark = in->high_watermark,
        .log_start_offset = in->log_start_offset,
        .diverging = {in->diverging_epoch.epoch, in->diverging_epoch.end_offset},
    };
    struct follow_at before = followed->sent, after;
    int64_t bytes;
    enum follow_result result = partition_follow(p, &followed->sent, &answer, &bytes);
    replica_fetcher_touch(f, followed);
    if (result == FOLLOW_TAKEN && partition_follow_at(p, &after) == FOLLOW_READY)
        followed->lag = MAX(in->high_watermark - after.offset, 0);
    replication_metrics_count(f->shard->metrics, REPLICATION_BYTES_IN, bytes);
    if (partition_throttled(p).as_follower)
        replication_quota_note(&node_throttles(f->shard->node)->follower,
                               env_now_ms(f->shard->loop->env), bytes);
    if (result == FOLLOW_CORRUPT) {
        broker_metrics_bad_crc(f->shard->metrics);
        say_corrupt(f, p);
    }
    bool diverged = answer.diverging.epoch >= 0 || answer.diverging.end_offset >= 0;
    bool stuck = result == FOLLOW_TAKEN && partition_follow_at(p, &after) == FOLLOW_READY &&
                 (diverged || in->records.len > 0) && after.offset == before.offset &&
                 after.last_epoch == before.last_epoch;
    /* What it gave in this epoch it cannot disown in the same one: its log contradicts itself. */
    bool contradicts = diverged && followed->taken_in == before.leader_epoch;
    if (contradicts)
        say_contradiction(f, p, &answer.diverging);
    /* The leader gives nothing more until it is told a place again. */
    if (result != FOLLOW_TAKEN || stuck || contradicts) {
        replica_fetcher_pause(followed);
        return;
    }
    if (bytes > 0)
        followed->taken_in = before.leader_epoch;
    followed->errors = 0;
    followed->said_out_of_range = false;
}

static void take_partition(struct replica_fetcher *f, uint64_t number, struct uuid topic_id,
                           const struct fetch_response_partition_data *in)
{
    struct followed *followed = find(f, shard_partition(f->shard, topic_id, in->partition_index));
    /* A fetch that went before is answered from another place: of this replica before a cut, or of
     * one that was here before it. The answer to the one that named this place comes behind. */
    if (followed == NULL || !followed->in_session || number < followed->named_in)
        return;
    switch (in->error_code) {
    case KAFKA_ERROR_NONE:
        take_records(f, followed, in);
        break;
    case KAFKA_ERROR_OFFSET_OUT_OF_RANGE:
        followed->leader_end = -1;
        replica_fetcher_set_out_of_range(followed, true);
        break;
    default:
        /* Who leads is on its way to one of us; the rest mends itself or is told by metadata. */
        replica_fetcher_pause(followed);
    }
}

static bool decode(struct replica_fetcher *f, int16_t key, int16_t version, struct buf *frame,
                   struct arena *arena, void *ret_response)
{
    const struct api *api = api_find(key);
    struct bytes input = {frame->data, (int32_t)frame->size_bytes};
    struct response_header header;
    if (response_header_decode(api, version, &input, arena, &header) == 0 &&
        message_decode(api->response, version, &input, arena, ret_response) == 0)
        return true;
    log_error(node_env(f->shard->node)->logger,
              "Broker %d sent an answer to %s that cannot be read", f->source, api->name);
    return false;
}

static void take_session(struct replica_fetcher *f, const struct fetcher_request *request,
                         const struct fetch_response *response)
{
    if (request->generation != f->generation)
        return;
    if (response->error_code != KAFKA_ERROR_NONE || response->session_id == 0) {
        bool told = response->error_code == KAFKA_ERROR_NONE;
        /* Without a session there each request stands for itself. */
        f->session_id = f->session_epoch = 0;
        if (!told)
            replica_fetcher_reset_session(f);
        return;
    }
    if (f->session_id != response->session_id) {
        f->session_id = response->session_id;
        f->session_epoch = 1;
    }
}

void replica_fetcher_answered(struct replica_fetcher *f, struct fetcher_request *request,
                              struct buf *frame)
{
    struct arena arena;
    struct fetch_response response;
    arena_init(&arena, 0);
    arena.limit_bytes = (size_t)64 << 20;
    f->answering = true;
    if (decode(f, API_FETCH, REPLICA_FETCH_VERSION, frame, &arena, &response)) {
        take_session(f, request, &response);
        for (int32_t t = 0; t < response.responses_count; t++)
            for (int32_t i = 0; i < response.responses[t].partitions_count; i++)
                take_partition(f, request->number, response.responses[t].topic_id,
                               &response.responses[t].partitions[i]);
    } else {
        replica_fetcher_reset_session(f);
        f->attempts++;
    }
    f->answering = false;
    arena_release(&arena);
}

static struct partition *find_by_name(const struct replica_fetcher *f, struct str topic,
                                      int32_t index)
{
    struct topic_ref ref;
    return shard_topic_by_name(f->shard, topic, &ref) ? shard_partition(f->shard, ref.id, index)
                                                      : NULL;
}

/* Its end is of an epoch that is still to come. Nothing that this cluster ever wrote is. */
static bool is_foreign(const struct followed *followed)
{
    return followed->sent.last_epoch > followed->sent.leader_epoch;
}

static void say_out_of_range(const struct replica_fetcher *f, const struct followed *followed,
                             int64_t leader_start)
{
    const struct partition *p = followed->partition;
    struct logger *logger = node_env(f->shard->node)->logger;
    if (is_foreign(followed))
        log_error(logger,
                  "%.*s-%d has records of epoch=%d here, but broker %d leads it in epoch=%d: this "
                  "log is not what the cluster has written. It is left as it is, and the replica "
                  "stays out of sync; move its directory away while this broker is stopped, then "
                  "it is fetched anew",
                  STR_FMT(partition_topic(p)), partition_index(p), followed->sent.last_epoch,
                  f->source, followed->sent.leader_epoch);
    else
        log_warn(logger,
                 "%.*s-%d is out of the leader's range at offset=%lld: broker %d has %lld to %lld",
                 STR_FMT(partition_topic(p)), partition_index(p), (long long)followed->sent.offset,
                 f->source, (long long)leader_start, (long long)followed->leader_end);
}

static void take_offset(struct replica_fetcher *f, struct followed *followed,
                        const struct list_offsets_response_list_offsets_partition_response *in)
{
    bool failed = in->error_code != KAFKA_ERROR_NONE || in->offset < 0;
    if (!failed && !f->listing_start) {
        followed->leader_end = in->offset;
        return;
    }
    replica_fetcher_set_out_of_range(followed, false);
    if (failed) {
        replica_fetcher_pause(followed);
        return;
    }
    if (!followed->said_out_of_range)
        say_out_of_range(f, followed, in->offset);
    followed->said_out_of_range = true;
    /* Where nothing changes, the leader will say the same again. */
    replica_fetcher_pause(followed);
    if (!is_foreign(followed))
        partition_follow_reset(followed->partition, &followed->sent, in->offset,
                               followed->leader_end);
}

void replica_fetcher_listed(struct replica_fetcher *f, struct buf *frame)
{
    struct arena arena;
    struct list_offsets_response response;
    arena_init(&arena, 0);
    arena.limit_bytes = (size_t)16 << 20;
    bool good = frame != NULL &&
                decode(f, API_LIST_OFFSETS, REPLICA_LIST_OFFSETS_VERSION, frame, &arena, &response);
    for (int32_t t = 0; good && t < response.topics_count; t++)
        for (int32_t i = 0; i < response.topics[t].partitions_count; i++) {
            struct followed *followed =
                find(f, find_by_name(f, response.topics[t].name,
                                     response.topics[t].partitions[i].partition_index));
            if (followed != NULL && followed->out_of_range)
                take_offset(f, followed, &response.topics[t].partitions[i]);
        }
    /* What was not answered is asked for again, later. */
    LIST_FOR_EACH (node, &f->members) {
        struct followed *followed = LIST_ITEM(node, struct followed, member);
        if (followed->out_of_range && (!good || f->listing_start || followed->leader_end < 0)) {
            replica_fetcher_set_out_of_range(followed, false);
            replica_fetcher_pause(followed);
        }
    }
    arena_release(&arena);
}
