#include "tests/chaos/history.h"

#include "common/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What stands on a line behind its time. T is the rest of the line. */
static const char *fields_of(char kind)
{
    switch (kind) {
    case 't':
        return "PT";
    case 'p':
        return "WT";
    case 'a':
        return "PWS";
    case 'k':
        return "PWSO";
    case 'x':
        return "PWST";
    case 'o':
    case 'd':
        return "PRO";
    case 'r':
        return "PROWSE";
    case 'b':
        return "PROT";
    case 's':
        return "";
    case 'f':
    case 'h':
        return "FT";
    case 'n':
        return "T";
    default:
        return NULL;
    }
}

/* A space and a number; moves on behind it. */
static bool parse_number(const char **at, const char *end, int64_t low, int64_t high,
                         int64_t *ret_value)
{
    const char *p = *at;
    if (p == end || *p++ != ' ')
        return false;
    bool negative = p < end && *p == '-';
    p += negative;
    const char *digits = p;
    int64_t value = 0;
    while (p < end && *p >= '0' && *p <= '9' && p - digits < 18)
        value = value * 10 + (*p++ - '0');
    value = negative ? -value : value;
    if (p == digits || value < low || value > high)
        return false;
    *at = p;
    *ret_value = value;
    return true;
}

static bool parse_field(char field, const char **at, const char *end, struct history_event *event)
{
    int64_t value = 0;
    switch (field) {
    case 'O':
        return parse_number(at, end, -1, INT64_MAX, &event->offset);
    case 'T':
        if (*at == end || **at != ' ')
            return false;
        event->text = *at + 1;
        event->text_len = (size_t)(end - event->text);
        *at = end;
        return true;
    case 'E':
        if (!parse_number(at, end, -1, INT32_MAX, &value))
            return false;
        event->epoch = (int32_t)value;
        return true;
    default:
        break;
    }
    if (!parse_number(at, end, 0, UINT32_MAX, &value))
        return false;
    uint32_t *target = field == 'P'   ? &event->partition
                       : field == 'W' ? &event->producer
                       : field == 'S' ? &event->seq
                       : field == 'R' ? &event->reader
                                      : &event->fault;
    *target = (uint32_t)value;
    return true;
}

bool history_parse(const char *line, size_t len, struct history_event *ret_event)
{
    const char *fields = len > 0 ? fields_of(line[0]) : NULL;
    if (!fields)
        return false;
    struct history_event event = {.kind = line[0]};
    const char *at = line + 1, *end = line + len;
    if (!parse_number(&at, end, 0, INT64_MAX, &event.at_ms))
        return false;
    for (; *fields; fields++) {
        if (!parse_field(*fields, &at, end, &event))
            return false;
    }
    if (at != end)
        return false;
    *ret_event = event;
    return true;
}

struct history {
    FILE *file;
    int64_t origin_ms;
    pthread_mutex_t lock;
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct history *history_open(const char *path, int64_t origin_ms)
{
    FILE *file = fopen(path, "ae");
    if (!file)
        return NULL;
    setvbuf(file, NULL, _IOFBF, 1 << 18);
    struct history *history = mem_calloc(1, sizeof(*history));
    history->file = file;
    history->origin_ms = origin_ms;
    pthread_mutex_init(&history->lock, NULL);
    return history;
}

int history_close(struct history *history)
{
    int error = ferror(history->file) ? -EIO : 0;
    if (fclose(history->file) != 0 && error == 0)
        error = -errno;
    pthread_mutex_destroy(&history->lock);
    free(history);
    return error;
}

int64_t history_now(const struct history *history)
{
    return clock_ms() - history->origin_ms;
}

static char *put_number(char *at, int64_t value)
{
    char digits[20];
    size_t count = 0;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        digits[count++] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    *at++ = ' ';
    if (value < 0)
        *at++ = '-';
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

void history_write(struct history *history, struct history_event event)
{
    char line[256], *at = line;
    *at++ = event.kind;
    pthread_mutex_lock(&history->lock);
    at = put_number(at, history_now(history));
    for (const char *field = fields_of(event.kind); *field; field++) {
        if (*field == 'T') {
            const char *text = event.text ? event.text : "";
            size_t length = strnlen(text, sizeof(line) - (size_t)(at - line) - 2);
            *at++ = ' ';
            for (size_t i = 0; i < length; i++)
                *at++ = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
            continue;
        }
        at = put_number(at, *field == 'P'   ? event.partition
                            : *field == 'W' ? event.producer
                            : *field == 'S' ? event.seq
                            : *field == 'R' ? event.reader
                            : *field == 'F' ? event.fault
                            : *field == 'O' ? event.offset
                                            : event.epoch);
    }
    *at++ = '\n';
    fwrite(line, 1, (size_t)(at - line), history->file);
    pthread_mutex_unlock(&history->lock);
}

void history_flush(struct history *history)
{
    pthread_mutex_lock(&history->lock);
    fflush(history->file);
    pthread_mutex_unlock(&history->lock);
}
