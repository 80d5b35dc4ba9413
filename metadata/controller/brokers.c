#include "metadata/controller/brokers.h"

#include "common/protocol/codec.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"
#include "metadata/controller/partitions.h"

static const struct broker_image *find(const struct controller *c, int32_t id)
{
    return cluster_image_broker(&controller_image(c)->cluster, id);
}

bool brokers_is_active(const struct controller *c, int32_t id)
{
    const struct broker_image *broker = find(c, id);
    return broker && !broker->fenced && !broker->in_controlled_shutdown;
}

struct uuid brokers_default_directory(const struct controller *c, int32_t id)
{
    const struct broker_image *broker = find(c, id);
    if (!broker)
        return UUID_ZERO;
    if (broker->directory_count == 0)
        return UUID_DIRECTORY_MIGRATING;
    return broker->directory_count == 1 ? broker->directories[0] : UUID_ZERO;
}

static bool has_id(const struct uuid *ids, int32_t count, struct uuid id)
{
    for (int32_t i = 0; i < count; i++) {
        if (uuid_eq(ids[i], id))
            return true;
    }
    return false;
}

static bool is_cordoned(const struct broker_image *broker, struct uuid directory)
{
    return has_id(broker->cordoned, broker->cordoned_count, directory);
}

bool broker_image_takes_replicas(const struct broker_image *broker)
{
    bool takes = broker->directory_count == 0;
    for (int32_t i = 0; !takes && i < broker->directory_count; i++)
        takes = !is_cordoned(broker, broker->directories[i]);
    return takes;
}

/* --- changes of a registration ------------------------------------------------------------ */

static struct broker_registration_change_record *add_change(const struct broker_image *broker,
                                                            int16_t version, struct arena *arena,
                                                            struct metadata_records *records)
{
    struct broker_registration_change_record *record = METADATA_RECORD_ADD(
        records, arena, broker_registration_change_record, BROKER_REGISTRATION_CHANGE, version);
    record->broker_id = broker->id;
    record->broker_epoch = broker->epoch;
    return record;
}

void brokers_fence(struct controller *c, const struct broker_image *broker, struct arena *arena,
                   struct metadata_records *records)
{
    partitions_broker_fenced(c, broker->id, arena, records);
    add_change(broker, 0, arena, records)->fenced = 1;
}

static void unfence(struct controller *c, const struct broker_image *broker,
                    const struct uuid *lost, int32_t lost_count, struct arena *arena,
                    struct metadata_records *records)
{
    add_change(broker, 0, arena, records)->fenced = -1;
    partitions_broker_unfenced(c, broker->id, lost, lost_count, arena, records);
}

static void begin_shutdown(struct controller *c, const struct broker_image *broker,
                           struct arena *arena, struct metadata_records *records)
{
    add_change(broker, 1, arena, records)->in_controlled_shutdown = 1;
    partitions_broker_fenced(c, broker->id, arena, records);
}

/* --- heartbeats --------------------------------------------------------------------------- */

enum broker_state {
    BROKER_FENCED,
    BROKER_UNFENCED,
    BROKER_CONTROLLED_SHUTDOWN,
    BROKER_SHUTDOWN_NOW, /* fenced, and told to stop */
};

static enum broker_state state_of(const struct broker_image *broker)
{
    if (broker->fenced)
        return BROKER_FENCED;
    return broker->in_controlled_shutdown ? BROKER_CONTROLLED_SHUTDOWN : BROKER_UNFENCED;
}

/* Every other active broker knows that this one leads nothing any more. */
static bool others_know(const struct controller *c, const struct heartbeat *heartbeat)
{
    return heartbeat->shutdown_offset <=
           heartbeats_lowest_active_offset(&c->heartbeats, controller_image(c), heartbeat->broker);
}

static enum broker_state next_state(const struct controller *c, const struct broker_image *broker,
                                    const struct heartbeat *heartbeat,
                                    const struct broker_heartbeat_request *request)
{
    switch (state_of(broker)) {
    case BROKER_FENCED:
        /* Who began to stop comes back with a new registration only. */
        if (request->want_shut_down || broker->in_controlled_shutdown)
            return BROKER_SHUTDOWN_NOW;
        /* It must know its own registration before anybody may rely on it. */
        if (request->want_fence || request->current_metadata_offset < broker->epoch)
            return BROKER_FENCED;
        return BROKER_UNFENCED;
    case BROKER_UNFENCED:
        if (request->want_fence)
            return request->want_shut_down ? BROKER_SHUTDOWN_NOW : BROKER_FENCED;
        if (!request->want_shut_down)
            return BROKER_UNFENCED;
        return partitions_broker_leads(c, broker->id) ? BROKER_CONTROLLED_SHUTDOWN
                                                      : BROKER_SHUTDOWN_NOW;
    case BROKER_CONTROLLED_SHUTDOWN:
        if (partitions_broker_leads(c, broker->id) || !others_know(c, heartbeat))
            return BROKER_CONTROLLED_SHUTDOWN;
        return BROKER_SHUTDOWN_NOW;
    default:
        UNREACHABLE();
    }
}

static bool same_ids(const struct uuid *a, int32_t a_count, const struct uuid *b, int32_t b_count)
{
    bool same = a_count == b_count;
    for (int32_t i = 0; same && i < b_count; i++)
        same = has_id(a, a_count, b[i]);
    return same;
}

/* What the broker says of its cordoned directories, when it is news. */
static void update_cordoned(struct controller *c, const struct broker_image *broker,
                            const struct broker_heartbeat_request *request, struct arena *arena,
                            struct metadata_records *records)
{
    if (request->cordoned_log_dirs_count < 0 ||
        controller_metadata_version(c) < METADATA_VERSION_CORDONED_DIRS ||
        same_ids(broker->cordoned, broker->cordoned_count, request->cordoned_log_dirs,
                 request->cordoned_log_dirs_count))
        return;
    struct broker_registration_change_record *record = add_change(broker, 3, arena, records);
    record->cordoned_log_dirs = request->cordoned_log_dirs;
    record->cordoned_log_dirs_count = request->cordoned_log_dirs_count;
}

/* Directories that failed since the broker registered. */
static int32_t lost_directories(const struct controller *c, const struct broker_image *broker,
                                const struct broker_heartbeat_request *request, struct arena *arena,
                                struct uuid **ret_lost)
{
    struct uuid *lost = ARENA_ARRAY(arena, struct uuid, broker->directory_count);
    int32_t count = 0;
    for (int32_t i = 0; i < broker->directory_count; i++) {
        if (has_id(request->offline_log_dirs, request->offline_log_dirs_count,
                   broker->directories[i]))
            lost[count++] = broker->directories[i];
    }
    *ret_lost = lost;
    /* A broker without any directory stops by itself; an empty list would say "no change". */
    bool is_said = count < broker->directory_count &&
                   controller_metadata_version(c) >= METADATA_VERSION_DIRECTORIES;
    return is_said ? count : 0;
}

static void update_directories(struct controller *c, const struct broker_image *broker,
                               const struct uuid *lost, int32_t lost_count, struct arena *arena,
                               struct metadata_records *records)
{
    if (lost_count == 0)
        return;
    struct broker_registration_change_record *record = add_change(broker, 2, arena, records);
    record->log_dirs = ARENA_ARRAY(arena, struct uuid, broker->directory_count);
    record->log_dirs_count = 0;
    for (int32_t i = 0; i < broker->directory_count; i++) {
        if (!has_id(lost, lost_count, broker->directories[i]))
            record->log_dirs[record->log_dirs_count++] = broker->directories[i];
    }
}

/* What the broker's partitions go through: fencing and stopping cover those of failed directories.
 */
static void change_state(struct controller *c, const struct broker_image *broker,
                         enum broker_state next, const struct uuid *lost, int32_t lost_count,
                         struct arena *arena, struct metadata_records *records)
{
    enum broker_state now = state_of(broker);
    if (now == next) {
        if (now != BROKER_FENCED && lost_count > 0)
            partitions_directories_lost(c, broker->id, lost, lost_count, arena, records);
        return;
    }
    switch (next) {
    case BROKER_FENCED:
        brokers_fence(c, broker, arena, records);
        return;
    case BROKER_UNFENCED:
        unfence(c, broker, lost, lost_count, arena, records);
        return;
    case BROKER_CONTROLLED_SHUTDOWN:
        begin_shutdown(c, broker, arena, records);
        return;
    case BROKER_SHUTDOWN_NOW:
        if (now != BROKER_FENCED)
            brokers_fence(c, broker, arena, records);
        return;
    }
}

CONTROLLER_API(broker_heartbeat)
{
    struct controller *c = controller;
    *ret_result = (struct controller_result){0};
    message_init(&broker_heartbeat_response_desc, ret_response);
    const struct broker_image *broker = find(c, request->broker_id);
    if (!has_broker_epoch(controller, broker, request->broker_epoch)) {
        ret_response->error_code = KAFKA_ERROR_STALE_BROKER_EPOCH;
        return;
    }
    struct heartbeat *heartbeat =
        heartbeats_touch(&c->heartbeats, broker->id, broker->epoch, ctx->now_ms);
    heartbeat->metadata_offset = MAX(heartbeat->metadata_offset, request->current_metadata_offset);
    struct metadata_records *records = &ret_result->records;
    enum broker_state next = next_state(c, broker, heartbeat, request);
    struct uuid *lost;
    int32_t lost_count = lost_directories(c, broker, request, arena, &lost);
    update_directories(c, broker, lost, lost_count, arena, records);
    change_state(c, broker, next, lost, lost_count, arena, records);
    update_cordoned(c, broker, request, arena, records);
    if (next == BROKER_CONTROLLED_SHUTDOWN && records->count > 0)
        heartbeat->shutdown_offset = ctx->next_offset + (int64_t)records->count - 1;
    ret_response->is_caught_up = request->current_metadata_offset >= broker->epoch;
    ret_response->is_fenced = next == BROKER_FENCED || next == BROKER_SHUTDOWN_NOW;
    ret_response->should_shut_down = next == BROKER_SHUTDOWN_NOW;
}

/* --- unregistration ----------------------------------------------------------------------- */

CONTROLLER_API(unregister_broker)
{
    *ret_result = (struct controller_result){0};
    message_init(&unregister_broker_response_desc, ret_response);
    const struct broker_image *broker = find(controller, request->broker_id);
    ret_response->error_message = STR_EMPTY;
    if (!broker) {
        struct api_error error =
            api_error(arena, KAFKA_ERROR_BROKER_ID_NOT_REGISTERED,
                      "Broker ID %d is not currently registered", request->broker_id);
        ret_response->error_code = (int16_t)error.code;
        ret_response->error_message = error.message;
        return;
    }
    partitions_broker_lost_data(controller, broker->id, arena, &ret_result->records);
    struct unregister_broker_record *record = METADATA_RECORD_ADD(
        &ret_result->records, arena, unregister_broker_record, UNREGISTER_BROKER, 0);
    record->broker_id = broker->id;
    record->broker_epoch = broker->epoch;
}
