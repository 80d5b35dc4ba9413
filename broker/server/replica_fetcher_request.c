#include "broker/server/replica_fetcher.h"

#include "broker/server/node.h"
#include "broker/server/throttles.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/list_offsets.h"
#include "metadata/config/server_config.h"

#include <stdlib.h>

#define EARLIEST_LOCAL (-4)
/* How long a throttled partition is left alone. */
#define THROTTLE_MS 200

static int32_t integer(const struct replica_fetcher *f, enum config_id key)
{
    return (int32_t)server_config_integer(node_config(f->shard->node), key);
}

static bool same_place(const struct follow_at *a, const struct follow_at *b)
{
    return a->leader_epoch == b->leader_epoch && a->offset == b->offset &&
           a->last_epoch == b->last_epoch && a->log_start_offset == b->log_start_offset;
}

/* Throttled is who catches up, never who is in sync (KIP-73). */
static bool is_held_back(const struct replica_fetcher *f, const struct partition *p)
{
    const struct replication_quota *quota = &node_throttles(f->shard->node)->follower;
    return partition_throttled(p).as_follower &&
           !node_list_contains(partition_get_role(p)->isr, node_id(f->shard->node)) &&
           replication_quota_exceeded(quota, env_now_ms(f->shard->loop->env));
}

/* True: the next request names it, with all of `sent`. Else it stays as it is or leaves. */
static bool select_one(struct replica_fetcher *f, struct followed *followed)
{
    struct follow_at at;
    enum follow_status status = partition_follow_at(followed->partition, &at);
    bool ready = status == FOLLOW_READY && at.leader_id == f->source && !followed->out_of_range &&
                 !timer_running(&followed->pause);
    if (ready && is_held_back(f, followed->partition)) {
        timer_start_in_ms(&followed->pause, THROTTLE_MS);
        ready = false;
    }
    if (ready && followed->in_session && !followed->again && same_place(&at, &followed->sent))
        return false;
    if (ready) {
        f->session_count += !followed->in_session;
        followed->in_session = true;
        followed->again = false;
        followed->sent = at;
        followed->named_in = f->last_number + 1;
        return true;
    }
    if (followed->in_session) {
        f->session_count--;
        followed->in_session = false;
        VEC_PUSH(f->forgotten, f->forgotten_count, f->forgotten_capacity) = (struct forgotten){
            partition_topic_id(followed->partition), partition_index(followed->partition)};
    }
    return false;
}

static void add_partition(struct replica_fetcher *f, const struct followed *followed,
                          struct fetch_request *request,
                          struct fetch_request_fetch_partition *rooms, int32_t *used)
{
    struct uuid topic_id = partition_topic_id(followed->partition);
    struct fetch_request_fetch_topic *topic = &request->topics[request->topics_count - 1];
    if (request->topics_count == 0 || !uuid_eq(topic->topic_id, topic_id)) {
        topic = &request->topics[request->topics_count++];
        topic->topic_id = topic_id;
        topic->partitions = &rooms[*used];
    }
    struct fetch_request_fetch_partition *out = &rooms[(*used)++];
    topic->partitions_count++;
    out->partition = partition_index(followed->partition);
    out->current_leader_epoch = followed->sent.leader_epoch;
    out->fetch_offset = followed->sent.offset;
    out->last_fetched_epoch = followed->sent.last_epoch;
    out->log_start_offset = followed->sent.log_start_offset;
    out->partition_max_bytes = integer(f, CONFIG_BROKER_REPLICA_FETCH_MAX_BYTES);
}

static void add_forgotten(struct replica_fetcher *f, struct fetch_request *request,
                          struct arena *arena)
{
    int32_t *rooms = ARENA_ARRAY(arena, int32_t, (int32_t)f->forgotten_count);
    request->forgotten_topics_data =
        MESSAGE_ARRAY(arena, fetch_request_forgotten_topic, (int32_t)f->forgotten_count);
    for (size_t i = 0; i < f->forgotten_count; i++) {
        int32_t count = request->forgotten_topics_data_count;
        struct fetch_request_forgotten_topic *topic = &request->forgotten_topics_data[count - 1];
        if (count == 0 || !uuid_eq(topic->topic_id, f->forgotten[i].topic_id)) {
            topic = &request->forgotten_topics_data[count];
            topic->topic_id = f->forgotten[i].topic_id;
            topic->partitions = &rooms[i];
            request->forgotten_topics_data_count++;
        }
        rooms[i] = f->forgotten[i].index;
        topic->partitions_count++;
    }
}

static void fill(const struct replica_fetcher *f, struct fetch_request *request)
{
    message_init(&fetch_request_desc, request);
    request->replica_state.replica_id = node_id(f->shard->node);
    request->replica_state.replica_epoch = node_broker_epoch(f->shard->node);
    request->max_wait_ms = integer(f, CONFIG_BROKER_REPLICA_FETCH_WAIT_MAX_MS);
    request->min_bytes = integer(f, CONFIG_BROKER_REPLICA_FETCH_MIN_BYTES);
    request->max_bytes = integer(f, CONFIG_BROKER_REPLICA_FETCH_RESPONSE_MAX_BYTES);
    request->session_id = f->session_id;
    request->session_epoch = f->session_epoch;
    request->rack_id = STR_EMPTY;
}

void replica_fetcher_reset_session(struct replica_fetcher *f)
{
    f->generation++;
    f->session_id = f->session_epoch = 0;
    f->forgotten_count = 0;
    f->session_count = 0;
    LIST_FOR_EACH (node, &f->members)
        LIST_ITEM(node, struct followed, member)->in_session = false;
}

struct fetch_request *replica_fetcher_build(struct replica_fetcher *f, bool only_news,
                                            struct arena *arena)
{
    if (f->session_epoch == 0) {
        replica_fetcher_reset_session(f);
        LIST_FOR_EACH (node, &f->members) {
            struct followed *followed = LIST_ITEM(node, struct followed, member);
            list_remove(&followed->changed);
            list_push_back(&f->changed, &followed->changed);
        }
    }
    int32_t count = 0;
    LIST_FOR_EACH (node, &f->changed) {
        struct followed *followed = LIST_ITEM(node, struct followed, changed);
        if (select_one(f, followed))
            count++;
        else
            list_remove(node);
    }
    bool nothing = f->session_count == 0 && (f->session_epoch == 0 || f->forgotten_count == 0);
    if (nothing || (only_news && count == 0))
        return NULL;
    struct fetch_request *request = ARENA_NEW(arena, struct fetch_request);
    fill(f, request);
    request->topics = MESSAGE_ARRAY(arena, fetch_request_fetch_topic, count);
    struct fetch_request_fetch_partition *rooms =
        MESSAGE_ARRAY(arena, fetch_request_fetch_partition, count);
    int32_t used = 0;
    LIST_FOR_EACH (node, &f->changed) {
        list_remove(node);
        add_partition(f, LIST_ITEM(node, struct followed, changed), request, rooms, &used);
    }
    if (f->session_epoch > 0)
        add_forgotten(f, request, arena);
    f->forgotten_count = 0;
    f->last_number++;
    return request;
}

struct list_offsets_request *replica_fetcher_build_listing(struct replica_fetcher *f,
                                                           int64_t timestamp, struct arena *arena)
{
    struct list_offsets_request *request = ARENA_NEW(arena, struct list_offsets_request);
    message_init(&list_offsets_request_desc, request);
    request->replica_id = node_id(f->shard->node);
    request->topics =
        MESSAGE_ARRAY(arena, list_offsets_request_list_offsets_topic, f->member_count);
    LIST_FOR_EACH (node, &f->members) {
        struct followed *followed = LIST_ITEM(node, struct followed, member);
        /* The second half asks for those that the first half was answered for. */
        if (!followed->out_of_range || (timestamp == EARLIEST_LOCAL && followed->leader_end < 0))
            continue;
        struct list_offsets_request_list_offsets_topic *topic =
            &request->topics[request->topics_count++];
        topic->name = partition_topic(followed->partition);
        topic->partitions = MESSAGE_ARRAY(arena, list_offsets_request_list_offsets_partition, 1);
        topic->partitions_count = 1;
        topic->partitions[0].partition_index = partition_index(followed->partition);
        topic->partitions[0].current_leader_epoch = followed->sent.leader_epoch;
        topic->partitions[0].timestamp = timestamp;
    }
    return request->topics_count > 0 ? request : NULL;
}
