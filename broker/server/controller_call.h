/*
 * A request that the active controller decides, wherever that is: it travels to the metadata loop.
 * Where this node is the active controller it is decided there and comes back when the records it
 * made are committed and their image is on its way to every loop. Else the controller channel
 * (controller_channel.h) carries it to the node that is: a client's request inside of an Envelope
 * that names the client, the broker's own as it is. A call that meets no controller, or loses it
 * before the outcome is known, tries again until its time is over, as in Kafka.
 *
 * What came through the controller listener was meant for this node: it is not sent on, and gets
 * NOT_CONTROLLER where this node is not the active one.
 *
 * The call lives in the request's arena, and so do the response and the records. `decide` has the
 * shape of controller_api.h with untyped messages; CONTROLLER_DECIDE makes one.
 */
#ifndef KRAFTD_BROKER_SERVER_CONTROLLER_CALL_H
#define KRAFTD_BROKER_SERVER_CONTROLLER_CALL_H

#include "broker/server/request.h"
#include "broker/server/shard_call.h"
#include "common/base/list.h"
#include "metadata/controller/controller_api.h"

struct metadata_loop;

/* How long a call looks for a controller where it does not say: Kafka's forwarding time-out. */
#define CONTROLLER_CALL_TIMEOUT_MS 60000

struct controller_call {
    struct shard_call call;
    struct list link; /* the metadata loop's: waits for its offset; the channel's: to be sent */
    struct shard *shard;
    struct arena *arena;
    const struct api *api;
    int16_t version;         /* on the wire; -1: the newest that both sides know */
    struct request *request; /* of the client; NULL: the broker's own */
    int64_t timeout_ms;      /* 0: CONTROLLER_CALL_TIMEOUT_MS */
    int64_t due_ms;          /* set when it starts */
    bool here_only;          /* never sent on */
    const void *body;
    void *response; /* initialised by the asker, filled in by decide */
    void (*decide)(struct controller *controller, const struct controller_context *ctx,
                   const void *body, struct arena *arena, void *response,
                   struct controller_result *ret_result);
    /* Instead of decide, where the answer is no matter of the image: on the metadata loop of the
     * active controller; ends in controller_call_finish, at once or later. */
    void (*run)(struct metadata_loop *, struct controller_call *);
    /* On the asker's loop. error: NONE, or why nothing can be said (NOT_CONTROLLER: it was not
     * decided or the outcome is unknown; REQUEST_TIMED_OUT: no controller was found in time;
     * UNKNOWN_SERVER_ERROR: its records cannot be written). */
    void (*reply)(struct controller_call *);
    void *ctx;
    enum kafka_error error;
    int64_t offset; /* must be committed before the answer; -1: nothing */
};

#define CONTROLLER_DECIDE(name)                                                                    \
    static void decide_##name(struct controller *controller, const struct controller_context *ctx, \
                              const void *body, struct arena *arena, void *response,               \
                              struct controller_result *ret_result)                                \
    {                                                                                              \
        controller_##name(controller, ctx, body, arena, response, ret_result);                     \
    }

/* On the shard's loop; reply may come from inside where that is the metadata loop. */
void controller_call_start(struct controller_call *call);
/* Metadata loop: answers it, or tries again where the error says that the controller is another
 * one. */
void controller_call_finish(struct controller_call *call, enum kafka_error error);

/* A call for a request, with its response ready to be filled in. */
struct controller_call *controller_call_new(struct request *request);
/* For an answer with one error for the whole, at `error_code`: makes the call, decides and
 * responds. */
typedef void (*controller_decide_fn)(struct controller *, const struct controller_context *,
                                     const void *, struct arena *, void *,
                                     struct controller_result *);
void controller_call_simple(struct request *request, controller_decide_fn decide);

/* What an answer says beside call->error, in Kafka's words. In the call's arena; null where the
 * code says it all. */
struct str controller_call_message(struct controller_call *call);

/* The ErrorCode of the whole message; NULL where its schema has none. */
int16_t *controller_call_error_field(const struct message_desc *desc, void *message);

#endif
