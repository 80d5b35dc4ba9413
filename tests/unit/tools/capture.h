/*
 * Runs a tool inside of the test and keeps what it prints.
 */
#ifndef KRAFTD_TESTS_TOOLS_CAPTURE_H
#define KRAFTD_TESTS_TOOLS_CAPTURE_H

#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct capture {
    struct bytebuf out, err; /* both end in a zero byte behind len */
    int code;
};

static inline void capture_read(FILE *file, struct bytebuf *to)
{
    rewind(file);
    size_t len;
    bytebuf_init(to);
    do {
        len = fread(bytebuf_reserve(to, 65537), 1, 65536, file);
        to->len += len;
    } while (len > 0);
    to->data[to->len] = '\0';
    fclose(file);
}

/* The words end in NULL. */
static inline struct capture capture_run(int (*tool)(int argc, char **argv), const char **words)
{
    struct capture result;
    int argc = 0;
    while (words[argc] != NULL)
        argc++;
    FILE *out = tmpfile(), *err = tmpfile();
    fflush(stdout);
    fflush(stderr);
    int old_out = dup(1), old_err = dup(2);
    dup2(fileno(out), 1);
    dup2(fileno(err), 2);
    result.code = tool(argc, (char **)(uintptr_t)words);
    fflush(stdout);
    fflush(stderr);
    dup2(old_out, 1);
    dup2(old_err, 2);
    close(old_out);
    close(old_err);
    capture_read(out, &result.out);
    capture_read(err, &result.err);
    return result;
}

static inline void capture_release(struct capture *capture)
{
    bytebuf_release(&capture->out);
    bytebuf_release(&capture->err);
}

#endif
