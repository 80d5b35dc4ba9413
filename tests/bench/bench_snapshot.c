/*
 * bench_snapshot DIR TOPICS PARTITIONS: writes a snapshot of a cluster of three brokers with so
 * many topics of so many partitions each, three replicas of each partition, to be measured with:
 * DIR/00000000000001000000-0000000001.checkpoint.
 */
#include "common/base/disk.h"
#include "common/protocol/codec.h"
#include "metadata/feature.h"
#include "metadata/image_chain.h"
#include "metadata/snapshot_writer.h"
#include "raft/quorum_checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BROKERS = 3, EPOCH = 1, END_OFFSET = 1000000, TIMESTAMP_MS = 1795250000 };

static struct uuid id_of(uint32_t kind, uint32_t number)
{
    struct uuid id = {{0}};
    /* Spread as random ids are. */
    uint64_t high = hash_u64(((uint64_t)kind << 32) + number), low = hash_u64(high);
    memcpy(id.b, &high, sizeof(high));
    memcpy(id.b + 8, &low, sizeof(low));
    return id;
}

static void apply(struct image_draft *draft, int16_t key, int16_t version, const void *data)
{
    struct metadata_record record = {.key = key, .version = version, .data = data};
    if (image_apply(draft->image, &draft->edit, &record) != 0) {
        fprintf(stderr, "%s\n", draft->edit.fault);
        exit(1);
    }
}

static void add_cluster(struct image_draft *draft)
{
    struct feature_level_record feature;
    message_init(&feature_level_record_desc, &feature);
    feature.name = STR(FEATURE_METADATA_VERSION);
    feature.feature_level = METADATA_VERSION_LATEST;
    apply(draft, METADATA_FEATURE_LEVEL_RECORD, 0, &feature);
    for (int32_t i = 0; i < BROKERS; i++) {
        struct register_broker_record broker;
        struct register_broker_record_broker_endpoint endpoint;
        struct uuid directory = id_of(1, (uint32_t)i);
        message_init(&register_broker_record_desc, &broker);
        message_struct_init(&register_broker_record_broker_endpoint_struct, &endpoint, 1);
        endpoint.name = STR("PLAINTEXT");
        endpoint.host = STR("localhost");
        endpoint.port = (uint16_t)(9092 + i);
        broker.broker_id = i + 1;
        broker.broker_epoch = i + 10;
        broker.incarnation_id = id_of(2, (uint32_t)i);
        broker.end_points = &endpoint;
        broker.end_points_count = 1;
        broker.fenced = false;
        broker.log_dirs = &directory;
        broker.log_dirs_count = 1;
        apply(draft, METADATA_REGISTER_BROKER_RECORD, 3, &broker);
    }
}

static void add_topic(struct image_draft *draft, uint32_t number, int32_t partitions)
{
    char name[32];
    struct topic_record topic;
    snprintf(name, sizeof(name), "topic-%05u", number);
    message_init(&topic_record_desc, &topic);
    topic.name = str_of(name);
    topic.topic_id = id_of(0, number);
    apply(draft, METADATA_TOPIC_RECORD, 0, &topic);
    for (int32_t p = 0; p < partitions; p++) {
        struct partition_record partition;
        struct uuid directories[BROKERS];
        int32_t replicas[BROKERS];
        for (int32_t r = 0; r < BROKERS; r++) {
            replicas[r] = (p + r) % BROKERS + 1;
            directories[r] = id_of(1, (uint32_t)replicas[r] - 1);
        }
        message_init(&partition_record_desc, &partition);
        partition.topic_id = topic.topic_id;
        partition.partition_id = p;
        partition.replicas = partition.isr = replicas;
        partition.replicas_count = partition.isr_count = BROKERS;
        partition.leader = replicas[0];
        partition.leader_epoch = partition.partition_epoch = 0;
        partition.directories = directories;
        partition.directories_count = BROKERS;
        apply(draft, METADATA_PARTITION_RECORD, 2, &partition);
    }
}

static int write_batch(void *ctx, struct bytes batch)
{
    return quorum_checkpoint_write(ctx, batch);
}

static int write_snapshot(struct disk *disk, const struct image *image, const char *directory)
{
    struct quorum_checkpoint_header header = {.last_contained_ms = TIMESTAMP_MS,
                                              .timestamp_ms = TIMESTAMP_MS,
                                              .with_kraft_version = true};
    struct quorum_checkpoint_writer *writer;
    struct quorum_checkpoint_id id = {END_OFFSET, EPOCH};
    int64_t next;
    int rv = quorum_checkpoint_create(disk, directory, id, &header, &writer);
    if (rv != 0)
        return rv;
    struct snapshot_options options = {.base_offset = quorum_checkpoint_next_offset(writer),
                                       .leader_epoch = EPOCH,
                                       .timestamp_ms = TIMESTAMP_MS,
                                       .write = write_batch,
                                       .ctx = writer};
    rv = snapshot_write(image, &options, &next);
    if (rv == 0)
        return quorum_checkpoint_finish(writer);
    quorum_checkpoint_abort(writer);
    return rv;
}

int main(int argc, char **argv)
{
    int32_t topics, partitions;
    if (argc != 4 || str_to_i32(str_of(argv[2]), &topics) != 0 ||
        str_to_i32(str_of(argv[3]), &partitions) != 0 || topics < 0 || partitions < 1) {
        fprintf(stderr, "usage: bench_snapshot DIR TOPICS PARTITIONS\n");
        return 2;
    }
    struct image_chain *chain = image_chain_new(false);
    struct image_draft *draft = image_chain_draft(chain);
    add_cluster(draft);
    for (int32_t i = 0; i < topics; i++)
        add_topic(draft, (uint32_t)i, partitions);
    const struct image *image =
        image_chain_seal(chain, END_OFFSET - 1, EPOCH, (int64_t)TIMESTAMP_MS * 1000);
    struct disk *disk = disk_posix_new();
    int rv = write_snapshot(disk, image, argv[1]);
    disk_posix_free(disk);
    if (rv != 0)
        fprintf(stderr, "%s: %s\n", argv[1], strerror(-rv));
    image_chain_free(chain);
    return rv != 0;
}
