/*
 * The partitions that a Fetch names, as its session takes them (fetch_session.h): those to read,
 * and those that its session is to forget. In the arena; texts point into the request.
 */
#ifndef KRAFTD_BROKER_HANDLERS_FETCH_ASKED_H
#define KRAFTD_BROKER_HANDLERS_FETCH_ASKED_H

#include "broker/replica/fetch_session.h"
#include "common/base/arena.h"
#include "common/protocol/messages/fetch.h"

/* Return how many there are. `ids_only`: names are left out. */
int32_t fetch_asked_partitions(const struct fetch_request *body, bool ids_only, struct arena *arena,
                               struct fetch_partition **ret);
int32_t fetch_asked_forgotten(const struct fetch_request *body, bool ids_only, struct arena *arena,
                              struct fetch_partition **ret);

#endif
