/*
 * For the tests of this folder: a scratch copy of a node's log directory as Kafka wrote it.
 */
#ifndef KRAFTD_TEST_LOG_NODE_H
#define KRAFTD_TEST_LOG_NODE_H

#include "tests/unit/common/storage/log_fixture.h"

#include "common/storage/checkpoint_file.h"
#include "common/storage/log_names.h"
#include "common/storage/small_files.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <sys/stat.h>

static inline void digest_text(EVP_MD_CTX *digest, char text[65])
{
    unsigned char raw[32];
    unsigned len;
    assert_int_equal(EVP_DigestFinal_ex(digest, raw, &len), 1);
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", raw[i]);
}

static inline void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    assert_true(in != NULL && out != NULL);
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
        assert_int_equal(fwrite(buffer, 1, n, out), n);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

static inline void copy_directory(const char *from, const char *to)
{
    assert_int_equal(mkdir(to, 0755), 0);
    DIR *dir = opendir(from);
    assert_non_null(dir);
    struct dirent *d;
    while ((d = readdir(dir)) != NULL) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        char *a = mem_printf("%s/%s", from, d->d_name);
        char *b = mem_printf("%s/%s", to, d->d_name);
        struct stat st;
        assert_int_equal(stat(a, &st), 0);
        if (S_ISDIR(st.st_mode))
            copy_directory(a, b);
        else
            copy_file(a, b);
        free(a);
        free(b);
    }
    closedir(dir);
}

struct node {
    struct fixture *f;
    char *directory;
    bool clean;
    struct offset_checkpoint recovery_points, high_watermarks, starts, cleaned;
};

static inline void load_checkpoint(struct node *node, struct offset_checkpoint *c, const char *name)
{
    char *path = mem_printf("%s/%s", node->directory, name);
    int rv = offset_checkpoint_load(c, node->f->disk, path);
    assert_true(rv == 0 || rv == -ENOENT);
    free(path);
}

static inline void open_partition(struct node *node, const char *name, enum log_trust trust)
{
    struct fixture *f = node->f;
    struct log_dir_name parsed;
    assert_true(log_dir_name_parse(name, &parsed));
    struct str t = parsed.topic;
    int32_t p = parsed.partition;
    char *path = mem_printf("%s/%s", node->directory, name);
    struct log_open_args args = {
        .disk = f->disk,
        .files = &f->files,
        .path = path,
        .config = &f->config,
        .trust = trust,
        .recovery_point = offset_checkpoint_get(&node->recovery_points, t, p, 0),
        .high_watermark = offset_checkpoint_get(&node->high_watermarks, t, p, 0),
        .log_start_offset = offset_checkpoint_get(&node->starts, t, p, 0),
        .cleaned_offset = offset_checkpoint_get(&node->cleaned, t, p, 0),
        .now_ms = 1795260000000,
    };
    int rv = log_open(&args, &f->log, &f->recovery);
    if (rv != 0)
        fail_msg("%s: log_open returned %d", name, rv);
    free(path);
}

static inline void node_open(struct node *node, struct fixture *f, const char *source)
{
    *node = (struct node){.f = f, .directory = mem_printf("%s/node", f->root)};
    copy_directory(source, node->directory);
    char *marker = mem_printf("%s/%s", node->directory, FILE_CLEAN_SHUTDOWN);
    int64_t epoch;
    node->clean = clean_shutdown_read(f->disk, marker, &epoch) == 0;
    free(marker);
    load_checkpoint(node, &node->recovery_points, CHECKPOINT_RECOVERY_POINT);
    load_checkpoint(node, &node->high_watermarks, CHECKPOINT_REPLICATION);
    load_checkpoint(node, &node->starts, CHECKPOINT_LOG_START);
    load_checkpoint(node, &node->cleaned, CHECKPOINT_CLEANER);
}

static inline void node_close(struct node *node)
{
    offset_checkpoint_release(&node->recovery_points);
    offset_checkpoint_release(&node->high_watermarks);
    offset_checkpoint_release(&node->starts);
    offset_checkpoint_release(&node->cleaned);
    assert_int_equal(disk_remove_tree(node->f->disk, node->directory), 0);
    free(node->directory);
}

#endif
