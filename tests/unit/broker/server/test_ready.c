/*
 * A node says that it is ready once the partitions of all its loops are open, whichever of them
 * is the last to learn which ones are its own.
 */
#include "tests/unit/broker/server/one_broker.h"
#include "tests/sim/sim_internal.h"

#include "broker/replica/partition_internal.h"
#include "common/protocol/messages/create_topics.h"

enum { PARTITIONS = 8, LOOPS = 4 };

struct scene {
    struct one_broker own;
    bool created;
};

static void created(void *ctx, int status, const void *response)
{
    const struct create_topics_response *r = response;
    struct scene *scene = ctx;
    assert_int_equal(status, 0);
    assert_int_equal(r->topics[0].error_code, KAFKA_ERROR_NONE);
    scene->created = true;
}

static void create(struct one_broker *b)
{
    struct scene *scene = CONTAINER_OF(b, struct scene, own);
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    message_init(&create_topics_request_desc, &request);
    message_struct_init(&create_topics_request_creatable_topic_struct, &topic, 1);
    topic.name = STR("topic");
    topic.num_partitions = PARTITIONS;
    topic.replication_factor = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    assert_int_equal(session_call(b->session, API_CREATE_TOPICS, 7, &request, 5000, created, scene),
                     0);
}

static int online(const struct node *node)
{
    int count = 0;
    for (int i = 0; i < LOOPS; i++)
        MAP_FOR_EACH (entry, &node->shards[i].partitions) {
            const struct partition *p = entry->value;
            count += p->state == PARTITION_ONLINE;
        }
    return count;
}

/* Its thread does not get the processor. */
static void hold_loop(struct one_broker *b, int index)
{
    b->app.node->loops[index].busy_until_us = sim_now_us(b->sim) + SIM_MS;
}

static void all_partitions_are_open_once_it_is_ready(void **state)
{
    struct scene scene = {0};
    struct one_broker *b = &scene.own;
    one_broker_begin(b, LOOPS);
    one_broker_ask(b, 9092, create);
    for (int i = 0; i < 1000 && !scene.created; i++)
        one_broker_run_us(b, 10 * SIM_MS);
    assert_true(scene.created);
    one_broker_run_us(b, 100 * SIM_MS);
    sim_node_kill(b->app.node);
    sim_node_start(b->app.node);
    const struct node *node = NULL;
    int seen = 0;
    for (int i = 0; i < 1000000 && !(node && node->ready); i++) {
        one_broker_run_us(b, 10);
        node = node_app_node_to_the_end(b->app.node);
        bool some = node && node->shards && online(node) > 0;
        seen += some;
        /* The others have opened theirs long before. */
        if (seen < 2000)
            hold_loop(b, LOOPS - 1);
    }
    assert_true(node->ready);
    assert_int_equal(online(node), PARTITIONS);
    one_broker_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_partitions_are_open_once_it_is_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
