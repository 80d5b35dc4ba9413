/* Paths in the tree, and patterns in them. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "common/base/check.h"
#include "tools/shell.h"

#include <pcre2.h>

#define PARTS_MAX 256

/* --- patterns of names ------------------------------------------------------------------------ */

/* A character class from behind its "[" on; the place behind its "]", or -1 where that is missing.
 */
static int32_t put_class(struct str glob, int32_t at, struct bytebuf *out)
{
    bytebuf_append(out, "[", 1);
    if (at < glob.len && (glob.data[at] == '!' || glob.data[at] == '^')) {
        bytebuf_append(out, "^", 1);
        at++;
    }
    for (bool first = true; at < glob.len; first = false) {
        char c = glob.data[at++];
        if (c == ']' && !first) {
            bytebuf_append(out, "]", 1);
            return at;
        }
        if (c == '\\' && at < glob.len)
            c = glob.data[at++];
        bytebuf_printf(out, "%s%c", strchr("[]\\^", c) != NULL ? "\\" : "", c);
    }
    return -1;
}

/* False where the text is no pattern, or a broken one: then it is only equal to itself. */
static bool to_regex(struct str glob, struct bytebuf *out)
{
    bool pattern = false, group = false;
    bytebuf_printf(out, "\\A");
    for (int32_t at = 0; at < glob.len;) {
        char c = glob.data[at++];
        if (c == '?' || c == '*') {
            pattern = true;
            bytebuf_printf(out, c == '?' ? "." : ".*");
        } else if (c == '{') {
            if (group)
                return false;
            pattern = group = true;
            bytebuf_printf(out, "(?:");
        } else if (c == ',' && group) {
            bytebuf_append(out, "|", 1);
        } else if (c == '}' && group) {
            group = false;
            bytebuf_append(out, ")", 1);
        } else if (c == '[') {
            pattern = true;
            at = put_class(glob, at, out);
            if (at < 0)
                return false;
        } else {
            if (c == '\\' && at < glob.len)
                c = glob.data[at++];
            bytebuf_printf(out, "%s%c", strchr("\\$().+^|?*[]{}", c) != NULL ? "\\" : "", c);
        }
    }
    bytebuf_printf(out, "\\z");
    return pattern && !group;
}

struct pcre2_real_code_8 *shell_pattern(struct str glob)
{
    pcre2_code *code = NULL;
    struct bytebuf regex;
    int error;
    PCRE2_SIZE where;
    bytebuf_init(&regex);
    if (to_regex(glob, &regex))
        code =
            pcre2_compile(regex.data, regex.len, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL,
                          &error, &where, NULL);
    bytebuf_release(&regex);
    return code;
}

bool shell_pattern_matches(struct pcre2_real_code_8 *pattern, struct str name)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    CHECK(data != NULL);
    int rv = pcre2_match(pattern, (PCRE2_SPTR)name.data, (size_t)name.len, 0, 0, data, NULL);
    pcre2_match_data_free(data);
    return rv >= 0;
}

bool shell_is_pattern(const char *path)
{
    struct str rest = str_of(path), part;
    while (!str_is_null(rest)) {
        str_split(&rest, '/', &part);
        struct pcre2_real_code_8 *pattern = shell_pattern(part);
        pcre2_code_free(pattern);
        if (pattern != NULL)
            return true;
    }
    return false;
}

/* --- paths ------------------------------------------------------------------------------------ */

struct parts {
    struct str items[PARTS_MAX];
    size_t count;
};

static void add_parts(struct parts *parts, const char *path)
{
    struct str rest = str_of(path), part;
    while (!str_is_null(rest)) {
        str_split(&rest, '/', &part);
        if (part.len == 0 || str_eq_z(part, "."))
            continue;
        if (str_eq_z(part, ".."))
            parts->count -= parts->count > 0;
        else if (parts->count < PARTS_MAX)
            parts->items[parts->count++] = part;
    }
}

static void absolute(struct parts *parts, const char *directory, const char *path)
{
    parts->count = 0;
    if (path[0] != '/')
        add_parts(parts, directory);
    add_parts(parts, path);
}

struct visit {
    const struct parts *parts;
    shell_visit_fn visit;
    void *ctx;
    size_t found;
};

/* A name without its backslashes. */
static struct str literal(struct str part, struct arena *arena)
{
    char *text = arena_alloc(arena, (size_t)part.len + 1);
    size_t len = 0;
    for (int32_t i = 0; i < part.len; i++) {
        if (part.data[i] == '\\' && i + 1 < part.len)
            i++;
        text[len++] = part.data[i];
    }
    return str_from(text, len);
}

static void descend(struct visit *v, size_t at, const struct shell_found *here);

static void descend_to(struct visit *v, size_t at, const struct shell_found *here, struct str name,
                       struct arena *arena)
{
    struct shell_found child = {.name = name};
    if (!shell_child(&here->node, name, &child.node))
        return;
    child.path = here->path.len == 1
                     ? arena_printf(arena, "/%.*s", STR_FMT(name))
                     : arena_printf(arena, "%.*s/%.*s", STR_FMT(here->path), STR_FMT(name));
    descend(v, at + 1, &child);
}

static void descend(struct visit *v, size_t at, const struct shell_found *here)
{
    if (at == v->parts->count) {
        v->found++;
        v->visit(v->ctx, here);
        return;
    }
    if (!shell_is_folder(&here->node))
        return;
    struct str part = v->parts->items[at];
    struct pcre2_real_code_8 *pattern = shell_pattern(part);
    struct arena arena;
    arena_init(&arena, 0);
    if (pattern == NULL) {
        /* Names may hold backslashes, and what is typed may escape: as it stands, then without. */
        struct shell_node node;
        bool as_is = shell_child(&here->node, part, &node);
        descend_to(v, at, here, as_is ? part : literal(part, &arena), &arena);
    } else {
        struct shell_names names;
        shell_list(&here->node, false, &arena, &names);
        for (size_t i = 0; i < names.count; i++) {
            if (shell_pattern_matches(pattern, names.items[i]))
                descend_to(v, at, here, names.items[i], &arena);
        }
    }
    arena_release(&arena);
    pcre2_code_free(pattern);
}

size_t shell_visit(const struct shell_view *view, const char *directory, const char *path,
                   shell_visit_fn visit, void *ctx)
{
    struct parts parts;
    struct visit v = {.parts = &parts, .visit = visit, .ctx = ctx};
    struct shell_found root = {.path = STR("/"), .name = STR("/")};
    absolute(&parts, directory, path);
    shell_root(view, &root.node);
    descend(&v, 0, &root);
    return v.found;
}

void shell_complete_path(const struct shell_view *view, const char *directory, const char *word,
                         struct arena *arena, struct shell_names *ret_names)
{
    const char *slash = strrchr(word, '/'), *last = slash ? slash + 1 : word;
    const char *before = arena_str_z(arena, str_from(word, (size_t)(last - word)));
    struct parts parts;
    struct shell_node node;
    struct shell_names all, names = {.arena = arena};
    *ret_names = names;
    absolute(&parts, directory, before);
    shell_root(view, &node);
    for (size_t i = 0; i < parts.count; i++) {
        struct shell_node child;
        if (!shell_child(&node, parts.items[i], &child) || !shell_is_folder(&child))
            return;
        node = child;
    }
    /* What is only found is offered once its name has begun. */
    shell_list(&node, *last != '\0', arena, &all);
    for (size_t i = 0; i < all.count; i++) {
        struct shell_node child;
        struct str *items = names.items;
        if (!str_starts_with(all.items[i], str_of(last)) ||
            !shell_child(&node, all.items[i], &child))
            continue;
        if (names.count == names.capacity) {
            names.capacity = names.capacity ? names.capacity * 2 : 16;
            names.items = ARENA_ARRAY(arena, struct str, names.capacity);
            if (names.count > 0)
                memcpy(names.items, items, names.count * sizeof(*items));
        }
        names.items[names.count++] = arena_printf(arena, "%s%.*s%s", before, STR_FMT(all.items[i]),
                                                  shell_is_folder(&child) ? "/" : "");
    }
    *ret_names = names;
}

const char *shell_path_base(const char *directory, const char *path, struct arena *arena)
{
    struct parts parts;
    struct str base = STR_EMPTY;
    absolute(&parts, directory, path);
    for (size_t i = 0; i < parts.count; i++) {
        struct pcre2_real_code_8 *pattern = shell_pattern(parts.items[i]);
        pcre2_code_free(pattern);
        if (pattern != NULL)
            break;
        base = arena_printf(arena, "%.*s/%.*s", STR_FMT(base), STR_FMT(parts.items[i]));
    }
    return base.len > 0 ? base.data : "/";
}

static bool part_is(struct str part, struct str name)
{
    struct pcre2_real_code_8 *pattern = shell_pattern(part);
    bool matches = pattern ? shell_pattern_matches(pattern, name) : str_eq(part, name);
    pcre2_code_free(pattern);
    return matches;
}

bool shell_path_is_below(const char *directory, const char *pattern, struct str path)
{
    struct parts parts;
    struct str rest = {path.data + 1, path.len - 1}, name;
    absolute(&parts, directory, pattern);
    for (size_t i = 0; i < parts.count; i++) {
        if (str_is_null(rest))
            return false;
        str_split(&rest, '/', &name);
        if (!part_is(parts.items[i], name))
            return false;
    }
    return true;
}
