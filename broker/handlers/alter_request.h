/*
 * What AlterConfigs and IncrementalAlterConfigs have in common: this broker checks the request
 * (alter_checks.h), what is left of it goes to the controller, and one answer tells of both.
 *
 * On the request's loop; everything lies in the request's arena.
 */
#ifndef KRAFTD_BROKER_HANDLERS_ALTER_REQUEST_H
#define KRAFTD_BROKER_HANDLERS_ALTER_REQUEST_H

#include "broker/server/controller_call.h"
#include "metadata/controller/alter_resource.h"

struct alter_request {
    struct request *request;
    struct alter_resource *resources;
    int32_t count;
    bool incremental, validate_only;
    controller_decide_fn decide;
    /* The request with what the checks have left to the controller. */
    const void *(*undecided)(const struct alter_request *);
    /* Tells alter_request_decided what the controller says. */
    void (*take)(struct alter_request *, const void *response);
    void (*respond)(const struct alter_request *);
    int32_t next; /* where the controller's next decision is likely to belong; begins at 0 */
};

/* Takes a copy. */
void alter_request_start(const struct alter_request *alter);

/* For undecided: copies the undecided ones of an array that has one element for each resource, and
 * returns how many there are. */
int32_t alter_request_undecided(const struct alter_request *alter, const void *elements,
                                size_t size_bytes, void *ret_elements);
/* For take: what became of a resource. Controllers answer in any order: Apache Kafka's keeps them
 * in a hash map. */
void alter_request_decided(struct alter_request *alter, int8_t type, struct str name, int16_t error,
                           struct str message);

#endif
