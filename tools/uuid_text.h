/*
 * Kafka's ids as people type them, with the sentences that Java says of bad ones. Pure.
 */
#ifndef KRAFTD_TOOLS_UUID_TEXT_H
#define KRAFTD_TOOLS_UUID_TEXT_H

#include "common/base/uuid.h"
#include "tools/failure.h"

/* "Input string `zz` decoded as 1 bytes, which is not equal to the expected 16 bytes ..." */
bool uuid_text_parse(struct str text, struct uuid *ret_uuid, struct failure *failure);

#endif
