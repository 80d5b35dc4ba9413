/*
 * The features whose levels a cluster finalizes, and what each level of metadata.version means
 * (Kafka 4.4; KIP-584, KIP-778, KIP-1022). Constant tables; any thread.
 */
#ifndef KRAFTD_METADATA_FEATURE_H
#define KRAFTD_METADATA_FEATURE_H

#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FEATURE_METADATA_VERSION         "metadata.version"
#define FEATURE_ELIGIBLE_LEADER_REPLICAS "eligible.leader.replicas.version"
#define FEATURE_GROUP_VERSION            "group.version"
#define FEATURE_KRAFT_VERSION            "kraft.version"
#define FEATURE_SHARE_VERSION            "share.version"
#define FEATURE_STREAMS_VERSION          "streams.version"
#define FEATURE_TRANSACTION_VERSION      "transaction.version"

/* Levels of metadata.version at which something changed for us. */
enum {
    METADATA_VERSION_MIN = 7,                        /* 3.3-IV3 */
    METADATA_VERSION_ZK_MIGRATION = 8,               /* 3.4-IV0: RegisterBrokerRecord 2 */
    METADATA_VERSION_SCRAM = 11,                     /* 3.5-IV2 */
    METADATA_VERSION_NO_EPOCH_BUMP_ON_SHRINK = 12,   /* 3.6-IV0 */
    METADATA_VERSION_TRANSACTIONS = 13,              /* 3.6-IV1: Begin, End, Abort */
    METADATA_VERSION_DELEGATION_TOKENS = 14,         /* 3.6-IV2 */
    METADATA_VERSION_CONTROLLER_REGISTRATION = 15,   /* 3.7-IV0 */
    METADATA_VERSION_DIRECTORIES = 17,               /* 3.7-IV2: KIP-858 */
    METADATA_VERSION_ELR = 23,                       /* 4.0-IV1: KIP-966 */
    METADATA_VERSION_CORDONED_DIRS = 30,             /* 4.3-IV0: KIP-1066 */
    METADATA_VERSION_CONTROLLER_UNREGISTRATION = 33, /* 4.4-IV2 */
    METADATA_VERSION_LATEST = 33,
};

struct metadata_version {
    int16_t level;
    bool changes_records; /* against the level before it: going below needs a lossless image */
    const char *name;     /* "4.4-IV2" */
};

/* NULL when there is none of this level. */
const struct metadata_version *metadata_version_find(int16_t level);
/* "4.4-IV2", or "4.4" for the last one of a release; NULL when there is none. */
const struct metadata_version *metadata_version_find_name(struct str name);

/* Versions of records that a level writes. */
int16_t metadata_version_register_broker_record(int16_t level);
int16_t metadata_version_broker_change_record(int16_t level);
int16_t metadata_version_partition_record(int16_t level);

struct feature_level {
    int16_t level;
    int16_t bootstrap;              /* metadata.version that turns it on in a new cluster */
    int16_t needs_metadata_version; /* 0: none */
};

struct feature {
    const char *name;
    const struct feature_level *levels; /* from level 0 on; NULL for metadata.version */
    int16_t min_level, max_level;       /* what this build supports */
};

extern const struct feature feature_table[];
extern const size_t feature_table_size;

/* NULL when this build does not know it. */
const struct feature *feature_find(struct str name);
/* The level a new cluster of this metadata.version gets; 0: off. */
int16_t feature_default_level(const struct feature *feature, int16_t metadata_version);

#endif
