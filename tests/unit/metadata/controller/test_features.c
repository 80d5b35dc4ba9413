#include "common/protocol/kafka_error.h"
#include "metadata/controller/features.h"
#include "tests/unit/metadata/controller/controller_cluster.h"

static struct update_features_response update(struct harness *h, const char *feature, int level,
                                              int8_t type)
{
    struct update_features_request request;
    struct update_features_response response;
    message_init(&update_features_request_desc, &request);
    request.feature_updates_count = 1;
    request.feature_updates =
        MESSAGE_ARRAY(&h->arena, update_features_request_feature_update_key, 1);
    request.feature_updates[0].feature = str_of(feature);
    request.feature_updates[0].max_version_level = (int16_t)level;
    request.feature_updates[0].upgrade_type = type;
    controller_update_features(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    harness_commit(h);
    return response;
}

static int16_t level_of(const struct harness *h, const char *feature)
{
    return features_image_level(&harness_image(h)->features, str_of(feature));
}

static void assert_refused(struct harness *h, const char *feature, int level, int8_t type,
                           const char *why)
{
    int16_t before = level_of(h, feature);
    struct update_features_response response = update(h, feature, level, type);
    assert_int_equal(response.error_code, KAFKA_ERROR_INVALID_UPDATE_VERSION);
    if (!strstr(response.error_message.data, why))
        fail_msg("%s: %s", feature, response.error_message.data);
    assert_int_equal(level_of(h, feature), before);
    assert_int_equal(h->last.count, 0);
}

static void levels_go_up_and_down(void **state)
{
    struct harness h;
    harness_init(&h);
    harness_add_broker(&h, 1, 1, NULL);
    assert_refused(&h, "group.version", 0, 1, "Can't downgrade the version of this feature");
    assert_int_equal(update(&h, "group.version", 0, 2).error_code, 0);
    assert_int_equal(level_of(&h, "group.version"), 0);
    assert_refused(&h, "group.version", 1, 2, "Can't downgrade to a newer version.");
    struct update_features_response response = update(&h, "group.version", 1, 1);
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.results_count, 1);
    assert_int_equal(level_of(&h, "group.version"), 1);
    assert_int_equal(update(&h, "group.version", 1, 1).error_code, 0);
    assert_int_equal(h.last.count, 0); /* it is there already */
    assert_refused(&h, "group.version", 2, 1, "Local controller 1 only supports versions 0-1");
    assert_refused(&h, "group.version", -1, 2, "A feature version cannot be less than 0.");
    assert_refused(&h, "nope", 1, 1, "Local controller 1 does not support this feature.");
    assert_refused(&h, "nope", 0, 3, "Feature nope not found.");
    assert_int_equal(update(&h, "kraft.version", 1, 1).error_code, 0);
    assert_int_equal(h.last.count, 0); /* the quorum's own: never a record of the image */
    assert_refused(&h, "kraft.version", 0, 2, "Can't downgrade the version of this feature.");
    assert_refused(&h, "kraft.version", 0, 3, "Can't downgrade the version of this feature.");
    assert_refused(&h, "kraft.version", 2, 1, "Local controller 1 only supports versions 0-1");
    harness_release(&h);
}

/* Going below a level that changed what records hold could lose something. */
static void metadata_version_keeps_what_it_cannot_lose(void **state)
{
    struct harness h;
    harness_init(&h);
    assert_refused(
        &h, "metadata.version", 32, 2,
        "Unsupported metadata.version downgrade from 33 to 32. Refusing to perform the requested "
        "downgrade because it might delete metadata information.");
    assert_refused(&h, "metadata.version", 32, 3, "Unsafe metadata downgrade is not supported");
    harness_release(&h);

    struct metadata_records bootstrap = {0};
    const char *reason;
    harness_init_empty(&h);
    controller_bootstrap_records(22, NULL, 0, &h.arena, &bootstrap);
    assert_int_equal(controller_activate(h.c, &h.ctx, 1, &bootstrap, &h.arena, &h.result, &reason),
                     0);
    harness_commit(&h);
    assert_int_equal(level_of(&h, "eligible.leader.replicas.version"), 0);
    assert_int_equal(update(&h, "metadata.version", 18, 2).error_code, 0); /* 4.0-IV0 to 3.7-IV3 */
    assert_int_equal(level_of(&h, "metadata.version"), 18);
    assert_refused(&h, "eligible.leader.replicas.version", 1, 1,
                   "depends on metadata.version level 23");
    assert_int_equal(update(&h, "metadata.version", 26, 1).error_code, 0);
    assert_int_equal(update(&h, "eligible.leader.replicas.version", 1, 1).error_code, 0);
    /* Turning ELR on puts the cluster's minimum into the log. */
    assert_int_equal(h.last.count, 2);
    assert_int_equal(h.last.items[0].key, METADATA_CONFIG_RECORD);
    harness_release(&h);
}

static void every_registered_node_must_support_it(void **state)
{
    struct harness h;
    harness_init(&h);
    assert_int_equal(update(&h, "share.version", 0, 2).error_code, 0);
    struct broker_registration_request request = harness_registration(&h, 4, 1, NULL);
    struct broker_registration_response response;
    for (int32_t i = 0; i < request.features_count; i++) {
        if (str_eq(request.features[i].name, STR("share.version")))
            request.features[i].max_supported_version = 1;
    }
    controller_broker_registration(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.error_code, 0);
    harness_commit(&h);
    assert_refused(&h, "share.version", 2, 1, "Broker 4 only supports versions 0-1");
    assert_int_equal(update(&h, "share.version", 1, 1).error_code, 0);
    harness_release(&h);
}

/* --- controllers ---------------------------------------------------------------------------- */

static int16_t register_controller(struct harness *h, int32_t id, int16_t max_metadata_version)
{
    struct controller_registration_request request;
    struct controller_registration_response response;
    message_init(&controller_registration_request_desc, &request);
    request.controller_id = id;
    request.incarnation_id.b[0] = (uint8_t)harness_random(h);
    request.listeners_count = 1;
    request.listeners = MESSAGE_ARRAY(&h->arena, controller_registration_request_listener, 1);
    request.listeners[0].name = STR("CONTROLLER");
    request.listeners[0].host = STR("localhost");
    request.listeners[0].port = 9093;
    request.features_count = (int32_t)feature_table_size;
    request.features =
        MESSAGE_ARRAY(&h->arena, controller_registration_request_feature, feature_table_size);
    for (size_t i = 0; i < feature_table_size; i++) {
        request.features[i].name = str_of(feature_table[i].name);
        request.features[i].max_supported_version = feature_table[i].max_level;
    }
    request.features[0].max_supported_version = max_metadata_version;
    controller_controller_registration(h->c, &h->ctx, &request, &h->arena, &response, &h->result);
    harness_commit(h);
    return response.error_code;
}

static void controllers_come_and_go(void **state)
{
    struct harness h;
    harness_init(&h);
    assert_int_equal(register_controller(&h, 1, METADATA_VERSION_LATEST), 0);
    assert_int_equal(register_controller(&h, 2, METADATA_VERSION_LATEST), 0);
    /* An older one may come, but nothing is raised above what it knows. */
    assert_int_equal(register_controller(&h, 3, METADATA_VERSION_LATEST - 1), 0);
    assert_refused(&h, "metadata.version", METADATA_VERSION_LATEST, 1,
                   "Controller 3 only supports versions 0-32");
    const struct controller_image *found = cluster_image_controller(&harness_image(&h)->cluster, 2);
    assert_int_equal(found->endpoint_count, 1);
    assert_true(str_eq(found->endpoints[0].name, STR("CONTROLLER")));
    struct unregister_controller_request request = {.controller_id = 1};
    struct unregister_controller_response response;
    controller_unregister_controller(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.error_code, KAFKA_ERROR_INVALID_REQUEST);
    request.controller_id = 2;
    controller_unregister_controller(h.c, &h.ctx, &request, &h.arena, &response, &h.result);
    assert_int_equal(response.error_code, 0);
    harness_commit(&h);
    assert_null(cluster_image_controller(&harness_image(&h)->cluster, 2));
    harness_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_go_up_and_down),
        cmocka_unit_test(metadata_version_keeps_what_it_cannot_lose),
        cmocka_unit_test(every_registered_node_must_support_it),
        cmocka_unit_test(controllers_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
