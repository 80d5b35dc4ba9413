/*
 * Lines of a descriptor that may have to be waited for. A line ends with \n, \r or \r\n, the last
 * one also with the end of the input. One thread.
 */
#ifndef KRAFTD_TOOLS_LINES_H
#define KRAFTD_TOOLS_LINES_H

#include "common/base/str.h"

struct lines {
    int fd;
    char *data;
    size_t at, seen, end, capacity; /* the next line starts at `at`; no end of it before `seen` */
    bool ended;
    bool after_return; /* a \n that comes next belongs to the \r before it */
};

void lines_init(struct lines *lines, int fd);
void lines_release(struct lines *lines);
/* 1 and the next line, which lives until lines_fill; 0 at the end; -EAGAIN: lines_fill first. */
int lines_next(struct lines *lines, struct str *ret_line);
/* Reads what there is. 0, also at the end of the input; -EMSGSIZE for a line above 1 GiB; or
 * read's error. */
int lines_fill(struct lines *lines);

#endif
