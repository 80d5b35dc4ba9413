#include "tests/sim/image_watch.h"

#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "metadata/image.h"
#include "tests/sim/image_hash.h"

#include <inttypes.h>
#include <stdlib.h>

struct digest {
    uint64_t hash;
    int32_t epoch;
    int incarnation;
};

static void compare(struct image_watch *w, const struct image *image, uint64_t hash)
{
    struct sim *sim = sim_node_sim(w->node);
    struct map_key key = map_key_u64((uint64_t)image->offset);
    struct digest *known = map_get(&w->digests, key);
    int incarnation = sim_node_incarnation(w->node);
    if (!known) {
        known = mem_alloc(sizeof(*known));
        *known = (struct digest){hash, image->epoch, incarnation};
        map_put(&w->digests, key, known);
        return;
    }
    w->compared += known->incarnation != incarnation;
    if (known->hash != hash || known->epoch != image->epoch)
        sim_fail(sim,
                 "the image at offset %" PRId64 " of epoch %d is not the one of epoch %d that the "
                 "%d. process had",
                 image->offset, image->epoch, known->epoch, known->incarnation);
}

/* After every event: cheap while nothing was published. */
static void look(void *ctx, const struct sim_node *ran)
{
    struct image_watch *w = ctx;
    const struct node *node = sim_node_is_up(w->node) ? w->program(w->node) : NULL;
    const struct shard *shard = node ? node_shard(node, 0) : NULL;
    if (!shard || !shard->image || shard->image->offset < 0)
        return;
    const struct image *image = shard->image;
    int incarnation = sim_node_incarnation(w->node);
    if (incarnation == w->incarnation && image->version == w->version)
        return;
    w->incarnation = incarnation;
    w->version = image->version;
    w->highest = MAX(w->highest, image->offset);
    w->images++;
    compare(w, image, image_hash(image));
}

void image_watch_begin(struct image_watch *w, struct sim_node *node,
                       const struct node *(*program)(struct sim_node *node))
{
    *w = (struct image_watch){.node = node, .program = program};
    map_init(&w->digests, MAP_U64);
    sim_observe(sim_node_sim(node), look, w);
}

void image_watch_release(struct image_watch *w)
{
    sim_observe(sim_node_sim(w->node), NULL, NULL);
    MAP_FOR_EACH (entry, &w->digests)
        free(entry->value);
    map_release(&w->digests);
}
