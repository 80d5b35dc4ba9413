#include "broker/server/fan_out.h"

#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/base/map.h"

struct fan_out_group {
    struct shard_call call;
    struct fan_out *fan;
    struct shard *owner;
    struct fan_out_item **items;
    int32_t count, capacity;
    int32_t pending; /* items that are held, and 1 until all were begun */
};

/* Where the items of a topic begin, and how many there are so far. */
struct topic_place {
    int32_t first, count;
};

/* Counts each topic's partitions, and leaves a repeated mention without its `in`. Returns how many
 * topics there are. */
static int32_t count_places(struct fan_out *fan, struct topic_place *places, struct map *topics)
{
    struct map seen;
    int32_t topic_count = 0;
    map_init(&seen, MAP_STR_BORROWED);
    for (int32_t i = 0; i < fan->count; i++) {
        struct fan_out_item *item = &fan->items[i];
        struct map_key key = map_key_str_int(item->topic, item->partition);
        struct fan_out_item *before = map_get(&seen, key);
        if (before != NULL) {
            before->in = item->in;
            before->repeated = true;
            item->in = NULL;
            continue;
        }
        map_put(&seen, key, item);
        struct topic_place *place = map_get(topics, map_key_str(item->topic));
        if (place == NULL) {
            place = &places[topic_count++];
            map_put(topics, map_key_str(item->topic), place);
        }
        place->count++;
    }
    map_release(&seen);
    return topic_count;
}

int32_t fan_out_gather(struct fan_out *fan)
{
    struct arena *arena = &fan->request->arena;
    struct topic_place *places = ARENA_ARRAY(arena, struct topic_place, fan->count);
    struct fan_out_item *gathered = ARENA_ARRAY(arena, struct fan_out_item, fan->count);
    struct map topics;
    map_init(&topics, MAP_STR_BORROWED);
    int32_t topic_count = count_places(fan, places, &topics), kept = 0;
    for (int32_t t = 0; t < topic_count; t++) {
        places[t].first = kept;
        kept += places[t].count;
        places[t].count = 0;
    }
    for (int32_t i = 0; i < fan->count; i++) {
        if (fan->items[i].in == NULL)
            continue;
        struct topic_place *place = map_get(&topics, map_key_str(fan->items[i].topic));
        struct fan_out_item *item = &gathered[place->first + place->count];
        *item = fan->items[i];
        item->begins_topic = place->count++ == 0;
    }
    map_release(&topics);
    fan->items = gathered;
    fan->count = kept;
    return topic_count;
}

void fan_out_resolve(struct request *request, struct str topic, int32_t partition,
                     struct fan_out_item *item)
{
    struct topic_ref ref;
    item->partition = partition;
    if (!shard_topic_by_name(request->shard, topic, &ref) || partition < 0 ||
        partition >= ref.partition_count) {
        item->error = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    item->topic_id = ref.id;
}

static struct partition *item_partition(const struct fan_out_group *group, int32_t i)
{
    return shard_partition(group->owner, group->items[i]->topic_id, group->items[i]->partition);
}

static void one_handled(struct fan_out_group *group)
{
    if (--group->pending == 0)
        shard_call_answer(&group->call);
}

static void group_run(struct shard_call *call)
{
    struct fan_out_group *group = CONTAINER_OF(call, struct fan_out_group, call);
    for (int32_t i = 0; i < group->count; i++) {
        struct partition *p = item_partition(group, i);
        if (p != NULL && !partition_wait_open(p, call))
            return;
    }
    group->pending = 1;
    for (int32_t i = 0; i < group->count; i++)
        group->fan->handle(group->fan, group->items[i], item_partition(group, i));
    one_handled(group);
}

struct loop *fan_out_hold(struct fan_out_item *item)
{
    item->group->pending++;
    return item->group->owner->loop;
}

void fan_out_let_go(struct fan_out_item *item)
{
    one_handled(item->group);
}

static void one_done(struct fan_out *fan)
{
    if (--fan->outstanding == 0)
        fan->done(fan);
}

static void group_done(struct shard_call *call)
{
    one_done(CONTAINER_OF(call, struct fan_out_group, call)->fan);
}

static void group_add(struct fan_out_group *group, struct fan_out_item *item, struct arena *arena)
{
    if (group->count == group->capacity) {
        int32_t capacity = group->capacity ? group->capacity * 2 : 16;
        struct fan_out_item **items = ARENA_ARRAY(arena, struct fan_out_item *, capacity);
        if (group->count > 0)
            memcpy(items, group->items, (size_t)group->count * sizeof(struct fan_out_item *));
        group->items = items;
        group->capacity = capacity;
    }
    item->group = group;
    group->items[group->count++] = item;
}

void fan_out_start(struct fan_out *fan)
{
    struct shard *shard = fan->request->shard;
    struct arena *arena = &fan->request->arena;
    int loops = shard_count(shard->node);
    struct fan_out_group *groups = ARENA_ARRAY(arena, struct fan_out_group, loops);
    for (int32_t i = 0; i < fan->count; i++) {
        if (fan->items[i].error != KAFKA_ERROR_NONE)
            continue;
        struct shard *owner =
            shard_of(shard->node, fan->items[i].topic_id, fan->items[i].partition);
        groups[owner->index].owner = owner;
        group_add(&groups[owner->index], &fan->items[i], arena);
    }
    fan->outstanding = 1; /* until all are sent */
    for (int g = 0; g < loops; g++)
        fan->outstanding += groups[g].count > 0;
    for (int g = 0; g < loops; g++) {
        if (groups[g].count == 0)
            continue;
        groups[g].fan = fan;
        shard_call_send(&groups[g].call, shard->loop, groups[g].owner->loop, group_run, group_done);
    }
    one_done(fan);
}
