/*
 * A consumer for tools, without a group: reads the partitions it is given, or all partitions of
 * the topics it is given as they come and go, from offsets or from either end, and gives out one
 * record after the other. What is next of a partition is asked for while what came before is being
 * read. Settings, their names and their defaults are those of Kafka's consumer.
 *
 * One thread; no work but inside of its calls.
 */
#ifndef KRAFTD_TOOLS_FETCH_CLIENT_H
#define KRAFTD_TOOLS_FETCH_CLIENT_H

#include "common/protocol/record_iter.h"
#include "tools/client.h"

/* Where to begin where there is no offset, or none that exists any more. */
enum fetch_reset {
    FETCH_RESET_LATEST,
    FETCH_RESET_EARLIEST,
    FETCH_RESET_NONE,     /* it is an error */
    FETCH_RESET_DURATION, /* what is younger than reset_duration_ms */
};

struct fetch_config {
    bool read_committed;
    bool check_crcs;
    bool create_topics; /* allow.auto.create.topics */
    bool exclude_internal_topics;
    enum fetch_reset reset;
    int64_t reset_duration_ms;
    int32_t min_bytes, max_bytes, max_partition_bytes, max_wait_ms;
    int64_t metadata_max_age_ms;
};

/* From the properties that the client's config holds. */
bool fetch_config_read(const struct client_config *from, struct fetch_config *ret_config,
                       struct failure *failure);

struct fetch_client;

/* Connects to nobody yet. Client and configs outlive it. */
struct fetch_client *fetch_client_new(struct client *client,
                                      const struct client_config *client_config,
                                      const struct fetch_config *config);
/* NULL is fine. */
void fetch_client_free(struct fetch_client *f);
/* A descriptor that ends waiting in fetch_client_next when it becomes readable; -1: none. */
void fetch_client_set_cancel(struct fetch_client *f, int fd);

/* Which offset a partition begins at, beside numbers from 0 on. */
enum { FETCH_FROM_RESET = -1 /* config->reset says */ };

/* One partition. May be called for several; the topic's others are not read. */
void fetch_client_add_partition(struct fetch_client *f, struct str topic, int32_t partition,
                                int64_t offset);
/* All partitions of a topic, those that will be added to it later too. */
void fetch_client_add_topic(struct fetch_client *f, struct str topic);
/* All topics whose names match, now or later. The filter's owner is the caller. */
struct topic_filter;
void fetch_client_add_filter(struct fetch_client *f, const struct topic_filter *filter);

struct fetched_record {
    struct str topic;
    int32_t partition;
    int32_t leader_epoch;
    bool log_append_time;
    struct record record;
};

/*
 * 1 and a record, which lives until the next call. 0: none came in time (with timeout_ms 0: this is
 * a good time to flush what was printed), or the cancel descriptor is readable. -1: it cannot go
 * on, the failure says why.
 */
int fetch_client_next(struct fetch_client *f, int64_t timeout_ms, struct fetched_record *ret_record,
                      struct failure *failure);
#endif
