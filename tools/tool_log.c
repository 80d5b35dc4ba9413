#include "tools/tool_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void tool_log(enum log_level level, const char *module, const char *format, ...)
{
    char message[1024];
    struct timespec now;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    clock_gettime(CLOCK_REALTIME, &now);
    char *line = logger_format_line((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, level,
                                    module, message);
    fputs(line, stderr);
    free(line);
}
