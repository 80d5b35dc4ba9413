#include "broker/replica/partition_delete.h"

#include "broker/replica/partition_internal.h"
#include "common/base/check.h"
#include "common/storage/log_retention.h"

int64_t partition_low_watermark(const struct partition *p)
{
    CHECK(partition_leads(p));
    int64_t low = log_start_offset(p->log);
    if (MUTATED(p->host->env->disk, DELETE_ALONE))
        return low;
    for (int32_t i = 0; i < p->leader.follower_count; i++) {
        const struct follower_progress *f = &p->leader.followers[i];
        if (f->log_start_offset < low && p->host->broker_alive(p->host, f->id))
            low = f->log_start_offset;
    }
    return low;
}

enum kafka_error partition_delete_records(struct partition *p, int64_t *offset)
{
    enum kafka_error error = partition_check_leader(p, -1);
    if (error != KAFKA_ERROR_NONE)
        return error;
    /* Frozen or cut off: another one may lead that never hears of it. */
    if (p->host->out_of_touch(p->host))
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (!log_get_config(p->log)->delete_policy)
        return KAFKA_ERROR_POLICY_VIOLATION;
    if (*offset == -1)
        *offset = log_high_watermark(p->log);
    if (*offset < 0)
        return KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
    error = log_increment_start_offset(p->log, *offset);
    if (error != KAFKA_ERROR_NONE)
        return error;
    partition_wake_replicas(p);
    partition_start_retention(p);
    return partition_check_leader(p, -1);
}

bool partition_wait_low(struct partition *p, struct low_wait *wait)
{
    if (partition_low_watermark(p) >= wait->offset)
        return true;
    list_push_back(&p->low_waits, &wait->link);
    return false;
}

static void end_waits(struct partition *p, enum kafka_error error, int64_t low)
{
    struct list ready;
    list_init(&ready);
    LIST_FOR_EACH (node, &p->low_waits) {
        if (error == KAFKA_ERROR_NONE && LIST_ITEM(node, struct low_wait, link)->offset > low)
            continue;
        list_remove(node);
        list_push_back(&ready, node);
    }
    struct list *node;
    while ((node = list_pop_front(&ready)) != NULL) {
        struct low_wait *wait = LIST_ITEM(node, struct low_wait, link);
        wait->done(wait, error, low);
    }
}

void partition_check_low(struct partition *p)
{
    if (list_empty(&p->low_waits))
        return;
    if (p->host->out_of_touch(p->host))
        partition_end_low_waits(p, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    else
        end_waits(p, KAFKA_ERROR_NONE, partition_low_watermark(p));
}

void partition_end_low_waits(struct partition *p, enum kafka_error error)
{
    CHECK(error != KAFKA_ERROR_NONE);
    end_waits(p, error, -1);
}
