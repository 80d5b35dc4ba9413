#define LOG_MODULE "isr_changes"

#include "broker/server/isr_changes.h"

#include "broker/replica/partition_lead.h"
#include "broker/server/broker_metrics.h"
#include "broker/server/controller_call.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define VERSION         3
#define RETRY_MIN_MS    20
#define RETRY_MAX_MS    1000
#define BATCH_MAX       10000
#define CALL_TIMEOUT_MS 10000

CONTROLLER_DECIDE(alter_partition)

struct isr_change {
    struct list link;
    struct task task; /* to loop 0, and back */
    struct isr_changes *changes;
    struct shard *shard;
    struct uuid topic_id;
    int32_t index;
    struct isr_proposal proposal;
    struct isr_answer answer; /* its list is `isr` */
    int32_t *isr;
};

struct isr_changes {
    struct node *node;
    struct list waiting, asked;
    struct timer timer;
    bool asking, stopped;
    int64_t retry_ms;
    struct arena arena; /* of the request under way */
    struct controller_call call;
    struct alter_partition_request request;
    struct alter_partition_response response;
};

static void ask(struct isr_changes *changes);

static void change_free(struct isr_change *change)
{
    free(change->proposal.members);
    free(change->isr);
    free(change);
}

static void count_change(const struct isr_change *change, int32_t before, int32_t after)
{
    if (change->answer.error != KAFKA_ERROR_NONE)
        replication_metrics_count(change->shard->metrics, REPLICATION_ISR_FAILURES, 1);
    else if (before != after)
        replication_metrics_count(
            change->shard->metrics,
            after > before ? REPLICATION_ISR_EXPANDS : REPLICATION_ISR_SHRINKS, 1);
}

static void tell_partition(struct task *task)
{
    struct isr_change *change = CONTAINER_OF(task, struct isr_change, task);
    struct partition *p = shard_partition(change->shard, change->topic_id, change->index);
    if (p != NULL) {
        int32_t before = partition_get_role(p)->isr.count;
        partition_isr_answered(p, change->proposal.leader_epoch, change->proposal.partition_epoch,
                               &change->answer);
        count_change(change, before, change->answer.isr.count);
    }
    change_free(change);
}

static void send_back(struct isr_change *change)
{
    list_remove(&change->link);
    change->task.run = tell_partition;
    loop_post(change->shard->loop, &change->task);
}

static void take_answer(struct isr_change *change,
                        const struct alter_partition_response_partition_data *in)
{
    size_t bytes = (size_t)MAX(in->isr_count, 0) * sizeof(*change->isr);
    change->isr = mem_alloc(bytes + 1);
    if (bytes > 0)
        memcpy(change->isr, in->isr, bytes);
    change->answer = (struct isr_answer){
        .error = (enum kafka_error)in->error_code,
        .leader_id = in->leader_id,
        .leader_epoch = in->leader_epoch,
        .partition_epoch = in->partition_epoch,
        .recovery_state = in->leader_recovery_state,
        .isr = {change->isr, MAX(in->isr_count, 0)},
    };
}

/* The answer names topics and partitions in the order of the request; whoever does otherwise is not
 * believed: those are asked again. */
static void take_answers(struct isr_changes *changes)
{
    const struct alter_partition_response *response = &changes->response;
    for (int32_t t = 0; t < response->topics_count; t++) {
        for (int32_t i = 0; i < response->topics[t].partitions_count; i++) {
            const struct alter_partition_response_partition_data *in =
                &response->topics[t].partitions[i];
            if (list_empty(&changes->asked))
                return;
            struct isr_change *change = LIST_ITEM(changes->asked.next, struct isr_change, link);
            if (!uuid_eq(change->topic_id, response->topics[t].topic_id) ||
                change->index != in->partition_index)
                return;
            take_answer(change, in);
            send_back(change);
        }
    }
}

static void keep_asked(struct isr_changes *changes)
{
    while (!list_empty(&changes->asked)) {
        struct list *last = changes->asked.prev;
        list_remove(last);
        list_push_front(&changes->waiting, last);
    }
}

static void answered(struct controller_call *call)
{
    struct isr_changes *changes = call->ctx;
    int16_t error =
        call->error != KAFKA_ERROR_NONE ? (int16_t)call->error : changes->response.error_code;
    changes->asking = false;
    if (error == KAFKA_ERROR_NONE)
        take_answers(changes);
    else
        log_info(node_env(changes->node)->logger,
                 "The controller did not take changes of in-sync replicas: %s",
                 kafka_error_message(error));
    bool again = !list_empty(&changes->asked);
    keep_asked(changes);
    arena_reset(&changes->arena);
    if (changes->stopped)
        return;
    changes->retry_ms = again ? MIN(MAX(2 * changes->retry_ms, RETRY_MIN_MS), RETRY_MAX_MS) : 0;
    if (again)
        timer_start_in_ms(&changes->timer, changes->retry_ms);
    else
        ask(changes);
}

static void fill_partition(struct isr_changes *changes, const struct isr_change *change,
                           struct alter_partition_request_partition_data *out)
{
    const struct isr_proposal *proposal = &change->proposal;
    out->partition_index = change->index;
    out->leader_epoch = proposal->leader_epoch;
    out->partition_epoch = proposal->partition_epoch;
    out->leader_recovery_state = proposal->recovery_state;
    out->new_isr_with_epochs = MESSAGE_ARRAY(&changes->arena, alter_partition_request_broker_state,
                                             proposal->member_count);
    out->new_isr_with_epochs_count = proposal->member_count;
    for (int32_t i = 0; i < proposal->member_count; i++) {
        out->new_isr_with_epochs[i].broker_id = proposal->members[i].id;
        out->new_isr_with_epochs[i].broker_epoch = proposal->members[i].broker_epoch;
    }
}

/* Partitions of a topic stand together, in the order in which they came. */
static void fill_request(struct isr_changes *changes)
{
    struct alter_partition_request *request = &changes->request;
    message_init(&alter_partition_request_desc, request);
    message_init(&alter_partition_response_desc, &changes->response);
    request->broker_id = node_id(changes->node);
    request->broker_epoch = node_broker_epoch(changes->node);
    int32_t count = 0, used = 0;
    LIST_FOR_EACH (node, &changes->asked)
        count++;
    request->topics = MESSAGE_ARRAY(&changes->arena, alter_partition_request_topic_data, count);
    struct alter_partition_request_partition_data *rooms =
        MESSAGE_ARRAY(&changes->arena, alter_partition_request_partition_data, count);
    LIST_FOR_EACH (node, &changes->asked) {
        const struct isr_change *change = LIST_ITEM(node, struct isr_change, link);
        struct alter_partition_request_topic_data *topic =
            &request->topics[request->topics_count - 1];
        if (request->topics_count == 0 || !uuid_eq(topic->topic_id, change->topic_id)) {
            topic = &request->topics[request->topics_count++];
            topic->topic_id = change->topic_id;
            topic->partitions = &rooms[used];
        }
        topic->partitions_count++;
        fill_partition(changes, change, &rooms[used++]);
    }
}

/* A newer proposal of the same partition replaces what still waits: it is based on newer metadata.
 * Sorted by topic, so that the request names each once. */
static int compare(const void *a, const void *b)
{
    const struct isr_change *x = *(struct isr_change *const *)a;
    const struct isr_change *y = *(struct isr_change *const *)b;
    int order = memcmp(x->topic_id.b, y->topic_id.b, sizeof(x->topic_id.b));
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static void choose(struct isr_changes *changes)
{
    struct isr_change **chosen = mem_alloc(BATCH_MAX * sizeof(struct isr_change *));
    size_t count = 0, kept = 0;
    while (!list_empty(&changes->waiting) && count < BATCH_MAX)
        chosen[count++] = LIST_ITEM(list_pop_front(&changes->waiting), struct isr_change, link);
    qsort(chosen, count, sizeof(struct isr_change *), compare);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare(&chosen[kept - 1], &chosen[i]) == 0) {
            struct isr_change *older = chosen[kept - 1], *newer = chosen[i];
            if (older->proposal.partition_epoch > newer->proposal.partition_epoch ||
                older->proposal.leader_epoch > newer->proposal.leader_epoch) {
                older = chosen[i];
                newer = chosen[kept - 1];
            }
            change_free(older);
            chosen[kept - 1] = newer;
            continue;
        }
        chosen[kept++] = chosen[i];
    }
    for (size_t i = 0; i < kept; i++)
        list_push_back(&changes->asked, &chosen[i]->link);
    free(chosen);
}

static void ask(struct isr_changes *changes)
{
    if (changes->asking || changes->stopped || list_empty(&changes->waiting) ||
        timer_running(&changes->timer))
        return;
    if (node_broker_epoch(changes->node) < 0) {
        timer_start_in_ms(&changes->timer, RETRY_MIN_MS);
        return;
    }
    choose(changes);
    fill_request(changes);
    changes->asking = true;
    changes->call = (struct controller_call){
        .shard = node_shard(changes->node, 0),
        .arena = &changes->arena,
        .api = api_find(API_ALTER_PARTITION),
        .version = VERSION,
        .timeout_ms = CALL_TIMEOUT_MS,
        .body = &changes->request,
        .response = &changes->response,
        .decide = decide_alter_partition,
        .reply = answered,
        .ctx = changes,
    };
    controller_call_start(&changes->call);
}

static void time_to_ask(struct timer *timer)
{
    ask(CONTAINER_OF(timer, struct isr_changes, timer));
}

static void receive(struct task *task)
{
    struct isr_change *change = CONTAINER_OF(task, struct isr_change, task);
    struct isr_changes *changes = change->changes;
    list_push_back(&changes->waiting, &change->link);
    /* What else comes in this turn goes along. */
    if (!changes->asking && !changes->stopped && !timer_running(&changes->timer))
        timer_start_in_ms(&changes->timer, 0);
}

void isr_changes_propose(struct isr_changes *changes, struct shard *shard, struct partition *p,
                         const struct isr_proposal *proposal)
{
    struct isr_change *change = mem_calloc(1, sizeof(*change));
    size_t bytes = (size_t)proposal->member_count * sizeof(*proposal->members);
    list_init(&change->link);
    change->changes = changes;
    change->shard = shard;
    change->topic_id = partition_topic_id(p);
    change->index = partition_index(p);
    change->proposal = *proposal;
    change->proposal.members = mem_alloc(bytes + 1);
    memcpy(change->proposal.members, proposal->members, bytes);
    change->task.run = receive;
    loop_post(node_env(changes->node)->loops[0], &change->task);
}

struct isr_changes *isr_changes_new(struct node *node)
{
    struct isr_changes *changes = mem_calloc(1, sizeof(*changes));
    changes->node = node;
    list_init(&changes->waiting);
    list_init(&changes->asked);
    arena_init(&changes->arena, 0);
    timer_init(&changes->timer, node_env(node)->loops[0], time_to_ask);
    return changes;
}

void isr_changes_free(struct isr_changes *changes)
{
    if (changes == NULL)
        return;
    CHECK(!changes->asking);
    keep_asked(changes);
    struct list *node;
    while ((node = list_pop_front(&changes->waiting)) != NULL)
        change_free(LIST_ITEM(node, struct isr_change, link));
    arena_release(&changes->arena);
    free(changes);
}

void isr_changes_stop(struct isr_changes *changes)
{
    changes->stopped = true;
    timer_stop(&changes->timer);
}
