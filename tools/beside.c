#include "tools/beside.h"

#include "common/base/mem.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

char *beside_path(const char *name)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    return mem_printf("%.*s%s", slash ? (int)(slash - self) + 1 : 0, self, name);
}
