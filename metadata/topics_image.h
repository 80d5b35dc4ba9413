/*
 * The topics and their partitions. Part of the image: read on any loop that holds it, changed on
 * the metadata loop.
 *
 * Controllers also keep, for each broker, which partitions have a replica there, so that fencing a
 * broker costs what it hosts and not what the cluster holds (it changes only when replicas do), and
 * which partitions are unsettled, so that balancing, elections and the list of reassignments cost
 * what there is to do.
 */
#ifndef KRAFTD_METADATA_TOPICS_IMAGE_H
#define KRAFTD_METADATA_TOPICS_IMAGE_H

#include "metadata/partition_image.h"

struct topic_image {
    uint64_t version;
    struct uuid id;
    struct pmap partitions; /* struct partition_image by id; ids need not be dense in odd logs */
    int32_t name_len;
    char name_data[];
};

/* The partitions of one topic that have a replica on one broker. There are as many of these as
 * topics times brokers, so it is kept small. */
struct hosted_image {
    uint64_t version;
    uint8_t key[4 + 16]; /* broker, topic id */
    int32_t count;
    int32_t partitions[]; /* ascending */
};

/* A partition without a leader, led by another replica than the preferred one, or reassigned. */
struct unsettled_image {
    uint64_t version;
    uint8_t key[16 + 4]; /* topic id, partition */
};

struct uuid unsettled_image_topic_id(const struct unsettled_image *unsettled);
int32_t unsettled_image_partition(const struct unsettled_image *unsettled);

int32_t hosted_image_broker(const struct hosted_image *hosted);
struct uuid hosted_image_topic_id(const struct hosted_image *hosted);

struct topics_image {
    struct pmap by_name; /* struct topic_image, owned; in order of names */
    struct pmap by_id;   /* the same topics */
    bool index_hosted;
    struct pmap hosted;    /* struct hosted_image by broker and topic, when index_hosted */
    struct pmap unsettled; /* struct unsettled_image by topic and partition, when index_hosted */
    uint32_t partition_count;
};

extern const struct pmap_kind topic_by_name_kind, topic_by_id_kind, partition_image_kind,
    hosted_image_kind, unsettled_image_kind;

static inline struct str topic_name(const struct topic_image *topic)
{
    return (struct str){topic->name_data, topic->name_len};
}

/* NULL when there is none. */
const struct topic_image *topics_image_find(const struct topics_image *topics, struct str name);
const struct topic_image *topics_image_find_id(const struct topics_image *topics, struct uuid id);
const struct partition_image *topic_image_partition(const struct topic_image *topic, int32_t id);
/* Stands before the first topic that this broker hosts; the caller stops at another broker. */
void topics_image_hosted(const struct topics_image *topics, int32_t broker,
                         struct pmap_iter *ret_iter);

/* Stands at the first unsettled partition that is not before this one. */
void topics_image_unsettled(const struct topics_image *topics, struct uuid topic_id,
                            int32_t partition, struct pmap_iter *ret_iter);

int topics_image_add_topic(struct topics_image *topics, struct image_edit *edit,
                           const struct topic_record *record);
int topics_image_put_partition(struct topics_image *topics, struct image_edit *edit,
                               const struct partition_record *record);
int topics_image_change_partition(struct topics_image *topics, struct image_edit *edit,
                                  const struct partition_change_record *record);
int topics_image_remove_topic(struct topics_image *topics, struct image_edit *edit,
                              const struct remove_topic_record *record);
/* Empties ELR and last known ELR of a topic's partitions; of all where the name is empty. */
int topics_image_clear_elr(struct topics_image *topics, struct image_edit *edit,
                           const struct clear_elr_record *record);

bool topics_image_equal(const struct topics_image *a, const struct topics_image *b);
void topics_image_write(const struct topics_image *topics, struct image_writer *writer);

#endif
