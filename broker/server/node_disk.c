#include "broker/server/node_disk.h"

#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "metadata/controller/controller.h"
#include "metadata/feature.h"
#include "raft/formation_disk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

static int encode_bootstrap(int64_t now_ms, struct bytebuf *out)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct metadata_records records = {0};
    controller_bootstrap_records(METADATA_VERSION_LATEST, NULL, 0, &arena, &records);
    int rv = record_codec_encode_batch(records.items, records.count, 0, 0, now_ms, out);
    arena_release(&arena);
    return rv;
}

struct quorum_voters *node_disk_self(const struct server_config *config, struct uuid directory_id)
{
    struct quorum_voters *self = quorum_voters_new();
    quorum_voters_add(self, config->node_id, directory_id, QUORUM_VOTER);
    if (config->controller_listener != NULL)
        quorum_voters_add_listener(self, config->controller_listener->name,
                                   str_of(config->controller_listener->advertised.host),
                                   config->controller_listener->advertised.port);
    return self;
}

/* What is done to the disks, with the arguments for it. */
typedef int (*disk_step)(const struct formation_disk_args *args, struct node_disk *d,
                         const struct formation_record *record, bool *ret_wrote);

/* Fills in the arguments and takes one step. */
static int with_args(struct env *env, const struct server_config *config, struct node_disk *d,
                     disk_step step, const struct formation_record *record, bool *ret_wrote)
{
    const struct log_dir *md = metadata_dir(d, config);
    struct formation_dir *dirs = mem_calloc(dir_count(d), sizeof(*dirs));
    struct formation_disk_args args = {
        .env = env, .dirs = dirs, .dir_count = dir_count(d), .node_id = config->node_id};
    for (size_t i = 0; i < args.dir_count; i++) {
        const struct log_dir *dir = dir_at(d, i);
        dirs[i] = (struct formation_dir){.path = dir->path,
                                         .status = dir->status,
                                         .has_meta = dir->has_meta,
                                         .has_partitions = dir->name_count > 0,
                                         .meta = dir->meta};
        if (dir == md)
            args.metadata_dir = i;
    }
    struct bytebuf records;
    bytebuf_init(&records);
    /* The directory id is the formation's to set. */
    struct quorum_voters *self = node_disk_self(config, env_random_uuid(env));
    args.self = self;
    int rv = encode_bootstrap(env_wall_ms(env), &records);
    if (rv == 0) {
        args.records = (struct bytes){records.data, (int32_t)records.len};
        rv = step(&args, d, record, ret_wrote);
    }
    quorum_voters_unref(self);
    bytebuf_release(&records);
    free(dirs);
    return rv;
}

/* Takes over what became of the disks. */
static int take_over(struct node_disk *d, struct formation_disk *formed, int rv)
{
    if (rv != 0)
        return fail(d, rv, "%s", formed->error);
    memcpy(d->cluster_id, formed->cluster_id, sizeof(d->cluster_id));
    d->metadata_directory_id = formed->directory_id;
    d->formed = formed->formed_now;
    formation_record_release(&d->record);
    formation_record_copy(&d->record, &formed->record);
    return 0;
}

/* A node alone is formed where it is blank; others wait for each other. What is not blank is
 * completed. */
static int settle(const struct formation_disk_args *args, struct node_disk *d,
                  const struct formation_record *record, bool *ret_wrote)
{
    struct formation_disk formed = {0};
    int rv;
    (void)record;
    if (d->alone) {
        rv = formation_disk_alone(args, &formed, ret_wrote);
    } else {
        rv = formation_disk_look(args, &formed);
        if (rv == 0)
            rv = formed.cluster_id[0] ? formation_disk_complete(args, &formed, ret_wrote)
                                      : formation_disk_settle(args, &formed);
    }
    rv = take_over(d, &formed, rv);
    formation_disk_release(&formed);
    return rv;
}

static int write_record(const struct formation_disk_args *args, struct node_disk *d,
                        const struct formation_record *record, bool *ret_wrote)
{
    struct formation_disk formed = {0};
    int rv = formation_disk_look(args, &formed);
    if (rv == 0)
        rv = formation_disk_write(args, &formed, record);
    rv = take_over(d, &formed, rv);
    formation_disk_release(&formed);
    *ret_wrote = rv == 0;
    return rv;
}

static int write_membership(const struct formation_disk_args *args, struct node_disk *d,
                            const struct formation_record *record, bool *ret_wrote)
{
    struct formation_disk formed = {0};
    int rv = formation_disk_look(args, &formed);
    if (rv == 0)
        rv = formation_disk_join(args, &formed, record->cluster_id);
    rv = take_over(d, &formed, rv);
    formation_disk_release(&formed);
    *ret_wrote = rv == 0;
    return rv;
}

/* The voters of a static quorum: beside what is there. */
static int write_beside(const struct formation_disk_args *args, struct node_disk *d,
                        const struct formation_record *record, bool *ret_wrote)
{
    const char *path = args->dirs[args->metadata_dir].path;
    int rv = formation_disk_mark(args->env->disk, d->metadata_path);
    if (rv == 0)
        rv = formation_record_store(args->env->disk, path, record);
    if (rv != 0)
        return fail(d, rv, "%s/" FORMATION_FILE " cannot be written: %s", path, strerror(-rv));
    formation_record_release(&d->record);
    formation_record_copy(&d->record, record);
    *ret_wrote = false;
    return 0;
}

static int reopen(struct env *env, const struct server_config *config, struct node_disk *d)
{
    close_dirs(d);
    return open_dirs(env, config, d);
}

int node_disk_open(struct env *env, const struct server_config *config, struct node_disk *d)
{
    *d = (struct node_disk){.alone = config->is_alone};
    d->metadata_path =
        mem_printf("%.*s/%s", STR_FMT(config->metadata_log_dir), FORMAT_METADATA_NAME);
    int rv = open_dirs(env, config, d);
    if (rv != 0)
        return rv;
    const struct log_dir *md = metadata_dir(d, config);
    if (md->status != 0)
        return fail(d, md->status, "The disk of the metadata log, %s, cannot be used: %s", md->path,
                    strerror(-md->status));
    bool wrote = false;
    rv = with_args(env, config, d, settle, NULL, &wrote);
    if (rv == 0 && (wrote || d->formed))
        rv = reopen(env, config, d);
    if (rv != 0 || d->cluster_id[0] == '\0')
        return rv;
    rv = formation_disk_has_data(env->disk, d->metadata_path, &d->has_data);
    if (rv == 0 && !d->record.cluster_id[0])
        rv = formation_disk_is_dynamic(env->disk, d->metadata_path, &d->is_dynamic);
    if (rv != 0)
        return fail(d, rv, "%s cannot be listed: %s", d->metadata_path, strerror(-rv));
    return log_manager_begin(d->logs);
}

int node_disk_form(struct env *env, const struct server_config *config, struct node_disk *d,
                   const struct formation_record *record)
{
    bool wrote = false;
    if (d->cluster_id[0])
        return with_args(env, config, d, write_beside, record, &wrote);
    bool named = quorum_voters_find(record->voters, quorum_raft_id(record->directory_id)) != NULL;
    int rv = with_args(env, config, d, named ? write_record : write_membership, record, &wrote);
    if (rv == 0)
        rv = reopen(env, config, d);
    return rv != 0 ? rv : log_manager_begin(d->logs);
}

int node_disk_reset(struct env *env, const struct server_config *config, struct node_disk *d)
{
    const struct log_dir *md = metadata_dir(d, config);
    const char *paths[64];
    size_t count = 0;
    for (size_t i = 0; i < dir_count(d) && count < ARRAY_LEN(paths); i++)
        paths[count++] = dir_at(d, i)->path;
    return formation_disk_reset(env, paths, count, md->path);
}

void node_disk_release(struct node_disk *d)
{
    close_dirs(d);
    formation_record_release(&d->record);
    free(d->metadata_path);
    d->metadata_path = NULL;
}
