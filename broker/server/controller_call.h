/*
 * A request that the controller decides: it travels to the metadata loop, is decided there, and
 * comes back when the records it made are committed and their image is on its way to every loop.
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

struct controller_call {
    struct shard_call call;
    struct list link; /* the metadata loop's: waits for its offset */
    struct shard *shard;
    struct arena *arena;
    const void *body;
    void *response; /* initialised by the asker, filled in by decide */
    void (*decide)(struct controller *controller, const struct controller_context *ctx,
                   const void *body, struct arena *arena, void *response,
                   struct controller_result *ret_result);
    /* On the asker's loop. error: NONE, or why nothing can be said (NOT_CONTROLLER: it was not
     * decided or the outcome is unknown; UNKNOWN_SERVER_ERROR: its records cannot be written). */
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

/* A call for a request, with a response of this kind that is ready to be filled in. */
struct controller_call *controller_call_new(struct request *request,
                                            const struct message_desc *response_desc);

#endif
