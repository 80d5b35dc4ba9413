#include "metadata/topics_image.h"

#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/endian.h"
#include "metadata/feature.h"

#include <errno.h>
#include <stdlib.h>

static struct pmap_key name_key(const void *value)
{
    return pmap_key_str(topic_name(value));
}

static struct pmap_key id_key(const void *value)
{
    return pmap_key_uuid(&((const struct topic_image *)value)->id);
}

static struct pmap_key partition_key(const void *value)
{
    return pmap_key_i64(((const struct partition_image *)value)->id);
}

static struct pmap_key hosted_key(const void *value)
{
    const struct hosted_image *hosted = value;
    return pmap_key_str(str_from((const char *)hosted->key, sizeof(hosted->key)));
}

static struct pmap_key unsettled_key(const void *value)
{
    const struct unsettled_image *unsettled = value;
    return pmap_key_str(str_from((const char *)unsettled->key, sizeof(unsettled->key)));
}

static void discard_partitions(void *value, uint64_t newer_than)
{
    struct topic_image *topic = value;
    pmap_discard(&partition_image_kind, &topic->partitions, newer_than);
}

const struct pmap_kind partition_image_kind = {.key_of = partition_key, .owns_values = true};
const struct pmap_kind topic_by_name_kind = {
    .key_of = name_key, .owns_values = true, .discard_nested = discard_partitions};
const struct pmap_kind topic_by_id_kind = {.key_of = id_key};
const struct pmap_kind hosted_image_kind = {.key_of = hosted_key, .owns_values = true};
const struct pmap_kind unsettled_image_kind = {.key_of = unsettled_key, .owns_values = true};

const struct topic_image *topics_image_find(const struct topics_image *topics, struct str name)
{
    return pmap_get(&topic_by_name_kind, topics->by_name, pmap_key_str(name));
}

const struct topic_image *topics_image_find_id(const struct topics_image *topics, struct uuid id)
{
    return pmap_get(&topic_by_id_kind, topics->by_id, pmap_key_uuid(&id));
}

const struct partition_image *topic_image_partition(const struct topic_image *topic, int32_t id)
{
    return pmap_get(&partition_image_kind, topic->partitions, pmap_key_i64(id));
}

/* --- which partitions a broker hosts ------------------------------------------------------ */

static void make_hosted_key(int32_t broker, struct uuid topic_id, uint8_t key[20])
{
    put_i32(key, broker);
    memcpy(key + 4, topic_id.b, 16);
}

int32_t hosted_image_broker(const struct hosted_image *hosted)
{
    return get_i32(hosted->key);
}

struct uuid hosted_image_topic_id(const struct hosted_image *hosted)
{
    struct uuid id;
    memcpy(id.b, hosted->key + 4, sizeof(id.b));
    return id;
}

void topics_image_hosted(const struct topics_image *topics, int32_t broker,
                         struct pmap_iter *ret_iter)
{
    uint8_t key[20];
    CHECK(topics->index_hosted);
    make_hosted_key(broker, UUID_ZERO, key);
    pmap_iter_seek(&hosted_image_kind, ret_iter, topics->hosted,
                   pmap_key_str(str_from((const char *)key, sizeof(key))));
}

/* Puts the partition into the broker's list, or takes it out. */
static void set_hosted(struct topics_image *topics, struct pmap_edit *edit, int32_t broker,
                       struct uuid topic_id, int32_t partition, bool hosts)
{
    uint8_t key_bytes[20];
    make_hosted_key(broker, topic_id, key_bytes);
    struct pmap_key key = pmap_key_str(str_from((const char *)key_bytes, sizeof(key_bytes)));
    const struct hosted_image *old = pmap_get(&hosted_image_kind, topics->hosted, key);
    int32_t old_count = old ? old->count : 0, at = old_count;
    while (at > 0 && old->partitions[at - 1] >= partition)
        at--;
    bool is_there = at < old_count && old->partitions[at] == partition;
    if (is_there == hosts)
        return;
    if (!hosts && old_count == 1) {
        pmap_remove(&hosted_image_kind, &topics->hosted, edit, key);
        return;
    }
    int32_t count = old_count + (hosts ? 1 : -1);
    struct hosted_image *hosted =
        pmap_edit_new(edit, sizeof(*hosted) + (size_t)count * sizeof(int32_t));
    memcpy(hosted->key, key_bytes, sizeof(key_bytes));
    hosted->count = count;
    int32_t behind = old_count - at - (hosts ? 0 : 1);
    if (at > 0)
        memcpy(hosted->partitions, old->partitions, (size_t)at * sizeof(int32_t));
    if (hosts)
        hosted->partitions[at] = partition;
    if (behind > 0)
        memcpy(hosted->partitions + at + (hosts ? 1 : 0), old->partitions + at + (hosts ? 0 : 1),
               (size_t)behind * sizeof(int32_t));
    pmap_put(&hosted_image_kind, &topics->hosted, edit, hosted);
}

static void update_hosted(struct topics_image *topics, struct pmap_edit *edit, struct uuid topic_id,
                          int32_t partition, struct node_list before, struct node_list after)
{
    if (!topics->index_hosted || node_list_equal(before, after))
        return;
    for (int32_t i = 0; i < before.count; i++) {
        if (!node_list_contains(after, before.ids[i]))
            set_hosted(topics, edit, before.ids[i], topic_id, partition, false);
    }
    for (int32_t i = 0; i < after.count; i++) {
        if (!node_list_contains(before, after.ids[i]))
            set_hosted(topics, edit, after.ids[i], topic_id, partition, true);
    }
}

/* --- which partitions are not as they should be ------------------------------------------- */

static void make_unsettled_key(struct uuid topic_id, int32_t partition, uint8_t key[20])
{
    memcpy(key, topic_id.b, 16);
    put_i32(key + 16, partition);
}

struct uuid unsettled_image_topic_id(const struct unsettled_image *unsettled)
{
    struct uuid id;
    memcpy(id.b, unsettled->key, sizeof(id.b));
    return id;
}

int32_t unsettled_image_partition(const struct unsettled_image *unsettled)
{
    return get_i32(unsettled->key + 16);
}

void topics_image_unsettled(const struct topics_image *topics, struct uuid topic_id,
                            int32_t partition, struct pmap_iter *ret_iter)
{
    uint8_t key[20];
    CHECK(topics->index_hosted);
    make_unsettled_key(topic_id, partition, key);
    pmap_iter_seek(&unsettled_image_kind, ret_iter, topics->unsettled,
                   pmap_key_str(str_from((const char *)key, sizeof(key))));
}

static bool is_unsettled(const struct partition_image *p)
{
    return p && (p->leader < 0 || p->replica_count == 0 || p->leader != p->nodes[0] ||
                 partition_is_reassigning(p));
}

/* NULL: there is none. */
static void update_unsettled(struct topics_image *topics, struct pmap_edit *edit,
                             struct uuid topic_id, const struct partition_image *before,
                             const struct partition_image *after)
{
    bool was = is_unsettled(before), is = is_unsettled(after);
    if (!topics->index_hosted || was == is)
        return;
    if (is) {
        struct unsettled_image *unsettled = pmap_edit_new(edit, sizeof(*unsettled));
        make_unsettled_key(topic_id, after->id, unsettled->key);
        pmap_put(&unsettled_image_kind, &topics->unsettled, edit, unsettled);
    } else {
        uint8_t key[20];
        make_unsettled_key(topic_id, before->id, key);
        pmap_remove(&unsettled_image_kind, &topics->unsettled, edit,
                    pmap_key_str(str_from((const char *)key, sizeof(key))));
    }
}

/* --- applying records --------------------------------------------------------------------- */

static struct topic_image *topic_new(struct pmap_edit *edit, struct str name, struct uuid id)
{
    struct topic_image *topic = pmap_edit_new(edit, sizeof(*topic) + (size_t)name.len);
    topic->id = id;
    topic->name_len = name.len;
    if (name.len > 0)
        memcpy(topic->name_data, name.data, (size_t)name.len);
    return topic;
}

/* The index first: replacing in the owning map may free the old value at once. */
static void put_topic(struct topics_image *topics, struct pmap_edit *edit,
                      struct topic_image *topic)
{
    pmap_put(&topic_by_id_kind, &topics->by_id, edit, topic);
    pmap_put(&topic_by_name_kind, &topics->by_name, edit, topic);
}

/* The topic as one of this edit. */
static struct topic_image *editable_topic(struct topics_image *topics, struct pmap_edit *edit,
                                          const struct topic_image *topic)
{
    if (pmap_edit_owns(edit, topic))
        return (struct topic_image *)(uintptr_t)topic;
    struct topic_image *copy = topic_new(edit, topic_name(topic), topic->id);
    copy->partitions = topic->partitions;
    put_topic(topics, edit, copy);
    return copy;
}

int topics_image_add_topic(struct topics_image *topics, struct image_edit *edit,
                           const struct topic_record *record)
{
    if (topics_image_find(topics, record->name))
        return image_fault(edit, "topic %.*s exists already", STR_FMT(record->name));
    if (topics_image_find_id(topics, record->topic_id))
        return image_fault(edit, "topic id %s exists already", uuid_text(record->topic_id).z);
    put_topic(topics, &edit->pmap, topic_new(&edit->pmap, record->name, record->topic_id));
    return 0;
}

static const struct topic_image *expect_topic(const struct topics_image *topics,
                                              struct image_edit *edit, struct uuid id)
{
    const struct topic_image *topic = topics_image_find_id(topics, id);
    if (!topic)
        image_fault(edit, "there is no topic with id %s", uuid_text(id).z);
    return topic;
}

static void put_partition(struct topics_image *topics, struct pmap_edit *edit,
                          const struct topic_image *topic, const struct partition_image *old,
                          const struct partition_fields *fields)
{
    struct partition_image *partition = partition_image_new(edit, fields);
    update_hosted(topics, edit, topic->id, partition->id,
                  old ? partition_replicas(old) : (struct node_list){NULL, 0},
                  partition_replicas(partition));
    update_unsettled(topics, edit, topic->id, old, partition);
    struct topic_image *changed = editable_topic(topics, edit, topic);
    topics->partition_count += old == NULL;
    pmap_put(&partition_image_kind, &changed->partitions, edit, partition);
}

int topics_image_put_partition(struct topics_image *topics, struct image_edit *edit,
                               const struct partition_record *record)
{
    struct partition_fields fields;
    const struct topic_image *topic = expect_topic(topics, edit, record->topic_id);
    if (!topic)
        return -EBADMSG;
    int rv = partition_fields_of_record(edit, record, &fields);
    if (rv != 0)
        return rv;
    put_partition(topics, &edit->pmap, topic, topic_image_partition(topic, fields.id), &fields);
    return 0;
}

int topics_image_change_partition(struct topics_image *topics, struct image_edit *edit,
                                  const struct partition_change_record *record)
{
    const struct topic_image *topic = expect_topic(topics, edit, record->topic_id);
    if (!topic)
        return -EBADMSG;
    const struct partition_image *old = topic_image_partition(topic, record->partition_id);
    if (!old)
        return image_fault(edit, "topic %.*s has no partition %d", STR_FMT(topic_name(topic)),
                           record->partition_id);
    struct partition_fields fields = partition_fields_of(old);
    int rv = partition_fields_change(edit, &fields, record);
    if (rv == 0)
        put_partition(topics, &edit->pmap, topic, old, &fields);
    return rv;
}

int topics_image_remove_topic(struct topics_image *topics, struct image_edit *edit,
                              const struct remove_topic_record *record)
{
    const struct topic_image *found = expect_topic(topics, edit, record->topic_id);
    if (!found)
        return -EBADMSG;
    struct pmap partitions = found->partitions;
    struct pmap_iter iter;
    pmap_iter_first(&iter, partitions);
    for (const struct partition_image *p; (p = pmap_iter_next(&iter)) != NULL;) {
        update_hosted(topics, &edit->pmap, found->id, p->id, partition_replicas(p),
                      (struct node_list){NULL, 0});
        update_unsettled(topics, &edit->pmap, found->id, p, NULL);
    }
    topics->partition_count -= partitions.count;
    pmap_clear(&partition_image_kind, &partitions, &edit->pmap);
    pmap_remove(&topic_by_id_kind, &topics->by_id, &edit->pmap, pmap_key_uuid(&record->topic_id));
    pmap_remove(&topic_by_name_kind, &topics->by_name, &edit->pmap,
                pmap_key_str(topic_name(found)));
    return 0;
}

static int clear_elr_of(struct topics_image *topics, struct image_edit *edit,
                        const struct topic_image *topic)
{
    struct partition_change_record change;
    message_init(&partition_change_record_desc, &change);
    change.topic_id = topic->id;
    change.eligible_leader_replicas_count = 0;
    change.last_known_elr_count = 0;
    int rv = 0;
    struct pmap_iter iter;
    pmap_iter_first(&iter, topic->partitions);
    const struct partition_image *p = pmap_iter_next(&iter);
    while (p && rv == 0) {
        change.partition_id = p->id;
        if (p->elr_count > 0 || p->last_known_elr_count > 0) {
            rv = topics_image_change_partition(topics, edit, &change);
            /* The change may have freed what the iterator stands on. */
            topic = topics_image_find_id(topics, change.topic_id);
            pmap_iter_seek(&partition_image_kind, &iter, topic->partitions,
                           pmap_key_i64((int64_t)change.partition_id + 1));
        }
        p = pmap_iter_next(&iter);
    }
    return rv;
}

int topics_image_clear_elr(struct topics_image *topics, struct image_edit *edit,
                           const struct clear_elr_record *record)
{
    if (record->topic_name.len > 0) {
        const struct topic_image *topic = topics_image_find(topics, record->topic_name);
        if (!topic)
            return image_fault(edit, "there is no topic %.*s", STR_FMT(record->topic_name));
        return clear_elr_of(topics, edit, topic);
    }
    struct uuid *ids = mem_alloc(topics->by_id.count * sizeof(*ids));
    size_t count = 0;
    struct pmap_iter iter;
    pmap_iter_first(&iter, topics->by_id);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&iter)) != NULL;)
        ids[count++] = topic->id;
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < count; i++)
        rv = clear_elr_of(topics, edit, topics_image_find_id(topics, ids[i]));
    free(ids);
    return rv;
}

/* --- comparing and writing ---------------------------------------------------------------- */

static bool partitions_equal(const void *a, const void *b)
{
    return partition_image_equal(a, b);
}

static bool topics_equal(const void *a, const void *b)
{
    const struct topic_image *x = a, *y = b;
    return uuid_eq(x->id, y->id) && str_eq(topic_name(x), topic_name(y)) &&
           image_maps_equal(x->partitions, y->partitions, partitions_equal);
}

bool topics_image_equal(const struct topics_image *a, const struct topics_image *b)
{
    return image_maps_equal(a->by_name, b->by_name, topics_equal);
}

void topics_image_write(const struct topics_image *topics, struct image_writer *writer)
{
    int16_t version = metadata_version_partition_record(writer->metadata_version);
    struct pmap_iter iter;
    pmap_iter_first(&iter, topics->by_name);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&iter)) != NULL;) {
        struct topic_record topic_record;
        message_init(&topic_record_desc, &topic_record);
        topic_record.name = topic_name(topic);
        topic_record.topic_id = topic->id;
        IMAGE_WRITE(writer, TOPIC, 0, &topic_record);
        struct pmap_iter parts;
        pmap_iter_first(&parts, topic->partitions);
        for (const struct partition_image *p; (p = pmap_iter_next(&parts)) != NULL;) {
            struct partition_record record;
            partition_image_to_record(p, topic->id, version, &record);
            IMAGE_WRITE(writer, PARTITION, version, &record);
        }
    }
}
