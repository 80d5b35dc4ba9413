#include "metadata/shell/shell_diff.h"

struct diff {
    shell_diff_fn report;
    void *ctx;
};

static bool same_text(const struct shell_node *before, const struct shell_node *after)
{
    struct bytebuf a, b;
    bytebuf_init(&a);
    bytebuf_init(&b);
    shell_text(before, &a);
    shell_text(after, &b);
    bool same = a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
    bytebuf_release(&a);
    bytebuf_release(&b);
    return same;
}

static bool is_left_out(struct str path)
{
    return str_eq_z(path, "/image/provenance") || str_eq_z(path, "/image/topics/byId");
}

static void walk(const struct diff *diff, const struct shell_node *before,
                 const struct shell_node *after, struct str path);

/* One name that is in either list, or in both. */
static void walk_child(const struct diff *diff, const struct shell_node *before,
                       const struct shell_node *after, struct str path, struct str name)
{
    struct shell_node old, new;
    struct arena arena;
    arena_init(&arena, 0);
    struct str below = arena_printf(&arena, "%.*s/%.*s", STR_FMT(path), STR_FMT(name));
    bool had = before != NULL && shell_child(before, name, &old);
    bool has = after != NULL && shell_child(after, name, &new);
    if (!is_left_out(below) && (had || has))
        walk(diff, had ? &old : NULL, has ? &new : NULL, below);
    arena_release(&arena);
}

static struct shell_names list_of(const struct shell_node *node, struct arena *arena)
{
    struct shell_names names = {.arena = arena};
    if (node != NULL && shell_is_folder(node))
        shell_list(node, false, arena, &names);
    return names;
}

static void walk_folder(const struct diff *diff, const struct shell_node *before,
                        const struct shell_node *after, struct str path)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct shell_names a = list_of(before, &arena), b = list_of(after, &arena);
    size_t i = 0, j = 0;
    while (i < a.count || j < b.count) {
        int order = i == a.count ? 1 : j == b.count ? -1 : str_cmp(a.items[i], b.items[j]);
        walk_child(diff, order <= 0 ? before : NULL, order >= 0 ? after : NULL, path,
                   order <= 0 ? a.items[i] : b.items[j]);
        i += order <= 0;
        j += order >= 0;
    }
    arena_release(&arena);
}

static void walk(const struct diff *diff, const struct shell_node *before,
                 const struct shell_node *after, struct str path)
{
    bool was_leaf = before != NULL && !shell_is_folder(before);
    bool is_leaf = after != NULL && !shell_is_folder(after);
    if (before != NULL && after != NULL && shell_is_same(before, after))
        return;
    if (was_leaf || is_leaf) {
        if (!was_leaf || !is_leaf || !same_text(before, after))
            diff->report(diff->ctx, path, was_leaf ? before : NULL, is_leaf ? after : NULL);
    }
    walk_folder(diff, before, after, path);
}

void shell_diff(const struct shell_node *before, const struct shell_node *after, struct str path,
                shell_diff_fn report, void *ctx)
{
    struct diff diff = {report, ctx};
    walk(&diff, before, after, str_eq_z(path, "/") ? STR_EMPTY : path);
}
