/*
 * All tools in one binary: called by a link with the tool's name ("kafka-topics",
 * "kafka-topics.sh") or as "kraftd-tools kafka-topics ...".
 */
#include "common/base/check.h"
#include "tools/tool.h"

#include <errno.h>

struct entry {
    const char *name;
    int (*run)(int argc, char **argv);
};

static const struct entry entries[] = {
#define TOOL(name, function) {name, function},
#include "tools/tool_list.def"
#undef TOOL
};

static const struct entry *find_entry(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path);
    if (str_ends_with(name, STR(".sh")))
        name.len -= 3;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        if (str_eq_z(name, entries[i].name))
            return &entries[i];
    return NULL;
}

static void print_tools(FILE *out)
{
    fputs("Usage: kraftd-tools TOOL [OPTION]...\nTools:\n", out);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        fprintf(out, "  %s\n", entries[i].name);
    fputs("TOOL --help says what it takes.\n", out);
}

/* What was printed must have arrived: a full disk is no success. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "Cannot write the output: %s\n", strerror(errno));
    return code ? code : 1;
}

int main(int argc, char **argv)
{
    const struct entry *entry = argc > 0 ? find_entry(argv[0]) : NULL;
    if (entry != NULL)
        return finish(entry->run(argc - 1, argv + 1));
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_tools(stdout);
        return finish(0);
    }
    entry = argc > 1 ? find_entry(argv[1]) : NULL;
    if (entry != NULL)
        return finish(entry->run(argc - 2, argv + 2));
    if (argc > 1)
        fprintf(stderr, "There is no tool named %s.\n", argv[1]);
    print_tools(stderr);
    return 2;
}
