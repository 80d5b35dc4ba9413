/*
 * The node's disks at start: whose they are, and, where they are blank, making them a cluster's.
 * Everything here blocks: on a worker.
 *
 * Opens and locks the directories; how a blank node forms, and what is refused, is
 * formation_disk.h's.
 */
#ifndef KRAFTD_BROKER_SERVER_NODE_DISK_H
#define KRAFTD_BROKER_SERVER_NODE_DISK_H

#include "common/base/env.h"
#include "common/storage/log_manager.h"
#include "raft/formation_record.h"

struct quorum_voters;
struct server_config;

struct node_disk {
    struct log_manager *logs;
    struct log_dir *metadata_dir; /* NULL: it is one of log.dirs */
    char cluster_id[CLUSTER_ID_MAX + 1];
    struct uuid metadata_directory_id;
    char *metadata_path;            /* of __cluster_metadata-0 */
    struct formation_record record; /* of the formation; without cluster: there was none */
    bool alone;                     /* no other node is listed */
    bool formed;                    /* just now */
    bool has_data;                  /* in the metadata log, as it was found */
    bool is_dynamic;                /* it says itself who votes */
    char error[LOG_MANAGER_ERROR_LEN];
};

/* 0, or an errno with a sentence in error; release it either way. cluster_id "": the disks are
 * blank, their directory id is durable, and other nodes have to be asked. */
int node_disk_open(struct env *env, const struct server_config *config, struct node_disk *ret_disk);
/* Makes a blank node's record durable: as one of its voters where it names this disk, else as a
 * node that will follow that cluster. The log manager is a new one afterwards. */
int node_disk_form(struct env *env, const struct server_config *config, struct node_disk *disk,
                   const struct formation_record *record);
/* Gives a stillborn formation up: blank, with a new directory id. Logs are closed. */
int node_disk_reset(struct env *env, const struct server_config *config, struct node_disk *disk);
/* This node as the one voter, with its controller listener; the caller drops the reference. */
struct quorum_voters *node_disk_self(const struct server_config *config, struct uuid directory_id);
/* Free what open made. The log manager was stopped, or nothing used it. */
void node_disk_release(struct node_disk *disk);

#endif
