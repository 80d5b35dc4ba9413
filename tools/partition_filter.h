/*
 * Which partitions kafka-get-offsets means. Either topics (a regular expression, a comma means
 * "or") and partition numbers, or a list of rules, each a regular expression for the topic and,
 * behind a colon, one number or a range: "a:1,b.*:0-3,c,d:5-,e:-3". A range has its lower end in
 * and its upper end out. One thread.
 */
#ifndef KRAFTD_TOOLS_PARTITION_FILTER_H
#define KRAFTD_TOOLS_PARTITION_FILTER_H

#include "tools/failure.h"

struct partition_filter;

/* NULL for either: no restriction. */
bool partition_filter_of_topic(const char *topic, const char *partitions,
                               struct partition_filter **ret_filter, struct failure *failure);
/* "Invalid rule specification: a:x" */
bool partition_filter_of_rules(const char *rules, struct partition_filter **ret_filter,
                               struct failure *failure);
/* NULL is fine. */
void partition_filter_free(struct partition_filter *filter);
bool partition_filter_allows(const struct partition_filter *filter, struct str topic,
                             int32_t partition);

#endif
