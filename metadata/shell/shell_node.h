/*
 * The tree that the metadata shell shows of an image: folders and leaves that are looked up when
 * somebody asks, so a cluster of 100,000 partitions costs nothing until it is listed.
 *
 *   /image/...   what Kafka 4's shell shows, its texts byte for byte
 *   /local/...   the shell itself
 *   /brokers /topics /topicIds /configs /client-quotas /producerIds /features /metadataQuorum
 *                what the shell of Kafka 2.8 to 3.2 showed and much documentation still names;
 *                found by name, listed only where all is asked for
 *
 * One name is ours: Kafka's shell shows the quota of a default entity under an empty name, or under
 * that of another entity; here it is user(<default>), clientId(<default>), ip(<default>).
 *
 * A node is a plain value that points into the image and the view, which outlive it. Pure; any
 * thread that holds the image.
 */
#ifndef KRAFTD_METADATA_SHELL_NODE_H
#define KRAFTD_METADATA_SHELL_NODE_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "metadata/image.h"

#include <jansson.h>

struct shell_voter {
    int32_t id;
    struct uuid directory_id;
    struct str endpoints; /* "CONTROLLER://host:9093,..." */
};

/* What the root shows. */
struct shell_view {
    const struct image *image;
    struct str version, commit_id; /* of the shell */

    /* The place in the log that /image/provenance names. */
    int64_t offset;
    int32_t epoch;
    int64_t timestamp_ms;

    /* /metadataQuorum: as far as the log tells. */
    int64_t last_offset, last_timestamp_ms;
    int32_t leader, leader_epoch; /* -1: not known */
    const struct shell_voter *voters;
    size_t voter_count;
};

struct shell_kind;

struct shell_node {
    const struct shell_kind *kind;
    const struct shell_view *view;
    const void *object;
    int64_t number;
};

struct shell_names {
    struct arena *arena;
    struct str *items;
    size_t count, capacity;
};

void shell_root(const struct shell_view *view, struct shell_node *ret_node);
bool shell_is_folder(const struct shell_node *node);
/* False when there is none of this name. A leaf has no children. */
bool shell_child(const struct shell_node *node, struct str name, struct shell_node *ret_child);
/* The names of a folder's children in order, in the arena; all: those too that are only found. */
void shell_list(const struct shell_node *folder, bool all, struct arena *arena,
                struct shell_names *ret_names);

/* Appends what a leaf says, without the end of its line. */
void shell_text(const struct shell_node *leaf, struct bytebuf *out);
/* The same as a document: numbers are numbers, what has parts is an object. */
json_t *shell_json(const struct shell_node *leaf);

/*
 * True when nothing below differs for certain: both stand for the very same part of their images.
 * False says nothing. For images of one chain, whose newer ones share what did not change.
 */
bool shell_is_same(const struct shell_node *a, const struct shell_node *b);

/* Appends a document as Jackson's pretty printer writes it: "a" : 1, [ 1, 2 ]. */
void shell_pretty_json(const json_t *document, struct bytebuf *out);

#endif
