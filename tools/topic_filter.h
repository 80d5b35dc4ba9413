/*
 * Which topics a command means: --topic and --include take a regular expression that must match
 * the whole name; a comma means "or". One thread.
 */
#ifndef KRAFTD_TOOLS_TOPIC_FILTER_H
#define KRAFTD_TOOLS_TOPIC_FILTER_H

#include "tools/failure.h"

struct topic_filter;

/* NULL lets every topic through. "a+ is an invalid regex." */
bool topic_filter_new(const char *pattern, struct topic_filter **ret_filter,
                      struct failure *failure);
/* The same of a regular expression as it is, without a meaning for commas. */
bool topic_filter_of_regex(const char *regex, struct topic_filter **ret_filter,
                           struct failure *failure);
/* NULL is fine. */
void topic_filter_free(struct topic_filter *filter);
bool topic_filter_allows(const struct topic_filter *filter, struct str name);

/* Topics that Kafka keeps for itself, such as __consumer_offsets. */
bool topic_is_internal(struct str name);

#endif
