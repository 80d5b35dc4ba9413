#include "raft/formation_disk.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "raft/formation.h"
#include "raft/quorum_checkpoint.h"
#include "raft/quorum_opening.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 3, 4))) static int refuse(struct formation_disk *d, int rv,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(d->error, sizeof(d->error), format, args);
    va_end(args);
    return rv;
}

void formation_disk_release(struct formation_disk *d)
{
    formation_record_release(&d->record);
}

static int look_at_dir(const struct formation_disk_args *args, struct formation_disk *d,
                       const struct formation_dir *dir)
{
    if (dir->status != 0 || !dir->has_meta)
        return 0;
    if (dir->meta.node_id >= 0 && dir->meta.node_id != args->node_id)
        return refuse(d, -EBADMSG,
                      "%s belongs to node.id %" PRId32 ", but this node is %" PRId32
                      ": correct node.id in the configuration, or use the directory of this node",
                      dir->path, dir->meta.node_id, args->node_id);
    if (d->cluster_id[0] && strcmp(d->cluster_id, dir->meta.cluster_id) != 0)
        return refuse(d, -EBADMSG, "%s belongs to cluster %s, but another directory to cluster %s",
                      dir->path, dir->meta.cluster_id, d->cluster_id);
    memcpy(d->cluster_id, dir->meta.cluster_id, sizeof(d->cluster_id));
    for (const struct formation_dir *other = args->dirs; other < dir; other++) {
        char id[UUID_TEXT_LEN + 1];
        if (other->status != 0 || !other->has_meta || uuid_is_zero(dir->meta.directory_id) ||
            !uuid_eq(dir->meta.directory_id, other->meta.directory_id))
            continue;
        uuid_format(dir->meta.directory_id, id);
        return refuse(d, -EBADMSG,
                      "%s and %s both have the directory.id %s: one is a copy of the other; move "
                      "it away",
                      other->path, dir->path, id);
    }
    return 0;
}

/* The record and meta.properties of the metadata directory are of one disk and one cluster. */
static int look_at_record(const struct formation_disk_args *args, struct formation_disk *d)
{
    const struct formation_dir *metadata = &args->dirs[args->metadata_dir];
    int rv = formation_record_load(args->env->disk, metadata->path, &d->record);
    if (rv == -ENOENT)
        return 0;
    if (rv != 0)
        return refuse(d, rv, "%s/" FORMATION_FILE " cannot be read: %s", metadata->path,
                      rv == -EBADMSG ? "it is damaged" : strerror(-rv));
    if (d->record.cluster_id[0] && d->cluster_id[0] &&
        strcmp(d->record.cluster_id, d->cluster_id) != 0)
        return refuse(d, -EBADMSG,
                      "%s/" FORMATION_FILE " is of cluster %s, but " META_PROPERTIES_FILE
                      " says %s",
                      metadata->path, d->record.cluster_id, d->cluster_id);
    bool same = !metadata->has_meta || uuid_is_zero(metadata->meta.directory_id) ||
                uuid_eq(metadata->meta.directory_id, d->record.directory_id);
    /* Cut short while the log was set aside (quorum_aside.h). */
    if (!same && !d->record.cluster_id[0])
        d->record.directory_id = metadata->meta.directory_id;
    else if (!same)
        return refuse(d, -EBADMSG,
                      "%s/" FORMATION_FILE " is of another disk than " META_PROPERTIES_FILE
                      " beside it: one of them was copied here",
                      metadata->path);
    if (d->record.cluster_id[0])
        memcpy(d->cluster_id, d->record.cluster_id, sizeof(d->cluster_id));
    return 0;
}

static int find_data(void *ctx, const char *name)
{
    bool *has_data = ctx;
    struct quorum_checkpoint_id id;
    bool bootstrap = quorum_checkpoint_parse_name(name, &id) && id.end_offset == 0;
    bool leftover =
        str_ends_with(str_of(name), STR(".part")) || str_ends_with(str_of(name), STR(".tmp"));
    *has_data |= !bootstrap && !leftover;
    return 0;
}

static int look_for_data(const struct formation_disk_args *args, struct formation_disk *d)
{
    for (size_t i = 0; i < args->dir_count; i++) {
        const struct formation_dir *dir = &args->dirs[i];
        if (dir->status == 0 && dir->has_partitions && !dir->has_meta)
            return refuse(d, -EBADMSG,
                          "%s holds partitions but no " META_PROPERTIES_FILE
                          ": bring that file back, or move the directory away to start anew",
                          dir->path);
    }
    bool has_data = false;
    const char *path = args->dirs[args->metadata_dir].path;
    char *log = mem_printf("%s/" FORMAT_METADATA_NAME, path);
    int rv = args->env->disk->ops->list(args->env->disk, log, find_data, &has_data);
    if (rv == -ENOENT)
        rv = 0;
    if (rv != 0)
        refuse(d, rv, "%s cannot be listed: %s", log, strerror(-rv));
    else if (has_data)
        rv = refuse(d, -EBADMSG,
                    "%s holds a metadata log, but %s has no " META_PROPERTIES_FILE
                    ": bring that file back, or move the directory away to start anew",
                    log, path);
    free(log);
    return rv;
}

int formation_disk_look(const struct formation_disk_args *args, struct formation_disk *d)
{
    *d = (struct formation_disk){0};
    CHECK(args->metadata_dir < args->dir_count);
    const struct formation_dir *metadata = &args->dirs[args->metadata_dir];
    if (metadata->status != 0)
        return refuse(d, metadata->status, "the disk of the metadata log, %s, cannot be used: %s",
                      metadata->path, strerror(-metadata->status));
    int rv = 0;
    for (size_t i = 0; i < args->dir_count && rv == 0; i++)
        rv = look_at_dir(args, d, &args->dirs[i]);
    if (rv == 0)
        rv = look_at_record(args, d);
    if (rv == 0 && !metadata->has_meta)
        rv = look_for_data(args, d);
    if (rv != 0)
        return rv;
    if (metadata->has_meta && !uuid_is_zero(metadata->meta.directory_id))
        d->directory_id = metadata->meta.directory_id;
    else
        d->directory_id = d->record.directory_id;
    if (uuid_is_zero(d->directory_id))
        d->directory_id = env_random_uuid(args->env);
    return 0;
}

int formation_disk_settle(const struct formation_disk_args *args, struct formation_disk *d)
{
    CHECK(!d->cluster_id[0]);
    struct disk *disk = args->env->disk;
    const char *path = args->dirs[args->metadata_dir].path;
    int rv;
    if (uuid_eq(d->record.directory_id, d->directory_id)) {
        /* Whoever wrote it may have failed to. */
        rv = disk->ops->fsync_dir(disk, path);
    } else {
        d->record.directory_id = d->directory_id;
        rv = disk_make_path(disk, path);
        if (rv == 0)
            rv = formation_record_store(disk, path, &d->record);
    }
    return rv == 0
               ? 0
               : refuse(d, rv, "%s/" FORMATION_FILE " cannot be written: %s", path, strerror(-rv));
}

/* meta.properties where it is missing, or is of a Kafka that had no directory ids. */
static int write_files(const struct formation_disk_args *args, struct formation_disk *d,
                       struct format_request *request, bool *ret_wrote)
{
    struct format_dir *dirs = mem_calloc(args->dir_count, sizeof(dirs[0]));
    bool wrote = false;
    for (size_t i = 0; i < args->dir_count; i++) {
        const struct formation_dir *dir = &args->dirs[i];
        dirs[i].path = dir->path;
        dirs[i].skip = dir->status != 0 || (dir->has_meta && !uuid_is_zero(dir->meta.directory_id));
        dirs[i].directory_id =
            i == args->metadata_dir ? d->directory_id : env_random_uuid(args->env);
        wrote |= !dirs[i].skip;
    }
    request->cluster_id = d->cluster_id;
    request->node_id = args->node_id;
    request->now_ms = env_wall_ms(args->env);
    request->dirs = dirs;
    request->dir_count = args->dir_count;
    request->metadata_dir = args->metadata_dir;
    int rv = wrote ? format_directories(args->env->disk, request, d->error) : 0;
    free(dirs);
    *ret_wrote = wrote;
    return rv;
}

int formation_disk_write(const struct formation_disk_args *args, struct formation_disk *d,
                         const struct formation_record *record)
{
    bool wrote;
    struct format_request request = {
        .with_kraft_version = true,
        .voters = record->voters,
        .records = args->records,
        .formation = record,
    };
    memcpy(d->cluster_id, record->cluster_id, sizeof(d->cluster_id));
    int rv = write_files(args, d, &request, &wrote);
    if (rv != 0)
        return rv;
    formation_record_release(&d->record);
    formation_record_copy(&d->record, record);
    d->formed_now = true;
    return 0;
}

int formation_disk_join(const struct formation_disk_args *args, struct formation_disk *d,
                        const char *cluster_id)
{
    bool wrote;
    struct format_request request = {.with_kraft_version = true};
    snprintf(d->cluster_id, sizeof(d->cluster_id), "%s", cluster_id);
    return write_files(args, d, &request, &wrote);
}

int formation_disk_complete(const struct formation_disk_args *args, struct formation_disk *d,
                            bool *ret_wrote)
{
    CHECK(d->cluster_id[0]);
    /* A record without meta.properties: the writing of a formation was cut short. */
    bool cut_short = !args->dirs[args->metadata_dir].has_meta && d->record.cluster_id[0];
    struct format_request request = {
        .without_checkpoint = !cut_short,
        .with_kraft_version = true,
        .voters = cut_short ? d->record.voters : NULL,
        .records = args->records,
    };
    return write_files(args, d, &request, ret_wrote);
}

static int find_any(void *ctx, const char *name)
{
    bool *found = ctx;
    *found = true;
    return 0;
}

/* meta.properties is the last file that a formation writes. */
static int check_log(const struct formation_disk_args *args, struct formation_disk *d)
{
    const char *path = args->dirs[args->metadata_dir].path;
    char *log = mem_printf("%s/" FORMAT_METADATA_NAME, path);
    bool found = false;
    int rv = args->env->disk->ops->list(args->env->disk, log, find_any, &found);
    if (rv == -ENOENT || (rv == 0 && !found))
        rv = refuse(d, -EBADMSG,
                    "%s is gone, where the metadata of cluster %s was: bring it back from a copy, "
                    "or move %s/" META_PROPERTIES_FILE " and %s/" FORMATION_FILE
                    " away to start a new cluster",
                    log, d->cluster_id, path, path);
    else if (rv != 0)
        rv = refuse(d, rv, "%s cannot be listed: %s", log, strerror(-rv));
    free(log);
    return rv;
}

/* The metadata of a node that is alone stands nowhere else: without its disk there is nothing that
 * the other directories belong to. */
static int check_metadata(const struct formation_disk_args *args, struct formation_disk *d)
{
    const struct formation_dir *metadata = &args->dirs[args->metadata_dir];
    if (metadata->has_meta && d->record.cluster_id[0])
        return check_log(args, d);
    if (metadata->has_meta || d->record.cluster_id[0])
        return 0;
    for (size_t i = 0; i < args->dir_count; i++) {
        const struct formation_dir *dir = &args->dirs[i];
        if (dir->status == 0 && dir->has_meta)
            return refuse(d, -EBADMSG,
                          "%s is of cluster %s, but %s, where the metadata log is kept, is empty: "
                          "the metadata of that cluster is not there. Bring %s back (is it "
                          "mounted?), or move %s away to start a new cluster",
                          dir->path, d->cluster_id, metadata->path, metadata->path, dir->path);
    }
    return 0;
}

int formation_disk_alone(const struct formation_disk_args *args, struct formation_disk *d,
                         bool *ret_wrote)
{
    *ret_wrote = false;
    int rv = formation_disk_look(args, d);
    if (rv == 0 && d->cluster_id[0])
        rv = check_metadata(args, d);
    if (rv != 0)
        return rv;
    if (d->cluster_id[0])
        return formation_disk_complete(args, d, ret_wrote);
    struct formation_config config = {
        .node_id = args->node_id,
        .self = args->self,
        .listed_count = 1,
        .round_timeout_ms = 1000,
        .retry_ms = 1000,
    };
    /* Nobody is asked, so the directory id becomes durable with the record. */
    struct formation *formation =
        formation_new(&config, env_random_uuid(args->env), d->directory_id, NULL);
    struct formation_action action;
    formation_start(formation, env_now_ms(args->env));
    while (rv == 0 && formation_take(formation, &action)) {
        if (action.type != FORMATION_WRITE)
            continue;
        rv = formation_disk_write(args, d, action.record);
        if (rv == 0)
            formation_written(formation, env_now_ms(args->env));
    }
    CHECK(rv != 0 || formation_state(formation) == FORMATION_BOUND);
    formation_free(formation);
    *ret_wrote = rv == 0;
    return rv;
}

struct data_search {
    struct disk *disk;
    const char *path;
    bool found;
};

static int find_records(void *ctx, const char *name)
{
    struct data_search *search = ctx;
    struct quorum_checkpoint_id id;
    if (quorum_checkpoint_parse_name(name, &id)) {
        search->found |= id.end_offset > 0;
        return 0;
    }
    if (!str_ends_with(str_of(name), STR(".log")))
        return 0;
    struct disk_stat stat;
    char *path = mem_printf("%s/%s", search->path, name);
    int rv = search->disk->ops->stat(search->disk, path, &stat);
    free(path);
    search->found |= rv == 0 && stat.size_bytes > 0;
    return rv;
}

int formation_disk_has_data(struct disk *disk, const char *log_path, bool *ret_has_data)
{
    struct data_search search = {.disk = disk, .path = log_path};
    int rv = disk->ops->list(disk, log_path, find_records, &search);
    if (rv == 0 || rv == -ENOENT)
        *ret_has_data = search.found;
    return rv == -ENOENT ? 0 : rv;
}

int formation_disk_mark(struct disk *disk, const char *log_path)
{
    int64_t mark;
    int rv = disk_make_path(disk, log_path);
    if (rv == 0)
        rv = quorum_mark_read(disk, log_path, &mark);
    return rv == -ENOENT ? quorum_mark_write(disk, log_path, 0) : rv;
}

int formation_disk_is_dynamic(struct disk *disk, const char *log_path, bool *ret_is_dynamic)
{
    struct quorum_checkpoint_id *ids;
    size_t count;
    int rv = quorum_checkpoint_list(disk, log_path, false, &ids, &count);
    if (rv != 0)
        return rv == -ENOENT ? 0 : rv;
    for (size_t i = count; i-- > 0;) {
        struct quorum_checkpoint_info info;
        rv = quorum_checkpoint_read(disk, log_path, ids[i], NULL, NULL, &info);
        if (rv == 0) {
            *ret_is_dynamic = info.kraft_version > 0;
            quorum_voters_unref(info.voters);
        }
        if (rv != -EBADMSG)
            break;
    }
    free(ids);
    return rv == -EBADMSG ? 0 : rv;
}

int formation_disk_reset(struct env *env, const char *const *paths, size_t count,
                         const char *metadata_path)
{
    struct disk *disk = env->disk;
    char *log = mem_printf("%s/" FORMAT_METADATA_NAME, metadata_path);
    bool has_data = false;
    int rv = formation_disk_has_data(disk, log, &has_data);
    if (rv == 0 && has_data)
        rv = -EEXIST;
    for (size_t i = 0; i < count && rv == 0; i++) {
        char *path = mem_printf("%s/" META_PROPERTIES_FILE, paths[i]);
        rv = disk->ops->unlink(disk, path);
        if (rv == 0 || rv == -ENOENT)
            rv = disk->ops->fsync_dir(disk, paths[i]);
        free(path);
    }
    if (rv == 0)
        rv = disk_remove_tree(disk, log);
    free(log);
    if (rv == -ENOENT)
        rv = 0;
    struct formation_record blank = {.directory_id = env_random_uuid(env)};
    return rv == 0 ? formation_record_store(disk, metadata_path, &blank) : rv;
}
