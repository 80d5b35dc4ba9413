/*
 * bench_image [TOPICS [PARTITIONS]]: what the metadata image costs, with three replicas of each
 * partition on three brokers (10,000 topics of 10 partitions when nothing is said):
 *
 *   memory of the image per partition, the index of controllers included, and what the allocator
 *   adds to it;
 *   one change of one partition (a new leader) from its committed batch to the published image and
 *   the memory that it gives back, each change a batch of its own;
 *   the first topics' creation, decided by a controller, encoded and applied, 1,000 in one request.
 */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/create_topics.h"
#include "metadata/controller/controller_api.h"
#include "metadata/feature.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BROKERS = 3, REQUEST_TOPICS = 1000, CHANGES = 100000 };

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void random_fill(void *ctx, void *ret_bytes, size_t len)
{
    uint64_t *state = ctx;
    for (size_t i = 0; i < len; i++) {
        *state = hash_u64(*state + 1);
        ((uint8_t *)ret_bytes)[i] = (uint8_t)*state;
    }
}

struct bench {
    struct loader loader;
    struct controller_config config;
    struct controller *controller;
    struct image_reader reader;
    uint64_t random;
    int64_t next_offset;
};

/* Commits one batch, and the one reader goes on to its image. */
static void commit(struct bench *b, struct bytes batch)
{
    const struct image_delta *delta;
    int rv = loader_commit(&b->loader, batch, &delta);
    if (rv != 0 || delta == NULL) {
        fprintf(stderr, "%s\n", loader_error(&b->loader));
        exit(1);
    }
    image_reader_advance(&b->reader, image_chain_published(b->loader.chain));
}

static void commit_records(struct bench *b, const struct metadata_record *records, size_t count)
{
    struct bytebuf out;
    bytebuf_init(&out);
    CHECK(record_codec_encode_batch(records, count, b->next_offset, 1, 1, &out) == 0);
    b->next_offset += (int64_t)count;
    commit(b, (struct bytes){out.data, (int32_t)out.len});
    bytebuf_release(&out);
}

static void add_cluster(struct bench *b)
{
    struct arena arena;
    struct metadata_records records = {0};
    arena_init(&arena, 0);
    controller_bootstrap_records(METADATA_VERSION_LATEST, NULL, 0, &arena, &records);
    for (int32_t i = 0; i < BROKERS; i++) {
        struct register_broker_record *broker =
            METADATA_RECORD_ADD(&records, &arena, register_broker_record, REGISTER_BROKER, 3);
        broker->broker_id = i + 1;
        broker->broker_epoch = i + 10;
        random_fill(&b->random, &broker->incarnation_id, sizeof(broker->incarnation_id));
        broker->end_points = MESSAGE_ARRAY(&arena, register_broker_record_broker_endpoint, 1);
        broker->end_points[0].name = STR("PLAINTEXT");
        broker->end_points[0].host = STR("localhost");
        broker->end_points[0].port = (uint16_t)(9092 + i);
        broker->end_points_count = 1;
        broker->fenced = false;
        broker->log_dirs = ARENA_ARRAY(&arena, struct uuid, 1);
        random_fill(&b->random, broker->log_dirs, sizeof(*broker->log_dirs));
        broker->log_dirs_count = 1;
    }
    commit_records(b, records.items, records.count);
    arena_release(&arena);
}

/* As the active controller does it; the seconds. */
static double create_topics(struct bench *b, int32_t first, int32_t topics, int32_t partitions)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct create_topics_request request;
    struct create_topics_response response;
    struct controller_result result = {0};
    message_init(&create_topics_request_desc, &request);
    request.topics = MESSAGE_ARRAY(&arena, create_topics_request_creatable_topic, topics);
    request.topics_count = topics;
    for (int32_t i = 0; i < topics; i++) {
        request.topics[i].name = arena_printf(&arena, "topic-%05d", first + i);
        request.topics[i].num_partitions = partitions;
        request.topics[i].replication_factor = BROKERS;
    }
    struct controller_context ctx = {.now_ms = 1, .next_offset = b->next_offset};
    double begin_s = now_s();
    controller_create_topics(b->controller, &ctx, &request, &arena, &response, &result);
    CHECK(result.records.count == (size_t)topics * (size_t)(1 + partitions));
    struct bytebuf out;
    bytebuf_init(&out);
    CHECK(record_codec_encode_batch(result.records.items, result.records.count, b->next_offset, 1,
                                    1, &out) == 0);
    controller_propose(b->controller, &result, b->next_offset, 1);
    b->next_offset += (int64_t)result.records.count;
    commit(b, (struct bytes){out.data, (int32_t)out.len});
    double took_s = now_s() - begin_s;
    bytebuf_release(&out);
    arena_release(&arena);
    return took_s;
}

/* Every partition's leader in turn, in an order that has nothing to do with that of the image. */
static void change_leaders(struct bench *b, int32_t topics, int32_t partitions)
{
    const struct image *image = image_chain_published(b->loader.chain);
    struct uuid *ids = calloc((size_t)topics, sizeof(*ids));
    CHECK(ids != NULL);
    struct pmap_iter iter;
    pmap_iter_first(&iter, image->topics.by_name);
    int32_t count = 0;
    for (const struct topic_image *topic; (topic = pmap_iter_next(&iter)) != NULL;)
        ids[count++] = topic->id;
    struct partition_change_record change;
    message_init(&partition_change_record_desc, &change);
    struct metadata_record record = {METADATA_PARTITION_CHANGE_RECORD, 2, &change};
    double begin_s = now_s();
    for (int32_t i = 0; i < CHANGES; i++) {
        change.topic_id = ids[hash_u64((uint64_t)i) % (uint64_t)topics];
        change.partition_id = i % partitions;
        change.leader = i / partitions % BROKERS + 1;
        commit_records(b, &record, 1);
    }
    printf("one change of one partition: %.2f us\n", (now_s() - begin_s) * 1e6 / CHANGES);
    free(ids);
}

int main(int argc, char **argv)
{
    int32_t topics = 10000, partitions = 10;
    if ((argc > 1 && str_to_i32(str_of(argv[1]), &topics) != 0) ||
        (argc > 2 && str_to_i32(str_of(argv[2]), &partitions) != 0) || topics < 1 || partitions < 1)
        return 2;
    struct bench b = {.config = {.node_id = 1,
                                 .cluster_id = STR("bench"),
                                 .num_partitions = 1,
                                 .default_replication_factor = BROKERS,
                                 .session_timeout_ms = 9000,
                                 .random = {.fill = random_fill, .ctx = &b.random}}};
    struct image_chain *chain = image_chain_new(true);
    loader_init(&b.loader, chain);
    image_reader_add(chain, &b.reader);
    add_cluster(&b);
    b.controller = controller_new(&b.config, &b.loader);
    struct arena arena;
    arena_init(&arena, 0);
    struct controller_context ctx = {.now_ms = 1, .next_offset = b.next_offset};
    struct controller_result result;
    struct metadata_records bootstrap = {0};
    const char *reason;
    CHECK(controller_activate(b.controller, &ctx, 1, &bootstrap, &arena, &result, &reason) == 0);
    if (result.records.count > 0) {
        controller_propose(b.controller, &result, b.next_offset, 1);
        commit_records(&b, result.records.items, result.records.count);
    }
    arena_release(&arena);
    size_t before = heap_bytes();
    for (int32_t first = 0; first < topics; first += REQUEST_TOPICS) {
        double took_s = create_topics(&b, first, MIN(REQUEST_TOPICS, topics - first), partitions);
        if (first == 0)
            printf("%d topics x %d decided, encoded, applied: %.1f ms\n",
                   MIN(REQUEST_TOPICS, topics), partitions, took_s * 1000);
    }
    image_chain_reclaim(chain);
    printf("memory: %.0f bytes for each of %d partitions\n",
           (double)(heap_bytes() - before) / ((double)topics * partitions), topics * partitions);
    controller_deactivate(b.controller);
    change_leaders(&b, topics, partitions);
    image_reader_remove(chain, &b.reader);
    controller_free(b.controller);
    loader_release(&b.loader);
    image_chain_free(chain);
    return 0;
}
