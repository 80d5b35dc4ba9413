/* The settings of Kafka's consumer that this one has. */
#include "common/base/check.h"
#include "tools/fetch_client.h"

#include <ctype.h>

/* Takes "<digits><unit>" off the front where the unit is next; sums up in ms. */
static bool take_unit(struct str *rest, char unit, int64_t unit_ms, int64_t *in_out_ms)
{
    int32_t digits = 0;
    while (digits < rest->len && isdigit((unsigned char)rest->data[digits]))
        digits++;
    int64_t number;
    if (digits == 0 || digits == rest->len || toupper((unsigned char)rest->data[digits]) != unit)
        return true;
    if (str_to_i64(str_from(rest->data, (size_t)digits), &number) != 0 ||
        number > INT64_MAX / unit_ms - *in_out_ms / unit_ms - 1)
        return false;
    *in_out_ms += number * unit_ms;
    *rest = str_from(rest->data + digits + 1, (size_t)(rest->len - digits - 1));
    return true;
}

/* A duration of ISO 8601: PnDTnHnMnS, as Java reads it, in whole seconds. */
static bool parse_duration(struct str text, int64_t *ret_ms)
{
    int64_t ms = 0;
    if (text.len < 3 || toupper((unsigned char)text.data[0]) != 'P')
        return false;
    struct str rest = str_from(text.data + 1, (size_t)text.len - 1);
    if (!take_unit(&rest, 'D', 86400000, &ms))
        return false;
    if (rest.len > 1 && toupper((unsigned char)rest.data[0]) == 'T') {
        rest = str_from(rest.data + 1, (size_t)rest.len - 1);
        if (!take_unit(&rest, 'H', 3600000, &ms) || !take_unit(&rest, 'M', 60000, &ms) ||
            !take_unit(&rest, 'S', 1000, &ms))
            return false;
    }
    if (rest.len != 0)
        return false;
    *ret_ms = ms;
    return true;
}

static bool read_reset(const struct client_config *from, struct fetch_config *config,
                       struct failure *failure)
{
    struct str text = properties_get(&from->properties, STR("auto.offset.reset"));
    struct str rest = text, head;
    if (str_is_null(text) || str_eq_z(text, "latest"))
        config->reset = FETCH_RESET_LATEST;
    else if (str_eq_z(text, "earliest"))
        config->reset = FETCH_RESET_EARLIEST;
    else if (str_eq_z(text, "none"))
        config->reset = FETCH_RESET_NONE;
    else if (str_split(&rest, ':', &head) && str_eq_z(head, "by_duration") &&
             parse_duration(rest, &config->reset_duration_ms))
        config->reset = FETCH_RESET_DURATION;
    else
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Invalid value %.*s for configuration auto.offset.reset: Invalid value "
                           "`%.*s` for configuration auto.offset.reset. The value must be either "
                           "'earliest', 'latest', 'none' or of the format "
                           "'by_duration:<PnDTnHnMn.nS.>'.",
                           STR_FMT(text), STR_FMT(text));
    return true;
}

static bool read_isolation(const struct client_config *from, struct fetch_config *config,
                           struct failure *failure)
{
    struct str text = properties_get(&from->properties, STR("isolation.level"));
    config->read_committed = str_eq_z(text, "read_committed");
    return str_is_null(text) || config->read_committed || str_eq_z(text, "read_uncommitted") ||
           failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                       "Invalid value %.*s for configuration isolation.level: String must be one "
                       "of: read_committed, read_uncommitted",
                       STR_FMT(text));
}

/* What belongs to groups and polling is checked, though nothing here needs it. */
static bool check_unused(const struct client_config *from, struct failure *failure)
{
    static const struct {
        const char *key;
        int32_t min;
    } numbers[] = {
        {"auto.commit.interval.ms", 0},    {"heartbeat.interval.ms", INT32_MIN},
        {"max.poll.interval.ms", 1},       {"max.poll.records", 1},
        {"session.timeout.ms", INT32_MIN},
    };
    struct str protocol = properties_get(&from->properties, STR("group.protocol"));
    bool commit = true;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int32_t number = INT32_MAX;
        if (!client_config_int(from, numbers[i].key, numbers[i].min, &number, failure))
            return false;
    }
    if (!str_is_null(protocol) && !str_eq_nocase(protocol, STR("consumer")) &&
        !str_eq_nocase(protocol, STR("classic")))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Invalid value %.*s for configuration group.protocol: String must be "
                           "one of (case insensitive): CONSUMER, CLASSIC",
                           STR_FMT(protocol));
    return client_config_bool(from, "enable.auto.commit", &commit, failure);
}

bool fetch_config_read(const struct client_config *from, struct fetch_config *ret_config,
                       struct failure *failure)
{
    struct fetch_config c = {
        .check_crcs = true,
        .create_topics = true,
        .exclude_internal_topics = true,
        .min_bytes = 1,
        .max_bytes = 50 << 20,
        .max_partition_bytes = 1 << 20,
        .max_wait_ms = 500,
        .metadata_max_age_ms = 300000,
    };
    if (!check_unused(from, failure) || !read_reset(from, &c, failure) ||
        !read_isolation(from, &c, failure) ||
        !client_config_bool(from, "check.crcs", &c.check_crcs, failure) ||
        !client_config_bool(from, "allow.auto.create.topics", &c.create_topics, failure) ||
        !client_config_bool(from, "exclude.internal.topics", &c.exclude_internal_topics, failure) ||
        !client_config_int(from, "fetch.min.bytes", 0, &c.min_bytes, failure) ||
        !client_config_int(from, "fetch.max.bytes", 0, &c.max_bytes, failure) ||
        !client_config_int(from, "max.partition.fetch.bytes", 0, &c.max_partition_bytes, failure) ||
        !client_config_int(from, "fetch.max.wait.ms", 0, &c.max_wait_ms, failure) ||
        !client_config_long(from, "metadata.max.age.ms", 0, &c.metadata_max_age_ms, failure))
        return false;
    *ret_config = c;
    return true;
}
