#include "metadata/config/config_validate_internal.h"

#include "common/base/check.h"

/* A key of a group between two keys of the brokers; CONFIG_COUNT is no bound. */
static const struct {
    enum config_id id, low, high;
} bounds[] = {
    {CONFIG_GROUP_CONSUMER_SESSION_TIMEOUT_MS, CONFIG_BROKER_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS,
     CONFIG_BROKER_GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS},
    {CONFIG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS},
    {CONFIG_GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS},
    {CONFIG_GROUP_SHARE_SESSION_TIMEOUT_MS, CONFIG_BROKER_GROUP_SHARE_MIN_SESSION_TIMEOUT_MS,
     CONFIG_BROKER_GROUP_SHARE_MAX_SESSION_TIMEOUT_MS},
    {CONFIG_GROUP_SHARE_HEARTBEAT_INTERVAL_MS, CONFIG_BROKER_GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS},
    {CONFIG_GROUP_SHARE_RECORD_LOCK_DURATION_MS,
     CONFIG_BROKER_GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS,
     CONFIG_BROKER_GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS},
    {CONFIG_GROUP_SHARE_DELIVERY_COUNT_LIMIT, CONFIG_BROKER_GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT,
     CONFIG_BROKER_GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT},
    {CONFIG_GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS,
     CONFIG_BROKER_GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS,
     CONFIG_BROKER_GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS},
    {CONFIG_GROUP_SHARE_ASSIGNMENT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS},
    {CONFIG_GROUP_STREAMS_SESSION_TIMEOUT_MS, CONFIG_BROKER_GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS,
     CONFIG_BROKER_GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS},
    {CONFIG_GROUP_STREAMS_HEARTBEAT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS},
    {CONFIG_GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS,
     CONFIG_BROKER_GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS},
    {CONFIG_GROUP_STREAMS_NUM_STANDBY_REPLICAS, CONFIG_COUNT,
     CONFIG_BROKER_GROUP_STREAMS_MAX_STANDBY_REPLICAS},
    {CONFIG_GROUP_STREAMS_NUM_WARMUP_REPLICAS, CONFIG_COUNT,
     CONFIG_BROKER_GROUP_STREAMS_MAX_WARMUP_REPLICAS},
    {CONFIG_GROUP_STREAMS_TASK_OFFSET_INTERVAL_MS,
     CONFIG_BROKER_GROUP_STREAMS_MIN_TASK_OFFSET_INTERVAL_MS, CONFIG_COUNT},
};

/* A member has to send more than one heartbeat in its session. */
static const struct {
    enum config_id session, heartbeat;
} sessions[] = {
    {CONFIG_GROUP_CONSUMER_SESSION_TIMEOUT_MS, CONFIG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS},
    {CONFIG_GROUP_SHARE_SESSION_TIMEOUT_MS, CONFIG_GROUP_SHARE_HEARTBEAT_INTERVAL_MS},
    {CONFIG_GROUP_STREAMS_SESSION_TIMEOUT_MS, CONFIG_GROUP_STREAMS_HEARTBEAT_INTERVAL_MS},
};

static enum kafka_error check_bound(const struct validation *v, size_t i,
                                    const struct config_layers *brokers)
{
    enum config_id low = bounds[i].low, high = bounds[i].high;
    const char *name = config_defs[bounds[i].id].name.data;
    if (validation_find(v, bounds[i].id) == NULL)
        return KAFKA_ERROR_NONE;
    int64_t value = validation_integer(v, bounds[i].id, brokers);
    int64_t least = low == CONFIG_COUNT ? INT64_MIN : config_layers_integer(brokers, low);
    int64_t most = high == CONFIG_COUNT ? INT64_MAX : config_layers_integer(brokers, high);
    if (value >= least && value <= most)
        return KAFKA_ERROR_NONE;
    if (low == CONFIG_COUNT)
        return validation_fail(v, KAFKA_ERROR_INVALID_CONFIG,
                               "%s must be less than or equal to %lld", name, (long long)most);
    if (high == CONFIG_COUNT)
        return validation_fail(v, KAFKA_ERROR_INVALID_CONFIG,
                               "%s must be greater than or equal to %lld", name, (long long)least);
    return validation_fail(v, KAFKA_ERROR_INVALID_CONFIG,
                           "%s must be in the range %lld to %lld inclusive.", name,
                           (long long)least, (long long)most);
}

static enum kafka_error check_session(const struct validation *v, size_t i,
                                      const struct config_layers *brokers)
{
    if (validation_find(v, sessions[i].session) == NULL &&
        validation_find(v, sessions[i].heartbeat) == NULL)
        return KAFKA_ERROR_NONE;
    if (validation_integer(v, sessions[i].session, brokers) >
        validation_integer(v, sessions[i].heartbeat, brokers))
        return KAFKA_ERROR_NONE;
    return validation_fail(v, KAFKA_ERROR_INVALID_CONFIG, "%s must be greater than %s",
                           config_defs[sessions[i].session].name.data,
                           config_defs[sessions[i].heartbeat].name.data);
}

static enum kafka_error check_streams(const struct validation *v,
                                      const struct config_layers *brokers)
{
    const struct config_entry *assignor = validation_find(v, CONFIG_GROUP_STREAMS_ASSIGNOR_NAME);
    if (assignor != NULL) {
        struct config_value known =
            config_layers_get(brokers, CONFIG_BROKER_GROUP_STREAMS_ASSIGNORS, v->arena);
        if (!config_value_list_has(&known, str_trim(assignor->value)))
            return validation_fail(
                v, KAFKA_ERROR_INVALID_CONFIG,
                "streams.assignor.name '%.*s' is not a registered task assignor. Registered "
                "assignors are: [%s].",
                STR_FMT(str_trim(assignor->value)),
                config_value_join(&known, STR(", "), v->arena).data);
    }
    const struct config_entry *tags =
        validation_find(v, CONFIG_GROUP_STREAMS_RACK_AWARE_ASSIGNMENT_TAGS);
    if (tags != NULL) {
        struct config_value all = config_split_list(tags->value, v->arena), once;
        struct str error;
        const struct config_def *def =
            &config_defs[CONFIG_GROUP_STREAMS_RACK_AWARE_ASSIGNMENT_TAGS];
        CHECK(config_value_parse(def, tags->value, v->arena, &once, &error) == 0);
        if (once.list.count != all.list.count)
            return validation_fail(v, KAFKA_ERROR_INVALID_CONFIG,
                                   "%s must not contain duplicate tag keys.", def->name.data);
    }
    return KAFKA_ERROR_NONE;
}

enum kafka_error config_validate_group(const struct config_entry *entries, int count,
                                       const struct config_layers *brokers, struct arena *arena,
                                       struct str *ret_message)
{
    struct validation v = {entries, count, arena, ret_message};
    for (int i = 0; i < count; i++)
        if (config_find(CONFIG_SCOPE_GROUP, entries[i].key) == NULL)
            return validation_fail(&v, KAFKA_ERROR_INVALID_CONFIG,
                                   "Unknown group config name: %.*s", STR_FMT(entries[i].key));
    enum kafka_error error = validation_values(&v, CONFIG_FIRST_GROUP, CONFIG_LAST_GROUP);
    for (size_t i = 0; i < ARRAY_LEN(bounds) && error == KAFKA_ERROR_NONE; i++)
        error = check_bound(&v, i, brokers);
    for (size_t i = 0; i < ARRAY_LEN(sessions) && error == KAFKA_ERROR_NONE; i++)
        error = check_session(&v, i, brokers);
    if (error == KAFKA_ERROR_NONE)
        error = check_streams(&v, brokers);
    const struct config_entry *topic =
        validation_find(&v, CONFIG_GROUP_ERRORS_DEADLETTERQUEUE_TOPIC_NAME);
    if (error == KAFKA_ERROR_NONE && topic != NULL &&
        str_starts_with(str_trim(topic->value), STR("__")))
        return validation_fail(&v, KAFKA_ERROR_INVALID_CONFIG,
                               "errors.deadletterqueue.topic.name: DLQ topic name must not start "
                               "with '__'");
    return error;
}
