#include "raft/quorum_aside.h"

#include "common/base/mem.h"
#include "common/storage/log_names.h"
#include "common/storage/meta_properties.h"
#include "raft/format.h"
#include "raft/quorum_checkpoint.h"

#include <errno.h>
#include <stdlib.h>

/* That this disk joined, as a blank one that did has it: of no formation, and no static quorum. */
static int store_joined(struct disk *disk, const char *metadata_path, struct uuid id)
{
    struct formation_record record = {.directory_id = id};
    return formation_record_store(disk, metadata_path, &record);
}

static int change_id(struct env *env, const char *metadata_path)
{
    struct meta_properties meta;
    char *path = mem_printf("%s/" META_PROPERTIES_FILE, metadata_path);
    int rv = meta_properties_read(env->disk, path, &meta);
    /* Before the id is a new one, and with it: the log may be gone altogether, and without a record
     * nothing would tell that there was one. */
    if (rv == 0)
        rv = store_joined(env->disk, metadata_path, meta.directory_id);
    if (rv == 0) {
        meta.directory_id = env_random_uuid(env);
        rv = meta_properties_write(env->disk, path, &meta, env_wall_ms(env));
    }
    if (rv == 0)
        rv = store_joined(env->disk, metadata_path, meta.directory_id);
    free(path);
    return rv;
}

/* As a blank node that joins a formed cluster has it: voters stand in the log, and none is known.
 */
static int write_bootstrap(struct env *env, const char *log_path)
{
    int64_t now_ms = env_wall_ms(env);
    struct quorum_checkpoint_header header = {
        .last_contained_ms = now_ms, .timestamp_ms = now_ms, .with_kraft_version = true};
    struct quorum_checkpoint_writer *writer;
    int rv = quorum_checkpoint_create(env->disk, log_path, QUORUM_CHECKPOINT_BOOTSTRAP, &header,
                                      &writer);
    return rv == 0 ? quorum_checkpoint_finish(writer) : rv;
}

struct names {
    char **items;
    size_t count, capacity;
};

static int collect(void *ctx, const char *name)
{
    struct names *names = ctx;
    struct quorum_checkpoint_id id;
    bool bootstrap = quorum_checkpoint_parse_name(name, &id) && id.end_offset == 0;
    if (!bootstrap)
        VEC_PUSH(names->items, names->count, names->capacity) = str_dup_z(str_of(name));
    return 0;
}

static int move_all(struct disk *disk, const char *from, const char *to)
{
    struct names names = {0};
    int rv = disk->ops->list(disk, from, collect, &names);
    if (rv == 0)
        rv = disk_make_path(disk, to);
    for (size_t i = 0; i < names.count; i++) {
        char *old_path = mem_printf("%s/%s", from, names.items[i]);
        char *new_path = mem_printf("%s/%s", to, names.items[i]);
        if (rv == 0)
            rv = disk->ops->rename(disk, old_path, new_path);
        free(old_path);
        free(new_path);
        free(names.items[i]);
    }
    free(names.items);
    if (rv == 0)
        rv = disk->ops->fsync_dir(disk, to);
    return rv == 0 ? disk->ops->fsync_dir(disk, from) : rv;
}

int quorum_aside(struct env *env, const char *metadata_path, char **ret_stray)
{
    struct uuid unique = env_random_uuid(env);
    char *log_path = mem_printf("%s/" FORMAT_METADATA_NAME, metadata_path);
    char name[LOG_DIR_NAME_MAX + 1];
    log_dir_name_format(name, STR("__cluster_metadata"), 0, LOG_DIR_STRAY, unique);
    char *stray = mem_printf("%s/%s", metadata_path, name);
    int rv = change_id(env, metadata_path);
    if (rv == 0)
        rv = write_bootstrap(env, log_path);
    if (rv == 0)
        rv = move_all(env->disk, log_path, stray);
    free(log_path);
    if (rv == 0)
        *ret_stray = stray;
    else
        free(stray);
    return rv;
}
