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
#include "metadata/controller/controller_api.h"

/* As IncrementalAlterConfigs numbers them. */
enum alter_operation { ALTER_SET = 0, ALTER_DELETE = 1, ALTER_APPEND = 2, ALTER_SUBTRACT = 3 };

struct alter_change {
    struct str name, value;
    int8_t operation; /* what the client sent: any number */
};

struct alter_resource {
    int8_t type;
    struct str name;
    struct alter_change *changes;
    int32_t change_count;
    bool decided; /* here: the controller must not get it */
    enum kafka_error error;
    struct str message;
};

/* Sets decided, error and message of each. Loggers are those of an incremental request only. */
void alter_checks(struct request *request, struct alter_resource *resources, int32_t count,
                  bool incremental, bool validate_only);

#endif
