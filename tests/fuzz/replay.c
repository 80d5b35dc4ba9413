/*
 * Runs a fuzz target over the files that are named, or that stand in folders that are named: where
 * there is no libFuzzer, and to look at one input in a debugger.
 */
#include "common/base/buf.h"
#include "common/base/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    struct bytebuf b;
    bytebuf_init(&b);
    size_t n;
    while ((n = fread(bytebuf_reserve(&b, 65536), 1, 65536, f)) > 0)
        b.len += n;
    fclose(f);
    /* In a block of its exact size, so that the sanitizer sees what reads beyond it. */
    uint8_t *exact = malloc(b.len > 0 ? b.len : 1);
    memcpy(exact, b.data, b.len);
    LLVMFuzzerTestOneInput(exact, b.len);
    free(exact);
    bytebuf_release(&b);
    inputs++;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            run_file(argv[i]);
            continue;
        }
        struct dirent *entry;
        while ((entry = readdir(dir)) != NULL) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            run_file(path);
        }
        closedir(dir);
    }
    printf("%zu inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}
