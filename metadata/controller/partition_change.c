#include "metadata/controller/partition_change.h"

#include "common/protocol/codec.h"
#include "metadata/feature.h"

#include <stdlib.h>

void partition_change_init(struct partition_change *change, struct uuid topic_id,
                           const struct partition_image *partition)
{
    *change = (struct partition_change){
        .topic_id = topic_id,
        .partition = partition,
        .unclean_node = -1,
        .moved_node = -1,
        .isr = partition_isr(partition),
        .replicas = partition_replicas(partition),
        .removing = partition_removing(partition),
        .adding = partition_adding(partition),
        .recovery_state = partition->recovery_state,
    };
}

struct node_list node_list_minus(struct node_list list, struct node_list minus, struct arena *arena)
{
    int32_t *ids = ARENA_ARRAY(arena, int32_t, list.count), count = 0;
    for (int32_t i = 0; i < list.count; i++) {
        if (!node_list_contains(minus, list.ids[i]))
            ids[count++] = list.ids[i];
    }
    return (struct node_list){ids, count};
}

struct node_list node_list_without(struct node_list list, int32_t node, struct arena *arena)
{
    return node_list_minus(list, (struct node_list){&node, 1}, arena);
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

struct node_list node_list_sorted(struct node_list list, struct arena *arena)
{
    int32_t *ids = ARENA_ARRAY(arena, int32_t, list.count);
    if (list.count > 0)
        memcpy(ids, list.ids, (size_t)list.count * sizeof(*ids));
    if (list.count > 1)
        qsort(ids, (size_t)list.count, sizeof(*ids), ascending);
    return (struct node_list){ids, list.count};
}

/* Below min.insync.replicas, whoever leaves the ISR stays eligible, unless its disk may have lost
 * something. */
static struct node_list wanted_elr(const struct partition_change *change, struct arena *arena)
{
    const struct partition_image *p = change->partition;
    struct node_list sources[] = {partition_elr(p), partition_isr(p)};
    int32_t min_isr = MIN(change->min_isr, change->replicas.count);
    if (!change->elr_enabled || change->isr.count >= min_isr)
        return (struct node_list){NULL, 0};
    int32_t *ids = ARENA_ARRAY(arena, int32_t, sources[0].count + sources[1].count), count = 0;
    for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
        for (int32_t i = 0; i < sources[s].count; i++) {
            int32_t node = sources[s].ids[i];
            if (!node_list_contains(change->isr, node) && node != change->unclean_node &&
                node_list_contains(change->replicas, node) &&
                !node_list_contains((struct node_list){ids, count}, node))
                ids[count++] = node;
        }
    }
    return node_list_sorted((struct node_list){ids, count}, arena);
}

/* Who has no disk of then any more knows nothing; the only replica of all knows most anyway. */
static bool is_disproved(const struct partition_change *change)
{
    return change->began_anew && change->replicas.count > 1 &&
           node_list_contains(partition_last_known_elr(change->partition), change->moved_node);
}

struct choice {
    int32_t node; /* PARTITION_NO_LEADER: none */
    bool unclean;
};

static bool may_lead_cleanly(const struct partition_change *change, struct node_list elr,
                             int32_t node)
{
    bool eligible = change->isr.count > 0 ? node_list_contains(change->isr, node)
                                          : node_list_contains(elr, node);
    return eligible && change->may_lead(change->ctx, node);
}

static struct choice choose_leader(const struct partition_change *change, struct node_list elr)
{
    const struct partition_image *p = change->partition;
    struct node_list last_known = partition_last_known_elr(p);
    bool stay = p->leader >= 0 && may_lead_cleanly(change, elr, p->leader);
    if (change->election == ELECTION_PREFERRED && change->replicas.count > 0 &&
        may_lead_cleanly(change, elr, change->replicas.ids[0]))
        return (struct choice){change->replicas.ids[0], false};
    if (stay)
        return (struct choice){p->leader, false};
    for (int32_t i = 0; i < change->replicas.count; i++) {
        if (may_lead_cleanly(change, elr, change->replicas.ids[i]))
            return (struct choice){change->replicas.ids[i], false};
    }
    if (change->elr_enabled && change->isr.count == 0 && elr.count == 0 && last_known.count == 1 &&
        !is_disproved(change) && node_list_contains(change->replicas, last_known.ids[0]) &&
        change->may_lead(change->ctx, last_known.ids[0]))
        return (struct choice){last_known.ids[0], true};
    for (int32_t i = 0; change->election == ELECTION_UNCLEAN && i < change->replicas.count; i++) {
        if (change->may_lead(change->ctx, change->replicas.ids[i]))
            return (struct choice){change->replicas.ids[i], true};
    }
    return (struct choice){PARTITION_NO_LEADER, false};
}

static bool holds_all(struct node_list list, struct node_list wanted)
{
    bool all = true;
    for (int32_t i = 0; all && i < wanted.count; i++)
        all = node_list_contains(list, wanted.ids[i]);
    return all;
}

static int32_t *copy_ids(struct node_list list, struct arena *arena)
{
    int32_t *ids = ARENA_ARRAY(arena, int32_t, list.count);
    if (list.count > 0)
        memcpy(ids, list.ids, (size_t)list.count * sizeof(*ids));
    return ids;
}

#define SET_LIST(record, member, list, arena)                                                      \
    ((record)->member = copy_ids((list), (arena)), (record)->member##_count = (list).count)

static void set_leader(struct partition_change *change, struct partition_change_record *record,
                       struct node_list *elr, struct arena *arena)
{
    const struct partition_image *p = change->partition;
    struct choice choice = choose_leader(change, *elr);
    if (choice.node == p->leader)
        return;
    record->leader = choice.node;
    if (node_list_contains(*elr, choice.node)) {
        int32_t *isr = ARENA_NEW(arena, int32_t);
        *isr = choice.node;
        change->isr = (struct node_list){isr, 1};
        *elr = node_list_without(*elr, choice.node, arena);
    } else if (choice.unclean) {
        record->isr = ARENA_NEW(arena, int32_t);
        record->isr[0] = choice.node;
        record->isr_count = 1;
        *elr = (struct node_list){NULL, 0};
        change->recovery_state = LEADER_RECOVERING;
    }
}

/* Who may not lead any more must not go on under the same epoch. */
static void bump_epoch_where_needed(const struct partition_change *change,
                                    struct partition_change_record *record)
{
    const struct partition_image *p = change->partition;
    bool replica_left = !holds_all(change->replicas, partition_replicas(p));
    bool isr_shrank =
        record->isr_count >= 0 &&
        change->metadata_version < METADATA_VERSION_NO_EPOCH_BUMP_ON_SHRINK &&
        !holds_all((struct node_list){record->isr, record->isr_count}, partition_isr(p));
    if (record->leader == PARTITION_NO_LEADER_CHANGE && (replica_left || isr_shrank))
        record->leader = p->leader;
}

static void set_last_known_leader(const struct partition_change *change,
                                  struct partition_change_record *record, struct arena *arena)
{
    const struct partition_image *p = change->partition;
    if (!change->elr_enabled)
        return;
    if (record->leader == PARTITION_NO_LEADER && p->last_known_elr_count == 0) {
        record->last_known_elr = ARENA_NEW(arena, int32_t);
        record->last_known_elr[0] = p->leader;
        record->last_known_elr_count = 1;
    } else if (p->last_known_elr_count > 0 &&
               (record->leader >= 0 ||
                (record->leader == PARTITION_NO_LEADER_CHANGE && p->leader >= 0))) {
        record->last_known_elr_count = 0;
    } else if (is_disproved(change)) {
        struct node_list rest =
            node_list_without(partition_last_known_elr(p), change->moved_node, arena);
        SET_LIST(record, last_known_elr, rest, arena);
    }
}

static bool record_says_nothing(const struct partition_change_record *r)
{
    return r->isr_count < 0 && r->leader == PARTITION_NO_LEADER_CHANGE && r->replicas_count < 0 &&
           r->removing_replicas_count < 0 && r->adding_replicas_count < 0 &&
           r->eligible_leader_replicas_count < 0 && r->last_known_elr_count < 0 &&
           r->directories_count < 0 && r->leader_recovery_state == -1;
}

/* Once every replica that is to stay is in sync, the others go (KIP-455). */
static void complete_reassignment(struct partition_change *change, struct arena *arena)
{
    if (change->removing.count == 0 && change->adding.count == 0)
        return;
    struct node_list isr = node_list_minus(change->isr, change->removing, arena);
    struct node_list replicas = node_list_minus(change->replicas, change->removing, arena);
    if (isr.count == 0 || replicas.count == 0 || !holds_all(isr, replicas))
        return;
    change->isr = isr;
    change->replicas = replicas;
    change->removing = change->adding = (struct node_list){NULL, 0};
}

/* Where the replicas lie, one for each; NULL where nothing is to be said. */
static void set_directories(const struct partition_change *change,
                            struct partition_change_record *record, struct arena *arena)
{
    const struct partition_image *p = change->partition;
    if (change->metadata_version < METADATA_VERSION_DIRECTORIES ||
        (change->moved_node < 0 && record->replicas_count < 0))
        return;
    struct uuid *ids = ARENA_ARRAY(arena, struct uuid, change->replicas.count);
    for (int32_t i = 0; i < change->replicas.count; i++) {
        int32_t node = change->replicas.ids[i];
        if (node == change->moved_node)
            ids[i] = change->moved_directory;
        else if (node_list_contains(partition_replicas(p), node))
            ids[i] = partition_directory_of(p, node);
        else
            ids[i] = change->default_directory(change->ctx, node);
    }
    if (change->replicas.count == p->replica_count &&
        memcmp(ids, partition_directories(p), p->replica_count * sizeof(*ids)) == 0)
        return;
    record->directories = ids;
    record->directories_count = change->replicas.count;
}

bool partition_change_make(struct partition_change *change, struct arena *arena,
                           struct partition_change_record *ret_record)
{
    const struct partition_image *p = change->partition;
    struct partition_change_record record;
    complete_reassignment(change, arena);
    message_init(&partition_change_record_desc, &record);
    record.topic_id = change->topic_id;
    record.partition_id = p->id;
    struct node_list elr = wanted_elr(change, arena);
    set_leader(change, &record, &elr, arena);
    if (!node_list_equal(elr, partition_elr(p)))
        SET_LIST(&record, eligible_leader_replicas, elr, arena);
    /* Without ELR the last member stays in the ISR, so that it can come back as leader. */
    if (record.isr_count < 0 && (change->isr.count > 0 || change->elr_enabled) &&
        !node_list_equal(change->isr, partition_isr(p)))
        SET_LIST(&record, isr, change->isr, arena);
    bump_epoch_where_needed(change, &record);
    set_last_known_leader(change, &record, arena);
    if (!node_list_equal(change->replicas, partition_replicas(p)))
        SET_LIST(&record, replicas, change->replicas, arena);
    if (!node_list_equal(change->removing, partition_removing(p)))
        SET_LIST(&record, removing_replicas, change->removing, arena);
    if (!node_list_equal(change->adding, partition_adding(p)))
        SET_LIST(&record, adding_replicas, change->adding, arena);
    if (change->recovery_state != p->recovery_state)
        record.leader_recovery_state = change->recovery_state;
    set_directories(change, &record, arena);
    if (record_says_nothing(&record))
        return false;
    *ret_record = record;
    return true;
}
