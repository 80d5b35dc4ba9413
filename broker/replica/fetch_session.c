#include "broker/replica/fetch_session.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define BUCKETS 64

struct fetch_session {
    int32_t id, epoch;
    bool uses_topic_ids, privileged;
    int64_t created_ms, used_ms;
    void *op; /* of its last request; NULL when that has ended */
    uint64_t owners, peer;
    int64_t peer_epoch;
    struct list bucket, lru;
    struct list order;          /* of session_partition.order */
    struct list *table;         /* of session_partition.bucket */
    uint32_t table_size, count; /* table_size: a power of two */
};

struct session_partition {
    struct list order, bucket;
    struct fetch_partition at;
};

struct fetch_session_cache {
    int max_slots, loop_index, loop_count, count;
    int64_t min_eviction_ms, partitions;
    struct list buckets[BUCKETS];
    struct list lru; /* least recently used first */
    void (*ended)(void *ctx, int32_t session_id, uint64_t owners);
    void *ended_ctx;
};

struct fetch_session_cache *fetch_session_cache_new(int max_slots, int64_t min_eviction_ms,
                                                    int loop_index, int loop_count)
{
    struct fetch_session_cache *cache = mem_calloc(1, sizeof(*cache));
    cache->max_slots = max_slots;
    cache->min_eviction_ms = min_eviction_ms;
    cache->loop_index = loop_index;
    cache->loop_count = loop_count;
    for (int i = 0; i < BUCKETS; i++)
        list_init(&cache->buckets[i]);
    list_init(&cache->lru);
    return cache;
}

int fetch_session_cache_count(const struct fetch_session_cache *cache)
{
    return cache->count;
}

int64_t fetch_session_cache_partitions(const struct fetch_session_cache *cache)
{
    return cache->partitions;
}

/* By id where the request names ids, else by name: a topic that was made anew under the same name
 * is another partition only for those who use ids. */
static uint64_t partition_hash(bool by_id, const struct fetch_partition *p)
{
    uint64_t topic = by_id ? hash_bytes(p->topic_id.b, 16) : str_hash(p->topic);
    return hash_u64(topic ^ (uint32_t)p->partition);
}

static bool partition_same(bool by_id, const struct fetch_partition *a,
                           const struct fetch_partition *b)
{
    return a->partition == b->partition &&
           (by_id ? uuid_eq(a->topic_id, b->topic_id) : str_eq(a->topic, b->topic));
}

static struct session_partition *session_find(const struct fetch_session *session,
                                              const struct fetch_partition *key)
{
    struct list *bucket =
        &session->table[partition_hash(session->uses_topic_ids, key) & (session->table_size - 1)];
    LIST_FOR_EACH (node, bucket) {
        struct session_partition *p = LIST_ITEM(node, struct session_partition, bucket);
        if (partition_same(session->uses_topic_ids, &p->at, key))
            return p;
    }
    return NULL;
}

static void table_grow(struct fetch_session *session)
{
    free(session->table);
    session->table_size *= 2;
    session->table = mem_alloc(session->table_size * sizeof(struct list));
    for (uint32_t i = 0; i < session->table_size; i++)
        list_init(&session->table[i]);
    LIST_FOR_EACH (node, &session->order) {
        struct session_partition *p = LIST_ITEM(node, struct session_partition, order);
        uint64_t hash = partition_hash(session->uses_topic_ids, &p->at);
        list_push_back(&session->table[hash & (session->table_size - 1)], &p->bucket);
    }
}

static void partition_set(struct fetch_partition *at, const struct fetch_partition *from)
{
    at->max_bytes = from->max_bytes;
    at->fetch_offset = from->fetch_offset;
    at->log_start_offset = from->log_start_offset;
    at->current_leader_epoch = from->current_leader_epoch;
    at->last_fetched_epoch = from->last_fetched_epoch;
    at->replica_directory_id = from->replica_directory_id;
    at->follower_high_watermark = from->follower_high_watermark;
}

static void session_put(struct fetch_session_cache *cache, struct fetch_session *session,
                        const struct fetch_partition *from)
{
    struct session_partition *p = session_find(session, from);
    if (p != NULL) {
        partition_set(&p->at, from);
        return;
    }
    p = mem_calloc(1, sizeof(*p));
    p->at = *from;
    if (from->topic.len >= 0)
        p->at.topic = str_from(mem_strndup(from->topic.data, (size_t)from->topic.len),
                               (size_t)from->topic.len);
    p->at.sent_high_watermark = p->at.sent_log_start_offset = INT64_MIN;
    p->at.sent_error = false;
    list_push_back(&session->order, &p->order);
    uint64_t hash = partition_hash(session->uses_topic_ids, from);
    list_push_back(&session->table[hash & (session->table_size - 1)], &p->bucket);
    session->count++;
    cache->partitions++;
    if (session->count > 2 * session->table_size)
        table_grow(session);
}

static void session_drop(struct fetch_session_cache *cache, struct fetch_session *session,
                         struct session_partition *p)
{
    list_remove(&p->order);
    list_remove(&p->bucket);
    session->count--;
    cache->partitions--;
    if (p->at.topic.len >= 0)
        free((void *)(uintptr_t)p->at.topic.data);
    free(p);
}

static void session_free(struct fetch_session_cache *cache, struct fetch_session *session)
{
    LIST_FOR_EACH (node, &session->order)
        session_drop(cache, session, LIST_ITEM(node, struct session_partition, order));
    list_remove(&session->bucket);
    list_remove(&session->lru);
    cache->count--;
    if (session->privileged && cache->ended != NULL)
        cache->ended(cache->ended_ctx, session->id, session->owners);
    free(session->table);
    free(session);
}

void fetch_session_cache_free(struct fetch_session_cache *cache)
{
    if (cache == NULL)
        return;
    cache->ended = NULL;
    LIST_FOR_EACH (node, &cache->lru)
        session_free(cache, LIST_ITEM(node, struct fetch_session, lru));
    free(cache);
}

static struct fetch_session *cache_find(const struct fetch_session_cache *cache, int32_t id)
{
    LIST_FOR_EACH (node, &cache->buckets[hash_u64((uint32_t)id) % BUCKETS]) {
        struct fetch_session *session = LIST_ITEM(node, struct fetch_session, bucket);
        if (session->id == id)
            return session;
    }
    return NULL;
}

/* Room for one more: a slot is free, or the session used longest ago is stale, or this is a
 * follower's and that is a consumer's. */
static bool cache_make_room(struct fetch_session_cache *cache, bool privileged, int64_t now_ms)
{
    if (cache->max_slots <= 0)
        return false;
    if (cache->count < cache->max_slots)
        return true;
    LIST_FOR_EACH (node, &cache->lru) {
        struct fetch_session *oldest = LIST_ITEM(node, struct fetch_session, lru);
        bool stale = now_ms - oldest->used_ms > cache->min_eviction_ms;
        bool outranked = privileged && !oldest->privileged;
        if (stale ? privileged || !oldest->privileged : outranked) {
            session_free(cache, oldest);
            return true;
        }
    }
    return false;
}

/* A positive id that belongs to this loop and is not taken. */
static int32_t cache_new_id(const struct fetch_session_cache *cache, uint32_t random)
{
    for (;; random = (uint32_t)hash_u64(random + 1)) {
        int32_t id = (int32_t)(random & 0x7fffffff);
        id -= id % cache->loop_count;
        if (id > INT32_MAX - cache->loop_index)
            continue;
        id += cache->loop_index;
        if (id > 0 && cache_find(cache, id) == NULL)
            return id;
    }
}

static struct fetch_session *session_new(struct fetch_session_cache *cache,
                                         const struct fetch_session_request *request)
{
    struct fetch_session *session = mem_calloc(1, sizeof(*session));
    session->id = cache_new_id(cache, request->random);
    session->epoch = 1;
    session->uses_topic_ids = request->uses_topic_ids;
    session->privileged = request->privileged;
    session->peer = request->peer;
    session->peer_epoch = request->peer_epoch;
    session->created_ms = session->used_ms = request->now_ms;
    list_init(&session->order);
    session->table_size = 8;
    session->table = mem_alloc(session->table_size * sizeof(struct list));
    for (uint32_t i = 0; i < session->table_size; i++)
        list_init(&session->table[i]);
    list_push_back(&cache->buckets[hash_u64((uint32_t)session->id) % BUCKETS], &session->bucket);
    list_push_back(&cache->lru, &session->lru);
    cache->count++;
    for (int32_t i = 0; i < request->partition_count; i++)
        session_put(cache, session, &request->partitions[i]);
    return session;
}

/* A peer that connects again does not know its session of before. */
static void free_sessions_of(struct fetch_session_cache *cache, uint64_t peer)
{
    LIST_FOR_EACH (node, &cache->lru) {
        struct fetch_session *session = LIST_ITEM(node, struct fetch_session, lru);
        if (session->peer == peer && session->privileged)
            session_free(cache, session);
    }
}

static enum kafka_error begin_full(struct fetch_session_cache *cache,
                                   const struct fetch_session_request *request,
                                   struct fetch_session_plan *ret_plan)
{
    struct fetch_session *old =
        request->session_id != 0 ? cache_find(cache, request->session_id) : NULL;
    void *earlier = old != NULL && old->privileged == request->privileged ? old->op : NULL;
    if (old != NULL)
        session_free(cache, old);
    if (request->privileged && request->peer != 0)
        free_sessions_of(cache, request->peer);
    *ret_plan = (struct fetch_session_plan){.count = request->partition_count, .earlier = earlier};
    if (request->epoch == FETCH_SESSION_FINAL_EPOCH ||
        (request->partition_count == 0 && request->privileged) ||
        /* Replicas are as many as there are brokers: they are never without. */
        (!cache_make_room(cache, request->privileged, request->now_ms) && !request->privileged))
        return KAFKA_ERROR_NONE;
    struct fetch_session *session = session_new(cache, request);
    session->op = request->op;
    *ret_plan = (struct fetch_session_plan){.session = session,
                                            .earlier = earlier,
                                            .answer_session_id = session->id,
                                            .count = (int32_t)session->count};
    return KAFKA_ERROR_NONE;
}

enum kafka_error fetch_session_begin(struct fetch_session_cache *cache,
                                     const struct fetch_session_request *request,
                                     struct fetch_session_plan *ret_plan)
{
    if (request->epoch == FETCH_SESSION_FINAL_EPOCH ||
        request->epoch == FETCH_SESSION_INITIAL_EPOCH)
        return begin_full(cache, request, ret_plan);
    struct fetch_session *session = cache_find(cache, request->session_id);
    /* What one replica has is never taken for what another one has. */
    if (session == NULL || session->privileged != request->privileged ||
        session->peer != request->peer || session->peer_epoch != request->peer_epoch)
        return KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    if (session->epoch != request->epoch)
        return KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH;
    if (session->uses_topic_ids != request->uses_topic_ids)
        return KAFKA_ERROR_FETCH_SESSION_TOPIC_ID_ERROR;
    for (int32_t i = 0; i < request->partition_count; i++)
        session_put(cache, session, &request->partitions[i]);
    for (int32_t i = 0; i < request->forgotten_count; i++) {
        struct session_partition *p = session_find(session, &request->forgotten[i]);
        if (p != NULL)
            session_drop(cache, session, p);
    }
    if (session->count == 0) {
        /* What is named and forgotten at once is answered without a session, as in Kafka. */
        session_free(cache, session);
        *ret_plan = (struct fetch_session_plan){.count = request->partition_count};
        return KAFKA_ERROR_NONE;
    }
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    session->used_ms = request->now_ms;
    list_remove(&session->lru);
    list_push_back(&cache->lru, &session->lru);
    void *earlier = session->op;
    session->op = request->op;
    *ret_plan = (struct fetch_session_plan){.session = session,
                                            .incremental = true,
                                            .earlier = earlier,
                                            .answer_session_id = session->id,
                                            .count = (int32_t)session->count};
    return KAFKA_ERROR_NONE;
}

void *fetch_session_op(const struct fetch_session_cache *cache, int32_t session_id)
{
    const struct fetch_session *session = cache_find(cache, session_id);
    return session != NULL && session->privileged ? session->op : NULL;
}

uint64_t *fetch_session_owners(struct fetch_session *session)
{
    return &session->owners;
}

void fetch_session_cache_on_end(struct fetch_session_cache *cache,
                                void (*ended)(void *ctx, int32_t session_id, uint64_t owners),
                                void *ctx)
{
    cache->ended = ended;
    cache->ended_ctx = ctx;
}

void fetch_session_ended(struct fetch_session_cache *cache, int32_t session_id, const void *op)
{
    struct fetch_session *session = session_id != 0 ? cache_find(cache, session_id) : NULL;
    if (session != NULL && session->op == op)
        session->op = NULL;
}

void fetch_session_partitions(const struct fetch_session *session, struct fetch_partition *out)
{
    LIST_FOR_EACH (node, &session->order)
        *out++ = LIST_ITEM(node, struct session_partition, order)->at;
}

bool fetch_session_includes(struct fetch_session_cache *cache, int32_t session_id,
                            const struct fetch_session_outcome *outcome, bool commit)
{
    struct fetch_session *session = cache_find(cache, session_id);
    struct fetch_partition key = {
        .topic = outcome->topic, .topic_id = outcome->topic_id, .partition = outcome->partition};
    struct session_partition *p = session ? session_find(session, &key) : NULL;
    if (p == NULL)
        return true;
    bool includes = outcome->has_records || outcome->has_error || outcome->must_send ||
                    p->at.sent_error || p->at.sent_high_watermark != outcome->high_watermark ||
                    p->at.sent_log_start_offset != outcome->log_start_offset;
    if (!commit)
        return includes;
    p->at.sent_high_watermark = outcome->high_watermark;
    p->at.sent_log_start_offset = outcome->log_start_offset;
    /* An error is sent again with every answer until it is gone: the next answer tells that. */
    p->at.sent_error = outcome->has_error;
    if (outcome->has_records) {
        list_remove(&p->order);
        list_push_back(&session->order, &p->order);
    }
    return includes;
}
