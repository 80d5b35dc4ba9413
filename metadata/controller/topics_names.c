#include "metadata/controller/topics.h"

#define CLAIMED ((uintptr_t)1 << 31)

void name_counts_init(struct name_counts *names)
{
    map_init(&names->counts, MAP_STR_BORROWED);
}

void name_counts_release(struct name_counts *names)
{
    map_release(&names->counts);
}

static uintptr_t get(const struct name_counts *names, struct str name)
{
    return (uintptr_t)map_get(&names->counts, map_key_str(name));
}

void name_counts_add(struct name_counts *names, struct str name)
{
    map_put(&names->counts, map_key_str(name), (void *)(get(names, name) + 1));
}

int32_t name_counts_of(const struct name_counts *names, struct str name)
{
    return (int32_t)(get(names, name) & ~CLAIMED);
}

int32_t name_counts_take(struct name_counts *names, struct str name)
{
    uintptr_t count = get(names, name);
    if (count & CLAIMED)
        return 0;
    if (count > 1)
        map_put(&names->counts, map_key_str(name), (void *)(count | CLAIMED));
    return (int32_t)count;
}
