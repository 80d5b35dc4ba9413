/*
 * The rules that a value of a configuration key has to keep beyond its type, each with Kafka's
 * sentence. Inside metadata/config only; config_value_parse is the way in. Pure.
 */
#ifndef KRAFTD_METADATA_CONFIG_RULE_H
#define KRAFTD_METADATA_CONFIG_RULE_H

#include "metadata/config/config_value.h"

/* 0, or -EINVAL with a sentence. A list may lose doubled items. */
int config_rule_check(const struct config_def *def, struct config_value *value, struct arena *arena,
                      struct str *ret_error);

#endif
