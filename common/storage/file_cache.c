#include "common/storage/file_cache.h"

void file_cache_init(struct file_cache *cache, size_t capacity)
{
    *cache = (struct file_cache){.capacity = capacity};
    list_init(&cache->recent);
}

void file_cache_release(struct file_cache *cache)
{
    CHECK(cache->open_count == 0 && cache->pinned_count == 0);
}

void file_slot_init(struct file_slot *slot)
{
    *slot = (struct file_slot){0};
    list_init(&slot->link);
}

/* A read needs a segment and its indexes at the same time, however many are pinned. */
enum { UNPINNED_MIN = 4 };

static void make_room(struct file_cache *cache)
{
    while (cache->open_count > cache->capacity && !list_empty(&cache->recent) &&
           cache->open_count - cache->pinned_count > UNPINNED_MIN)
        file_slot_close(cache, LIST_ITEM(cache->recent.prev, struct file_slot, link));
}

static void slot_fill(struct file_cache *cache, struct file_slot *slot, struct disk_file *file)
{
    slot->file = file;
    cache->open_count++;
    /* Room first: the new one must not be the one that goes. */
    make_room(cache);
    list_push_front(&cache->recent, &slot->link);
}

int file_slot_open(struct file_cache *cache, struct file_slot *slot, struct disk *disk,
                   const char *path, int flags)
{
    if (slot->file != NULL) {
        if (!slot->pinned && cache->recent.next != &slot->link) {
            list_remove(&slot->link);
            list_push_front(&cache->recent, &slot->link);
        }
        return 0;
    }
    struct disk_file *file;
    int rv = disk_open(disk, path, DISK_WRITE | flags, &file);
    if (rv != 0)
        return rv;
    slot_fill(cache, slot, file);
    return 0;
}

void file_slot_adopt(struct file_cache *cache, struct file_slot *slot, struct disk_file *file)
{
    if (slot->file != NULL)
        disk_file_unref(file);
    else
        slot_fill(cache, slot, file);
}

void file_slot_close(struct file_cache *cache, struct file_slot *slot)
{
    if (slot->file == NULL)
        return;
    if (slot->pinned)
        cache->pinned_count--;
    list_remove(&slot->link);
    disk_file_unref(slot->file);
    cache->open_count--;
    file_slot_init(slot);
}

void file_slot_pin(struct file_cache *cache, struct file_slot *slot)
{
    CHECK(slot->file != NULL);
    if (slot->pinned)
        return;
    list_remove(&slot->link);
    slot->pinned = true;
    cache->pinned_count++;
}

void file_slot_unpin(struct file_cache *cache, struct file_slot *slot)
{
    if (!slot->pinned)
        return;
    slot->pinned = false;
    cache->pinned_count--;
    list_push_front(&cache->recent, &slot->link);
    make_room(cache);
}
