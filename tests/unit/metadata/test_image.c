/* Records that fit and records that do not, part by part. */
#include "metadata/image.h"

#include "metadata/delta.h"
#include "tests/unit/metadata/image_builder.h"

static const int32_t three[] = {1, 2, 3};

struct fixture {
    struct image_chain *chain;
    struct image_draft *draft;
};

static void begin(struct fixture *f)
{
    f->chain = image_chain_new(true);
    f->draft = image_chain_draft(f->chain);
}

static void end(struct fixture *f)
{
    image_chain_free(f->chain);
}

static void assert_fault(struct fixture *f, int rv, const char *text)
{
    assert_int_equal(rv, -EBADMSG);
    if (!strstr(f->draft->edit.fault, text))
        fail_msg("%s", f->draft->edit.fault);
}

static void topics_must_fit(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(apply_topic(f.draft, "a", 1), 0);
    assert_fault(&f, apply_topic(f.draft, "a", 2), "topic a exists already");
    assert_fault(&f, apply_topic(f.draft, "b", 1), "topic id fgAAAAAAAAAAAAAAAAAAAQ exists");
    assert_fault(&f, apply_remove_topic(f.draft, 9), "there is no topic with id");
    assert_fault(&f, apply_partition(f.draft, 9, 0, three, 3), "there is no topic with id");
    assert_fault(&f, apply_partition(f.draft, 1, -1, three, 3), "partition -1");
    assert_fault(&f, apply_leader(f.draft, 1, 0, 2), "topic a has no partition 0");
    assert_int_equal(apply_partition(f.draft, 1, 0, three, 3), 0);
    assert_int_equal(apply_leader(f.draft, 1, 0, 2), 0);
    const struct partition_image *p = partition_of(f.draft->image, 1, 0);
    assert_int_equal(p->leader, 2);
    assert_int_equal(p->leader_epoch, 1);
    assert_int_equal(p->partition_epoch, 1);
    assert_true(uuid_eq(partition_directory_of(p, 3), test_id(3)));
    assert_true(uuid_is_zero(partition_directory_of(p, 4)));
    end(&f);
}

static void partition_lists_must_fit(void **state)
{
    struct fixture f;
    struct partition_record record;
    struct uuid directory = test_id(1);
    begin(&f);
    assert_int_equal(apply_topic(f.draft, "a", 1), 0);
    message_init(&partition_record_desc, &record);
    record.topic_id = test_id(1);
    record.partition_id = 0;
    record.replicas = (int32_t *)(uintptr_t)three;
    record.replicas_count = 3;
    record.directories = &directory;
    record.directories_count = 1;
    assert_fault(&f, apply(f.draft, METADATA_PARTITION_RECORD, &record),
                 "3 replicas in 1 directories");
    record.directories_count = 0; /* before KIP-858 */
    record.leader_recovery_state = 5;
    assert_fault(&f, apply(f.draft, METADATA_PARTITION_RECORD, &record), "leader recovery state 5");
    record.leader_recovery_state = 0;
    assert_int_equal(apply(f.draft, METADATA_PARTITION_RECORD, &record), 0);
    const struct partition_image *p = partition_of(f.draft->image, 1, 0);
    assert_true(uuid_eq(partition_directories(p)[2], UUID_DIRECTORY_MIGRATING));

    struct partition_change_record change;
    message_init(&partition_change_record_desc, &change);
    change.topic_id = test_id(1);
    change.partition_id = 0;
    change.replicas = record.replicas;
    change.replicas_count = 2;
    assert_fault(&f, apply(f.draft, METADATA_PARTITION_CHANGE_RECORD, &change),
                 "2 replicas in 3 directories");
    change.directories_count = 0;
    assert_int_equal(apply(f.draft, METADATA_PARTITION_CHANGE_RECORD, &change), 0);
    p = partition_of(f.draft->image, 1, 0);
    assert_int_equal(p->replica_count, 2);
    assert_int_equal(p->leader_epoch, -1); /* as the record said: no leader was named */
    end(&f);
}

static void elr_is_cleared_by_topic_or_everywhere(void **state)
{
    struct fixture f;
    struct clear_elr_record clear;
    struct partition_change_record change;
    begin(&f);
    message_init(&partition_change_record_desc, &change);
    change.eligible_leader_replicas = change.last_known_elr = (int32_t *)(uintptr_t)three;
    change.eligible_leader_replicas_count = 2;
    change.last_known_elr_count = 1;
    for (uint32_t topic = 1; topic <= 3; topic++) {
        const char *name = (const char *[]){"", "a", "b", "c"}[topic];
        assert_int_equal(apply_topic(f.draft, name, topic), 0);
        for (int32_t i = 0; i < 5; i++) {
            assert_int_equal(apply_partition(f.draft, topic, i, three, 3), 0);
            change.topic_id = test_id(topic);
            change.partition_id = i;
            if (i % 2 == 0)
                assert_int_equal(apply(f.draft, METADATA_PARTITION_CHANGE_RECORD, &change), 0);
        }
    }
    message_init(&clear_elr_record_desc, &clear);
    clear.topic_name = STR("b");
    assert_int_equal(apply(f.draft, METADATA_CLEAR_ELR_RECORD, &clear), 0);
    assert_int_equal(partition_of(f.draft->image, 1, 2)->elr_count, 2);
    assert_int_equal(partition_of(f.draft->image, 2, 2)->elr_count, 0);
    assert_int_equal(partition_of(f.draft->image, 2, 2)->last_known_elr_count, 0);
    assert_int_equal(partition_of(f.draft->image, 2, 2)->partition_epoch, 2);
    assert_int_equal(partition_of(f.draft->image, 2, 1)->partition_epoch, 0); /* had none */
    clear.topic_name = STR_EMPTY;
    assert_int_equal(apply(f.draft, METADATA_CLEAR_ELR_RECORD, &clear), 0);
    for (uint32_t topic = 1; topic <= 3; topic++) {
        for (int32_t i = 0; i < 5; i++)
            assert_int_equal(partition_of(f.draft->image, topic, i)->elr_count, 0);
    }
    clear.topic_name = STR("nope");
    assert_fault(&f, apply(f.draft, METADATA_CLEAR_ELR_RECORD, &clear), "there is no topic nope");
    end(&f);
}

static struct str config_of(const struct fixture *f, int8_t type, const char *resource,
                            const char *name)
{
    return configs_image_get(&f->draft->image->configs, type, str_of(resource), str_of(name));
}

static void configs_come_and_go(void **state)
{
    struct fixture f;
    begin(&f);
    static const char *const names[] = {"m", "a", "z", "b", "m"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(apply_config(f.draft, CONFIG_RESOURCE_TOPIC, "t", names[i], names[4 - i]),
                         0);
    assert_true(str_eq(config_of(&f, CONFIG_RESOURCE_TOPIC, "t", "m"), STR("m")));
    assert_true(str_eq(config_of(&f, CONFIG_RESOURCE_TOPIC, "t", "a"), STR("b")));
    assert_true(str_is_null(config_of(&f, CONFIG_RESOURCE_TOPIC, "t", "q")));
    assert_true(str_is_null(config_of(&f, CONFIG_RESOURCE_GROUP, "t", "m")));
    const struct config_image *config =
        configs_image_find(&f.draft->image->configs, CONFIG_RESOURCE_TOPIC, STR("t"));
    assert_int_equal(config->count, 4);
    for (int32_t i = 1; i < 4; i++)
        assert_true(str_cmp(config->entries[i - 1].key, config->entries[i].key) < 0);
    assert_int_equal(apply_config(f.draft, CONFIG_RESOURCE_TOPIC, "t", "q", NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(apply_config(f.draft, CONFIG_RESOURCE_TOPIC, "t", names[i], NULL), 0);
    assert_null(configs_image_find(&f.draft->image->configs, CONFIG_RESOURCE_TOPIC, STR("t")));
    assert_fault(&f, apply_config(f.draft, 3, "t", "m", "1"), "a resource of type 3");
    assert_fault(&f, apply_config(f.draft, 64, "t", "m", "1"), "a resource of type 64");
    assert_fault(&f, apply_config(f.draft, -128, "t", "m", "1"), "a resource of type -128");
    /* A topic takes its configs with it, another topic's stay. */
    assert_int_equal(apply_topic(f.draft, "t", 1), 0);
    assert_int_equal(apply_config(f.draft, CONFIG_RESOURCE_TOPIC, "t", "m", "1"), 0);
    assert_int_equal(apply_config(f.draft, CONFIG_RESOURCE_TOPIC, "u", "m", "1"), 0);
    assert_int_equal(apply_remove_topic(f.draft, 1), 0);
    assert_true(str_is_null(config_of(&f, CONFIG_RESOURCE_TOPIC, "t", "m")));
    assert_true(str_eq(config_of(&f, CONFIG_RESOURCE_TOPIC, "u", "m"), STR("1")));
    end(&f);
}

static int apply_quota(struct fixture *f, const char *user, bool client_default, const char *key,
                       double value, bool remove)
{
    struct client_quota_record record;
    struct client_quota_record_entity_data parts[2];
    message_init(&client_quota_record_desc, &record);
    message_struct_init(&client_quota_record_entity_data_struct, parts, 2);
    parts[0].entity_type = STR("user");
    parts[0].entity_name = str_of(user);
    parts[1].entity_type = STR("client-id");
    parts[1].entity_name = STR_NULL;
    record.entity = parts;
    record.entity_count = client_default ? 2 : 1;
    record.key = str_of(key);
    record.value = value;
    record.remove = remove;
    return apply(f->draft, METADATA_CLIENT_QUOTA_RECORD, &record);
}

static void quotas_are_told_apart_by_entity(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(apply_quota(&f, "alice", false, "producer_byte_rate", 1, false), 0);
    assert_int_equal(apply_quota(&f, NULL, false, "producer_byte_rate", 2, false), 0);
    assert_int_equal(apply_quota(&f, "", false, "producer_byte_rate", 3, false), 0);
    assert_int_equal(apply_quota(&f, "alice", true, "producer_byte_rate", 4, false), 0);
    assert_int_equal(apply_quota(&f, "alice", false, "consumer_byte_rate", 5, false), 0);
    const struct client_quotas_image *quotas = &f.draft->image->client_quotas;
    assert_int_equal(quotas->by_entity.count, 4);
    struct quota_entity_part both[] = {{STR("client-id"), STR_NULL}, {STR("user"), STR("alice")}};
    struct quota_entity_part swapped[] = {both[1], both[0]};
    const struct client_quota_image *found = client_quotas_image_find(quotas, both, 2);
    assert_int_equal((int)found->entries[0].value, 4);
    assert_ptr_equal(client_quotas_image_find(quotas, swapped, 2), found);
    found = client_quotas_image_find(quotas, &both[1], 1);
    assert_int_equal(found->count, 2);
    assert_true(str_eq(found->entries[0].key, STR("consumer_byte_rate")));
    assert_int_equal(apply_quota(&f, "alice", false, "producer_byte_rate", 0, true), 0);
    assert_int_equal(client_quotas_image_find(quotas, &both[1], 1)->count, 1);
    assert_int_equal(apply_quota(&f, "alice", false, "consumer_byte_rate", 0, true), 0);
    assert_int_equal(apply_quota(&f, "alice", false, "consumer_byte_rate", 0, true), 0);
    assert_null(client_quotas_image_find(quotas, &both[1], 1));
    assert_int_equal(quotas->by_entity.count, 3);
    end(&f);
}

static void brokers_must_fit(void **state)
{
    struct fixture f;
    struct register_broker_record record;
    begin(&f);
    message_init(&register_broker_record_desc, &record);
    record.broker_id = 1;
    record.broker_epoch = 7;
    record.rack = STR_NULL;
    assert_int_equal(apply(f.draft, METADATA_REGISTER_BROKER_RECORD, &record), 0);
    struct unfence_broker_record unfence;
    message_init(&unfence_broker_record_desc, &unfence);
    unfence.id = 1;
    unfence.epoch = 6;
    assert_fault(&f, apply(f.draft, METADATA_UNFENCE_BROKER_RECORD, &unfence),
                 "broker 1 has epoch 7, the record names epoch 6");
    unfence.epoch = 7;
    assert_int_equal(apply(f.draft, METADATA_UNFENCE_BROKER_RECORD, &unfence), 0);
    assert_false(cluster_image_broker(&f.draft->image->cluster, 1)->fenced);
    struct fence_broker_record fence;
    message_init(&fence_broker_record_desc, &fence);
    fence.id = 2;
    assert_fault(&f, apply(f.draft, METADATA_FENCE_BROKER_RECORD, &fence),
                 "broker 2 is not registered");
    struct broker_registration_change_record change;
    message_init(&broker_registration_change_record_desc, &change);
    change.broker_id = 1;
    change.broker_epoch = 7;
    change.fenced = 2;
    assert_fault(&f, apply(f.draft, METADATA_BROKER_REGISTRATION_CHANGE_RECORD, &change),
                 "fenced 2");
    struct unregister_controller_record gone;
    message_init(&unregister_controller_record_desc, &gone);
    gone.controller_id = 5;
    assert_fault(&f, apply(f.draft, METADATA_UNREGISTER_CONTROLLER_RECORD, &gone),
                 "controller 5 is not registered");
    struct feature_level_record level;
    message_init(&feature_level_record_desc, &level);
    level.name = STR("metadata.version");
    level.feature_level = 99;
    assert_fault(&f, apply(f.draft, METADATA_FEATURE_LEVEL_RECORD, &level),
                 "metadata.version 99 is unknown");
    struct remove_access_control_entry_record acl;
    message_init(&remove_access_control_entry_record_desc, &acl);
    assert_fault(&f, apply(f.draft, METADATA_REMOVE_ACCESS_CONTROL_ENTRY_RECORD, &acl),
                 "there is no ACL");
    end(&f);
}

/* Old logs have partitions without directories, brokers without theirs, and ids with gaps. */
static void old_records_are_kept_as_they_are(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(apply_topic(f.draft, "a", 1), 0);
    assert_int_equal(apply_partition(f.draft, 1, INT32_MAX, three, 1), 0);
    assert_int_equal(apply_partition(f.draft, 1, 7, three, 1), 0);
    const struct topic_image *topic = topics_image_find(&f.draft->image->topics, STR("a"));
    assert_int_equal(topic->partitions.count, 2);
    assert_non_null(topic_image_partition(topic, INT32_MAX));
    struct zk_migration_state_record migration;
    message_init(&zk_migration_state_record_desc, &migration);
    assert_int_equal(apply(f.draft, METADATA_ZK_MIGRATION_STATE_RECORD, &migration), 0);
    end(&f);
}

/* Every kind of record that the schemas know is either applied or refused for what it says. */
static void every_kind_of_record_is_known(void **state)
{
    struct fixture f;
    struct arena arena;
    arena_init(&arena, 0);
    begin(&f);
    for (int16_t key = 0; key < metadata_record_table_size; key++) {
        const struct message_desc *desc = metadata_record_find(key);
        if (!desc)
            continue;
        void *data = arena_alloc(&arena, desc->body->size_bytes);
        message_init(desc, data);
        f.draft->edit.fault[0] = '\0';
        int rv = apply(f.draft, key, data);
        assert_true(rv == 0 || rv == -EBADMSG);
        if (strstr(f.draft->edit.fault, "is unknown") && key != METADATA_FEATURE_LEVEL_RECORD)
            fail_msg("%s: %s", desc->name, f.draft->edit.fault);
    }
    end(&f);
    arena_release(&arena);
}

static void deltas_name_what_changed(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(apply_topic(f.draft, "a", 1), 0);
    assert_int_equal(apply_topic(f.draft, "b", 2), 0);
    assert_int_equal(apply_partition(f.draft, 1, 0, three, 3), 0);
    assert_int_equal(apply_partition(f.draft, 2, 0, three, 3), 0);
    image_chain_seal(f.chain, 0, 1, 0);
    image_chain_publish(f.chain, 0);

    image_chain_draft(f.chain);
    image_chain_seal(f.chain, 1, 1, 0);
    assert_true(image_delta_empty(image_chain_publish(f.chain, 1)));

    /* The same name with another id: one topic goes, another comes. */
    f.draft = image_chain_draft(f.chain);
    assert_int_equal(apply_remove_topic(f.draft, 1), 0);
    assert_int_equal(apply_topic(f.draft, "a", 3), 0);
    assert_int_equal(apply_partition(f.draft, 3, 0, three, 1), 0);
    assert_int_equal(apply_config(f.draft, CONFIG_RESOURCE_BROKER, "", "k", "v"), 0);
    image_chain_seal(f.chain, 2, 1, 0);
    const struct image_delta *delta = image_chain_publish(f.chain, 2);
    assert_false(image_delta_empty(delta));
    assert_int_equal(delta->topics.count, 2);
    assert_null(delta->topics.items[0].after);
    assert_null(delta->topics.items[1].before);
    assert_int_equal(delta->partitions.count, 2);
    assert_true(uuid_eq(delta->partitions.items[0].topic->id, test_id(1)));
    assert_null(delta->partitions.items[0].after);
    assert_true(uuid_eq(delta->partitions.items[1].topic->id, test_id(3)));
    assert_int_equal(delta->configs.count, 1);
    assert_int_equal(delta->configs.items[0].after->type, CONFIG_RESOURCE_BROKER);
    assert_int_equal(delta->brokers.count, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_must_fit),
        cmocka_unit_test(partition_lists_must_fit),
        cmocka_unit_test(elr_is_cleared_by_topic_or_everywhere),
        cmocka_unit_test(configs_come_and_go),
        cmocka_unit_test(quotas_are_told_apart_by_entity),
        cmocka_unit_test(brokers_must_fit),
        cmocka_unit_test(old_records_are_kept_as_they_are),
        cmocka_unit_test(every_kind_of_record_is_known),
        cmocka_unit_test(deltas_name_what_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
