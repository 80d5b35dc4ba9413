#include "common/net/address_counts.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/base/stream.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

struct address_count {
    int count;
};

static void release(struct map *map)
{
    MAP_FOR_EACH (entry, map)
        free(entry->value);
    map_release(map);
}

static void normalize(const char *address, char text[HOST_MAX + 1])
{
    struct in6_addr v6;
    if (inet_pton(AF_INET6, address, &v6) == 1 &&
        inet_ntop(AF_INET6, &v6, text, HOST_MAX + 1) != NULL)
        return;
    size_t len = MIN(strlen(address), (size_t)HOST_MAX);
    memcpy(text, address, len);
    text[len] = '\0';
}

static struct address_count *find(const struct map *map, const char *address)
{
    return map_get(map, map_key_str(str_of(address)));
}

void address_counts_init(struct address_counts *counts)
{
    *counts = (struct address_counts){0};
    map_init(&counts->counts, MAP_STR);
    map_init(&counts->overrides, MAP_STR);
}

void address_counts_release(struct address_counts *counts)
{
    release(&counts->counts);
    release(&counts->overrides);
}

void address_counts_limit(struct address_counts *counts, int each_max,
                          const struct address_override *overrides, size_t override_count)
{
    release(&counts->overrides);
    map_init(&counts->overrides, MAP_STR);
    for (size_t i = 0; i < override_count; i++) {
        char host[HOST_MAX + 1];
        struct address_count *most = mem_calloc(1, sizeof(*most));
        most->count = overrides[i].connections_max;
        normalize(overrides[i].address, host);
        free(map_put(&counts->overrides, map_key_str(str_of(host)), most));
    }
    counts->each_max = each_max;
}

bool address_counts_full(const struct address_counts *counts, const char *address)
{
    const struct address_count *now = find(&counts->counts, address);
    const struct address_count *override = find(&counts->overrides, address);
    return (now == NULL ? 0 : now->count) >=
           (override == NULL ? counts->each_max : override->count);
}

void address_counts_add(struct address_counts *counts, const char *address)
{
    struct address_count *now = find(&counts->counts, address);
    if (now == NULL) {
        now = mem_calloc(1, sizeof(*now));
        map_put(&counts->counts, map_key_str(str_of(address)), now);
    }
    now->count++;
}

void address_counts_remove(struct address_counts *counts, const char *address)
{
    struct address_count *now = find(&counts->counts, address);
    CHECK(now != NULL && now->count > 0);
    if (--now->count == 0)
        free(map_remove(&counts->counts, map_key_str(str_of(address))));
}
