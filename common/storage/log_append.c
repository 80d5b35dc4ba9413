/*
 * Appending. A leader's batches get their offset and epoch in a copy of the first bytes of each
 * header, which stand before the checksum; the bytes that came from the client are not touched and
 * go to the file in the same call.
 *
 * Order: judge, roll, leader epochs, index of aborted transactions, batches, bookkeeping in memory.
 * A crash in between leaves at worst an epoch that begins at the end of the log or an entry of an
 * aborted transaction whose marker is missing; opening the log drops both. Epochs come first since
 * recovery after a kill looks at the last batches only: it would not find an epoch that was never
 * saved.
 */
#include "common/storage/log_internal.h"

#include "common/protocol/crc32c.h"
#include "common/protocol/record_batch_fields.h"

#include <errno.h>
#include <sys/uio.h>

enum { GROUP = 16, ASSIGNED_BYTES = RECORD_BATCH_AT_MAGIC };

struct append {
    struct log *log;
    const struct log_append_args *args;
    struct log_append_info info;
    struct record_batches run; /* what is to be written */
    bool assign;               /* offsets, epoch, perhaps the time */
    bool earlier; /* the first batch begins before the log's end: see log_takes_earlier */
    int64_t bytes;
    int64_t next_offset;
    bool has_change; /* of the one batch that was judged */
    struct producer_change change;
};

/* Takes the framing apart, drops what a replica must not take, sums up. */
static int survey(struct append *a)
{
    const struct log_append_args *args = a->args;
    struct record_batches run = record_batches_of(args->batches);
    struct record_batch batch;
    const uint8_t *start = run.at;
    int64_t next = a->log->end_offset;
    int rv;
    while ((rv = record_batches_next(&run, &batch)) == 1) {
        const struct record_batch_header *h = &batch.header;
        if (h->last_offset_delta < 0)
            return -EBADMSG;
        if (!a->assign) {
            if (h->partition_leader_epoch > args->leader_epoch)
                break;
            bool straddles = h->base_offset < next && a->info.first_offset < 0 &&
                             log_takes_earlier(a->log) &&
                             h->base_offset + h->last_offset_delta >= next;
            if (h->base_offset < next && !straddles)
                return -ERANGE;
            a->earlier |= straddles;
        }
        int64_t base = a->assign ? next : h->base_offset;
        if (a->info.first_offset < 0)
            a->info.first_offset = base;
        a->info.max_timestamp = MAX(a->info.max_timestamp, h->max_timestamp);
        next = base + h->last_offset_delta + 1;
        a->bytes += batch.bytes.len;
    }
    if (rv < 0)
        return rv == -EAGAIN || rv == -EMSGSIZE ? -EBADMSG : rv;
    if (a->bytes == 0)
        return 0;
    a->run = record_batches_of((struct bytes){start, (int32_t)a->bytes});
    a->next_offset = next;
    a->info.last_offset = next - 1;
    return 0;
}

/* What a client may not do. */
static enum kafka_error judge(struct append *a)
{
    struct log *log = a->log;
    enum log_append_origin origin = a->args->origin;
    if (origin != LOG_APPEND_CLIENT && origin != LOG_APPEND_COORDINATOR)
        return KAFKA_ERROR_NONE;
    struct record_batches run = a->run;
    struct record_batch batch;
    while (record_batches_next(&run, &batch) == 1) {
        if (origin == LOG_APPEND_CLIENT && batch.bytes.len > log->config.max_message_bytes)
            return KAFKA_ERROR_MESSAGE_TOO_LARGE;
        if (!record_batch_has_producer_id(&batch.header))
            continue;
        /* One batch of a producer at a time, as every client since Kafka 0.11 sends them. */
        if (batch.bytes.len != a->bytes)
            return KAFKA_ERROR_INVALID_RECORD;
        batch.header.base_offset = a->info.first_offset;
        enum kafka_error error =
            producer_state_check(&log->producers, &batch, origin == LOG_APPEND_CLIENT, &a->change);
        if (error != KAFKA_ERROR_NONE)
            return error;
        a->has_change = !a->change.duplicate;
    }
    return a->bytes > log->config.segment_bytes ? KAFKA_ERROR_RECORD_LIST_TOO_LARGE
                                                : KAFKA_ERROR_NONE;
}

static int roll_is_due(struct append *a, bool *ret_due)
{
    struct log *log = a->log;
    struct segment *s = log_active(log);
    *ret_due = false;
    if (s->size_bytes == 0)
        return 0;
    int64_t first, now_ms = a->args->now_ms;
    int rv = segment_first_timestamp(s, &log->place, &first);
    if (rv == 0)
        rv = index_file_load(&s->offset_index, &log->place);
    if (rv == 0)
        rv = index_file_load(&s->time_index, &log->place);
    if (rv != 0)
        return rv;
    /* Segments roll by the time of their records, so that old records come out together. */
    int64_t waited_ms = first >= 0 ? a->info.max_timestamp - first : now_ms - s->created_ms;
    *ret_due = s->size_bytes + a->bytes > log->config.segment_bytes ||
               waited_ms > log->config.segment_ms - s->jitter_ms ||
               s->offset_index.count >= log->config.segment_index_bytes / 8 ||
               s->time_index.count >= log->config.segment_index_bytes / 12 - 1 ||
               a->info.last_offset - s->base_offset > INT32_MAX;
    return 0;
}

/* The header that a batch gets: base offset and epoch, and the time when the log gives it. */
static size_t assign_header(const struct append *a, const struct record_batch *batch,
                            int64_t base_offset, uint8_t header[RECORD_BATCH_HEADER_SIZE])
{
    const uint8_t *data = batch->bytes.data;
    size_t len = a->info.append_time_ms < 0 ? ASSIGNED_BYTES : RECORD_BATCH_HEADER_SIZE;
    memcpy(header, data, len);
    record_batch_set_offsets(header, base_offset, a->args->leader_epoch);
    if (len == RECORD_BATCH_HEADER_SIZE) {
        record_batch_set_attributes(
            header, (int16_t)(batch->header.attributes | RECORD_BATCH_LOG_APPEND_TIME));
        record_batch_set_max_timestamp(header, a->info.append_time_ms);
        uint32_t crc =
            crc32c(header + RECORD_BATCH_AT_ATTRIBUTES, len - RECORD_BATCH_AT_ATTRIBUTES);
        crc = crc32c_update(crc, data + len, (size_t)batch->bytes.len - len);
        record_batch_set_crc(header, crc);
    }
    return len;
}

static struct iovec iov_of(const uint8_t *data, size_t len)
{
    struct iovec iov = {.iov_len = len};
    memcpy(&iov.iov_base, &data, sizeof(data)); /* iovec has no const form */
    return iov;
}

/* Writes all batches; after an error the segment ends where it did before. */
static int write_batches(struct append *a)
{
    struct segment *s = log_active(a->log);
    struct record_batches run = a->run;
    struct record_batch batch;
    uint8_t headers[GROUP][RECORD_BATCH_HEADER_SIZE];
    struct iovec iov[2 * GROUP];
    int64_t offset = a->info.first_offset, before = s->size_bytes;
    bool torn = false, more = record_batches_next(&run, &batch) == 1;
    int rv = 0;
    while (rv == 0 && more) {
        int count = 0;
        size_t bytes = 0;
        if (!a->assign) {
            iov[count++] = iov_of(a->run.at, (size_t)a->bytes);
            bytes = (size_t)a->bytes;
            more = false;
        }
        for (int i = 0; more && i < GROUP; i++) {
            size_t len = assign_header(a, &batch, offset, headers[i]);
            iov[count++] = iov_of(headers[i], len);
            iov[count++] = iov_of(batch.bytes.data + len, (size_t)batch.bytes.len - len);
            bytes += (size_t)batch.bytes.len;
            offset += batch.header.last_offset_delta + 1;
            more = record_batches_next(&run, &batch) == 1;
        }
        rv = segment_write(s, &a->log->place, iov, count, bytes, &torn);
    }
    if (rv != 0 && s->size_bytes != before) {
        torn |= a->log->place.disk->ops->truncate(s->log_file.file, before) != 0;
        s->size_bytes = before;
    }
    if (torn)
        a->log->failed = true;
    return rv;
}

/* Aborted transactions among the batches of a replica are found while they are noted, one by one;
 * those of a leader are judged before anything is written. */
static int note_producer(struct append *a, const struct record_batch *batch)
{
    struct log *log = a->log;
    struct producer_change change;
    if (a->has_change) {
        producer_state_commit(&log->producers, &a->change);
        return 0;
    }
    if (a->args->origin == LOG_APPEND_RAFT ||
        !producer_state_apply(&log->producers, batch, &change))
        return 0;
    int rv = 0;
    if (change.aborts) {
        struct aborted_txn txn = producer_state_aborted(&log->producers, &change);
        rv = txn_index_append(&log_active(log)->txn_index, &log->place, &txn);
    }
    producer_state_commit(&log->producers, &change);
    return rv;
}

static int note_batches(struct append *a)
{
    struct log *log = a->log;
    struct segment *s = log_active(log);
    struct record_batches run = a->run;
    struct record_batch batch;
    int64_t position = s->size_bytes - a->bytes;
    int64_t offset = a->info.first_offset;
    int rv = 0;
    while (record_batches_next(&run, &batch) == 1) {
        if (a->assign)
            batch.header.base_offset = offset;
        int64_t timestamp =
            a->info.append_time_ms >= 0 ? a->info.append_time_ms : batch.header.max_timestamp;
        int64_t last = record_batch_last_offset(&batch.header);
        int error = note_producer(a, &batch);
        /* A missing index entry costs a longer search and is no reason to stop. */
        (void)segment_note(s, &log->place, last, timestamp, position, batch.bytes.len,
                           log->config.index_interval_bytes);
        if (error != 0) {
            /* The batches are in the file already: nothing can be taken back. */
            log->failed = true;
            rv = error;
        }
        position += batch.bytes.len;
        offset = last + 1;
    }
    return rv;
}

static void forget_epochs(struct log *log)
{
    epoch_cache_truncate_end(&log->epochs, log->end_offset);
}

/* Epochs that begin with these batches. */
static int note_epochs(struct append *a)
{
    struct log *log = a->log;
    struct record_batches run = a->run;
    struct record_batch batch;
    if (a->assign && a->args->leader_epoch >= 0)
        epoch_cache_assign(&log->epochs, a->args->leader_epoch, a->info.first_offset);
    while (!a->assign && record_batches_next(&run, &batch) == 1)
        if (batch.header.partition_leader_epoch >= 0)
            epoch_cache_assign(&log->epochs, batch.header.partition_leader_epoch,
                               batch.header.base_offset);
    int rv = log_save_epochs(log);
    if (rv != 0)
        forget_epochs(log);
    return rv;
}

static int append_batches(struct append *a)
{
    struct log *log = a->log;
    bool due;
    int rv = a->earlier ? log_begin_earlier(log, a->info.first_offset, a->args->now_ms) : 0;
    if (rv == 0)
        rv = roll_is_due(a, &due);
    if (rv == 0 && due)
        rv = log_roll_to(log, a->args->now_ms);
    if (rv == 0)
        rv = note_epochs(a);
    if (rv != 0)
        return rv;
    struct segment *s = log_active(log);
    bool aborts = a->has_change && a->change.aborts;
    if (aborts) {
        struct aborted_txn txn = producer_state_aborted(&log->producers, &a->change);
        rv = txn_index_append(&s->txn_index, &log->place, &txn);
        if (rv != 0) {
            forget_epochs(log);
            return rv;
        }
    }
    struct log_hint hint = {a->info.first_offset, s->size_bytes};
    rv = write_batches(a);
    if (rv != 0) {
        if (aborts && txn_index_truncate(&s->txn_index, &log->place, a->info.first_offset) != 0)
            log->failed = true;
        forget_epochs(log);
        return rv;
    }
    log->hints[log->next_hint] = hint;
    log->next_hint = (uint8_t)((log->next_hint + 1) % LOG_HINTS);
    rv = note_batches(a);
    if (log->flush_requested_offset == log->end_offset)
        log->first_unflushed_ms = a->args->now_ms;
    log->end_offset = a->next_offset;
    log->producers.end_offset = a->next_offset;
    log->size_bytes += a->bytes;
    log->unflushed_bytes += a->bytes;
    if (log->unchecked_bytes == 0)
        log->first_unchecked_ms = a->args->now_ms;
    log->unchecked_bytes += a->bytes;
    log->bytes_since_snapshot += a->bytes;
    s->modified_ms = a->args->now_ms;
    log_publish(log);
    return rv;
}

int log_append(struct log *log, const struct log_append_args *args, struct log_append_info *ret)
{
    struct append a = {
        .log = log,
        .args = args,
        .assign = args->origin != LOG_APPEND_REPLICA,
        .info = {.first_offset = -1,
                 .last_offset = -1,
                 .max_timestamp = -1,
                 .append_time_ms = -1,
                 .log_start_offset = log->start_offset},
    };
    if (log->failed)
        return -EIO;
    int rv = survey(&a);
    if (rv != 0)
        return rv;
    if (a.bytes > 0) {
        a.info.error = judge(&a);
        if (a.info.error != KAFKA_ERROR_NONE || a.change.duplicate) {
            a.info.duplicate = a.change.duplicate && a.info.error == KAFKA_ERROR_NONE;
            a.info.first_offset = a.info.duplicate ? a.change.duplicate_first_offset : -1;
            a.info.last_offset = a.info.duplicate ? a.change.duplicate_last_offset : -1;
            a.info.append_time_ms = a.info.duplicate ? a.change.duplicate_timestamp : -1;
            *ret = a.info;
            return 0;
        }
        if (log->config.log_append_time &&
            (args->origin == LOG_APPEND_CLIENT || args->origin == LOG_APPEND_COORDINATOR)) {
            a.info.append_time_ms = args->now_ms;
            a.info.max_timestamp = args->now_ms;
        }
        rv = append_batches(&a);
        if (rv != 0)
            return log_fail(log, rv);
    }
    *ret = a.info;
    return 0;
}
