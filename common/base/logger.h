/*
 * Log lines of a node: "[2026-11-21 10:00:00,123] INFO message key=value (module)", Kafka's form.
 * Only whoever handles an error logs it; libraries return it. A logger belongs to one node; any
 * thread may write to it. A sink may be replaced (simulation: kept in memory with virtual time).
 */
#ifndef KRAFTD_BASE_LOGGER_H
#define KRAFTD_BASE_LOGGER_H

#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };

struct logger {
    enum log_level level; /* logger_set_level while others may write */
    /* One message, without time, level and module (logger_format_line adds them) and without any
     * control character: what a peer sent cannot forge a second line. Must be thread-safe. */
    void (*sink)(struct logger *, enum log_level, const char *module, const char *message);
    void *sink_ctx;
};

/* Writes to standard output as Kafka's console appender does, in local time. */
void logger_init_stdout(struct logger *logger, enum log_level level);

__attribute__((format(printf, 4, 5))) void logger_write(struct logger *logger, enum log_level level,
                                                        const char *module, const char *format,
                                                        ...);

/* The whole line with its newline, in fresh memory; the caller frees. */
char *logger_format_line(int64_t wall_ms, enum log_level level, const char *module,
                         const char *message);
const char *log_level_name(enum log_level level);
/* A name as log4j knows it, in any case ("OFF" is FATAL, "ALL" is TRACE); -EINVAL. */
int log_level_parse(struct str name, enum log_level *ret_level);

/* May change at any time. */
static inline enum log_level logger_level(const struct logger *logger)
{
    return __atomic_load_n(&logger->level, __ATOMIC_RELAXED);
}

static inline void logger_set_level(struct logger *logger, enum log_level level)
{
    __atomic_store_n(&logger->level, level, __ATOMIC_RELAXED);
}

static inline bool logger_enabled(const struct logger *logger, enum log_level level)
{
    return logger && level >= logger_level(logger);
}

/* LOG_MODULE is defined by the .c file before it uses these. */
#define log_at(logger, lvl, ...)                                                                   \
    (logger_enabled((logger), (lvl)) ? logger_write((logger), (lvl), LOG_MODULE, __VA_ARGS__)      \
                                     : (void)0)
#define log_debug(logger, ...) log_at(logger, LOG_DEBUG, __VA_ARGS__)
#define log_info(logger, ...)  log_at(logger, LOG_INFO, __VA_ARGS__)
#define log_warn(logger, ...)  log_at(logger, LOG_WARN, __VA_ARGS__)
#define log_error(logger, ...) log_at(logger, LOG_ERROR, __VA_ARGS__)

#endif
