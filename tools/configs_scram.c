/* kafka-configs for SCRAM: the passwords of users, salted here, so that none is ever sent. */
#include "common/protocol/codec.h"
#include "common/protocol/messages/alter_user_scram_credentials.h"
#include "common/protocol/messages/describe_user_scram_credentials.h"
#include "tools/configs_internal.h"
#include "tools/scram.h"

#include <stdlib.h>

bool configs_is_scram(struct str key)
{
    return scram_find(key) != NULL;
}

/* "[iterations=<n>,]password=<p>" */
static bool parse_credential(struct str text, struct str *ret_iterations, struct str *ret_password)
{
    static const struct str iterations = STR("iterations="), password = STR("password=");
    struct str rest = text, head;
    *ret_iterations = STR_NULL;
    if (str_starts_with(rest, iterations)) {
        if (!str_split(&rest, ',', &head))
            return false;
        *ret_iterations = str_from(head.data + iterations.len, (size_t)(head.len - iterations.len));
    }
    if (!str_starts_with(rest, password))
        return false;
    *ret_password = str_from(rest.data + password.len, (size_t)(rest.len - password.len));
    return true;
}

static bool
take_upsertion(struct configs_command *command, const struct configs_change *change,
               struct alter_user_scram_credentials_request_scram_credential_upsertion *ret,
               struct failure *failure)
{
    const struct scram_mechanism *mechanism = scram_find(change->key);
    struct str iterations, password;
    int32_t count = SCRAM_MIN_ITERATIONS;
    bool parsed = parse_credential(change->value, &iterations, &password);
    if (parsed && !str_is_null(iterations) && !str_eq_z(iterations, "-1"))
        parsed = str_to_i32(iterations, &count) == 0;
    if (!parsed)
        return configs_refuse(command, failure, "Invalid credential property %s=%.*s",
                              mechanism->constant, STR_FMT(change->value));
    if (count < SCRAM_MIN_ITERATIONS)
        return configs_refuse(command, failure,
                              "Iterations %d is less than the minimum %d required for %s", count,
                              SCRAM_MIN_ITERATIONS, mechanism->name);
    ret->name = str_of(command->names[0]);
    ret->mechanism = mechanism->number;
    ret->iterations = count;
    if (!scram_new_salt(&command->arena, &ret->salt, failure))
        return false;
    ret->salted_password = scram_salted(mechanism, password, ret->salt, count, &command->arena);
    return true;
}

bool configs_alter_scram(struct configs_command *command, const struct configs_changes *changes,
                         struct failure *failure)
{
    struct client_op op;
    struct alter_user_scram_credentials_request request;
    struct alter_user_scram_credentials_response response;
    message_init(&alter_user_scram_credentials_request_desc, &request);
    request.deletions_count = (int32_t)changes->deleted;
    request.deletions = MESSAGE_ARRAY(
        &command->arena, alter_user_scram_credentials_request_scram_credential_deletion,
        request.deletions_count);
    for (size_t i = 0; i < changes->deleted; i++) {
        request.deletions[i].name = str_of(command->names[0]);
        request.deletions[i].mechanism = scram_find(changes->items[changes->added + i].key)->number;
    }
    request.upsertions_count = (int32_t)changes->added;
    request.upsertions = MESSAGE_ARRAY(
        &command->arena, alter_user_scram_credentials_request_scram_credential_upsertion,
        request.upsertions_count);
    for (size_t i = 0; i < changes->added; i++)
        if (!take_upsertion(command, &changes->items[i], &request.upsertions[i], failure))
            return false;
    client_op_begin(&op, command->client, "alterUserScramCredentials", &command->arena);
    for (;;) {
        if (!client_call(&op, CLIENT_CONTROLLER, API_ALTER_USER_SCRAM_CREDENTIALS, &request,
                         &response, failure))
            return false;
        if (response.results_count < 1 || response.results[0].error_code == 0)
            return true;
        if (!client_retry(&op, response.results[0].error_code, response.results[0].error_message,
                          failure))
            return false;
    }
}

typedef const struct describe_user_scram_credentials_response_describe_user_scram_credentials_result
    scram_result;

static json_t *json_of_user(scram_result *result)
{
    json_t *object = json_object(), *list = json_array();
    for (int32_t i = 0; i < result->credential_infos_count; i++) {
        const struct scram_mechanism *mechanism =
            scram_of_number(result->credential_infos[i].mechanism);
        json_t *entry = json_object();
        if (mechanism != NULL)
            json_object_set_new(entry, "mechanism", json_string(mechanism->name));
        json_object_set_new(entry, "iterations",
                            json_integer(result->credential_infos[i].iterations));
        json_array_append_new(list, entry);
    }
    json_object_set_new(object, "user", tool_json_str(result->user));
    json_object_set_new(object, "credentials", list);
    return object;
}

static void print_user(const struct configs_command *command, scram_result *result)
{
    if (command->json != NULL) {
        json_array_append_new(json_object_get(command->json, "credentials"), json_of_user(result));
        return;
    }
    if (result->error_code != 0) {
        printf("Error retrieving SCRAM credential configs for user-principal '%.*s': %.*s\n",
               STR_FMT(result->user), STR_FMT(result->error_message));
        return;
    }
    printf("SCRAM credential configs for user-principal '%.*s' are ", STR_FMT(result->user));
    for (int32_t i = 0; i < result->credential_infos_count; i++) {
        const struct scram_mechanism *mechanism =
            scram_of_number(result->credential_infos[i].mechanism);
        printf("%s%s=iterations=%d", i ? ", " : "", mechanism ? mechanism->name : "UNKNOWN",
               result->credential_infos[i].iterations);
    }
    putchar('\n');
}

/* Not where clients are described as well, nor the default user, which has no password. */
static bool applies(const struct configs_command *command)
{
    for (size_t i = 0; i < command->types_count; i++)
        if (command->types[i] == CONFIGS_CLIENTS)
            return false;
    for (size_t i = 0; i < command->names_count; i++)
        if (command->names[i][0] == '\0')
            return false;
    return true;
}

bool configs_describe_scram(struct configs_command *command, struct failure *failure)
{
    struct client_op op;
    struct describe_user_scram_credentials_request request;
    struct describe_user_scram_credentials_response response;
    if (!applies(command))
        return true;
    message_init(&describe_user_scram_credentials_request_desc, &request);
    request.users_count = (int32_t)command->names_count;
    request.users = MESSAGE_ARRAY(
        &command->arena, describe_user_scram_credentials_request_user_name, request.users_count);
    for (size_t i = 0; i < command->names_count; i++)
        request.users[i].name = str_of(command->names[i]);
    client_op_begin(&op, command->client, "describeUserScramCredentials", &command->arena);
    if (!client_ask(&op, CLIENT_CONTROLLER, API_DESCRIBE_USER_SCRAM_CREDENTIALS, &request,
                    &response, &response.error_code, &response.error_message, failure))
        return false;
    for (int32_t i = 0; i < response.results_count; i++)
        if (response.results[i].error_code != KAFKA_ERROR_RESOURCE_NOT_FOUND)
            print_user(command, &response.results[i]);
    return true;
}
