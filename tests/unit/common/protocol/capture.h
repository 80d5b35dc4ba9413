/*
 * Recorded exchanges of real clients with a real Kafka: a folder with one file per frame (without
 * its length), index.tsv that says what each is, and decoded.jsonl.gz with the fields of each.
 * A small folder stands in tests/data/wire; the whole collection may stand beside the project.
 */
#ifndef KRAFTD_TESTS_CAPTURE_H
#define KRAFTD_TESTS_CAPTURE_H

#include "common/base/mem.h"
#include "common/protocol/frame.h"

#include <stdio.h>
#include <stdlib.h>

struct capture {
    char file[160]; /* with .req or .res */
    const struct api *api;
    const struct message_desc *header_desc, *desc;
    int16_t header_version, version;
    int32_t extra_bytes; /* behind the body */
    struct bytes frame;
};

struct captures {
    char folder[512];
    FILE *index;
    char line[1024];
    bool response_next;
};

/* False when there is no such folder. */
static inline bool captures_open(struct captures *all, const char *folder)
{
    *all = (struct captures){0};
    char path[600];
    snprintf(all->folder, sizeof(all->folder), "%s", folder);
    snprintf(path, sizeof(path), "%s/index.tsv", folder);
    all->index = fopen(path, "r");
    return all->index && fgets(all->line, sizeof(all->line), all->index);
}

static inline struct bytes capture_read(const char *folder, const char *file)
{
    char path[800];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    FILE *in = fopen(path, "rb");
    if (!in)
        return BYTES_NULL;
    fseek(in, 0, SEEK_END);
    long size = ftell(in);
    rewind(in);
    uint8_t *data = mem_alloc((size_t)size + 1);
    size_t got = fread(data, 1, (size_t)size, in);
    fclose(in);
    return (struct bytes){data, (int32_t)got};
}

/* Fields of one line of the index; they point into it. */
static inline int capture_split(char *line, char *fields[], int max)
{
    int count = 0;
    line[strcspn(line, "\n")] = '\0';
    while (count < max && line)
        fields[count++] = strsep(&line, "\t");
    return count;
}

static inline void capture_describe(struct capture *c, char *fields[], int count, bool response)
{
    const char *note = count > 8 ? fields[8] : "";
    c->api = api_find((int16_t)strtol(fields[1], NULL, 10));
    c->version = (int16_t)strtol(fields[3], NULL, 10);
    c->header_version = (int16_t)strtol(fields[response ? 5 : 4], NULL, 10);
    c->header_desc = response ? &response_header_desc : &request_header_desc;
    c->desc = response ? c->api->response : c->api->request;
    if (response && strstr(note, "response body is version 0"))
        c->version = 0;
    const char *extra = strstr(note, response ? " extra bytes after the response body"
                                              : " extra bytes after the request body");
    c->extra_bytes = 0;
    if (extra) {
        while (extra > note && extra[-1] >= '0' && extra[-1] <= '9')
            extra--;
        c->extra_bytes = (int32_t)strtol(extra, NULL, 10);
    }
}

/* False at the end. The caller frees frame.data. */
static inline bool captures_next(struct captures *all, struct capture *ret_capture)
{
    char copy[sizeof(all->line)], *fields[9];
    if (!all->response_next && !fgets(all->line, sizeof(all->line), all->index))
        return false;
    memcpy(copy, all->line, sizeof(copy));
    int count = capture_split(copy, fields, 9);
    bool response = all->response_next;
    all->response_next = !response && strcmp(fields[5], "-") != 0;
    snprintf(ret_capture->file, sizeof(ret_capture->file), "%.150s.%s", fields[0],
             response ? "res" : "req");
    capture_describe(ret_capture, fields, count, response);
    ret_capture->frame = capture_read(all->folder, ret_capture->file);
    return true;
}

static inline void captures_close(struct captures *all)
{
    if (all->index)
        fclose(all->index);
}

#endif
