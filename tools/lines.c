#include "tools/lines.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1 << 30, READ_BYTES = 64 << 10 };

void lines_init(struct lines *lines, int fd)
{
    *lines = (struct lines){.fd = fd};
}

void lines_release(struct lines *lines)
{
    free(lines->data);
    *lines = (struct lines){.fd = -1};
}

/* The first \n or \r in [from, end), or NULL. */
static char *find_end(const struct lines *lines)
{
    char *from = lines->data + lines->seen;
    size_t len = lines->end - lines->seen;
    char *newline = len ? memchr(from, '\n', len) : NULL;
    if (newline != NULL)
        len = (size_t)(newline - from);
    char *carriage = len ? memchr(from, '\r', len) : NULL;
    return carriage != NULL ? carriage : newline;
}

int lines_next(struct lines *lines, struct str *ret_line)
{
    if (lines->after_return && lines->at < lines->end) {
        lines->after_return = false;
        lines->at += lines->data[lines->at] == '\n';
        lines->seen = lines->at;
    }
    char *end = find_end(lines);
    if (end == NULL) {
        lines->seen = lines->end;
        if (!lines->ended)
            return -EAGAIN;
        if (lines->at == lines->end)
            return 0;
        end = lines->data + lines->end;
    }
    *ret_line = str_from(lines->data + lines->at, (size_t)(end - lines->data) - lines->at);
    lines->at += (size_t)ret_line->len;
    if (lines->at < lines->end)
        lines->after_return = lines->data[lines->at++] == '\r';
    lines->seen = lines->at;
    return 1;
}

int lines_fill(struct lines *lines)
{
    if (lines->at > 0 && lines->end > lines->at)
        memmove(lines->data, lines->data + lines->at, lines->end - lines->at);
    lines->end -= lines->at;
    lines->seen -= lines->at;
    lines->at = 0;
    if (lines->end >= LINE_MAX_BYTES)
        return -EMSGSIZE;
    if (lines->capacity - lines->end < READ_BYTES) {
        lines->capacity = lines->end * 2 + READ_BYTES;
        lines->data = mem_realloc(lines->data, lines->capacity);
    }
    ssize_t n;
    do
        n = read(lines->fd, lines->data + lines->end, lines->capacity - lines->end);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    lines->ended = n == 0;
    lines->end += (size_t)n;
    return 0;
}
