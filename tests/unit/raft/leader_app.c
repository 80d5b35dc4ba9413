#include "tests/unit/raft/leader_app.h"

#include "common/net/acceptor.h"
#include "common/protocol/frame.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/fetch_snapshot.h"
#include "common/protocol/record_batch_fields.h"
#include "raft/quorum_serve.h"

struct leader_app {
    struct program *program;
    struct leader_world *world;
    struct acceptor *acceptor;
};

static void respond(struct request_slot *slot, const struct api *api, int16_t version,
                    int32_t correlation_id, const void *response)
{
    struct bytebuf out;
    bytebuf_init(&out);
    int rv = frame_encode_response(api, version, correlation_id, response, &out, NULL);
    CHECK(rv == 0);
    struct buf *buf = bytebuf_to_buf(&out);
    struct out_chunk chunk = {.buf = buf, .len = buf->size_bytes};
    connection_respond(slot, &chunk, 1);
}

static struct bytes read_file(struct arena *arena, struct disk_file *file, int64_t position,
                              int32_t len)
{
    uint8_t *data = arena_alloc(arena, (size_t)len);
    ssize_t got = disk_pread(file, data, (size_t)len, position);
    CHECK(got == len);
    return (struct bytes){data, len};
}

/* The bytes are the arena's own. */
static uint8_t *own(struct bytes bytes)
{
    return (uint8_t *)(uintptr_t)bytes.data;
}

static void lie_about_records(enum lie lie, struct bytes *records)
{
    if (records->len <= 61)
        return;
    uint8_t *data = own(*records);
    struct record_batch first;
    int rv = record_batch_parse(data, (size_t)records->len, &first);
    if (rv != 0)
        return;
    int64_t base = first.header.base_offset;
    if (lie == LIE_OFFSET) {
        record_batch_set_offsets(data, base + 1, first.header.partition_leader_epoch);
    } else if (lie == LIE_GAP) {
        records->data += first.bytes.len;
        records->len -= first.bytes.len;
        if (records->len == 0)
            record_batch_set_offsets(data, base + 5, first.header.partition_leader_epoch),
                *records = first.bytes;
    } else if (lie == LIE_BATCH_EPOCH) {
        record_batch_set_offsets(data, base, first.header.partition_leader_epoch + 1);
    } else if (lie == LIE_CRC) {
        data[first.bytes.len - 1] ^= 1;
    } else if (lie == LIE_GARBAGE) {
        memset(data, 0x5a, (size_t)records->len);
    }
}

static void lie_about_fetch(enum lie lie, const struct fetch_request_fetch_partition *asked,
                            struct fetch_response *response)
{
    struct fetch_response_partition_data *out = &response->responses[0].partitions[0];
    lie_about_records(lie, &out->records);
    switch ((int)lie) {
    case LIE_CLUSTER:
        response->error_code = KAFKA_ERROR_INCONSISTENT_CLUSTER_ID;
        response->responses_count = 0;
        break;
    case LIE_OTHER_LEADER:
        out->current_leader.leader_id = 7;
        break;
    case LIE_OLD_EPOCH:
        out->current_leader.leader_epoch = 0;
        break;
    case LIE_TOPIC:
        response->responses[0].topic_id = (struct uuid){{4, 4}};
        break;
    case LIE_DIVERGING_AHEAD:
        out->diverging_epoch.epoch = out->current_leader.leader_epoch;
        out->diverging_epoch.end_offset = asked->fetch_offset + 100;
        break;
    case LIE_DIVERGING:
        out->diverging_epoch.epoch = out->current_leader.leader_epoch;
        out->diverging_epoch.end_offset = 2;
        break;
    case LIE_SNAPSHOT_BEHIND:
        out->snapshot_id.epoch = 1;
        out->snapshot_id.end_offset = 1;
        break;
    default:
        break;
    }
}

static void answer_fetch(struct leader_app *app, const struct fetch_request *body,
                         struct arena *arena, struct fetch_response *response)
{
    const struct fetch_request_fetch_partition *asked = &body->topics[0].partitions[0];
    struct quorum_fetch fetch = {.replica_id = body->replica_state.replica_id,
                                 .replica_directory_id = asked->replica_directory_id,
                                 .leader_epoch = asked->current_leader_epoch,
                                 .offset = asked->fetch_offset,
                                 .last_epoch = asked->last_fetched_epoch,
                                 .max_bytes = body->max_bytes};
    struct quorum_fetched found;
    quorum_node_fetch(app->program->node, &fetch, &found);
    app->world->fetches++;
    response->responses = MESSAGE_ARRAY(arena, fetch_response_fetchable_topic_response, 1);
    response->responses_count = 1;
    response->responses[0].topic_id = UUID_METADATA_TOPIC;
    response->responses[0].partitions = MESSAGE_ARRAY(arena, fetch_response_partition_data, 1);
    response->responses[0].partitions_count = 1;
    struct fetch_response_partition_data *out = &response->responses[0].partitions[0];
    out->error_code = (int16_t)found.error;
    out->high_watermark = found.high_watermark;
    out->current_leader.leader_id = found.leader.id;
    out->current_leader.leader_epoch = found.leader.epoch;
    if (found.kind == QUORUM_FETCH_DIVERGING) {
        out->diverging_epoch.epoch = found.end_epoch;
        out->diverging_epoch.end_offset = found.end_offset;
    } else if (found.kind == QUORUM_FETCH_SNAPSHOT) {
        out->snapshot_id.epoch = found.end_epoch;
        out->snapshot_id.end_offset = found.end_offset;
    }
    out->records = (struct bytes){(const uint8_t *)"", 0};
    if (found.read.file)
        out->records =
            read_file(arena, found.read.file, found.read.position, found.read.size_bytes);
    disk_file_unref(found.read.file);
    lie_about_fetch(app->world->lie, asked, response);
}

static void lie_about_piece(enum lie lie, struct arena *arena,
                            struct fetch_snapshot_response_partition_snapshot *out)
{
    struct bytes *piece = &out->unaligned_records;
    switch ((int)lie) {
    case LIE_PIECE_ENDLESS:
        out->size = (int64_t)1 << 60;
        break;
    case LIE_PIECE_EMPTY:
        piece->len = 0;
        break;
    case LIE_PIECE_GROWS:
        out->size += out->position + 1000;
        break;
    case LIE_PIECE_PLACE:
        out->position++;
        break;
    case LIE_PIECE_ID:
        out->snapshot_id.end_offset++;
        break;
    case LIE_PIECE_FLIPPED:
        own(*piece)[piece->len / 2] ^= 1;
        break;
    case LIE_PIECE_CUT_SHORT:
        /* A file that ends in the middle. */
        out->size = out->size * 2 / 3;
        if (out->position + piece->len > out->size)
            piece->len = (int32_t)MAX(out->size - out->position, 0);
        break;
    default:
        break;
    }
}

static void answer_snapshot(struct leader_app *app, const struct fetch_snapshot_request *body,
                            struct arena *arena, struct fetch_snapshot_response *response)
{
    const struct fetch_snapshot_request_partition_snapshot *asked = &body->topics[0].partitions[0];
    struct quorum_fetch_snapshot fetch = {
        .leader_epoch = asked->current_leader_epoch,
        .id = {asked->snapshot_id.end_offset, asked->snapshot_id.epoch}};
    struct quorum_leader leader;
    char *path = NULL;
    response->topics = MESSAGE_ARRAY(arena, fetch_snapshot_response_topic_snapshot, 1);
    response->topics_count = 1;
    response->topics[0].name = STR("__cluster_metadata");
    response->topics[0].partitions =
        MESSAGE_ARRAY(arena, fetch_snapshot_response_partition_snapshot, 1);
    response->topics[0].partitions_count = 1;
    struct fetch_snapshot_response_partition_snapshot *out = &response->topics[0].partitions[0];
    out->error_code =
        (int16_t)quorum_node_fetch_snapshot(app->program->node, &fetch, &leader, &path);
    out->current_leader.leader_id = leader.id;
    out->current_leader.leader_epoch = leader.epoch;
    out->unaligned_records = (struct bytes){(const uint8_t *)"", 0};
    app->world->pieces++;
    if (out->error_code != 0)
        return;
    struct disk *disk = app->program->env->disk;
    struct disk_file *file;
    int rv = disk_open(disk, path, DISK_READ, &file);
    CHECK(rv == 0);
    out->snapshot_id.end_offset = asked->snapshot_id.end_offset;
    out->snapshot_id.epoch = asked->snapshot_id.epoch;
    out->size = disk->ops->size(file);
    out->position = asked->position;
    int64_t left = MAX(out->size - asked->position, 0);
    out->unaligned_records =
        read_file(arena, file, asked->position, (int32_t)MIN(left, body->max_bytes));
    disk_file_unref(file);
    free(path);
    lie_about_piece(app->world->lie, arena, out);
}

static void add_version(struct api_versions_response_api_version *out, int16_t key, int16_t min,
                        int16_t max)
{
    out->api_key = key;
    out->min_version = min;
    out->max_version = max;
}

static void on_request(struct connection *connection, struct request_slot *slot, struct buf *frame)
{
    struct leader_app *app = connection_group_of(connection)->ctx;
    struct arena arena;
    arena_init(&arena, 0);
    struct bytes input = {frame->data, (int32_t)frame->size_bytes};
    struct request_header header;
    const struct api *api;
    int rv = request_header_decode(&input, &arena, &header, &api);
    CHECK(rv == 0);
    void *body = arena_calloc(&arena, 1, api->request->body->size_bytes);
    rv = message_decode(api->request, header.request_api_version, &input, &arena, body);
    CHECK(rv == 0);
    void *response = arena_calloc(&arena, 1, api->response->body->size_bytes);
    message_init(api->response, response);
    if (api->key == API_API_VERSIONS) {
        struct api_versions_response *versions = response;
        versions->api_keys = MESSAGE_ARRAY(&arena, api_versions_response_api_version, 2);
        versions->api_keys_count = 2;
        add_version(&versions->api_keys[0], API_FETCH, 4, 18);
        add_version(&versions->api_keys[1], API_FETCH_SNAPSHOT, 0, 1);
    } else if (api->key == API_FETCH) {
        answer_fetch(app, body, &arena, response);
    } else {
        CHECK(api->key == API_FETCH_SNAPSHOT);
        answer_snapshot(app, body, &arena, response);
    }
    if (app->world->silent) {
        connection_fail(slot, "silent");
    } else if (app->world->lie == LIE_NONSENSE && api->key != API_API_VERSIONS) {
        struct buf *buf = buf_new(40);
        memset(buf->data, 0xff, 40);
        memcpy(buf->data, "\0\0\0\x24", 4);
        put_u32(buf->data + 4, (uint32_t)header.correlation_id);
        struct out_chunk chunk = {.buf = buf, .len = 40};
        connection_respond(slot, &chunk, 1);
    } else {
        respond(slot, api, header.request_api_version, header.correlation_id, response);
    }
    arena_release(&arena);
    buf_unref(frame);
}

static void on_closed(struct connection *connection)
{
}

static const struct connection_handler connection_handler = {.on_request = on_request,
                                                             .on_closed = on_closed};

void *leader_boot(struct env *env, void *ctx)
{
    struct leader_app *app = mem_calloc(1, sizeof(*app));
    app->world = ctx;
    app->program = world_boot(env, &app->world->world);
    struct acceptor_limits limits = {.connections_per_address_max = 100};
    app->acceptor = acceptor_new(env->loops[0], &limits);
    struct acceptor_listener_options options = {
        .name = "CONTROLLER",
        .endpoint = {.host = "", .port = LEADER_PORT},
        .backlog = 16,
        .connection_limits = {.request_max_bytes = 1 << 20,
                              .in_flight_max = 4,
                              .buffered_max_bytes = 1 << 24},
        .handler = &connection_handler,
        .ctx = app,
    };
    int index;
    int rv = acceptor_listen(app->acceptor, &options, &index);
    CHECK(rv == 0);
    return app->program;
}
