/* Records of answers: batches one after the other, without what was aborted. */
#include "tools/fetch_internal.h"

#include "common/base/mem.h"
#include "common/protocol/control_record.h"

#include <errno.h>

/* What a compressed batch may hold at most. */
#define UNCOMPRESSED_MAX_BYTES ((size_t)1 << 30)

static struct fetch_piece *current(struct fetch_client *f)
{
    return &f->answers->pieces[f->answers->at];
}

static bool corrupt(const struct fetch_piece *piece, const struct record_batch *batch, int rv,
                    struct failure *failure)
{
    return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                       "The records of %.*s-%d at offset %lld cannot be read: %s",
                       STR_FMT(piece->partition->topic->name), piece->partition->index,
                       (long long)(batch ? batch->header.base_offset : piece->from),
                       rv == -EBADMSG ? "they are damaged" : strerror(-rv));
}

static void mark_aborted(struct fetch_partition *partition, int64_t producer_id)
{
    for (size_t i = 0; i < partition->aborted_count; i++)
        if (partition->aborted[i] == producer_id)
            return;
    VEC_PUSH(partition->aborted, partition->aborted_count, partition->aborted_capacity) =
        producer_id;
}

static bool is_aborted(const struct fetch_partition *partition, int64_t producer_id)
{
    for (size_t i = 0; i < partition->aborted_count; i++)
        if (partition->aborted[i] == producer_id)
            return true;
    return false;
}

static void unmark_aborted(struct fetch_partition *partition, int64_t producer_id)
{
    for (size_t i = 0; i < partition->aborted_count; i++)
        if (partition->aborted[i] == producer_id)
            partition->aborted[i] = partition->aborted[--partition->aborted_count];
}

/* The marker at the end of a transaction: the producer's next one is not aborted by it. */
static void take_marker(struct fetch_client *f, struct fetch_partition *partition)
{
    struct record_iter it;
    struct record record;
    int type;
    if (record_iter_init(&it, &f->batch, UNCOMPRESSED_MAX_BYTES, &f->scratch) != 0)
        return;
    if (record_iter_next(&it, &record) == 1 && control_record_parse_key(record.key, &type) == 0 &&
        type == CONTROL_ABORT)
        unmark_aborted(partition, f->batch.header.producer_id);
    record_iter_release(&it);
}

/* Whether the batch is for the reader. */
static bool is_wanted(struct fetch_client *f, const struct fetch_piece *piece)
{
    const struct record_batch_header *h = &f->batch.header;
    struct fetch_partition *partition = piece->partition;
    bool control = (h->attributes & RECORD_BATCH_CONTROL) != 0;
    if (f->config->read_committed) {
        while (f->next_aborted < piece->aborted_count &&
               piece->aborted[f->next_aborted].first_offset <= record_batch_last_offset(h))
            mark_aborted(partition, piece->aborted[f->next_aborted++].producer_id);
        if (control)
            take_marker(f, partition);
        else if ((h->attributes & RECORD_BATCH_TRANSACTIONAL) &&
                 is_aborted(partition, h->producer_id))
            return false;
    }
    return !control && record_batch_last_offset(h) >= piece->from;
}

static void end_piece(struct fetch_client *f)
{
    f->in_piece = false;
    if (++f->answers->at < f->answers->count)
        return;
    struct fetch_answer *answer = f->answers;
    f->answers = answer->next;
    if (f->answers == NULL)
        f->last_answer = &f->answers;
    fetch_answer_free(answer);
}

/* 1: f->iter stands before the records of a batch; 0: the piece has no more; -1: failure. */
static int next_batch(struct fetch_client *f, const struct fetch_piece *piece,
                      struct failure *failure)
{
    for (;;) {
        int rv = record_batches_next(&f->batches, &f->batch);
        if (rv == 0 || rv == -EAGAIN)
            return 0;
        if (rv == -ENOTSUP) {
            failure_set(failure, KAFKA_ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
                        "%.*s-%d holds messages of Kafka before 0.11, which cannot be read",
                        STR_FMT(piece->partition->topic->name), piece->partition->index);
            return -1;
        }
        if (rv < 0 || (f->config->check_crcs && !record_batch_crc_ok(&f->batch))) {
            corrupt(piece, rv < 0 ? NULL : &f->batch, rv < 0 ? rv : -EBADMSG, failure);
            return -1;
        }
        if (!is_wanted(f, piece))
            continue;
        rv = record_iter_init(&f->iter, &f->batch, UNCOMPRESSED_MAX_BYTES, &f->scratch);
        if (rv == 0)
            return 1;
        corrupt(piece, &f->batch, rv, failure);
        return -1;
    }
}

/* 1: a record; 0: the batch has no more; -1: failure. */
static int next_record(struct fetch_client *f, const struct fetch_piece *piece,
                       struct fetched_record *ret_record, struct failure *failure)
{
    int rv;
    do
        rv = record_iter_next(&f->iter, &ret_record->record);
    while (rv == 1 && ret_record->record.offset < piece->from);
    if (rv < 0)
        corrupt(piece, &f->batch, rv, failure);
    if (rv != 1) {
        record_iter_release(&f->iter);
        f->in_batch = false;
        return rv < 0 ? -1 : 0;
    }
    ret_record->topic = piece->partition->topic->name;
    ret_record->partition = piece->partition->index;
    ret_record->leader_epoch = f->batch.header.partition_leader_epoch;
    ret_record->log_append_time = (f->batch.header.attributes & RECORD_BATCH_LOG_APPEND_TIME) != 0;
    return 1;
}

int fetch_read(struct fetch_client *f, struct fetched_record *ret_record, struct failure *failure)
{
    while (f->answers != NULL) {
        const struct fetch_piece *piece = current(f);
        if (!f->in_piece) {
            f->in_piece = true;
            f->batches = record_batches_of(piece->records);
            f->next_aborted = 0;
        }
        int rv = f->in_batch ? 1 : next_batch(f, piece, failure);
        if (rv < 0)
            return rv;
        f->in_batch = rv == 1;
        if (rv == 0) {
            end_piece(f);
            continue;
        }
        rv = next_record(f, piece, ret_record, failure);
        if (rv != 0)
            return rv;
    }
    return 0;
}
