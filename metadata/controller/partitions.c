#include "metadata/controller/partitions.h"

#include "metadata/controller/controller_internal.h"
#include "metadata/controller/partition_decider.h"

/* What one pass over the partitions that a broker hosts does. */
struct pass {
    struct arena *arena;
    struct metadata_records *records;
    struct partition_decider decider;
    int32_t broker;
    int32_t unclean_broker;
    bool (*concerns)(const struct partition_image *p, int32_t broker);
    const struct uuid *directories; /* NULL: all */
    int32_t directory_count;
    bool leaves_isr;
};

static void change_partition(struct pass *pass, const struct topic_image *topic,
                             const struct partition_image *p)
{
    struct partition_change change;
    partition_decider_begin(&pass->decider, topic, p, &change);
    change.unclean_node = pass->unclean_broker;
    if (pass->leaves_isr)
        change.isr = node_list_without(change.isr, pass->broker, pass->arena);
    partition_decider_finish(&pass->decider, &change, pass->arena, pass->records);
}

static void for_each_hosted(const struct controller *c, int32_t broker,
                            bool (*visit)(void *ctx, const struct topic_image *topic,
                                          const struct partition_image *p),
                            void *ctx)
{
    const struct topics_image *topics = &controller_image(c)->topics;
    struct pmap_iter iter;
    topics_image_hosted(topics, broker, &iter);
    for (const struct hosted_image *hosted; (hosted = pmap_iter_next(&iter)) != NULL;) {
        if (hosted_image_broker(hosted) != broker)
            return;
        const struct topic_image *topic =
            topics_image_find_id(topics, hosted_image_topic_id(hosted));
        CHECK(topic != NULL);
        for (int32_t i = 0; i < hosted->count; i++) {
            const struct partition_image *p = topic_image_partition(topic, hosted->partitions[i]);
            CHECK(p != NULL);
            if (!visit(ctx, topic, p))
                return;
        }
    }
}

static bool is_in_directories(const struct pass *pass, const struct partition_image *p)
{
    struct uuid directory = partition_directory_of(p, pass->broker);
    bool found = pass->directories == NULL;
    for (int32_t i = 0; !found && i < pass->directory_count; i++)
        found = uuid_eq(pass->directories[i], directory);
    return found;
}

static bool visit_in_pass(void *ctx, const struct topic_image *topic,
                          const struct partition_image *p)
{
    struct pass *pass = ctx;
    if (pass->concerns(p, pass->broker) && is_in_directories(pass, p))
        change_partition(pass, topic, p);
    return true;
}

static bool is_in_isr_or_leads(const struct partition_image *p, int32_t broker)
{
    return p->leader == broker || node_list_contains(partition_isr(p), broker);
}

static bool is_in_isr_or_elr(const struct partition_image *p, int32_t broker)
{
    return is_in_isr_or_leads(p, broker) || node_list_contains(partition_elr(p), broker);
}

static bool has_no_leader(const struct partition_image *p, int32_t broker)
{
    return p->leader < 0;
}

/* Of a broker that goes. */
static void pass_init(struct pass *pass, const struct controller *c, int32_t broker,
                      struct arena *arena, struct metadata_records *records)
{
    *pass = (struct pass){
        .arena = arena,
        .records = records,
        .broker = broker,
        .unclean_broker = -1,
        .concerns = is_in_isr_or_leads,
        .leaves_isr = true,
    };
    partition_decider_init(&pass->decider, c);
    pass->decider.leaving = broker;
}

static void run_pass(struct pass *pass)
{
    for_each_hosted(pass->decider.controller, pass->broker, visit_in_pass, pass);
}

void partitions_broker_fenced(struct controller *c, int32_t broker, struct arena *arena,
                              struct metadata_records *records)
{
    struct pass pass;
    pass_init(&pass, c, broker, arena, records);
    run_pass(&pass);
}

void partitions_broker_unfenced(struct controller *c, int32_t broker, const struct uuid *lost,
                                int32_t lost_count, struct arena *arena,
                                struct metadata_records *records)
{
    struct pass pass;
    pass_init(&pass, c, broker, arena, records);
    pass.decider.leaving = -1;
    pass.decider.coming = broker;
    pass.decider.lost_broker = broker;
    pass.decider.lost = lost;
    pass.decider.lost_count = lost_count;
    pass.concerns = has_no_leader;
    pass.leaves_isr = false;
    run_pass(&pass);
}

void partitions_broker_lost_data(struct controller *c, int32_t broker, struct arena *arena,
                                 struct metadata_records *records)
{
    struct pass pass;
    pass_init(&pass, c, broker, arena, records);
    pass.unclean_broker = broker;
    pass.concerns = is_in_isr_or_elr;
    run_pass(&pass);
}

void partitions_directories_lost(struct controller *c, int32_t broker,
                                 const struct uuid *directories, int32_t count, struct arena *arena,
                                 struct metadata_records *records)
{
    struct pass pass;
    pass_init(&pass, c, broker, arena, records);
    pass.directories = directories;
    pass.directory_count = count;
    run_pass(&pass);
}

static bool stop_at_leadership(void *ctx, const struct topic_image *topic,
                               const struct partition_image *p)
{
    int32_t *broker = ctx;
    if (p->leader != *broker)
        return true;
    *broker = -1;
    return false;
}

bool partitions_broker_leads(const struct controller *c, int32_t broker)
{
    int32_t found = broker;
    for_each_hosted(c, broker, stop_at_leadership, &found);
    return found != broker;
}
