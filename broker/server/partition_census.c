#include "broker/server/partition_census.h"

#include "metadata/delta.h"

static void count(struct partition_census *census, const struct partition_image *p, int64_t by)
{
    if (p == NULL)
        return;
    struct node_list replicas = partition_replicas(p);
    if (p->leader < 0)
        census->offline += by;
    if (replicas.count > 0 && replicas.ids[0] != p->leader)
        census->imbalance += by;
}

void partition_census_apply(struct partition_census *census, const struct image_delta *delta)
{
    for (size_t i = 0; i < delta->partitions.count; i++) {
        count(census, delta->partitions.items[i].before, -1);
        count(census, delta->partitions.items[i].after, 1);
    }
}
