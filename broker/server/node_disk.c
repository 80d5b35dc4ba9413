#include "broker/server/node_disk.h"

#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "metadata/controller/controller.h"
#include "metadata/feature.h"
#include "raft/quorum_checkpoint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define METADATA_LOG_NAME "__cluster_metadata-0"

__attribute__((format(printf, 3, 4))) static int fail(struct node_disk *d, int status,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(d->error, sizeof(d->error), format, args);
    va_end(args);
    return status;
}

static const struct log_dir *metadata_dir(const struct node_disk *d,
                                          const struct server_config *config)
{
    if (d->metadata_dir != NULL)
        return d->metadata_dir;
    for (size_t i = 0; i < log_manager_dir_count(d->logs); i++) {
        const struct log_dir *dir = log_manager_dir(d->logs, i);
        if (str_eq_z(config->metadata_log_dir, dir->path))
            return dir;
    }
    return NULL;
}

static int open_dirs(struct env *env, const struct server_config *config, struct node_disk *d)
{
    char **paths = mem_calloc((size_t)config->log_dirs_count, sizeof(*paths));
    for (int i = 0; i < config->log_dirs_count; i++)
        paths[i] = str_dup_z(config->log_dirs[i]);
    int rv = log_manager_open(env->disk, (const char *const *)paths, (size_t)config->log_dirs_count,
                              &d->logs, d->error);
    for (int i = 0; i < config->log_dirs_count; i++)
        free(paths[i]);
    free(paths);
    if (rv != 0 || metadata_dir(d, config) != NULL)
        return rv;
    char *path = str_dup_z(config->metadata_log_dir);
    rv = log_dir_open(env->disk, path, &d->metadata_dir);
    if (rv != 0)
        rv = fail(d, rv, "metadata.log.dir %s cannot be used: %s", path,
                  rv == -EAGAIN ? "another process holds its lock" : strerror(-rv));
    free(path);
    return rv;
}

static void close_dirs(struct node_disk *d)
{
    log_manager_free(d->logs);
    d->logs = NULL;
    if (d->metadata_dir != NULL)
        log_dir_close(d->metadata_dir);
    d->metadata_dir = NULL;
}

/* All directories, the metadata directory last. */
static size_t dir_count(const struct node_disk *d)
{
    return log_manager_dir_count(d->logs) + (d->metadata_dir != NULL);
}

static const struct log_dir *dir_at(const struct node_disk *d, size_t at)
{
    return at < log_manager_dir_count(d->logs) ? log_manager_dir(d->logs, at) : d->metadata_dir;
}

static int check_dir(struct node_disk *d, const struct server_config *config,
                     const struct log_dir *dir)
{
    if (dir->status != 0 || !dir->has_meta)
        return 0;
    if (dir->meta.node_id >= 0 && dir->meta.node_id != config->node_id)
        return fail(d, -EBADMSG,
                    "%s belongs to node.id %d, but this node is %d: correct node.id in the "
                    "configuration, or use the directory of this node",
                    dir->path, dir->meta.node_id, config->node_id);
    if (d->cluster_id[0] != '\0' && strcmp(d->cluster_id, dir->meta.cluster_id) != 0)
        return fail(d, -EBADMSG, "%s belongs to cluster %s, but the others to cluster %s",
                    dir->path, dir->meta.cluster_id, d->cluster_id);
    memcpy(d->cluster_id, dir->meta.cluster_id, sizeof(d->cluster_id));
    return 0;
}

static int find_data(void *ctx, const char *name)
{
    bool *has_data = ctx;
    struct quorum_checkpoint_id id;
    bool bootstrap = quorum_checkpoint_parse_name(name, &id) && id.end_offset == 0;
    size_t len = strlen(name);
    bool part = len > 5 && strcmp(name + len - 5, ".part") == 0;
    if (!bootstrap && !part)
        *has_data = true;
    return 0;
}

/* What a formation that was cut short leaves may be overwritten; a metadata log may not. */
static int check_blank(struct env *env, struct node_disk *d)
{
    for (size_t i = 0; i < dir_count(d); i++)
        if (dir_at(d, i)->status == 0 && dir_at(d, i)->name_count > 0)
            return fail(d, -EBADMSG,
                        "%s holds partitions but no meta.properties: bring that file back, or move "
                        "the directory away to start anew",
                        dir_at(d, i)->path);
    bool has_data = false;
    int rv = env->disk->ops->list(env->disk, d->metadata_path, find_data, &has_data);
    if (rv != 0 && rv != -ENOENT)
        return fail(d, rv, "%s cannot be listed: %s", d->metadata_path, strerror(-rv));
    if (has_data)
        return fail(d, -EBADMSG,
                    "%s holds a metadata log but its directory has no meta.properties: bring that "
                    "file back, or move the directory away to start anew",
                    d->metadata_path);
    return 0;
}

static int encode_bootstrap(int64_t base_offset, int64_t now_ms, struct bytebuf *out)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct metadata_records records = {0};
    controller_bootstrap_records(METADATA_VERSION_LATEST, NULL, 0, &arena, &records);
    int rv = record_codec_encode_batch(records.items, records.count, base_offset, 0, now_ms, out);
    arena_release(&arena);
    return rv;
}

static int write_bootstrap(struct env *env, const struct server_config *config,
                           const struct node_disk *d)
{
    int rv = disk_make_path(env->disk, d->metadata_path);
    if (rv != 0)
        return rv;
    struct quorum_voters *voters = quorum_voters_new();
    quorum_voters_add(voters, config->node_id, d->metadata_directory_id, QUORUM_VOTER);
    if (config->controller_listener != NULL)
        quorum_voters_add_listener(voters, config->controller_listener->name,
                                   str_of(config->controller_listener->advertised.host),
                                   config->controller_listener->advertised.port);
    int64_t now_ms = env_wall_ms(env);
    struct quorum_checkpoint_header header = {.last_contained_ms = now_ms,
                                              .timestamp_ms = now_ms,
                                              .with_kraft_version = true,
                                              .voters = voters};
    struct quorum_checkpoint_writer *writer;
    struct bytebuf batch;
    bytebuf_init(&batch);
    rv = quorum_checkpoint_create(env->disk, d->metadata_path, QUORUM_CHECKPOINT_BOOTSTRAP, &header,
                                  &writer);
    quorum_voters_unref(voters);
    if (rv != 0)
        return rv;
    rv = encode_bootstrap(quorum_checkpoint_next_offset(writer), now_ms, &batch);
    if (rv == 0)
        rv = quorum_checkpoint_write(writer, (struct bytes){batch.data, (int32_t)batch.len});
    if (rv == 0)
        rv = quorum_checkpoint_finish(writer);
    else
        quorum_checkpoint_abort(writer);
    bytebuf_release(&batch);
    return rv;
}

/* A directory id for each disk that has none. */
static int write_meta(struct env *env, const struct server_config *config,
                      const struct node_disk *d, const struct log_dir *dir, struct uuid id)
{
    struct meta_properties meta = {.node_id = config->node_id, .directory_id = id};
    memcpy(meta.cluster_id, d->cluster_id, sizeof(meta.cluster_id));
    char *path = mem_printf("%s/%s", dir->path, META_PROPERTIES_FILE);
    int rv = meta_properties_write(env->disk, path, &meta, env_wall_ms(env));
    free(path);
    return rv;
}

/* Writes what is missing: all of a formation on a blank node, meta.properties on a disk that is new
 * or of a Kafka that had no directory ids. *ret_wrote: the directories have to be read again. */
static int complete(struct env *env, const struct server_config *config, struct node_disk *d,
                    bool *ret_wrote)
{
    const struct log_dir *md = metadata_dir(d, config);
    bool blank = d->cluster_id[0] == '\0';
    d->metadata_directory_id = md->has_meta && !uuid_is_zero(md->meta.directory_id)
                                   ? md->meta.directory_id
                                   : env_random_uuid(env);
    if (blank) {
        int rv = check_blank(env, d);
        if (rv != 0)
            return rv;
        uuid_format(env_random_uuid(env), d->cluster_id);
        rv = write_bootstrap(env, config, d);
        if (rv != 0)
            return fail(d, rv, "%s cannot be written: %s", d->metadata_path, strerror(-rv));
        d->formed = true;
    }
    for (int last = 0; last < 2; last++) {
        for (size_t i = 0; i < dir_count(d); i++) {
            const struct log_dir *dir = dir_at(d, i);
            if ((dir == md) != (last == 1) || dir->status != 0 ||
                (dir->has_meta && !uuid_is_zero(dir->meta.directory_id)))
                continue;
            *ret_wrote = true;
            int rv = write_meta(env, config, d, dir,
                                dir == md ? d->metadata_directory_id : env_random_uuid(env));
            if (rv != 0)
                return fail(d, rv, "%s/%s cannot be written: %s", dir->path, META_PROPERTIES_FILE,
                            strerror(-rv));
        }
    }
    return 0;
}

int node_disk_open(struct env *env, const struct server_config *config, struct node_disk *d)
{
    *d = (struct node_disk){0};
    d->metadata_path = mem_printf("%.*s/%s", STR_FMT(config->metadata_log_dir), METADATA_LOG_NAME);
    int rv = open_dirs(env, config, d);
    if (rv != 0)
        return rv;
    const struct log_dir *md = metadata_dir(d, config);
    if (md->status != 0)
        return fail(d, md->status, "The disk of the metadata log, %s, cannot be used: %s", md->path,
                    strerror(-md->status));
    for (size_t i = 0; rv == 0 && i < dir_count(d); i++)
        rv = check_dir(d, config, dir_at(d, i));
    bool wrote = false;
    if (rv == 0)
        rv = complete(env, config, d, &wrote);
    if (rv == 0 && wrote) {
        close_dirs(d);
        rv = open_dirs(env, config, d);
    }
    return rv != 0 ? rv : log_manager_begin(d->logs);
}

void node_disk_release(struct node_disk *d)
{
    close_dirs(d);
    free(d->metadata_path);
    d->metadata_path = NULL;
}
