#include "tools/partition_filter.h"

#include "common/base/mem.h"
#include "tools/topic_filter.h"

#include <stdlib.h>

/* Partitions [first, end) of the topics that the filter allows. */
struct rule {
    struct topic_filter *topics;
    int32_t first, end;
};

struct partition_filter {
    struct rule *rules; /* any of them allows */
    size_t count, capacity;
};

void partition_filter_free(struct partition_filter *filter)
{
    if (filter == NULL)
        return;
    for (size_t i = 0; i < filter->count; i++)
        topic_filter_free(filter->rules[i].topics);
    free(filter->rules);
    free(filter);
}

bool partition_filter_allows(const struct partition_filter *filter, struct str topic,
                             int32_t partition)
{
    for (size_t i = 0; i < filter->count; i++) {
        const struct rule *rule = &filter->rules[i];
        if (partition >= rule->first && partition < rule->end &&
            topic_filter_allows(rule->topics, topic))
            return true;
    }
    return false;
}

static bool add_rule(struct partition_filter *filter, const char *topic, int32_t first, int32_t end,
                     struct failure *failure)
{
    struct topic_filter *topics;
    if (!topic_filter_new(topic, &topics, failure))
        return false;
    VEC_PUSH(filter->rules, filter->count, filter->capacity) = (struct rule){topics, first, end};
    return true;
}

/* A list without the commas at its end. */
static struct str list_of(const char *text)
{
    struct str list = str_of(text);
    while (list.len > 0 && list.data[list.len - 1] == ',')
        list.len--;
    return list;
}

static bool add_partitions(struct partition_filter *filter, const char *topic,
                           const char *partitions, struct failure *failure)
{
    struct str rest = list_of(partitions), one;
    while (!str_is_null(rest)) {
        int32_t index;
        str_split(&rest, ',', &one);
        if (str_to_i32(one, &index) != 0 || index == INT32_MAX)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "--partitions expects a comma separated list of numeric partition "
                               "ids, but received: %s",
                               partitions);
        if (!add_rule(filter, topic, index, index + 1, failure))
            return false;
    }
    return true;
}

bool partition_filter_of_topic(const char *topic, const char *partitions,
                               struct partition_filter **ret_filter, struct failure *failure)
{
    struct partition_filter *filter = mem_calloc(1, sizeof(*filter));
    bool ok = partitions == NULL || partitions[0] == '\0'
                  ? add_rule(filter, topic, 0, INT32_MAX, failure)
                  : add_partitions(filter, topic, partitions, failure);
    if (!ok) {
        partition_filter_free(filter);
        return false;
    }
    *ret_filter = filter;
    return true;
}

/* Nothing stands for the fallback. */
static bool parse_bound(struct str text, int32_t fallback, int32_t *ret_bound)
{
    if (text.len == 0) {
        *ret_bound = fallback;
        return true;
    }
    for (int32_t i = 0; i < text.len; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return str_to_i32(text, ret_bound) == 0;
}

static bool parse_range(struct str text, int32_t *ret_first, int32_t *ret_end)
{
    struct str rest = text, lower;
    if (str_is_null(text) || text.len == 0) {
        *ret_first = 0;
        *ret_end = INT32_MAX;
        return true;
    }
    if (str_split(&rest, '-', &lower))
        return parse_bound(lower, 0, ret_first) && parse_bound(rest, INT32_MAX, ret_end);
    if (!parse_bound(text, 0, ret_first) || *ret_first == INT32_MAX)
        return false;
    *ret_end = *ret_first + 1;
    return true;
}

static bool add_spec(struct partition_filter *filter, struct str spec, struct failure *failure)
{
    struct str range = spec, topic;
    int32_t first, end;
    str_split(&range, ':', &topic);
    if (!parse_range(range, &first, &end))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Invalid rule specification: %.*s",
                           STR_FMT(spec));
    char *pattern = topic.len > 0 ? str_dup_z(topic) : NULL;
    bool ok = add_rule(filter, pattern, first, end, failure);
    free(pattern);
    return ok;
}

bool partition_filter_of_rules(const char *rules, struct partition_filter **ret_filter,
                               struct failure *failure)
{
    struct partition_filter *filter = mem_calloc(1, sizeof(*filter));
    struct str rest = list_of(rules), spec;
    while (!str_is_null(rest)) {
        str_split(&rest, ',', &spec);
        if (!add_spec(filter, spec, failure)) {
            partition_filter_free(filter);
            return false;
        }
    }
    *ret_filter = filter;
    return true;
}
