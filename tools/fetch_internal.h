/*
 * The consumer's own memory, shared by fetch_client.c (what to read), fetch_sender.c (requests out,
 * answers in) and fetch_reader.c (records of answers).
 *
 * A partition's `offset` is what is asked for next; it moves on as soon as an answer has come, so
 * that the next request can go out before the answer is read. Answers wait in one list, oldest
 * first; no more than two of a node, so that memory is bounded.
 */
#ifndef KRAFTD_TOOLS_FETCH_INTERNAL_H
#define KRAFTD_TOOLS_FETCH_INTERNAL_H

#include "common/protocol/messages/fetch.h"
#include "tools/admin.h"
#include "tools/fetch_client.h"
#include "tools/links.h"

struct fetch_partition {
    struct fetch_topic *topic;
    int32_t index, leader, leader_epoch;
    int64_t offset; /* FETCH_FROM_RESET: to be looked up */
    bool asked;     /* a request is on its way */
    int64_t retry_at_ms;
    /* read_committed: producers whose transactions, as far as it was read, end as aborted. */
    int64_t *aborted;
    size_t aborted_count, aborted_capacity;
};

struct fetch_topic {
    struct str name; /* owned */
    struct uuid id;
    bool all; /* every partition is read */
    struct fetch_partition **partitions;
    size_t count, capacity;
};

/* A request on its way. */
struct fetch_question {
    int32_t node;
    size_t count;
    struct fetch_partition *partitions[];
};

/* One partition's records in an answer. */
struct fetch_piece {
    struct fetch_partition *partition;
    int64_t from; /* what was asked for */
    struct bytes records;
    const struct fetch_response_aborted_transaction *aborted;
    int32_t aborted_count;
};

struct fetch_answer {
    struct fetch_answer *next;
    int32_t node;
    struct arena arena;
    struct fetch_response response;
    struct fetch_piece *pieces;
    size_t count, at; /* pieces[at] is being read */
};

struct fetch_client {
    struct client *client;
    const struct client_config *client_config;
    const struct fetch_config *config;
    const struct topic_filter *filter; /* NULL: none */
    int cancel_fd;
    struct links links;
    struct fetch_topic **topics;
    size_t topics_count, topics_capacity;
    struct fetch_answer *answers, **last_answer;
    struct failure failure; /* of an answer; told once everything before it was read */
    bool stale;             /* leaders have to be looked up again */
    int64_t metadata_at_ms, metadata_retry_at_ms, metadata_backoff_ms;
    /* What is being read: batches of the piece, records of the batch. */
    bool in_piece, in_batch;
    struct record_batches batches;
    int32_t next_aborted;
    struct record_batch batch;
    struct record_iter iter;
    struct record_scratch scratch;
};

/* Looks topics and leaders up once. False: nobody answered, or the failure says what is wrong. */
bool fetch_refresh(struct fetch_client *f, struct failure *failure);
/* Looks up where partitions begin whose offset is FETCH_FROM_RESET. */
bool fetch_find_offsets(struct fetch_client *f, struct failure *failure);
/* A partition whose offset does not exist any more. */
bool fetch_out_of_range(struct fetch_client *f, struct fetch_partition *partition,
                        struct failure *failure);

/* Sends what may be sent. False: the failure says what is wrong. */
bool fetch_drive(struct fetch_client *f, int64_t now_ms, struct failure *failure);
void fetch_receive(struct fetch_client *f);
/* As produce_due_at. */
int64_t fetch_due_at(const struct fetch_client *f, int64_t now_ms);
void fetch_answer_free(struct fetch_answer *answer);

/* The next record of the answers that are there. 0: none. -1: the failure. */
int fetch_read(struct fetch_client *f, struct fetched_record *ret_record, struct failure *failure);

#endif
