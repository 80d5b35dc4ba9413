#include "raft/quorum_control.h"

#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/control_records.h"
#include "common/protocol/record_batch_builder.h"

#include <errno.h>

/* One control batch is small: no peer makes it hold more than this. */
#define CONTROL_BATCH_MAX_BYTES ((size_t)1 << 20)
#define KRAFT_VERSION           1

static void batch_start(struct record_batch_builder *b, const struct quorum_control_place *place)
{
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.base_offset = place->base_offset;
    options.leader_epoch = place->epoch;
    options.control = true;
    record_batch_builder_init(b);
    record_batch_builder_start(b, &options);
}

static void batch_add(struct record_batch_builder *b, const struct quorum_control_place *place,
                      enum control_record_type type, const struct message_desc *desc,
                      const void *message)
{
    struct bytebuf value;
    bytebuf_init(&value);
    int rv = message_encode(desc, 0, message, &value);
    CHECK(rv == 0);
    rv = record_batch_builder_append_control(b, place->timestamp_ms, type,
                                             (struct bytes){value.data, (int32_t)value.len});
    CHECK(rv == 0);
    bytebuf_release(&value);
}

static void batch_finish(struct record_batch_builder *b, struct bytebuf *out)
{
    record_batch_builder_close(b, out);
    record_batch_builder_release(b);
}

void quorum_control_leader_change(const struct quorum_control_place *place, int32_t leader_id,
                                  const struct quorum_voters *voters, uint64_t granted,
                                  struct bytebuf *out)
{
    struct leader_change_message_voter all[QUORUM_SERVERS_MAX], granting[QUORUM_SERVERS_MAX];
    struct leader_change_message message;
    message_init(&leader_change_message_desc, &message);
    message_struct_init(&leader_change_message_voter_struct, all, QUORUM_SERVERS_MAX);
    message_struct_init(&leader_change_message_voter_struct, granting, QUORUM_SERVERS_MAX);
    message.leader_id = leader_id;
    message.voters = all;
    message.granting_voters = granting;
    for (int i = 0; i < voters->count; i++) {
        if (voters->servers[i].role != QUORUM_VOTER)
            continue;
        all[message.voters_count++].voter_id = voters->servers[i].node_id;
        if (granted >> i & 1)
            granting[message.granting_voters_count++].voter_id = voters->servers[i].node_id;
    }
    struct record_batch_builder b;
    batch_start(&b, place);
    batch_add(&b, place, CONTROL_LEADER_CHANGE, &leader_change_message_desc, &message);
    batch_finish(&b, out);
}

static void add_kraft_version(struct record_batch_builder *b,
                              const struct quorum_control_place *place)
{
    struct kraft_version_record record;
    message_init(&kraft_version_record_desc, &record);
    record.kraft_version = KRAFT_VERSION;
    batch_add(b, place, CONTROL_KRAFT_VERSION, &kraft_version_record_desc, &record);
}

static void add_voters(struct record_batch_builder *b, const struct quorum_control_place *place,
                       const struct quorum_voters *voters)
{
    struct bytebuf value;
    bytebuf_init(&value);
    quorum_voters_encode(voters, &value);
    int rv = record_batch_builder_append_control(b, place->timestamp_ms, CONTROL_KRAFT_VOTERS,
                                                 (struct bytes){value.data, (int32_t)value.len});
    CHECK(rv == 0);
    bytebuf_release(&value);
}

uint32_t quorum_control_voters(const struct quorum_control_place *place, bool with_kraft_version,
                               const struct quorum_voters *voters, struct bytebuf *out)
{
    struct record_batch_builder b;
    batch_start(&b, place);
    if (with_kraft_version)
        add_kraft_version(&b, place);
    add_voters(&b, place, voters);
    batch_finish(&b, out);
    return with_kraft_version ? 2 : 1;
}

uint32_t quorum_control_header(const struct quorum_control_place *place, int64_t last_contained_ms,
                               bool with_kraft_version, const struct quorum_voters *voters,
                               struct bytebuf *out)
{
    struct snapshot_header_record header;
    message_init(&snapshot_header_record_desc, &header);
    header.last_contained_log_timestamp = last_contained_ms;
    struct record_batch_builder b;
    batch_start(&b, place);
    batch_add(&b, place, CONTROL_SNAPSHOT_HEADER, &snapshot_header_record_desc, &header);
    if (with_kraft_version)
        add_kraft_version(&b, place);
    if (voters)
        add_voters(&b, place, voters);
    uint32_t count = (uint32_t)record_batch_builder_count(&b);
    batch_finish(&b, out);
    return count;
}

void quorum_control_footer(const struct quorum_control_place *place, struct bytebuf *out)
{
    struct snapshot_footer_record footer;
    message_init(&snapshot_footer_record_desc, &footer);
    struct record_batch_builder b;
    batch_start(&b, place);
    batch_add(&b, place, CONTROL_SNAPSHOT_FOOTER, &snapshot_footer_record_desc, &footer);
    batch_finish(&b, out);
}

static void voter_fill(const struct quorum_server *server, struct arena *arena,
                       struct voters_record_voter *voter)
{
    voter->voter_id = server->node_id;
    voter->voter_directory_id = server->directory_id;
    voter->kraft_version_feature.min_supported_version = server->kraft_version_min;
    voter->kraft_version_feature.max_supported_version = server->kraft_version_max;
    voter->endpoints_count = server->listener_count;
    voter->endpoints = MESSAGE_ARRAY(arena, voters_record_endpoint, server->listener_count);
    for (int i = 0; i < server->listener_count; i++) {
        voter->endpoints[i].name = str_of(server->listeners[i].name);
        voter->endpoints[i].host = str_of(server->listeners[i].host);
        voter->endpoints[i].port = server->listeners[i].port;
    }
}

static void encode_role(const struct quorum_voters *voters, enum quorum_server_role role,
                        struct unknown_tag *tags, struct bytebuf *out)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct voters_record record;
    message_init(&voters_record_desc, &record);
    record.voters = MESSAGE_ARRAY(&arena, voters_record_voter, voters->count);
    for (int i = 0; i < voters->count; i++) {
        if (voters->servers[i].role == role)
            voter_fill(&voters->servers[i], &arena, &record.voters[record.voters_count++]);
    }
    record.unknown_tags = tags;
    int rv = message_encode(&voters_record_desc, 0, &record, out);
    CHECK(rv == 0);
    arena_release(&arena);
}

void quorum_voters_encode(const struct quorum_voters *voters, struct bytebuf *out)
{
    if (quorum_voters_count(voters) == voters->count) {
        encode_role(voters, QUORUM_VOTER, NULL, out);
        return;
    }
    struct bytebuf standbys;
    bytebuf_init(&standbys);
    encode_role(voters, QUORUM_STANDBY, NULL, &standbys);
    struct unknown_tag tag = {.tag = QUORUM_STANDBYS_TAG,
                              .data = {standbys.data, (int32_t)standbys.len}};
    encode_role(voters, QUORUM_VOTER, &tag, out);
    bytebuf_release(&standbys);
}

static int voters_add(struct quorum_voters *voters, const struct voters_record *record,
                      enum quorum_server_role role)
{
    for (int32_t i = 0; i < record->voters_count; i++) {
        const struct voters_record_voter *voter = &record->voters[i];
        if (role == QUORUM_VOTER && quorum_voters_find_node(voters, voter->voter_id))
            return -EBADMSG;
        if (quorum_voters_add(voters, voter->voter_id, voter->voter_directory_id, role) != 0)
            return -EBADMSG;
        struct quorum_server *server = &voters->servers[voters->count - 1];
        server->kraft_version_min = voter->kraft_version_feature.min_supported_version;
        server->kraft_version_max = voter->kraft_version_feature.max_supported_version;
        for (int32_t k = 0; k < voter->endpoints_count; k++)
            quorum_voters_add_listener(voters, voter->endpoints[k].name, voter->endpoints[k].host,
                                       voter->endpoints[k].port);
    }
    return 0;
}

static int decode_into(struct bytes value, struct arena *arena, struct quorum_voters *voters)
{
    struct voters_record record, standbys;
    if (message_decode(&voters_record_desc, 0, &value, arena, &record) != 0)
        return -EBADMSG;
    int rv = voters_add(voters, &record, QUORUM_VOTER);
    for (const struct unknown_tag *tag = record.unknown_tags; tag && rv == 0; tag = tag->next) {
        struct bytes data = tag->data;
        if (tag->tag != QUORUM_STANDBYS_TAG)
            continue;
        if (message_decode(&voters_record_desc, 0, &data, arena, &standbys) != 0)
            return -EBADMSG;
        rv = voters_add(voters, &standbys, QUORUM_STANDBY);
    }
    if (rv == 0 && quorum_voters_count(voters) == 0)
        return -EBADMSG;
    return rv;
}

int quorum_voters_decode(struct bytes value, struct quorum_voters **ret_voters)
{
    struct arena arena;
    arena_init(&arena, CONTROL_BATCH_MAX_BYTES);
    struct quorum_voters *voters = quorum_voters_new();
    int rv = decode_into(value, &arena, voters);
    arena_release(&arena);
    if (rv != 0) {
        quorum_voters_unref(voters);
        return rv;
    }
    *ret_voters = voters;
    return 0;
}

static int parse_header(struct bytes value, struct quorum_control *control)
{
    struct snapshot_header_record record;
    struct arena arena;
    arena_init(&arena, CONTROL_BATCH_MAX_BYTES);
    int rv = message_decode(&snapshot_header_record_desc, 0, &value, &arena, &record);
    arena_release(&arena);
    control->header = true;
    control->last_contained_ms = record.last_contained_log_timestamp;
    return rv == 0 ? 0 : -EBADMSG;
}

static int parse_kraft_version(struct bytes value, struct quorum_control *control)
{
    struct kraft_version_record record;
    struct arena arena;
    arena_init(&arena, CONTROL_BATCH_MAX_BYTES);
    int rv = message_decode(&kraft_version_record_desc, 0, &value, &arena, &record);
    arena_release(&arena);
    control->kraft_version = record.kraft_version;
    return rv == 0 ? 0 : -EBADMSG;
}

static int parse_record(const struct record *record, struct quorum_control *control)
{
    int type;
    if (control_record_parse_key(record->key, &type) != 0)
        return -EBADMSG;
    switch (type) {
    case CONTROL_LEADER_CHANGE:
        if (control->kind == QUORUM_COMMAND)
            control->kind = QUORUM_BARRIER;
        return 0;
    case CONTROL_SNAPSHOT_HEADER:
        return parse_header(record->value, control);
    case CONTROL_SNAPSHOT_FOOTER:
        control->footer = true;
        return 0;
    case CONTROL_KRAFT_VERSION:
        return parse_kraft_version(record->value, control);
    case CONTROL_KRAFT_VOTERS:
        if (control->voters)
            return -EBADMSG;
        control->kind = QUORUM_CHANGE;
        return quorum_voters_decode(record->value, &control->voters);
    default:
        return 0;
    }
}

int quorum_control_parse(const struct record_batch *batch, struct quorum_control *ret_control)
{
    struct quorum_control control = {.kind = QUORUM_COMMAND, .kraft_version = -1};
    if (!(batch->header.attributes & RECORD_BATCH_CONTROL)) {
        *ret_control = control;
        return 0;
    }
    struct record_iter it;
    struct record record;
    int rv = record_iter_init(&it, batch, CONTROL_BATCH_MAX_BYTES, NULL);
    if (rv != 0)
        return rv;
    while ((rv = record_iter_next(&it, &record)) == 1) {
        rv = parse_record(&record, &control);
        if (rv != 0)
            break;
    }
    record_iter_release(&it);
    if (rv != 0) {
        quorum_voters_unref(control.voters);
        return rv;
    }
    *ret_control = control;
    return 0;
}
