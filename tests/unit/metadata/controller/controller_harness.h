/*
 * For tests: one controller with its log. Whatever it decides goes through the whole path: framed,
 * cut into batches, proposed, encoded, committed; and a follower that only sees the bytes must come
 * to the same image.
 */
#ifndef KRAFTD_TESTS_CONTROLLER_HARNESS_H
#define KRAFTD_TESTS_CONTROLLER_HARNESS_H

#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "metadata/controller/controller_api.h"
#include "metadata/delta.h"
#include "metadata/feature.h"
#include "metadata/snapshot_writer.h"
#include "tests/unit/mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

struct harness {
    uint64_t random_state;
    struct image_chain *chain, *follower_chain;
    struct loader loader, follower;
    struct controller_config config;
    struct controller *c;
    struct arena arena;
    struct controller_context ctx;
    struct controller_result result;
    struct bytebuf log; /* every batch */
    int64_t wall_ms;
    struct metadata_records last; /* what the last call wrote */
};

static inline uint64_t harness_random(struct harness *h)
{
    h->random_state = h->random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return h->random_state >> 16;
}

static inline void harness_fill(void *ctx, void *ret_bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)ret_bytes)[i] = (uint8_t)harness_random(ctx);
}

static inline const struct image *harness_image(const struct harness *h)
{
    return controller_image(h->c);
}

/* Batches of at most CONTROLLER_BATCH_RECORDS, as the log would get them. */
static inline void harness_encode(const struct metadata_records *records, int64_t offset,
                                  int64_t wall_ms, struct bytebuf *out)
{
    for (size_t at = 0; at < records->count; at += CONTROLLER_BATCH_RECORDS) {
        size_t count = MIN(records->count - at, (size_t)CONTROLLER_BATCH_RECORDS);
        assert_int_equal(record_codec_encode_batch(records->items + at, count, offset + (int64_t)at,
                                                   1, wall_ms, out),
                         0);
    }
}

static inline void harness_load(struct loader *loader, struct bytes batches)
{
    const struct image_delta *delta;
    if (loader_commit(loader, batches, &delta) != 0)
        fail_msg("%s", loader_error(loader));
}

/* Appends and commits what h->result holds. */
static inline void harness_commit(struct harness *h)
{
    struct bytebuf batches;
    h->last = h->result.records;
    if (h->result.records.count == 0)
        return;
    bytebuf_init(&batches);
    controller_frame(h->c, &h->arena, &h->result);
    harness_encode(&h->result.records, h->ctx.next_offset, h->wall_ms, &batches);
    controller_propose(h->c, &h->result, h->ctx.next_offset, h->wall_ms);
    h->ctx.next_offset += (int64_t)h->result.records.count;
    assert_int_equal(controller_pending_offset(h->c), h->ctx.next_offset - 1);
    harness_load(&h->loader, (struct bytes){batches.data, (int32_t)batches.len});
    harness_load(&h->follower, (struct bytes){batches.data, (int32_t)batches.len});
    assert_int_equal(controller_pending_offset(h->c), -1);
    const struct image *leader = image_chain_published(h->chain);
    const struct image *follower = image_chain_published(h->follower_chain);
    assert_true(leader == controller_image(h->c));
    assert_true(image_equal(leader, follower));
    assert_int_equal(leader->offset, follower->offset);
    assert_int_equal(leader->topics.partition_count, follower->topics.partition_count);
    bytebuf_append(&h->log, batches.data, batches.len);
    bytebuf_release(&batches);
    h->wall_ms++;
}

static inline void harness_activate(struct harness *h)
{
    struct metadata_records bootstrap = {0};
    const char *reason = NULL;
    controller_bootstrap_records(METADATA_VERSION_LATEST, NULL, 0, &h->arena, &bootstrap);
    assert_int_equal(
        controller_activate(h->c, &h->ctx, 1, &bootstrap, &h->arena, &h->result, &reason), 0);
    harness_commit(h);
}

static inline void harness_init_empty(struct harness *h)
{
    *h = (struct harness){.random_state = 42, .wall_ms = 1000};
    h->chain = image_chain_new(true);
    h->follower_chain = image_chain_new(true);
    loader_init(&h->loader, h->chain);
    loader_init(&h->follower, h->follower_chain);
    arena_init(&h->arena, 0);
    bytebuf_init(&h->log);
    h->config = (struct controller_config){
        .node_id = 1,
        .cluster_id = STR("test-cluster"),
        .num_partitions = 1,
        .default_replication_factor = 1,
        .delete_topic_enable = true,
        .session_timeout_ms = 9000,
        .max_idle_interval_ms = 500,
        .random = {harness_fill, h},
        .mutations = mutate_for_good(),
    };
    h->ctx.now_ms = 100000;
    h->c = controller_new(&h->config, &h->loader);
}

static inline void harness_init(struct harness *h)
{
    harness_init_empty(h);
    harness_activate(h);
}

static inline void harness_release(struct harness *h)
{
    controller_free(h->c);
    loader_release(&h->loader);
    loader_release(&h->follower);
    image_chain_free(h->chain);
    image_chain_free(h->follower_chain);
    arena_release(&h->arena);
    bytebuf_release(&h->log);
}

#endif
