#include "metadata/partition_image.h"

#include "common/protocol/codec.h"

#include <errno.h>

struct uuid partition_directory_of(const struct partition_image *p, int32_t broker)
{
    for (int32_t i = 0; i < p->replica_count; i++) {
        if (p->nodes[i] == broker)
            return partition_directories(p)[i];
    }
    return UUID_ZERO;
}

bool partition_is_reassigning(const struct partition_image *p)
{
    return p->removing_count > 0 || p->adding_count > 0;
}

struct partition_fields partition_fields_of(const struct partition_image *p)
{
    return (struct partition_fields){
        .id = p->id,
        .leader = p->leader,
        .leader_epoch = p->leader_epoch,
        .partition_epoch = p->partition_epoch,
        .recovery_state = p->recovery_state,
        .replicas = partition_replicas(p),
        .isr = partition_isr(p),
        .removing = partition_removing(p),
        .adding = partition_adding(p),
        .elr = partition_elr(p),
        .last_known_elr = partition_last_known_elr(p),
        .directories = partition_directories(p),
    };
}

struct partition_image *partition_image_new(struct pmap_edit *edit,
                                            const struct partition_fields *f)
{
    const struct node_list *lists[] = {&f->replicas, &f->isr, &f->removing,
                                       &f->adding,   &f->elr, &f->last_known_elr};
    size_t behind = (size_t)f->replicas.count * sizeof(struct uuid);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        behind += (size_t)lists[i]->count * sizeof(int32_t);
    struct partition_image *p = pmap_edit_new(edit, sizeof(*p) + behind);
    p->id = f->id;
    p->leader = f->leader;
    p->leader_epoch = f->leader_epoch;
    p->partition_epoch = f->partition_epoch;
    p->recovery_state = f->recovery_state;
    p->replica_count = (uint16_t)f->replicas.count;
    p->isr_count = (uint16_t)f->isr.count;
    p->removing_count = (uint16_t)f->removing.count;
    p->adding_count = (uint16_t)f->adding.count;
    p->elr_count = (uint16_t)f->elr.count;
    p->last_known_elr_count = (uint16_t)f->last_known_elr.count;
    struct flat flat = {(char *)p->nodes, (char *)p->nodes + behind};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        flat_array(&flat, lists[i]->ids, (size_t)lists[i]->count, sizeof(int32_t));
    if (f->directories) {
        flat_array(&flat, f->directories, (size_t)f->replicas.count, sizeof(struct uuid));
        return p;
    }
    struct uuid migrating = UUID_DIRECTORY_MIGRATING;
    for (int32_t i = 0; i < f->replicas.count; i++)
        flat_array(&flat, &migrating, 1, sizeof(migrating));
    return p;
}

/* --- records ------------------------------------------------------------------------------ */

static struct node_list list_of(const int32_t *ids, int32_t count)
{
    return (struct node_list){ids, MAX(count, 0)};
}

static int check_fields(struct image_edit *edit, const struct partition_fields *f,
                        int32_t directories_count)
{
    const struct node_list *lists[] = {&f->replicas, &f->isr, &f->removing,
                                       &f->adding,   &f->elr, &f->last_known_elr};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (lists[i]->count > UINT16_MAX)
            return image_fault(edit, "partition %d lists %d nodes", f->id, lists[i]->count);
    }
    if (f->id < 0)
        return image_fault(edit, "partition %d", f->id);
    if (f->recovery_state != LEADER_RECOVERED && f->recovery_state != LEADER_RECOVERING)
        return image_fault(edit, "partition %d has leader recovery state %d", f->id,
                           f->recovery_state);
    if (f->directories && directories_count != f->replicas.count)
        return image_fault(edit, "partition %d has %d replicas in %d directories", f->id,
                           f->replicas.count, directories_count);
    return 0;
}

int partition_fields_of_record(struct image_edit *edit, const struct partition_record *record,
                               struct partition_fields *ret_fields)
{
    struct partition_fields fields = {
        .id = record->partition_id,
        .leader = record->leader,
        .leader_epoch = record->leader_epoch,
        .partition_epoch = record->partition_epoch,
        .recovery_state = record->leader_recovery_state,
        .replicas = list_of(record->replicas, record->replicas_count),
        .isr = list_of(record->isr, record->isr_count),
        .removing = list_of(record->removing_replicas, record->removing_replicas_count),
        .adding = list_of(record->adding_replicas, record->adding_replicas_count),
        .elr = list_of(record->eligible_leader_replicas, record->eligible_leader_replicas_count),
        .last_known_elr = list_of(record->last_known_elr, record->last_known_elr_count),
        .directories = record->directories_count > 0 ? record->directories : NULL,
    };
    int rv = check_fields(edit, &fields, record->directories_count);
    if (rv == 0)
        *ret_fields = fields;
    return rv;
}

static void replace_list(struct node_list *list, const int32_t *ids, int32_t count)
{
    if (count >= 0)
        *list = list_of(ids, count);
}

int partition_fields_change(struct image_edit *edit, struct partition_fields *fields,
                            const struct partition_change_record *record)
{
    struct partition_fields changed = *fields;
    int32_t directories_count = fields->replicas.count;
    replace_list(&changed.replicas, record->replicas, record->replicas_count);
    replace_list(&changed.isr, record->isr, record->isr_count);
    replace_list(&changed.removing, record->removing_replicas, record->removing_replicas_count);
    replace_list(&changed.adding, record->adding_replicas, record->adding_replicas_count);
    replace_list(&changed.elr, record->eligible_leader_replicas,
                 record->eligible_leader_replicas_count);
    replace_list(&changed.last_known_elr, record->last_known_elr, record->last_known_elr_count);
    if (record->directories_count >= 0) {
        changed.directories = record->directories_count > 0 ? record->directories : NULL;
        directories_count = record->directories_count;
    }
    if (record->leader != PARTITION_NO_LEADER_CHANGE) {
        changed.leader = record->leader;
        changed.leader_epoch = (int32_t)((uint32_t)changed.leader_epoch + 1);
    }
    if (record->leader_recovery_state != -1)
        changed.recovery_state = record->leader_recovery_state;
    changed.partition_epoch = (int32_t)((uint32_t)changed.partition_epoch + 1);
    int rv = check_fields(edit, &changed, directories_count);
    if (rv == 0)
        *fields = changed;
    return rv;
}

/* Messages hold plain pointers; encoding does not write through them. */
static int32_t *ids_of(struct node_list list)
{
    return (int32_t *)(uintptr_t)list.ids;
}

void partition_image_to_record(const struct partition_image *p, struct uuid topic_id,
                               int16_t record_version, struct partition_record *ret_record)
{
    message_init(&partition_record_desc, ret_record);
    ret_record->partition_id = p->id;
    ret_record->topic_id = topic_id;
    ret_record->replicas = ids_of(partition_replicas(p));
    ret_record->replicas_count = p->replica_count;
    ret_record->isr = ids_of(partition_isr(p));
    ret_record->isr_count = p->isr_count;
    ret_record->removing_replicas = ids_of(partition_removing(p));
    ret_record->removing_replicas_count = p->removing_count;
    ret_record->adding_replicas = ids_of(partition_adding(p));
    ret_record->adding_replicas_count = p->adding_count;
    ret_record->leader = p->leader;
    ret_record->leader_recovery_state = p->recovery_state;
    ret_record->leader_epoch = p->leader_epoch;
    ret_record->partition_epoch = p->partition_epoch;
    if (record_version >= 1) {
        ret_record->directories = (struct uuid *)(uintptr_t)partition_directories(p);
        ret_record->directories_count = p->replica_count;
    }
    if (record_version >= 2 && p->elr_count > 0) {
        ret_record->eligible_leader_replicas = ids_of(partition_elr(p));
        ret_record->eligible_leader_replicas_count = p->elr_count;
    }
    if (record_version >= 2 && p->last_known_elr_count > 0) {
        ret_record->last_known_elr = ids_of(partition_last_known_elr(p));
        ret_record->last_known_elr_count = p->last_known_elr_count;
    }
}

bool partition_image_equal(const struct partition_image *a, const struct partition_image *b)
{
    return a->id == b->id && a->leader == b->leader && a->leader_epoch == b->leader_epoch &&
           a->partition_epoch == b->partition_epoch && a->recovery_state == b->recovery_state &&
           node_list_equal(partition_replicas(a), partition_replicas(b)) &&
           node_list_equal(partition_isr(a), partition_isr(b)) &&
           node_list_equal(partition_removing(a), partition_removing(b)) &&
           node_list_equal(partition_adding(a), partition_adding(b)) &&
           node_list_equal(partition_elr(a), partition_elr(b)) &&
           node_list_equal(partition_last_known_elr(a), partition_last_known_elr(b)) &&
           (a->replica_count == 0 || memcmp(partition_directories(a), partition_directories(b),
                                            a->replica_count * sizeof(struct uuid)) == 0);
}
