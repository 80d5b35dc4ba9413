/*
 * Points of time as a pattern of Java's SimpleDateFormat says it: y M d H h m s S a, text between
 * single quotes, and all that is no letter. Local time. One thread.
 */
#ifndef KRAFTD_TOOLS_DATE_FORMAT_H
#define KRAFTD_TOOLS_DATE_FORMAT_H

#include "common/base/buf.h"
#include "tools/failure.h"

/* "Illegal pattern character 'x'", also for letters that only Java knows. */
bool date_format_check(const char *pattern, struct failure *failure);
/* Appends; the pattern was checked. */
void date_format_append(const char *pattern, int64_t wall_ms, struct bytebuf *out);

#endif
