#include "tests/sim/sim_disk_internal.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- Inodes --- */

struct sim_inode *sim_inode_new(struct sim_volume *volume, bool is_directory)
{
    struct sim_inode *inode = mem_calloc(1, sizeof(*inode));
    inode->references = 1;
    inode->is_directory = is_directory;
    inode->volume = volume;
    return inode;
}

struct sim_inode *sim_inode_ref(struct sim_inode *inode)
{
    if (inode)
        inode->references++;
    return inode;
}

static void names_release(struct sim_names *names)
{
    while (names->count > 0) {
        struct sim_name *last = &names->items[--names->count];
        free(last->name);
        sim_inode_unref(last->inode);
    }
    free(names->items);
    *names = (struct sim_names){0};
}

static void forget_changes(struct sim_inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        free(inode->changes[i].data);
    inode->change_count = 0;
}

void sim_inode_unref(struct sim_inode *inode)
{
    if (!inode || --inode->references > 0)
        return;
    for (size_t i = 0; i < inode->names.count; i++)
        sim_inode_unuse(inode->names.items[i].inode);
    inode->volume->used_bytes -= inode->charged_bytes;
    names_release(&inode->names);
    names_release(&inode->durable_names);
    forget_changes(inode);
    free(inode->changes);
    sim_pages_release(&inode->cache);
    sim_pages_release(&inode->platter);
    free(inode->cold);
    free(inode);
}

void sim_inode_recharge(struct sim_inode *inode)
{
    int64_t bytes = 0;
    if (inode->uses > 0 && !inode->is_directory)
        bytes = (int64_t)sim_page_end(inode->cache.size_bytes) * SIM_PAGE_BYTES;
    inode->volume->used_bytes += bytes - inode->charged_bytes;
    inode->charged_bytes = bytes;
}

void sim_inode_use(struct sim_inode *inode)
{
    inode->uses++;
    sim_inode_recharge(inode);
}

void sim_inode_unuse(struct sim_inode *inode)
{
    CHECK(inode->uses > 0);
    inode->uses--;
    sim_inode_recharge(inode);
}

void sim_inode_warm(struct sim_inode *inode, int64_t position, int64_t len)
{
    size_t first = (size_t)(position / SIM_PAGE_BYTES);
    size_t end = MIN(sim_page_end(position + len), inode->cold_count);
    for (size_t i = first; i < end; i++)
        inode->cold[i] = false;
}

/* --- Names --- */

static size_t names_at(const struct sim_names *names, const char *name, bool *ret_found)
{
    size_t low = 0, high = names->count;
    *ret_found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(names->items[middle].name, name);
        if (order == 0)
            *ret_found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct sim_inode *sim_names_find(const struct sim_names *names, const char *name)
{
    bool found;
    size_t at = names_at(names, name, &found);
    return found ? names->items[at].inode : NULL;
}

void sim_names_set(struct sim_names *names, const char *name, struct sim_inode *inode)
{
    bool found;
    size_t at = names_at(names, name, &found);
    struct sim_name *item = names->items + at;
    sim_inode_ref(inode);
    if (found) {
        sim_inode_unref(item->inode);
        item->inode = inode;
        if (inode)
            return;
        free(item->name);
        memmove(item, item + 1, (--names->count - at) * sizeof(*item));
    } else if (inode) {
        (void)VEC_PUSH(names->items, names->count, names->capacity);
        item = names->items + at;
        memmove(item + 1, item, (names->count - 1 - at) * sizeof(*item));
        *item = (struct sim_name){mem_strdup(name), inode};
    }
}

/* The same for names in the cache, which hold space. */
static void names_set_used(struct sim_names *names, const char *name, struct sim_inode *inode)
{
    struct sim_inode *old = sim_names_find(names, name);
    if (inode)
        sim_inode_use(inode);
    if (old)
        sim_inode_unuse(old);
    sim_names_set(names, name, inode);
}

/* --- Volumes and paths --- */

static void name_change_release(struct sim_name_change *change)
{
    sim_inode_unref(change->from);
    sim_inode_unref(change->to);
    sim_inode_unref(change->inode);
    free(change->name_from);
    free(change->name_to);
}

struct sim_volume *sim_volume_new(struct sim_disk *d, const char *path)
{
    struct sim_volume *v = mem_calloc(1, sizeof(*v));
    v->d = d;
    v->path = mem_strdup(path);
    v->root = sim_inode_new(v, true);
    return v;
}

void sim_volume_clear(struct sim_volume *v)
{
    for (size_t i = 0; i < v->change_count; i++)
        name_change_release(&v->changes[i]);
    v->change_count = 0;
    sim_inode_unref(v->root);
    v->root = sim_inode_new(v, true);
    v->used_bytes = 0;
}

void sim_volume_free(struct sim_volume *v)
{
    sim_volume_clear(v);
    sim_inode_unref(v->root);
    free(v->changes);
    free(v->path);
    free(v);
}

int sim_path_normalize(const char *path, char ret_path[PATH_MAX])
{
    size_t len = 0;
    while (*path) {
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.')
            return -EINVAL;
        if (part > NAME_MAX || len + part + 2 > PATH_MAX)
            return -ENAMETOOLONG;
        if (part > 0 && !(part == 1 && path[0] == '.')) {
            ret_path[len++] = '/';
            memcpy(ret_path + len, path, part);
            len += part;
        }
        path += part;
        if (*path)
            path++;
    }
    ret_path[len] = '\0';
    return 0;
}

struct sim_volume *sim_path_volume(struct sim_disk *d, const char *normalized)
{
    struct sim_volume *best = d->volumes[0];
    for (size_t i = 1; i < d->volume_count; i++) {
        struct sim_volume *v = d->volumes[i];
        size_t len = strlen(v->path);
        if (strncmp(v->path, normalized, len) == 0 && strchr("/", normalized[len]) &&
            len > strlen(best->path))
            best = v;
    }
    return best;
}

int sim_path_find(struct sim_disk *d, const char *normalized, bool durable,
                  struct sim_inode **ret_inode)
{
    struct sim_volume *v = sim_path_volume(d, normalized);
    struct sim_inode *inode = v->root;
    const char *at = normalized + strlen(v->path);
    while (*at == '/') {
        char name[NAME_MAX + 1];
        size_t len = strcspn(++at, "/");
        memcpy(name, at, len);
        name[len] = '\0';
        at += len;
        if (!inode->is_directory)
            return -ENOTDIR;
        inode = sim_names_find(durable ? &inode->durable_names : &inode->names, name);
        if (!inode)
            return -ENOENT;
    }
    *ret_inode = inode;
    return 0;
}

int sim_path_parent(struct sim_disk *d, const char *normalized, struct sim_inode **ret_directory,
                    const char **ret_name)
{
    struct sim_volume *v = sim_path_volume(d, normalized);
    if (strcmp(normalized, v->path) == 0)
        return -EINVAL;
    const char *slash = strrchr(normalized, '/');
    char parent[PATH_MAX];
    memcpy(parent, normalized, (size_t)(slash - normalized));
    parent[slash - normalized] = '\0';
    struct sim_inode *directory;
    int rv = sim_path_find(d, parent, false, &directory);
    if (rv != 0)
        return rv;
    if (!directory->is_directory)
        return -ENOTDIR;
    *ret_directory = directory;
    *ret_name = slash + 1;
    return 0;
}

/* --- Changes of names --- */

static void note_change(struct sim_inode *from, const char *name_from, struct sim_inode *to,
                        const char *name_to, struct sim_inode *inode)
{
    struct sim_volume *v = inode->volume;
    VEC_PUSH(v->changes, v->change_count, v->change_capacity) = (struct sim_name_change){
        .from = sim_inode_ref(from),
        .to = sim_inode_ref(to),
        .name_from = name_from ? mem_strdup(name_from) : NULL,
        .name_to = name_to ? mem_strdup(name_to) : NULL,
        .inode = sim_inode_ref(inode),
    };
}

static void apply_change(const struct sim_name_change *change)
{
    if (change->from &&
        sim_names_find(&change->from->durable_names, change->name_from) == change->inode)
        sim_names_set(&change->from->durable_names, change->name_from, NULL);
    if (change->to)
        sim_names_set(&change->to->durable_names, change->name_to, change->inode);
}

void sim_tree_add(struct sim_inode *directory, const char *name, struct sim_inode *inode)
{
    names_set_used(&directory->names, name, inode);
    note_change(NULL, NULL, directory, name, inode);
}

void sim_tree_remove(struct sim_inode *directory, const char *name)
{
    struct sim_inode *inode = sim_names_find(&directory->names, name);
    note_change(directory, name, NULL, NULL, inode);
    names_set_used(&directory->names, name, NULL);
}

void sim_tree_rename(struct sim_inode *from, const char *name_from, struct sim_inode *to,
                     const char *name_to)
{
    struct sim_inode *inode = sim_names_find(&from->names, name_from);
    note_change(from, name_from, to, name_to, inode);
    names_set_used(&to->names, name_to, inode);
    names_set_used(&from->names, name_from, NULL);
}

/* A rename between directories takes along what came before it in both, as a journal does. */
void sim_tree_sync_names(struct sim_inode *directory)
{
    struct sim_volume *v = directory->volume;
    struct sim_inode **synced = NULL;
    size_t synced_count = 0, synced_capacity = 0, kept = 0;
    bool *take = mem_calloc(v->change_count, sizeof(*take));
    VEC_PUSH(synced, synced_count, synced_capacity) = directory;
    for (size_t i = v->change_count; i-- > 0;) {
        struct sim_name_change *change = &v->changes[i];
        bool from = false, to = false;
        for (size_t j = 0; j < synced_count; j++) {
            from |= synced[j] == change->from;
            to |= synced[j] == change->to;
        }
        take[i] = from || to;
        if (from && !to && change->to)
            VEC_PUSH(synced, synced_count, synced_capacity) = change->to;
        if (to && !from && change->from)
            VEC_PUSH(synced, synced_count, synced_capacity) = change->from;
    }
    for (size_t i = 0; i < v->change_count; i++) {
        if (take[i]) {
            apply_change(&v->changes[i]);
            name_change_release(&v->changes[i]);
        } else {
            v->changes[kept++] = v->changes[i];
        }
    }
    v->change_count = kept;
    free(take);
    free(synced);
}

/* --- Contents --- */

static void apply_to_platter(struct sim_inode *inode, const struct sim_change *change)
{
    if (change->data)
        sim_pages_write(&inode->platter, change->data, change->len, change->position);
    else
        sim_pages_resize(&inode->platter, change->position);
}

/* The oldest changes reach the platter as they are. */
static void write_back(struct sim_inode *inode, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        apply_to_platter(inode, &inode->changes[i]);
        free(inode->changes[i].data);
    }
    if (count == 0)
        return;
    inode->change_count -= count;
    memmove(inode->changes, inode->changes + count, inode->change_count * sizeof(*inode->changes));
}

static void push_change(struct sim_inode *inode, struct sim_change change)
{
    VEC_PUSH(inode->changes, inode->change_count, inode->change_capacity) = change;
    size_t limit = (size_t)inode->volume->d->writeback;
    if (limit > 0 && inode->change_count > limit)
        write_back(inode, inode->change_count / 2);
    sim_inode_recharge(inode);
}

void sim_file_write(struct sim_inode *inode, uint8_t *data, size_t len, int64_t at)
{
    if (len == 0) {
        free(data);
        return;
    }
    sim_pages_write(&inode->cache, data, len, at);
    push_change(inode, (struct sim_change){.position = at, .data = data, .len = len});
}

void sim_file_resize(struct sim_inode *inode, int64_t size_bytes)
{
    sim_pages_resize(&inode->cache, size_bytes);
    push_change(inode, (struct sim_change){.position = size_bytes});
}

/* Pages are shared with the cache instead of written once more. A page that only a lost fsync
 * touched stays lost: it is not dirty. */
void sim_file_sync(struct sim_inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++) {
        struct sim_change *change = &inode->changes[i];
        if (!change->data)
            sim_pages_resize(&inode->platter, change->position);
        else
            sim_pages_share(&inode->platter, &inode->cache,
                            (size_t)(change->position / SIM_PAGE_BYTES),
                            sim_page_end(change->position + (int64_t)change->len));
    }
    if (inode->change_count > 0)
        sim_pages_resize(&inode->platter, inode->cache.size_bytes);
    forget_changes(inode);
}

/*
 * An unknown part of the changes reaches the platter. Storage is written in units (all of a file in
 * order, its pages, or its sectors), and each unit is there as it was after some number of the
 * changes: a later write never without an earlier one to the same unit, but units in any order.
 */
struct survival {
    size_t changes;
    int64_t unit_bytes; /* 0: the file is one */
    uint64_t salt;
    size_t sizes; /* so many of the truncations took place */
};

static size_t unit_version(const struct survival *survival, int64_t position)
{
    uint64_t state = survival->salt;
    if (survival->unit_bytes > 0)
        state += (uint64_t)(position / survival->unit_bytes) * 0x9fb21c651e98df25u;
    uint64_t version = sim_random_mix(&state);
    /* The ends are more likely than what is between. */
    if (version % 4 == 0)
        return 0;
    if (version % 4 == 1)
        return survival->changes;
    return (size_t)(version / 4 % (survival->changes + 1));
}

static void apply_part(struct sim_inode *inode, const struct sim_change *change, size_t number,
                       const struct survival *survival)
{
    int64_t end = change->position + (int64_t)change->len;
    int64_t unit = survival->unit_bytes ? survival->unit_bytes : INT64_MAX / 2;
    for (int64_t at = change->position; at < end;) {
        int64_t next = MIN(end, (at / unit + 1) * unit);
        if (number < unit_version(survival, at))
            sim_pages_write(&inode->platter, change->data + (at - change->position),
                            (size_t)(next - at), at);
        at = next;
    }
}

static void apply_some(struct sim_random *random, struct sim_inode *inode)
{
    static const int64_t units[] = {0, SIM_PAGE_BYTES, SIM_SECTOR_BYTES};
    struct survival survival = {
        .changes = inode->change_count,
        .unit_bytes = units[sim_random_below(random, ARRAY_LEN(units))],
        .salt = sim_random_u64(random),
        .sizes = (size_t)sim_random_below(random, (int64_t)inode->change_count + 1),
    };
    if (survival.unit_bytes == 0)
        survival.sizes = unit_version(&survival, 0);
    for (size_t i = 0; i < inode->change_count; i++) {
        const struct sim_change *change = &inode->changes[i];
        if (change->data)
            apply_part(inode, change, i, &survival);
        else if (i < survival.sizes)
            sim_pages_resize(&inode->platter, change->position);
    }
    size_t torn = survival.sizes;
    if (survival.unit_bytes > 0 || torn == inode->change_count || !inode->changes[torn].data)
        return;
    const struct sim_change *change = &inode->changes[torn];
    sim_pages_write(&inode->platter, change->data,
                    (size_t)sim_random_below(random, (int64_t)change->len), change->position);
}

void sim_file_sync_lost(struct sim_inode *inode)
{
    if (inode->change_count > 0)
        apply_some(&inode->volume->d->random, inode);
    forget_changes(inode);
}

static void sync_tree(struct sim_inode *inode, bool part)
{
    if (!inode->is_directory) {
        if (part && sim_random_below(&inode->volume->d->random, 2) == 0)
            sim_file_sync_lost(inode);
        else
            sim_file_sync(inode);
        return;
    }
    for (size_t i = 0; i < inode->names.count; i++)
        sync_tree(inode->names.items[i].inode, part);
}

void sim_volume_sync(struct sim_volume *v, bool part)
{
    size_t count = v->change_count, kept = 0;
    if (part)
        count = (size_t)sim_random_below(&v->d->random, (int64_t)count + 1);
    sync_tree(v->root, part);
    for (size_t i = 0; i < v->change_count; i++) {
        if (i < count) {
            apply_change(&v->changes[i]);
            name_change_release(&v->changes[i]);
        } else {
            v->changes[kept++] = v->changes[i];
        }
    }
    v->change_count = kept;
}

/* --- Power cut --- */

static void cut_names(struct sim_volume *v, enum sim_disk_cut cut)
{
    struct sim_random *random = &v->d->random;
    /* A journal keeps a prefix; other file systems keep any. */
    bool journal = sim_random_below(random, 2) == 0 || v->d->journaled;
    size_t prefix = (size_t)sim_random_below(random, (int64_t)v->change_count + 1);
    for (size_t i = 0; i < v->change_count; i++) {
        bool keep = journal ? i < prefix : sim_random_below(random, 2) == 0;
        if (cut == SIM_CUT_KEEP_ALL || (cut == SIM_CUT_RANDOM && keep))
            apply_change(&v->changes[i]);
        name_change_release(&v->changes[i]);
    }
    v->change_count = 0;
}

static void cut_file(struct sim_inode *inode, enum sim_disk_cut cut)
{
    if (cut == SIM_CUT_KEEP_ALL)
        write_back(inode, inode->change_count);
    else if (cut == SIM_CUT_RANDOM)
        sim_file_sync_lost(inode);
    forget_changes(inode);
    sim_pages_assign(&inode->cache, &inode->platter);
    inode->cold_count = inode->cache.count;
    inode->cold = mem_realloc(inode->cold, inode->cold_count * sizeof(*inode->cold));
    memset(inode->cold, true, inode->cold_count * sizeof(*inode->cold));
    sim_inode_recharge(inode);
}

static void cut_inode(struct sim_inode *inode, enum sim_disk_cut cut)
{
    if (!inode->is_directory) {
        cut_file(inode, cut);
        return;
    }
    struct sim_names old = inode->names;
    inode->names = (struct sim_names){0};
    for (size_t i = 0; i < inode->durable_names.count; i++) {
        struct sim_name *name = &inode->durable_names.items[i];
        names_set_used(&inode->names, name->name, name->inode);
    }
    for (size_t i = 0; i < old.count; i++)
        sim_inode_unuse(old.items[i].inode);
    names_release(&old);
    for (size_t i = 0; i < inode->names.count; i++)
        cut_inode(inode->names.items[i].inode, cut);
}

void sim_volume_power_cut(struct sim_volume *v, enum sim_disk_cut cut)
{
    cut_names(v, cut);
    cut_inode(v->root, cut);
}
