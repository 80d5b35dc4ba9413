/*
 * AlterConfigs and IncrementalAlterConfigs in one form, which brokers check and the controller
 * decides: per resource what is to become of it, and then what came of that. The two requests
 * differ in what is not named, which the former takes away, and in that the latter says an
 * operation for each key (KIP-339).
 *
 * Pure; any thread. All lies in the arena and points into the request.
 */
#ifndef KRAFTD_METADATA_CONTROLLER_ALTER_RESOURCE_H
#define KRAFTD_METADATA_CONTROLLER_ALTER_RESOURCE_H

#include "common/base/arena.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/messages/alter_configs.h"
#include "common/protocol/messages/incremental_alter_configs.h"

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
    bool decided; /* what follows is known; a broker does not ask the controller then */
    enum kafka_error error;
    struct str message; /* null: none */
};

/* One for each resource of the request, in its order, undecided. */
struct alter_resource *alter_resource_read(const struct alter_configs_request *request,
                                           struct arena *arena);
struct alter_resource *
alter_resource_read_incremental(const struct incremental_alter_configs_request *request,
                                struct arena *arena);

/* The whole response. */
void alter_resource_answer(const struct alter_resource *resources, int32_t count,
                           struct arena *arena, struct alter_configs_response *ret_response);
void alter_resource_answer_incremental(const struct alter_resource *resources, int32_t count,
                                       struct arena *arena,
                                       struct incremental_alter_configs_response *ret_response);

#endif
