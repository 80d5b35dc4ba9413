/*
 * The formation record, the file `kraftd.formation` beside meta.properties of the metadata
 * directory. One line of JSON, replaced atomically:
 *
 *   {"version":1,"directory.id":"lcou4jWfT1OARlSoRQoOCQ","cluster.id":"5L6g3nShT-eMCtK--X86sw",
 *    "voters":[{"node.id":1,"directory.id":"lcou4jWfT1OARlSoRQoOCQ","endpoints":
 *               [{"name":"CONTROLLER","host":"127.0.0.1","port":9093}]}]}
 *
 * Without cluster.id and voters the disk is blank: only its directory id is settled. The file stays
 * after the formation: a metadata log of kraft.version 0 that was taken over has its voters there.
 * Kafka takes no notice of it. Reading and writing block.
 */
#ifndef KRAFTD_RAFT_FORMATION_RECORD_H
#define KRAFTD_RAFT_FORMATION_RECORD_H

#include "common/base/disk.h"
#include "common/storage/meta_properties.h"
#include "raft/quorum_voters.h"

#define FORMATION_FILE "kraftd.formation"

struct formation_record {
    struct uuid directory_id;            /* of this disk */
    char cluster_id[CLUSTER_ID_MAX + 1]; /* "": blank */
    struct quorum_voters *voters;        /* one reference, NULL when blank */
};

void formation_record_release(struct formation_record *record);
/* Deep copy. */
void formation_record_copy(struct formation_record *to, const struct formation_record *from);

/* -ENOENT; -EBADMSG: malformed. `directory` is the log directory that holds it. */
int formation_record_load(struct disk *disk, const char *directory,
                          struct formation_record *ret_record);
/* Durable once the directory is synced. */
int formation_record_put(struct disk *disk, const char *directory,
                         const struct formation_record *record);
/* Durable when it returns 0. */
int formation_record_store(struct disk *disk, const char *directory,
                           const struct formation_record *record);
int formation_record_remove(struct disk *disk, const char *directory);

#endif
