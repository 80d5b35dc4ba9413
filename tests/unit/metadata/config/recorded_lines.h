/* What Kafka answered, a line each: tables of tests/data/config, with a head and comments. */
#ifndef KRAFTD_TEST_RECORDED_LINES_H
#define KRAFTD_TEST_RECORDED_LINES_H

#include "common/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* Returns how many lines were checked. */
static inline int recorded_lines(const char *path, void (*check)(struct str line))
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    int count = -1; /* the head */
    while ((len = getline(&line, &capacity, file)) > 0)
        if (line[0] != '#' && count++ >= 0)
            check(str_from(line, (size_t)len - 1));
    free(line);
    fclose(file);
    return count;
}

#endif
