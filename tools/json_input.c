#include "tools/json_input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool json_input_read(const char *path, json_t **ret_document, struct failure *failure)
{
    const char *invalid = "The input string is not a valid JSON";
    return json_input_read_or(path, invalid, invalid, ret_document, failure);
}

/* What is wrong with a file that holds no document. */
static const char *refusal(FILE *file, const char *invalid, const char *empty)
{
    bool some = false;
    int c;
    rewind(file);
    while ((c = getc(file)) != EOF) {
        some = true;
        if (strchr(" \t\r\n", c) == NULL || c == '\0')
            return invalid;
    }
    return some ? "Expected JSON object, received " : empty;
}

bool json_input_read_or(const char *path, const char *invalid, const char *empty,
                        json_t **ret_document, struct failure *failure)
{
    json_error_t error;
    char first;
    FILE *file = fopen(path[0] ? path : ".", "re");
    /* A directory can be opened, but not read. */
    if (file == NULL || (fread(&first, 1, 1, file) == 0 && ferror(file))) {
        failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Unable to read file %s%s%s", path,
                    errno == ENOENT ? "" : "\n", errno == ENOENT ? "" : strerror(errno));
        if (file != NULL)
            fclose(file);
        return false;
    }
    rewind(file);
    json_t *document = json_loadf(file, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
    if (document == NULL)
        failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", refusal(file, invalid, empty));
    fclose(file);
    if (document == NULL)
        return false;
    *ret_document = document;
    return true;
}

static bool unexpected(const char *expected, const json_t *received, struct failure *failure)
{
    char *text = json_dumps(received, JSON_ENCODE_ANY | JSON_COMPACT);
    failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Expected %s, received %s", expected,
                text ? text : "something else");
    free(text);
    return false;
}

bool json_input_object(const json_t *value, struct failure *failure)
{
    return json_is_object(value) || unexpected("JSON object", value, failure);
}

bool json_input_array(const json_t *value, struct failure *failure)
{
    return json_is_array(value) || unexpected("JSON array", value, failure);
}

bool json_input_items(const json_t *value, struct failure *failure)
{
    return json_is_array(value) || unexpected("`JSON array` value", value, failure);
}

bool json_input_version(const json_t *document, struct failure *failure)
{
    int32_t number = 1;
    if (!json_input_object(document, failure))
        return false;
    const json_t *version = json_object_get(document, "version");
    if (version != NULL && !json_input_int32(version, &number, failure))
        return false;
    return number == 1 || failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                                      "Not supported version field value %d", number);
}

bool json_input_list(const json_t *document, const char *name, const json_t **ret_list,
                     struct failure *failure)
{
    const json_t *list = json_object_get(document, name);
    if (list == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Missing %s field", name);
    *ret_list = list;
    return json_input_array(list, failure);
}

bool json_input_list_if_any(const json_t *document, const char *name, const json_t **ret_list,
                            struct failure *failure)
{
    *ret_list = json_object_get(document, name);
    return *ret_list == NULL || json_input_array(*ret_list, failure);
}

const json_t *json_input_field(const json_t *entry, const char *name, struct failure *failure)
{
    const json_t *field = json_object_get(entry, name);
    if (field == NULL)
        failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "No such field exists: `%s`", name);
    return field;
}

bool json_input_str(const json_t *value, struct str *ret_text, struct failure *failure)
{
    if (!json_is_string(value))
        return unexpected("`String` value", value, failure);
    *ret_text = str_from(json_string_value(value), json_string_length(value));
    return true;
}

bool json_input_int32(const json_t *value, int32_t *ret_number, struct failure *failure)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < INT32_MIN || number > INT32_MAX)
        return unexpected("`Integer` value", value, failure);
    *ret_number = (int32_t)number;
    return true;
}

bool json_input_int64(const json_t *value, int64_t *ret_number, struct failure *failure)
{
    if (!json_is_integer(value))
        return unexpected("`Long` value", value, failure);
    *ret_number = json_integer_value(value);
    return true;
}
