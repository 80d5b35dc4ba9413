#include "broker/handlers/feed_read.h"

#include "broker/replica/replica_feed.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "broker/server/throttles.h"
#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

/* Stirred partitions that one answer looks at. */
#define READ_MAX 2000

/* On its way to a session's loop. */
struct feed_wake {
    struct task task;
    struct shard *shard;
    int32_t session_id;
};

static void woken(struct task *task)
{
    struct feed_wake *wake = CONTAINER_OF(task, struct feed_wake, task);
    replica_op_wake(wake->shard, wake->session_id);
    free(wake);
}

static void wake_asker(struct replica_feed *feed)
{
    struct shard *owner = feed->ctx;
    struct feed_wake *wake = mem_alloc(sizeof(*wake));
    *wake = (struct feed_wake){.task.run = woken,
                               .shard = node_shard(owner->node, feed->asker),
                               .session_id = feed->session_id};
    loop_post(wake->shard->loop, &wake->task);
}

static struct replica_feed *feed_of(struct feed_part *part)
{
    struct map_key key = map_key_u64((uint32_t)part->session_id);
    struct replica_feed *feed = map_get(&part->shard->feeds, key);
    /* Without anything that it names now, its session may be gone. */
    if (feed == NULL && part->named_count > 0) {
        feed =
            replica_feed_new(part->session_id, part->asker, part->request, wake_asker, part->shard);
        map_put(&part->shard->feeds, key, feed);
    }
    return feed;
}

static struct feed_member *member_of(const struct replica_feed *feed, struct partition *p)
{
    return p ? replica_feed_find(feed, partition_feed_members(p)) : NULL;
}

static struct partition *partition_of(const struct feed_part *part,
                                      const struct fetch_partition *at)
{
    return shard_partition(part->shard, at->topic_id, at->partition);
}

static void add_entry(struct feed_part *part, const struct fetch_partition *at)
{
    struct fetch_entry *entry = &VEC_PUSH(part->entries, part->count, part->capacity);
    *entry = (struct fetch_entry){.at = *at};
    entry->at.topic = STR_NULL;
    fetch_entry_clear(entry);
}

static void collect_news(struct feed_part *part, struct replica_feed *feed)
{
    struct feed_member *member;
    for (int i = 0; i < READ_MAX && (member = replica_feed_next_news(feed)) != NULL; i++) {
        feed_member_set(member, FEED_GIVEN);
        add_entry(part, &member->at);
    }
}

static void collect(struct feed_part *part, struct replica_feed *feed)
{
    for (int32_t i = 0; i < part->forgotten_count; i++) {
        struct feed_member *member = member_of(feed, partition_of(part, part->forgotten[i]));
        if (member != NULL)
            feed_member_free(member);
    }
    for (int32_t i = 0; i < part->named_count; i++) {
        struct feed_member *member = member_of(feed, partition_of(part, part->named[i]));
        if (member != NULL)
            feed_member_named(member, part->request);
        add_entry(part, part->named[i]);
    }
    part->named_count = part->forgotten_count = 0;
    if (!part->continues)
        replica_feed_stir_held(feed);
    part->continues = true;
    struct feed_member *member;
    if (part->take_news)
        collect_news(part, feed);
    for (int i = 0; i < READ_MAX && (member = replica_feed_next(feed)) != NULL; i++) {
        feed_member_set(member, FEED_GIVEN);
        add_entry(part, &member->at);
    }
    part->collected = true;
}

/* False: a worker brings the bytes of one into the page cache, or has its log for a moment, and the
 * call comes again. */
static bool is_warm(struct feed_part *part)
{
    for (; part->warm_count < part->count; part->warm_count++) {
        const struct fetch_entry *entry = &part->entries[part->warm_count];
        struct partition *p = partition_of(part, &entry->at);
        if (p == NULL)
            continue;
        if (partition_get_state(p) == PARTITION_AWAY && !partition_wait_open(p, &part->call))
            return false;
        if (!partition_warm(p, entry->at.fetch_offset, entry->at.max_bytes, &part->call)) {
            part->warm_count++;
            return false;
        }
    }
    return true;
}

static struct feed_member *remember(struct replica_feed *feed, struct partition *p,
                                    const struct fetch_partition *at)
{
    struct feed_member *member = member_of(feed, p);
    if (member == NULL)
        member = replica_feed_add(feed, p, partition_feed_members(p));
    int64_t watermark = member->at.sent_high_watermark, start = member->at.sent_log_start_offset;
    member->at = *at;
    member->at.topic = STR_NULL;
    member->at.sent_high_watermark = watermark;
    member->at.sent_log_start_offset = start;
    return member;
}

/* True: the answer tells of it. */
static bool settle(struct feed_part *part, struct replica_feed *feed, struct fetch_entry *entry)
{
    struct partition *p = partition_of(part, &entry->at);
    struct feed_member *member = member_of(feed, p);
    if (entry->error != KAFKA_ERROR_NONE || entry->diverging_epoch >= 0) {
        if (member != NULL)
            feed_member_free(member);
        part->urgent = true;
        return true;
    }
    member = remember(feed, p, &entry->at);
    bool news = entry->high_watermark != member->at.sent_high_watermark ||
                entry->log_start_offset != member->at.sent_log_start_offset;
    bool records = entry->read.size_bytes > 0;
    if (news && !records && !part->take_news) {
        feed_member_set(member, FEED_NEWS);
        return false;
    }
    member->at.sent_high_watermark = entry->high_watermark;
    member->at.sent_log_start_offset = entry->log_start_offset;
    feed_member_set(member, records ? FEED_GIVEN : FEED_IDLE);
    part->bytes += entry->read.size_bytes;
    return news || records;
}

/* The answer is full: the next one begins with it. */
static void put_off(struct feed_part *part, struct replica_feed *feed,
                    const struct fetch_entry *entry)
{
    struct partition *p = partition_of(part, &entry->at);
    if (p == NULL || partition_log(p) == NULL)
        return;
    struct feed_member *member = remember(feed, p, &entry->at);
    feed_member_set(member, FEED_IDLE);
    feed_member_set(member, FEED_STIRRED);
}

/* Throttled is who catches up, never who is in sync (KIP-73). */
static bool is_held_back(struct feed_part *part, struct replica_feed *feed,
                         const struct fetch_entry *entry)
{
    struct partition *p = partition_of(part, &entry->at);
    struct throttles *throttles = node_throttles(part->shard->node);
    if (p == NULL || !partition_throttled(p).as_leader || partition_log(p) == NULL ||
        node_list_contains(partition_get_role(p)->isr, part->params->replica_id) ||
        !replication_quota_exceeded(&throttles->leader, env_now_ms(part->shard->loop->env)))
        return false;
    feed_member_set(remember(feed, p, &entry->at), FEED_HELD);
    return true;
}

static void note_throttled(const struct feed_part *part, const struct fetch_entry *entry)
{
    const struct partition *p = partition_of(part, &entry->at);
    if (p != NULL && partition_throttled(p).as_leader && entry->read.size_bytes > 0)
        replication_quota_note(&node_throttles(part->shard->node)->leader,
                               env_now_ms(part->shard->loop->env), entry->read.size_bytes);
}

/* What it was to be read for is not where the follower is any more. */
static bool is_stale(const struct feed_part *part, const struct replica_feed *feed,
                     const struct fetch_entry *entry)
{
    const struct feed_member *member = member_of(feed, partition_of(part, &entry->at));
    return member != NULL && feed_member_is_beyond(member, part->request);
}

static void read_all(struct feed_part *part, struct replica_feed *feed)
{
    size_t kept = part->read_count;
    for (size_t i = part->read_count; i < part->count; i++) {
        struct fetch_entry *entry = &part->entries[i];
        if (is_stale(part, feed, entry))
            continue;
        if (part->bytes >= part->max_bytes) {
            put_off(part, feed, entry);
            continue;
        }
        if (is_held_back(part, feed, entry))
            continue;
        fetch_entry_read(entry, part->shard, part->params);
        note_throttled(part, entry);
        if (settle(part, feed, entry))
            part->entries[kept++] = *entry;
        else
            fetch_entry_clear(entry);
    }
    part->count = part->read_count = part->warm_count = kept;
}

void feed_part_read(struct shard_call *call)
{
    struct feed_part *part = CONTAINER_OF(call, struct feed_part, call);
    struct replica_feed *feed = feed_of(part);
    if (feed == NULL) {
        shard_call_answer(call);
        return;
    }
    bool newest = replica_feed_begin(feed, part->request);
    if (!part->collected && newest)
        collect(part, feed);
    if (!is_warm(part))
        return;
    read_all(part, feed);
    part->collected = false;
    if (!newest) {
        part->has_news = false;
        if (replica_feed_next_news(feed) != NULL)
            wake_asker(feed); /* it is the later request's */
        shard_call_answer(call);
        return;
    }
    bool enough =
        part->urgent || part->take_news || (part->bytes > 0 && part->bytes >= part->min_bytes);
    if (enough && !part->take_news) {
        part->take_news = true;
        collect_news(part, feed);
        read_all(part, feed);
    }
    part->has_news = replica_feed_next_news(feed) != NULL;
    feed->armed = !enough && list_empty(&feed->stirred);
    if (!enough && !feed->armed)
        wake_asker(feed);
    shard_call_answer(call);
}

void feed_part_release(struct feed_part *part)
{
    for (size_t i = 0; i < part->count; i++)
        fetch_entry_clear(&part->entries[i]);
    free(part->entries);
    part->entries = NULL;
    part->count = part->capacity = 0;
}
