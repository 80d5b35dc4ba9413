/*
 * Files of JSON that tools are given: read, and taken apart with the sentences of Kafka's tools for
 * what is not as it should be. Texts point into the document. One thread.
 */
#ifndef KRAFTD_TOOLS_JSON_INPUT_H
#define KRAFTD_TOOLS_JSON_INPUT_H

#include "common/base/str.h"
#include "tools/failure.h"

#include <jansson.h>

/* The document is the caller's (json_decref). What stands behind it in the file is passed over. */
bool json_input_read(const char *path, json_t **ret_document, struct failure *failure);
/* `invalid` is said of a file that is no JSON, `empty` of one without a byte. */
bool json_input_read_or(const char *path, const char *invalid, const char *empty,
                        json_t **ret_document, struct failure *failure);

bool json_input_object(const json_t *value, struct failure *failure);
/* "version" of an object is 1 where it is there. */
bool json_input_version(const json_t *document, struct failure *failure);
/* A list that has to be there: "Missing partitions field". */
bool json_input_list(const json_t *document, const char *name, const json_t **ret_list,
                     struct failure *failure);
/* NULL where it is not there, which jansson takes for an empty list. */
bool json_input_list_if_any(const json_t *document, const char *name, const json_t **ret_list,
                            struct failure *failure);
/* NULL when it is not there. */
const json_t *json_input_field(const json_t *entry, const char *name, struct failure *failure);
bool json_input_array(const json_t *value, struct failure *failure);
/* The list in a field of an entry, which Kafka's tools name otherwise. */
bool json_input_items(const json_t *value, struct failure *failure);
bool json_input_str(const json_t *value, struct str *ret_text, struct failure *failure);
bool json_input_int32(const json_t *value, int32_t *ret_number, struct failure *failure);
bool json_input_int64(const json_t *value, int64_t *ret_number, struct failure *failure);

#endif
