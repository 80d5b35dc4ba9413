/*
 * kafka-storage in parts: storage.c (what it is asked, random-uuid, version-mapping,
 * feature-dependencies), storage_info.c, storage_format.c, storage_voters.c (--initial-controllers)
 * and storage_scram.c (--add-scram).
 */
#ifndef KRAFTD_TOOLS_STORAGE_INTERNAL_H
#define KRAFTD_TOOLS_STORAGE_INTERNAL_H

#include "metadata/config/server_config.h"
#include "metadata/feature.h"
#include "metadata/record_codec.h"
#include "raft/quorum_voters.h"
#include "tools/args.h"
#include "tools/failure.h"

/* Reads the server's configuration. Always followed by server_config_release. `strict`: refuse what
 * Kafka refuses. */
bool storage_read_config(const char *path, bool strict, struct server_config *config,
                         struct failure *failure);
/* log.dirs and the metadata's directory, sorted, each once; in the config's arena. */
size_t storage_directories(struct server_config *config, const struct str **ret_dirs);

/* "name=level" */
bool storage_split_feature(const char *text, struct str *ret_name, struct str *ret_level);
/* "Unknown metadata.version ..." */
bool storage_find_release(const char *name, const struct metadata_version **ret_version,
                          struct failure *failure);
bool storage_random_uuid(struct uuid *ret_uuid, struct failure *failure);

/* "1@host:port:directory-id,..."; each gets the controller listener's name. */
bool storage_parse_voters(const char *text, struct str listener, struct quorum_voters **ret_voters,
                          struct failure *failure);
/* "SCRAM-SHA-256=[name=alice,password=secret]" as a record. */
bool storage_add_scram(const char *text, struct arena *arena, struct metadata_records *records,
                       struct failure *failure);

/* The exit code. */
int storage_info(const struct args *args);
bool storage_format(const struct args *args, struct failure *failure);
/* kafka-features has these too. */
bool storage_version_mapping(const struct args *args, struct failure *failure);
bool storage_feature_dependencies(const struct args *args, struct failure *failure);

#endif
