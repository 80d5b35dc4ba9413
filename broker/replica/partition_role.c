#include "broker/replica/partition_role.h"

#include "common/base/mem.h"

#include <stdlib.h>

struct partition_role partition_role_of(const struct partition_image *image, int32_t node_id)
{
    return (struct partition_role){
        .leader_id = image->leader,
        .leader_epoch = image->leader_epoch,
        .partition_epoch = image->partition_epoch,
        .recovery_state = image->recovery_state,
        .replicas = partition_replicas(image),
        .isr = partition_isr(image),
        .directory = partition_directory_of(image, node_id),
    };
}

static int32_t *copy_ids(int32_t *to, struct node_list from)
{
    if (from.count > 0)
        memcpy(to, from.ids, (size_t)from.count * sizeof(*to));
    return to + from.count;
}

/* Both lists stand in one block, the replicas first. */
void partition_role_set(struct partition_role *kept, const struct partition_role *from)
{
    struct partition_role role = *from;
    int32_t *ids = mem_alloc((size_t)(from->replicas.count + from->isr.count) * sizeof(*ids) + 1);
    role.replicas.ids = ids;
    role.isr.ids = copy_ids(ids, from->replicas);
    copy_ids(ids + from->replicas.count, from->isr);
    partition_role_release(kept);
    *kept = role;
}

void partition_role_release(struct partition_role *kept)
{
    free((void *)(uintptr_t)kept->replicas.ids);
    kept->replicas.ids = kept->isr.ids = NULL;
}
