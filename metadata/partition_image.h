/*
 * One partition as the metadata log describes it: replicas, in-sync replicas, leader and epochs
 * (KIP-455, KIP-858, KIP-966). A value of a persistent map: never changed once published.
 *
 * One block, sized for a cluster of many partitions: the struct, then the node lists one after the
 * other, then a directory id for each replica.
 */
#ifndef KRAFTD_METADATA_PARTITION_IMAGE_H
#define KRAFTD_METADATA_PARTITION_IMAGE_H

#include "common/base/uuid.h"
#include "metadata/image_edit.h"
#include "metadata/image_writer.h"

#define PARTITION_NO_LEADER        (-1)
#define PARTITION_NO_LEADER_CHANGE (-2)

enum leader_recovery_state {
    LEADER_RECOVERED = 0,
    LEADER_RECOVERING = 1, /* elected uncleanly, has not said yet that it is through */
};

struct partition_image {
    uint64_t version;
    int32_t id;
    int32_t leader; /* PARTITION_NO_LEADER: none */
    int32_t leader_epoch, partition_epoch;
    int8_t recovery_state;
    uint16_t replica_count, isr_count, removing_count, adding_count, elr_count,
        last_known_elr_count;
    int32_t nodes[];
};

struct node_list {
    const int32_t *ids;
    int32_t count;
};

static inline bool node_list_contains(struct node_list list, int32_t id)
{
    for (int32_t i = 0; i < list.count; i++) {
        if (list.ids[i] == id)
            return true;
    }
    return false;
}

static inline bool node_list_equal(struct node_list a, struct node_list b)
{
    return a.count == b.count &&
           (a.count == 0 || memcmp(a.ids, b.ids, (size_t)a.count * sizeof(*a.ids)) == 0);
}

static inline struct node_list partition_replicas(const struct partition_image *p)
{
    return (struct node_list){p->nodes, p->replica_count};
}

static inline struct node_list partition_isr(const struct partition_image *p)
{
    return (struct node_list){p->nodes + p->replica_count, p->isr_count};
}

static inline struct node_list partition_removing(const struct partition_image *p)
{
    struct node_list isr = partition_isr(p);
    return (struct node_list){isr.ids + isr.count, p->removing_count};
}

static inline struct node_list partition_adding(const struct partition_image *p)
{
    struct node_list removing = partition_removing(p);
    return (struct node_list){removing.ids + removing.count, p->adding_count};
}

static inline struct node_list partition_elr(const struct partition_image *p)
{
    struct node_list adding = partition_adding(p);
    return (struct node_list){adding.ids + adding.count, p->elr_count};
}

static inline struct node_list partition_last_known_elr(const struct partition_image *p)
{
    struct node_list elr = partition_elr(p);
    return (struct node_list){elr.ids + elr.count, p->last_known_elr_count};
}

/* One for each replica, in the order of the replicas. */
static inline const struct uuid *partition_directories(const struct partition_image *p)
{
    struct node_list last = partition_last_known_elr(p);
    return (const struct uuid *)(const void *)(last.ids + last.count);
}

/* The directory of this broker's replica; UUID_ZERO when it has none. */
struct uuid partition_directory_of(const struct partition_image *p, int32_t broker);
bool partition_is_reassigning(const struct partition_image *p);

/* A partition taken apart, so that some of it can be replaced. */
struct partition_fields {
    int32_t id, leader, leader_epoch, partition_epoch;
    int8_t recovery_state;
    struct node_list replicas, isr, removing, adding, elr, last_known_elr;
    const struct uuid *directories; /* replicas.count; NULL: MIGRATING */
};

struct partition_fields partition_fields_of(const struct partition_image *p);
struct partition_image *partition_image_new(struct pmap_edit *edit,
                                            const struct partition_fields *fields);

/* What a record says; lists point into it. Fault: lists that cannot be right. */
int partition_fields_of_record(struct image_edit *edit, const struct partition_record *record,
                               struct partition_fields *ret_fields);
/* The change, as Kafka merges it: naming a leader, even the same, is a new leader epoch, and any
 * change is a new partition epoch. */
int partition_fields_change(struct image_edit *edit, struct partition_fields *fields,
                            const struct partition_change_record *record);
/* The record that makes the partition again; lists point into it. */
void partition_image_to_record(const struct partition_image *p, struct uuid topic_id,
                               int16_t record_version, struct partition_record *ret_record);
bool partition_image_equal(const struct partition_image *a, const struct partition_image *b);

#endif
