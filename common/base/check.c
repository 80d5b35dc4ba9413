#include "common/base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "kraftd: internal error: %s does not hold (%s:%d)\n", expr, file, line);
    fflush(stderr);
    abort();
}
