/* DeleteTopics, by name and by id (KIP-516). */
#include "common/protocol/codec.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"
#include "metadata/controller/topics.h"

typedef struct delete_topics_response_deletable_topic_result topic_result;

struct deletion {
    struct str name; /* null: by id */
    struct uuid id;
};

/* All versions in one form. */
static int32_t deletions_of(const struct delete_topics_request *request, struct arena *arena,
                            struct deletion **ret_deletions)
{
    int32_t names = MAX(request->topic_names_count, 0), topics = MAX(request->topics_count, 0);
    struct deletion *deletions = ARENA_ARRAY(arena, struct deletion, names + topics);
    int32_t count = 0;
    for (int32_t i = 0; i < names; i++)
        deletions[count++] = (struct deletion){request->topic_names[i], UUID_ZERO};
    for (int32_t i = 0; i < topics; i++)
        deletions[count++] =
            (struct deletion){request->topics[i].name, request->topics[i].topic_id};
    *ret_deletions = deletions;
    return count;
}

static struct str key_of(const struct deletion *deletion)
{
    if (!str_is_null(deletion->name))
        return deletion->name;
    return str_from((const char *)deletion->id.b, sizeof(deletion->id.b));
}

static struct api_error find_topic(const struct controller *c, const struct deletion *deletion,
                                   struct arena *arena, const struct topic_image **ret_topic)
{
    const struct topics_image *topics = &controller_image(c)->topics;
    bool by_name = !str_is_null(deletion->name), by_id = !uuid_is_zero(deletion->id);
    if (by_name && by_id)
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                         "You may not specify both topic name and topic id.");
    if (!by_name && !by_id)
        return api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                         "Neither topic name nor id were specified.");
    *ret_topic = by_name ? topics_image_find(topics, deletion->name)
                         : topics_image_find_id(topics, deletion->id);
    if (!*ret_topic)
        return api_error_plain(by_name ? KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                       : KAFKA_ERROR_UNKNOWN_TOPIC_ID);
    if (!c->config.delete_topic_enable)
        return api_error_plain(KAFKA_ERROR_TOPIC_DELETION_DISABLED);
    return API_OK;
}

static void delete_one(struct controller *c, const struct deletion *deletion, struct map *taken,
                       struct arena *arena, topic_result *result, struct metadata_records *records)
{
    const struct topic_image *topic = NULL;
    struct api_error error = find_topic(c, deletion, arena, &topic);
    if (topic && !api_failed(error)) {
        /* One entry by name and one by id may mean the same topic. */
        if (map_put(taken, map_key_uuid(topic->id), taken))
            error = api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                              "The provided topic name maps to an ID that was already supplied.");
        /* The answer outlives the topic's image. */
        result->name = arena_str(arena, topic_name(topic));
        result->topic_id = topic->id;
    }
    result->error_code = (int16_t)error.code;
    result->error_message = error.message;
    if (api_failed(error))
        return;
    struct remove_topic_record *record =
        METADATA_RECORD_ADD(records, arena, remove_topic_record, REMOVE_TOPIC, 0);
    record->topic_id = topic->id;
}

static topic_result *add_result(struct delete_topics_response *response,
                                const struct deletion *deletion)
{
    topic_result *result = &response->responses[response->responses_count++];
    result->name = deletion->name;
    result->topic_id = deletion->id;
    return result;
}

CONTROLLER_API(delete_topics)
{
    struct deletion *deletions;
    int32_t count = deletions_of(request, arena, &deletions);
    struct name_counts keys;
    struct map taken;
    *ret_result = (struct controller_result){.atomic = true};
    message_init(&delete_topics_response_desc, ret_response);
    ret_response->responses =
        MESSAGE_ARRAY(arena, delete_topics_response_deletable_topic_result, count);
    name_counts_init(&keys);
    map_init(&taken, MAP_UUID);
    for (int32_t i = 0; i < count; i++)
        name_counts_add(&keys, key_of(&deletions[i]));
    for (int32_t i = 0; i < count; i++) {
        int32_t times = name_counts_take(&keys, key_of(&deletions[i]));
        if (times == 0)
            continue;
        topic_result *result = add_result(ret_response, &deletions[i]);
        if (times == 1 && request->timeout_ms > 0) {
            delete_one(controller, &deletions[i], &taken, arena, result, &ret_result->records);
            continue;
        }
        struct api_error error =
            times > 1 ? api_error(arena, KAFKA_ERROR_INVALID_REQUEST,
                                  str_is_null(deletions[i].name) ? "Duplicate topic id."
                                                                 : "Duplicate topic name.")
                      : (struct api_error){KAFKA_ERROR_REQUEST_TIMED_OUT, STR_NULL};
        result->error_code = (int16_t)error.code;
        result->error_message = error.message;
    }
    map_release(&taken);
    name_counts_release(&keys);
}
