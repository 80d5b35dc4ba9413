/*
 * The order in which Java's HashMap gives out strings: what Kafka's tools print in no order of
 * their own comes in this one, and scripts compare outputs. Pure.
 */
#ifndef KRAFTD_TOOLS_JAVA_ORDER_H
#define KRAFTD_TOOLS_JAVA_ORDER_H

#include "common/base/str.h"

/* String.hashCode of UTF-8 text. */
int32_t java_string_hash(struct str s);

/* TopicPartition.hashCode. */
int32_t java_partition_hash(struct str topic, int32_t partition);

/*
 * Fills ret_order with the places of keys as a map gives them out after they were put in, one
 * after the other. `expected` is what the map was made for: new HashMap<>(expected); 0: no size.
 */
void java_map_order(const struct str *keys, size_t count, size_t expected, size_t *ret_order);
/* The same for keys whose hashCode is known. */
void java_map_order_of_hashes(const int32_t *hashes, size_t count, size_t expected,
                              size_t *ret_order);

#endif
