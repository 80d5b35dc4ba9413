/*
 * What a tool says on the way, on standard error: lines in the form of Kafka's logs, which those
 * who read a tool's output know to tell apart from it. No state.
 */
#ifndef KRAFTD_TOOLS_TOOL_LOG_H
#define KRAFTD_TOOLS_TOOL_LOG_H

#include "common/base/logger.h"

__attribute__((format(printf, 3, 4))) void tool_log(enum log_level level, const char *module,
                                                    const char *format, ...);

#endif
