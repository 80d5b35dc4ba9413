#include "metadata/controller/partitions.h"

#include "metadata/controller/controller_internal.h"
#include "metadata/controller/effective_configs.h"

struct leaders {
    const struct cluster_image *cluster;
    const struct partition_image *partition;
    int32_t leaving; /* -1: nobody */
    int32_t coming;  /* unfenced in the image that the records make; -1: nobody */
};

static bool may_lead(void *ctx, int32_t node)
{
    const struct leaders *leaders = ctx;
    const struct broker_image *broker = cluster_image_broker(leaders->cluster, node);
    if (!broker || node == leaders->leaving ||
        !broker_image_has_directory(broker, partition_directory_of(leaders->partition, node)))
        return false;
    return node == leaders->coming || (!broker->fenced && !broker->in_controlled_shutdown);
}

/* What one pass over the partitions that a broker hosts does. */
struct pass {
    struct controller *controller;
    struct arena *arena;
    struct metadata_records *records;
    struct leaders leaders;
    int32_t broker;
    int32_t unclean_broker;
    bool (*concerns)(const struct partition_image *p, int32_t broker);
    const struct uuid *directories; /* NULL: all */
    int32_t directory_count;
    bool leaves_isr;

    /* Of the topic that the pass is at. */
    const struct topic_image *topic;
    int64_t min_isr;
    enum election election;
};

static void enter_topic(struct pass *pass, const struct topic_image *topic)
{
    const struct controller *c = pass->controller;
    if (pass->topic == topic)
        return;
    pass->topic = topic;
    pass->min_isr = effective_topic_number(c, topic_name(topic), CONFIG_TOPIC_MIN_INSYNC_REPLICAS);
    pass->election =
        effective_topic_bool(c, topic_name(topic), CONFIG_TOPIC_UNCLEAN_LEADER_ELECTION_ENABLE)
            ? ELECTION_UNCLEAN
            : ELECTION_ONLINE;
}

static void change_partition(struct pass *pass, const struct topic_image *topic,
                             const struct partition_image *p)
{
    struct controller *c = pass->controller;
    struct partition_change change;
    struct partition_change_record record;
    enter_topic(pass, topic);
    partition_change_init(&change, topic->id, p);
    change.election = pass->election;
    pass->leaders.partition = p;
    change.may_lead = may_lead;
    change.may_lead_ctx = &pass->leaders;
    change.min_isr = (int32_t)MIN(pass->min_isr, p->replica_count);
    change.elr_enabled = controller_elr_enabled(c);
    change.metadata_version = controller_metadata_version(c);
    change.unclean_node = pass->unclean_broker;
    if (pass->leaves_isr)
        change.isr = node_list_without(change.isr, pass->broker, pass->arena);
    if (!partition_change_make(&change, pass->arena, &record))
        return;
    int16_t version = metadata_version_partition_record(change.metadata_version);
    struct partition_change_record *added = METADATA_RECORD_ADD(
        pass->records, pass->arena, partition_change_record, PARTITION_CHANGE, version);
    *added = record;
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

static void run_pass(struct pass *pass)
{
    pass->leaders.cluster = &controller_image(pass->controller)->cluster;
    for_each_hosted(pass->controller, pass->broker, visit_in_pass, pass);
}

void partitions_broker_fenced(struct controller *c, int32_t broker, struct arena *arena,
                              struct metadata_records *records)
{
    struct pass pass = {
        .controller = c,
        .arena = arena,
        .records = records,
        .broker = broker,
        .unclean_broker = -1,
        .leaders = {.leaving = broker, .coming = -1},
        .concerns = is_in_isr_or_leads,
        .leaves_isr = true,
    };
    run_pass(&pass);
}

void partitions_broker_unfenced(struct controller *c, int32_t broker, struct arena *arena,
                                struct metadata_records *records)
{
    struct pass pass = {
        .controller = c,
        .arena = arena,
        .records = records,
        .broker = broker,
        .unclean_broker = -1,
        .leaders = {.leaving = -1, .coming = broker},
        .concerns = has_no_leader,
    };
    run_pass(&pass);
}

void partitions_broker_lost_data(struct controller *c, int32_t broker, struct arena *arena,
                                 struct metadata_records *records)
{
    struct pass pass = {
        .controller = c,
        .arena = arena,
        .records = records,
        .broker = broker,
        .unclean_broker = broker,
        .leaders = {.leaving = broker, .coming = -1},
        .concerns = is_in_isr_or_elr,
        .leaves_isr = true,
    };
    run_pass(&pass);
}

void partitions_directories_lost(struct controller *c, int32_t broker,
                                 const struct uuid *directories, int32_t count, struct arena *arena,
                                 struct metadata_records *records)
{
    struct pass pass = {
        .controller = c,
        .arena = arena,
        .records = records,
        .broker = broker,
        .unclean_broker = -1,
        .leaders = {.leaving = broker, .coming = -1},
        .concerns = is_in_isr_or_leads,
        .directories = directories,
        .directory_count = count,
        .leaves_isr = true,
    };
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
