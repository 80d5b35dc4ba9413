#include "metadata/controller/heartbeats.h"

#include "common/base/mem.h"

#include <stdlib.h>

static struct map_key key_of(int32_t broker)
{
    return map_key_u64((uint32_t)broker);
}

void heartbeats_init(struct heartbeats *heartbeats, int64_t session_timeout_ms)
{
    heartbeats->session_timeout_ms = session_timeout_ms;
    map_init(&heartbeats->by_broker, MAP_U64);
}

static void forget_all(struct heartbeats *heartbeats)
{
    MAP_FOR_EACH (entry, &heartbeats->by_broker)
        free(entry->value);
    map_clear(&heartbeats->by_broker);
}

void heartbeats_release(struct heartbeats *heartbeats)
{
    forget_all(heartbeats);
    map_release(&heartbeats->by_broker);
}

void heartbeats_reset(struct heartbeats *heartbeats, const struct image *image, int64_t now_ms)
{
    forget_all(heartbeats);
    struct pmap_iter iter;
    pmap_iter_first(&iter, image->cluster.brokers);
    for (const struct broker_image *broker; (broker = pmap_iter_next(&iter)) != NULL;) {
        if (!broker->fenced)
            heartbeats_touch(heartbeats, broker->id, broker->epoch, now_ms);
    }
}

struct heartbeat *heartbeats_find(const struct heartbeats *heartbeats, int32_t broker)
{
    return map_get(&heartbeats->by_broker, key_of(broker));
}

struct heartbeat *heartbeats_touch(struct heartbeats *heartbeats, int32_t broker, int64_t epoch,
                                   int64_t now_ms)
{
    struct heartbeat *heartbeat = heartbeats_find(heartbeats, broker);
    if (!heartbeat) {
        heartbeat = mem_alloc(sizeof(*heartbeat));
        *heartbeat = (struct heartbeat){.epoch = -1};
        map_put(&heartbeats->by_broker, key_of(broker), heartbeat);
    }
    if (heartbeat->epoch != epoch)
        *heartbeat = (struct heartbeat){
            .broker = broker, .epoch = epoch, .metadata_offset = -1, .shutdown_offset = -1};
    heartbeat->last_contact_ms = now_ms;
    return heartbeat;
}

void heartbeats_last_heard(struct heartbeats *heartbeats, int32_t broker, int64_t heard_ms,
                           int64_t now_ms)
{
    struct heartbeat *heartbeat = heartbeats_find(heartbeats, broker);
    if (heartbeat && heard_ms <= heartbeat->last_contact_ms &&
        heard_ms > now_ms - heartbeats->session_timeout_ms)
        heartbeat->last_contact_ms = heard_ms;
}

bool heartbeats_end_session(struct heartbeats *heartbeats, int32_t broker, int64_t epoch,
                            int64_t now_ms)
{
    if (!heartbeats_session_valid(heartbeats, broker, epoch, now_ms))
        return false;
    heartbeats_find(heartbeats, broker)->last_contact_ms = now_ms - heartbeats->session_timeout_ms;
    return true;
}

void heartbeats_remove(struct heartbeats *heartbeats, int32_t broker)
{
    free(map_remove(&heartbeats->by_broker, key_of(broker)));
}

bool heartbeats_session_valid(const struct heartbeats *heartbeats, int32_t broker, int64_t epoch,
                              int64_t now_ms)
{
    const struct heartbeat *heartbeat = heartbeats_find(heartbeats, broker);
    return heartbeat && heartbeat->epoch == epoch &&
           now_ms - heartbeat->last_contact_ms < heartbeats->session_timeout_ms;
}

const struct broker_image *heartbeats_expired(const struct heartbeats *heartbeats,
                                              const struct image *image, int64_t now_ms,
                                              int64_t *ret_next_ms)
{
    int64_t next_ms = INT64_MAX;
    const struct broker_image *expired = NULL;
    MAP_FOR_EACH (entry, &heartbeats->by_broker) {
        const struct heartbeat *heartbeat = entry->value;
        const struct broker_image *broker =
            cluster_image_broker(&image->cluster, heartbeat->broker);
        if (!broker || broker->fenced || broker->epoch != heartbeat->epoch)
            continue;
        int64_t ends_ms = heartbeat->last_contact_ms + heartbeats->session_timeout_ms;
        if (ends_ms <= now_ms && !expired)
            expired = broker;
        next_ms = MIN(next_ms, ends_ms);
    }
    *ret_next_ms = next_ms;
    return expired;
}

int64_t heartbeats_lowest_active_offset(const struct heartbeats *heartbeats,
                                        const struct image *image, int32_t except_broker)
{
    int64_t lowest = INT64_MAX;
    MAP_FOR_EACH (entry, &heartbeats->by_broker) {
        const struct heartbeat *heartbeat = entry->value;
        const struct broker_image *broker =
            cluster_image_broker(&image->cluster, heartbeat->broker);
        if (broker && !broker->fenced && broker->id != except_broker)
            lowest = MIN(lowest, heartbeat->metadata_offset);
    }
    return lowest;
}
