/*
 * meta.properties: whose disk a log directory is. Java properties text:
 *
 *   #
 *   #Sat Nov 21 08:31:01 UTC 2026
 *   node.id=1
 *   directory.id=nDvJaeyl85FBVvSMylRiXA
 *   version=1
 *   cluster.id=Z29sZGVuLXNpbmdsZS0wMQ
 *
 * Version 0 is of ZooKeeper days (broker.id instead of node.id) and is refused. Blocks on the disk.
 */
#ifndef KRAFTD_STORAGE_META_PROPERTIES_H
#define KRAFTD_STORAGE_META_PROPERTIES_H

#include "common/base/disk.h"
#include "common/base/uuid.h"

#define META_PROPERTIES_FILE "meta.properties"
#define CLUSTER_ID_MAX       63

struct meta_properties {
    char cluster_id[CLUSTER_ID_MAX + 1]; /* Kafka accepts any text */
    int32_t node_id;                     /* -1: not said */
    struct uuid directory_id;            /* zero: not said (written before Kafka 3.7) */
};

/* `path` is that of the file. -ENOENT; -ENOTSUP: version 0; -EBADMSG: malformed. */
int meta_properties_read(struct disk *disk, const char *path, struct meta_properties *ret_meta);
/* Durable when it returns 0. now_ms (Unix) goes into the comment. */
int meta_properties_write(struct disk *disk, const char *path, const struct meta_properties *meta,
                          int64_t now_ms);

#endif
