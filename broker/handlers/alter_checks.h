/*
 * What a broker decides of a change of configs before the controller hears of it (KIP-226,
 * KIP-412): a broker's keys are judged by the broker that they are for, since it knows what it runs
 * with, and levels of loggers are set on the spot and never stored.
 *
 * On the request's loop; everything lies in the request's arena.
 */
#ifndef KRAFTD_BROKER_HANDLERS_ALTER_CHECKS_H
#define KRAFTD_BROKER_HANDLERS_ALTER_CHECKS_H

#include "broker/server/request.h"
#include "metadata/controller/alter_resource.h"

/* Sets decided, error and message of each. Loggers are those of an incremental request only. */
void alter_checks(struct request *request, struct alter_resource *resources, int32_t count,
                  bool incremental, bool validate_only);

#endif
