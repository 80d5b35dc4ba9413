#include "common/base/logger.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

int log_level_parse(struct str name, enum log_level *ret_level)
{
    for (int i = 0; i < (int)ARRAY_LEN(level_names); i++) {
        if (name.len == (int32_t)strlen(level_names[i]) &&
            strncasecmp(name.data, level_names[i], (size_t)name.len) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    if (name.len == 3 && strncasecmp(name.data, "off", 3) == 0)
        *ret_level = LOG_FATAL;
    else if (name.len == 3 && strncasecmp(name.data, "all", 3) == 0)
        *ret_level = LOG_TRACE;
    else
        return -EINVAL;
    return 0;
}

char *logger_format_line(int64_t wall_ms, enum log_level level, const char *module,
                         const char *message)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char when[32];
    localtime_r(&seconds, &tm);
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    return mem_printf("[%s,%03d] %s %s (%s)\n", when, (int)(wall_ms % 1000), level_names[level],
                      message, module);
}

static void stdout_sink(struct logger *logger, enum log_level level, const char *module,
                        const char *message)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char *line = logger_format_line((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, level,
                                    module, message);
    size_t len = strlen(line);
    /* One write per line, so that lines of several threads do not mix. Nobody can be told when
     * the log itself cannot be written. */
    for (size_t done = 0; done < len;) {
        ssize_t n = write(STDOUT_FILENO, line + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    free(line);
}

void logger_init_stdout(struct logger *logger, enum log_level level)
{
    *logger = (struct logger){.level = level, .sink = stdout_sink};
}

void logger_write(struct logger *logger, enum log_level level, const char *module,
                  const char *format, ...)
{
    char local[512];
    char *message = local;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(local, sizeof(local), format, args);
    va_end(args);
    CHECK(len >= 0);
    if ((size_t)len >= sizeof(local)) {
        message = mem_alloc((size_t)len + 1);
        vsnprintf(message, (size_t)len + 1, format, again);
    }
    va_end(again);
    for (char *at = message; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    logger->sink(logger, level, module, message);
    if (message != local)
        free(message);
}
