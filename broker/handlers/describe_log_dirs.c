/* DescribeLogDirs: the directories of this node and what is in them (KIP-113, KIP-827). */
#include "broker/handlers/handlers.h"
#include "broker/handlers/log_dirs_answer.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/storage/log_manager.h"
#include "metadata/image.h"

/* The request's arena is the worker's while it runs. */
struct log_dirs_op {
    struct request *request;
    struct work work;
    struct log_dirs_question question;
    struct describe_log_dirs_response response;
};

static bool is_cordoned(const struct broker_image *broker, struct uuid directory)
{
    for (int32_t i = 0; broker != NULL && i < broker->cordoned_count; i++)
        if (uuid_eq(broker->cordoned[i], directory))
            return true;
    return false;
}

static void run(struct work *work)
{
    struct log_dirs_op *op = CONTAINER_OF(work, struct log_dirs_op, work);
    log_dirs_answer(&op->question, &op->request->arena, &op->response);
}

static void done(struct work *work)
{
    struct log_dirs_op *op = CONTAINER_OF(work, struct log_dirs_op, work);
    request_respond(op->request, &op->response);
}

void handle_describe_log_dirs(struct request *request)
{
    struct shard *shard = request->shard;
    struct log_manager *logs = node_log_manager(shard->node);
    struct log_dirs_op *op = ARENA_NEW(&request->arena, struct log_dirs_op);
    size_t count = log_manager_dir_count(logs);
    bool *cordoned = ARENA_ARRAY(&request->arena, bool, count);
    const struct broker_image *broker =
        cluster_image_broker(&shard->image->cluster, node_id(shard->node));
    for (size_t i = 0; i < count; i++)
        cordoned[i] = is_cordoned(broker, log_manager_dir(logs, i)->meta.directory_id);
    op->request = request;
    op->question = (struct log_dirs_question){.disk = node_env(shard->node)->disk,
                                              .logs = logs,
                                              .body = request->body,
                                              .cordoned = cordoned};
    message_init(&describe_log_dirs_response_desc, &op->response);
    op->work = (struct work){.run = run, .done = done, .loop = shard->loop};
    work_submit(&op->work, WORK_DISK);
}
