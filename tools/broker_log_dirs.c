#include "tools/broker_log_dirs.h"

#include "common/protocol/codec.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

bool broker_log_dirs_brokers(struct client *client, struct arena *arena, int32_t **ret_ids,
                             size_t *ret_count, struct failure *failure)
{
    struct client_op op;
    struct client_node *nodes;
    size_t count;
    client_op_begin(&op, client, "listNodes", arena);
    client_forget_nodes(client);
    if (!client_nodes(&op, &nodes, &count, failure))
        return false;
    int32_t *ids = ARENA_ARRAY(arena, int32_t, count);
    for (size_t i = 0; i < count; i++)
        ids[i] = nodes[i].id;
    if (count > 1)
        qsort(ids, count, sizeof(*ids), ascending);
    *ret_ids = ids;
    *ret_count = count;
    return true;
}

bool broker_log_dirs_ask(struct client *client, int32_t broker, struct arena *arena,
                         struct describe_log_dirs_response *ret_response, struct failure *failure)
{
    struct client_op op;
    struct describe_log_dirs_request request;
    message_init(&describe_log_dirs_request_desc, &request);
    request.topics_count = -1;
    client_op_begin(&op, client, "describeLogDirs", arena);
    if (!client_call(&op, broker, API_DESCRIBE_LOG_DIRS, &request, ret_response, failure))
        return false;
    return ret_response->error_code == 0 ||
           failure_set_error(failure, ret_response->error_code, STR_NULL);
}
