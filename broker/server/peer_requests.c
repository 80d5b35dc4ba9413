#include "broker/server/peer_requests.h"

#define LOG_MODULE "quorum"

#include "broker/server/broker_watch.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/node_formation.h"
#include "broker/server/node_quorum.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/net/connection.h"
#include "common/protocol/endian.h"
#include "raft/quorum_peers.h"

#include <stdlib.h>

/* What decoding one request may take beside its frame. */
#define DECODE_MAX_BYTES ((size_t)1 << 20)

/* Of a connection, on its loop. */
struct peer_session {
    struct task task; /* tells the metadata loop that it ended */
    struct node *node;
    uint64_t id;    /* 0 until the hello was accepted */
    int32_t broker; /* that reports over it; -1: none */
    int64_t broker_epoch;
    bool lost;
    bool refused; /* it ends; nothing is said of what it sent besides */
};

struct peer_call {
    struct shard_call call;
    struct shard *shard;
    struct request_slot *slot;
    struct buf *frame;
    struct quorum_wire_header header;
    struct bytes body;
    struct peer_session *session;
    uint64_t session_id;
    struct bytebuf answer; /* empty: the connection ends */
    const char *refusal;
    /* Of a CHECKPOINT: a worker reads it. */
    struct work work;
    char *path;
    struct peer_checkpoint asked;
    struct peer_checkpoint_answer piece;
    struct buf *data;
};

bool peer_request_is(const struct buf *frame, const struct listener_info *listener)
{
    return frame->size_bytes >= 2 && (listener->api_mask & API_ON_CONTROLLER) &&
           quorum_wire_is_private((int16_t)get_u16(frame->data));
}

static void greet(struct peer_call *call, struct quorum_peers *peers)
{
    struct peer_hello hello;
    struct peer_hello_answer answer;
    struct arena arena;
    if (!peers) {
        message_init(&peer_hello_answer_desc, &answer);
        answer.error_code = KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
        quorum_wire_answer(call->header.correlation_id, &peer_hello_answer_desc, &answer,
                           &call->answer);
        return;
    }
    arena_init(&arena, DECODE_MAX_BYTES);
    if (message_decode(&peer_hello_desc, 0, &call->body, &arena, &hello) == 0) {
        const struct endpoint *from = connection_peer(call->slot->connection);
        call->session_id = quorum_peers_hello(peers, &hello, str_of(from->host), &answer);
        quorum_wire_answer(call->header.correlation_id, &peer_hello_answer_desc, &answer,
                           &call->answer);
    }
    arena_release(&arena);
}

static void form(struct peer_call *call)
{
    struct peer_formation message, answer;
    struct arena arena;
    arena_init(&arena, DECODE_MAX_BYTES);
    if (message_decode(&peer_formation_desc, call->header.version, &call->body, &arena, &message) ==
        0) {
        node_formation_receive(call->shard->node, &message, &answer);
        quorum_wire_answer(call->header.correlation_id, &peer_formation_desc, &answer,
                           &call->answer);
    }
    arena_release(&arena);
}

static void receive(struct peer_call *call, struct quorum_peers *peers)
{
    struct peer_ack ack;
    message_init(&peer_ack_desc, &ack);
    enum kafka_error error =
        quorum_peers_receive(peers, call->session_id, &call->header, call->body, call->frame);
    if (error == KAFKA_ERROR_INVALID_REQUEST)
        return;
    ack.error_code = (int16_t)error;
    quorum_wire_answer(call->header.correlation_id, &peer_ack_desc, &ack, &call->answer);
}

static void read_run(struct work *work)
{
    struct peer_call *call = CONTAINER_OF(work, struct peer_call, work);
    struct disk *disk = node_env(call->shard->node)->disk;
    struct disk_file *file = NULL;
    int rv = disk_open(disk, call->path, DISK_READ, &file);
    int64_t size = rv == 0 ? disk->ops->size(file) : rv;
    int64_t left = size - call->asked.position;
    call->piece.error_code = KAFKA_ERROR_SNAPSHOT_NOT_FOUND;
    if (size > 0 && call->asked.position >= 0 && left > 0) {
        int64_t len = MIN(left, MIN((int64_t)call->asked.max_bytes, QUORUM_WIRE_APPEND_BYTES));
        call->data = buf_new((size_t)MAX(len, 1));
        if (len > 0 &&
            disk_pread(file, call->data->data, (size_t)len, call->asked.position) == len) {
            call->piece.error_code = KAFKA_ERROR_NONE;
            call->piece.size = size;
            call->piece.data = (struct bytes){call->data->data, (int32_t)len};
        }
    }
    disk_file_unref(file);
}

static void answer_piece(struct peer_call *call)
{
    quorum_wire_answer(call->header.correlation_id, &peer_checkpoint_answer_desc, &call->piece,
                       &call->answer);
    buf_unref(call->data);
    free(call->path);
    shard_call_answer(&call->call);
}

static void read_done(struct work *work)
{
    answer_piece(CONTAINER_OF(work, struct peer_call, work));
}

/* Answers later, on the metadata loop too. */
static void give_checkpoint(struct peer_call *call)
{
    struct quorum_node *quorum = metadata_loop_quorum(node_metadata_loop(call->shard->node));
    struct arena arena;
    arena_init(&arena, DECODE_MAX_BYTES);
    message_init(&peer_checkpoint_answer_desc, &call->piece);
    int rv = message_decode(&peer_checkpoint_desc, call->header.version, &call->body, &arena,
                            &call->asked);
    arena_release(&arena);
    struct quorum_checkpoint_id id = {call->asked.end_offset, call->asked.epoch};
    if (rv == 0 && quorum)
        call->path = quorum_node_checkpoint_path(quorum, id);
    if (!call->path) {
        call->piece.error_code = KAFKA_ERROR_SNAPSHOT_NOT_FOUND;
        answer_piece(call);
        return;
    }
    call->work = (struct work){
        .run = read_run, .done = read_done, .loop = node_env(call->shard->node)->loops[0]};
    work_submit(&call->work, WORK_DISK);
}

/* On the metadata loop. */
static void handle(struct shard_call *shard_call)
{
    struct peer_call *call = CONTAINER_OF(shard_call, struct peer_call, call);
    struct quorum_peers *peers = node_peers(call->shard->node);
    call->refusal = "it cannot be read";
    if (call->header.key == QUORUM_WIRE_FORMATION)
        form(call);
    else if (call->header.key == QUORUM_WIRE_HELLO)
        greet(call, peers);
    else if (!peers || !quorum_peers_knows(peers, call->session_id))
        call->refusal = call->session_id == 0
                            ? "no hello came before it"
                            : "its session is over: the node connected again, or this "
                              "one forgot it or ends";
    else if (call->header.key != QUORUM_WIRE_CHECKPOINT)
        receive(call, peers);
    else {
        give_checkpoint(call);
        return;
    }
    shard_call_answer(&call->call);
}

static void lost_on_loop_0(struct task *task)
{
    struct peer_session *ended = CONTAINER_OF(task, struct peer_session, task);
    struct quorum_peers *peers = node_peers(ended->node);
    if (peers && ended->id != 0)
        quorum_peers_closed(peers, ended->id);
    if (ended->broker >= 0)
        broker_watch_lost(node_broker_watch(ended->node), ended->broker, ended->broker_epoch);
    free(ended);
}

static void tell_lost(struct peer_session *session)
{
    if (session->id == 0 && session->broker < 0)
        return;
    struct peer_session *ended = mem_alloc(sizeof(*ended));
    *ended = *session;
    ended->task.run = lost_on_loop_0;
    loop_post(node_env(session->node)->loops[0], &ended->task);
    session->id = 0;
    session->broker = -1;
}

static void handled(struct shard_call *shard_call)
{
    struct peer_call *call = CONTAINER_OF(shard_call, struct peer_call, call);
    struct peer_session *session = call->session;
    if (call->header.key == QUORUM_WIRE_HELLO && call->session_id != 0) {
        session->id = call->session_id;
        if (session->lost)
            tell_lost(session);
    }
    buf_unref(call->frame);
    if (call->answer.len > 0) {
        struct buf *answer = bytebuf_to_buf(&call->answer);
        struct out_chunk chunk = {.buf = answer, .len = answer->size_bytes};
        connection_respond(call->slot, &chunk, 1);
    } else {
        if (!session->refused)
            log_info(call->shard->loop->env->logger,
                     "Closing the connection of %s: request %d of the quorum, %s",
                     connection_peer(call->slot->connection)->host, (int)call->header.key,
                     call->refusal);
        session->refused = true;
        connection_fail(call->slot, "the request was refused");
    }
    bytebuf_release(&call->answer);
    free(call);
}

static struct peer_session *session_of(struct shard *shard, struct connection *connection)
{
    struct peer_session *session = connection_ctx(connection);
    if (!session) {
        session = mem_calloc(1, sizeof(*session));
        session->node = shard->node;
        session->broker = -1;
        connection_set_ctx(connection, session);
    }
    return session;
}

void peer_request_receive(struct shard *shard, struct request_slot *slot, struct buf *frame)
{
    struct bytes body = {frame->data, (int32_t)frame->size_bytes};
    struct quorum_wire_header header;
    int rv = quorum_wire_read_header(&body, &header);
    const struct message_desc *desc = rv == 0 ? quorum_wire_request_desc(header.key) : NULL;
    if (!desc || header.version < 0 || header.version > desc->max_version) {
        log_info(shard->loop->env->logger,
                 "Closing the connection of %s: a request of the quorum that is not known here",
                 connection_peer(slot->connection)->host);
        buf_unref(frame);
        connection_fail(slot, "the request was refused");
        return;
    }
    struct peer_call *call = mem_calloc(1, sizeof(*call));
    call->shard = shard;
    call->slot = slot;
    call->frame = frame;
    call->header = header;
    call->body = body;
    call->session = session_of(shard, slot->connection);
    call->session_id = header.key == QUORUM_WIRE_HELLO ? 0 : call->session->id;
    bytebuf_init(&call->answer);
    shard_call_send(&call->call, shard->loop, node_env(shard->node)->loops[0], handle, handled);
}

void peer_connection_of_broker(struct shard *shard, struct connection *connection, int32_t broker,
                               int64_t epoch)
{
    struct peer_session *session = session_of(shard, connection);
    session->broker = broker;
    session->broker_epoch = epoch;
    if (session->lost)
        tell_lost(session);
}

void peer_connection_lost(struct connection *connection)
{
    const struct listener_info *info = connection_group_of(connection)->ctx;
    struct peer_session *session = connection_ctx(connection);
    if (!session && !(info->api_mask & API_ON_CONTROLLER))
        return;
    if (!session)
        session = session_of(node_shard(info->node, connection_group_of(connection)->loop->index),
                             connection);
    session->lost = true;
    tell_lost(session);
}

void peer_connection_closed(struct connection *connection)
{
    free(connection_ctx(connection));
}
