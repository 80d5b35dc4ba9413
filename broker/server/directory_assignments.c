#define LOG_MODULE "directory_assignments"

#include "broker/server/directory_assignments.h"

#include "broker/replica/partition.h"
#include "broker/server/controller_call.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define VERSION         0
#define BATCH_MAX       2000
#define RETRY_MIN_MS    50
#define RETRY_MAX_MS    5000
#define CALL_TIMEOUT_MS 10000

CONTROLLER_DECIDE(assign_replicas_to_dirs)

struct assignment {
    struct list link;
    struct task task; /* to loop 0 */
    struct directory_assignments *assignments;
    struct uuid directory, topic_id;
    int32_t index;
};

struct directory_assignments {
    struct node *node;
    struct list waiting, asked;
    struct map latest; /* topic id and index -> the assignment of `waiting` */
    struct timer timer;
    bool asking, stopped;
    int64_t retry_ms;
    struct arena arena; /* of the request under way */
    struct controller_call call;
    struct assign_replicas_to_dirs_request request;
    struct assign_replicas_to_dirs_response response;
};

static void ask(struct directory_assignments *a);

static void free_all(struct list *list)
{
    struct list *node;
    while ((node = list_pop_front(list)) != NULL)
        free(LIST_ITEM(node, struct assignment, link));
}

static struct map_key key_of(const struct assignment *one)
{
    return map_key_uuid_int(one->topic_id, one->index);
}

/* Unless the replica has moved on meanwhile. */
static void keep_asked(struct directory_assignments *a)
{
    while (!list_empty(&a->asked)) {
        struct list *last = a->asked.prev;
        struct assignment *one = LIST_ITEM(last, struct assignment, link);
        list_remove(last);
        if (map_get(&a->latest, key_of(one)) != NULL) {
            free(one);
            continue;
        }
        map_put(&a->latest, key_of(one), one);
        list_push_front(&a->waiting, last);
    }
}

static void answered(struct controller_call *call)
{
    struct directory_assignments *a = call->ctx;
    int16_t error = call->error != KAFKA_ERROR_NONE ? (int16_t)call->error : a->response.error_code;
    a->asking = false;
    arena_reset(&a->arena);
    if (error == KAFKA_ERROR_NONE) {
        /* What is refused for one partition is of metadata that changed: its replica looks again
         * then. */
        free_all(&a->asked);
        a->retry_ms = 0;
        ask(a);
        return;
    }
    log_info(node_env(a->node)->logger,
             "The controller did not take the directories of replicas, trying again: %s",
             kafka_error_message(error));
    keep_asked(a);
    a->retry_ms = MIN(MAX(2 * a->retry_ms, RETRY_MIN_MS), RETRY_MAX_MS);
    if (!a->stopped)
        timer_start_in_ms(&a->timer, a->retry_ms);
}

static int compare(const void *x, const void *y)
{
    const struct assignment *a = *(struct assignment *const *)x;
    const struct assignment *b = *(struct assignment *const *)y;
    int order = memcmp(a->directory.b, b->directory.b, sizeof(a->directory.b));
    if (order == 0)
        order = memcmp(a->topic_id.b, b->topic_id.b, sizeof(a->topic_id.b));
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* By directory and topic, as the request names them. */
static int32_t choose(struct directory_assignments *a)
{
    struct assignment **chosen = mem_alloc(BATCH_MAX * sizeof(struct assignment *));
    int32_t count = 0;
    while (!list_empty(&a->waiting) && count < BATCH_MAX) {
        chosen[count] = LIST_ITEM(list_pop_front(&a->waiting), struct assignment, link);
        map_remove(&a->latest, key_of(chosen[count++]));
    }
    qsort(chosen, (size_t)count, sizeof(struct assignment *), compare);
    for (int32_t i = 0; i < count; i++)
        list_push_back(&a->asked, &chosen[i]->link);
    free(chosen);
    return count;
}

static void fill_request(struct directory_assignments *a, int32_t count)
{
    struct assign_replicas_to_dirs_request *request = &a->request;
    message_init(&assign_replicas_to_dirs_request_desc, request);
    message_init(&assign_replicas_to_dirs_response_desc, &a->response);
    request->broker_id = node_id(a->node);
    request->broker_epoch = node_broker_epoch(a->node);
    request->directories =
        MESSAGE_ARRAY(&a->arena, assign_replicas_to_dirs_request_directory_data, count);
    struct assign_replicas_to_dirs_request_topic_data *topics =
        MESSAGE_ARRAY(&a->arena, assign_replicas_to_dirs_request_topic_data, count);
    struct assign_replicas_to_dirs_request_partition_data *partitions =
        MESSAGE_ARRAY(&a->arena, assign_replicas_to_dirs_request_partition_data, count);
    const struct assignment *before = NULL;
    LIST_FOR_EACH (node, &a->asked) {
        const struct assignment *one = LIST_ITEM(node, struct assignment, link);
        bool same_dir = before != NULL && uuid_eq(before->directory, one->directory);
        if (!same_dir) {
            request->directories[request->directories_count].id = one->directory;
            request->directories[request->directories_count++].topics = topics;
        }
        struct assign_replicas_to_dirs_request_directory_data *dir =
            &request->directories[request->directories_count - 1];
        if (!same_dir || !uuid_eq(before->topic_id, one->topic_id)) {
            topics->topic_id = one->topic_id;
            topics->partitions = partitions;
            topics++;
            dir->topics_count++;
        }
        topics[-1].partitions_count++;
        (partitions++)->partition_index = one->index;
        before = one;
    }
}

static void ask(struct directory_assignments *a)
{
    if (a->asking || a->stopped || list_empty(&a->waiting) || timer_running(&a->timer))
        return;
    if (node_broker_epoch(a->node) < 0) {
        timer_start_in_ms(&a->timer, RETRY_MIN_MS);
        return;
    }
    fill_request(a, choose(a));
    a->asking = true;
    a->call = (struct controller_call){
        .shard = node_shard(a->node, 0),
        .arena = &a->arena,
        .api = api_find(API_ASSIGN_REPLICAS_TO_DIRS),
        .version = VERSION,
        .timeout_ms = CALL_TIMEOUT_MS,
        .body = &a->request,
        .response = &a->response,
        .decide = decide_assign_replicas_to_dirs,
        .reply = answered,
        .ctx = a,
    };
    controller_call_start(&a->call);
}

static void time_to_ask(struct timer *timer)
{
    ask(CONTAINER_OF(timer, struct directory_assignments, timer));
}

static void receive(struct task *task)
{
    struct assignment *one = CONTAINER_OF(task, struct assignment, task);
    struct directory_assignments *a = one->assignments;
    /* A replica that is moved says one directory after the other: the last one counts. */
    struct assignment *before = map_put(&a->latest, key_of(one), one);
    if (before != NULL) {
        list_remove(&before->link);
        free(before);
    }
    list_push_back(&a->waiting, &one->link);
    /* Replicas that are opened now go along. */
    if (!a->asking && !a->stopped && !timer_running(&a->timer))
        timer_start_in_ms(&a->timer, RETRY_MIN_MS);
}

void directory_assignments_add(struct directory_assignments *a, const struct partition *p,
                               struct uuid directory)
{
    struct assignment *one = mem_calloc(1, sizeof(*one));
    list_init(&one->link);
    one->assignments = a;
    one->directory = directory;
    one->topic_id = partition_topic_id(p);
    one->index = partition_index(p);
    one->task.run = receive;
    loop_post(node_env(a->node)->loops[0], &one->task);
}

struct directory_assignments *directory_assignments_new(struct node *node)
{
    struct directory_assignments *a = mem_calloc(1, sizeof(*a));
    a->node = node;
    list_init(&a->waiting);
    list_init(&a->asked);
    map_init(&a->latest, MAP_UUID);
    arena_init(&a->arena, 0);
    timer_init(&a->timer, node_env(node)->loops[0], time_to_ask);
    return a;
}

void directory_assignments_free(struct directory_assignments *a)
{
    if (a == NULL)
        return;
    CHECK(!a->asking);
    free_all(&a->asked);
    free_all(&a->waiting);
    map_release(&a->latest);
    arena_release(&a->arena);
    free(a);
}

void directory_assignments_stop(struct directory_assignments *a)
{
    a->stopped = true;
    timer_stop(&a->timer);
}
