/* cat, cd, find, ls, pwd, tree. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/shell.h"

#include <pcre2.h>
#include <stdlib.h>

enum { COLUMN_GAP = 2, COLUMN_MIN = 4 };

/* One command at work on its targets. */
struct show {
    struct shell *shell;
    const char *command;
    const char *target; /* as it was typed */
    bool is_pattern;
    struct arena arena;
    json_t *json; /* what --format json prints: by path */
    bool failed;
};

static void show_begin(struct show *show, struct shell *shell, const char *command)
{
    *show = (struct show){.shell = shell, .command = command};
    arena_init(&show->arena, 0);
    if (shell->json)
        show->json = json_object();
}

static void show_end(struct show *show)
{
    if (show->json != NULL && !show->failed)
        tool_print_json(show->json);
    else
        json_decref(show->json);
    arena_release(&show->arena);
}

/* "ls: nope: no such file or directory." The first one is the document, and the exit code. */
static void show_problem(struct show *show, const char *problem)
{
    struct failure failure;
    if (show->json == NULL) {
        printf("%s: %s: %s\n", show->command, show->target, problem);
        return;
    }
    failure_set(&failure, KAFKA_ERROR_RESOURCE_NOT_FOUND, "%s: %s: %s", show->command, show->target,
                problem);
    if (!show->failed)
        shell_fail(show->shell, &failure);
    show->failed = true;
}

static void show_json(struct show *show, struct str path, json_t *value)
{
    json_object_set_new(show->json, arena_str_z(&show->arena, path), value);
}

/* Calls visit for the nodes of every target; "." where there is none. */
static void each_target(struct show *show, const struct shell_words *words, shell_visit_fn visit,
                        const char *missing)
{
    const struct shell_view *view = metadata_replay_view(show->shell->replay);
    bool any = false;
    for (size_t i = 0; i <= words->count; i++) {
        const char *target = i < words->count ? words->items[i] : ".";
        if (i == words->count ? any : target[0] == '\0')
            continue;
        any = true;
        show->target = target;
        show->is_pattern = shell_is_pattern(target);
        if (shell_visit(view, show->shell->directory, target, visit, show) == 0)
            show_problem(show, missing);
    }
}

/* --- ls --------------------------------------------------------------------------------------- */

struct listed {
    struct str name;
    struct shell_names children;
};

struct ls {
    struct show show;
    bool all;
    struct str *files;
    size_t file_count, file_capacity;
    struct listed *folders;
    size_t folder_count, folder_capacity;
};

static void ls_visit(void *ctx, const struct shell_found *found)
{
    struct ls *ls = ctx;
    struct arena *arena = &ls->show.arena;
    struct listed listed = {.name = arena_str(arena, found->name)};
    bool folder = shell_is_folder(&found->node);
    if (folder)
        shell_list(&found->node, ls->all, arena, &listed.children);
    if (ls->show.json != NULL) {
        json_t *names = folder ? json_array() : json_null();
        for (size_t i = 0; i < listed.children.count; i++)
            json_array_append_new(names, tool_json_str(listed.children.items[i]));
        show_json(&ls->show, found->path, names);
    } else if (folder) {
        VEC_PUSH(ls->folders, ls->folder_count, ls->folder_capacity) = listed;
    } else {
        VEC_PUSH(ls->files, ls->file_count, ls->file_capacity) = listed.name;
    }
}

/* How wide each of so many columns gets; the width of all of them. */
static int32_t column_widths(const struct str *names, size_t count, size_t columns,
                             int32_t *ret_widths)
{
    size_t lines = (count + columns - 1) / columns;
    int32_t total = 0;
    memset(ret_widths, 0, columns * sizeof(*ret_widths));
    for (size_t i = 0; i < count; i++)
        ret_widths[i / lines] = MAX(ret_widths[i / lines], names[i].len + COLUMN_GAP);
    for (size_t c = 0; c < columns; c++)
        total += ret_widths[c];
    return total;
}

/* As many columns as fit, filled from top to bottom. */
static void print_columns(const struct shell *shell, const struct str *names, size_t count)
{
    size_t columns = MAX(shell->width / COLUMN_MIN, 1);
    int32_t *widths = mem_calloc(columns, sizeof(*widths));
    for (; columns > 1; columns--) {
        if (column_widths(names, count, columns, widths) <= shell->width &&
            widths[columns - 1] != 0)
            break;
    }
    size_t lines = (count + columns - 1) / columns;
    for (size_t line = 0; line < lines; line++) {
        for (size_t at = line, c = 0; c < columns; at += lines, c++) {
            if (at < count)
                printf("%.*s%*s", STR_FMT(names[at]),
                       c + 1 < columns ? MAX(widths[c] - names[at].len, 0) : 0, "");
        }
        putchar('\n');
    }
    free(widths);
}

void shell_ls(struct shell *shell, const struct shell_words *words)
{
    struct ls ls = {.all = words->options[0] != NULL};
    show_begin(&ls.show, shell, "ls");
    each_target(&ls.show, words, ls_visit, "no such file or directory.");
    if (ls.file_count > 0)
        print_columns(shell, ls.files, ls.file_count);
    bool titles = ls.file_count > 0 || ls.folder_count > 1, first = ls.file_count == 0;
    for (size_t i = 0; i < ls.folder_count; i++) {
        if (ls.folders[i].children.count > 0) {
            if (titles)
                printf("%s%.*s:\n", first ? "" : "\n", STR_FMT(ls.folders[i].name));
            print_columns(shell, ls.folders[i].children.items, ls.folders[i].children.count);
        }
        first = false;
    }
    free(ls.files);
    free(ls.folders);
    show_end(&ls.show);
}

/* --- cat and tree ----------------------------------------------------------------------------- */

/* Every line of a leaf's text behind the indentation. */
static void print_text(const struct shell_node *leaf, int depth)
{
    struct bytebuf text;
    bytebuf_init(&text);
    shell_text(leaf, &text);
    struct str rest = str_from((const char *)text.data, text.len), line;
    while (!str_is_null(rest)) {
        str_split(&rest, '\n', &line);
        printf("%*s%.*s\n", depth * 2, "", STR_FMT(line));
    }
    bytebuf_release(&text);
}

static void cat_visit(void *ctx, const struct shell_found *found)
{
    struct show *show = ctx;
    if (shell_is_folder(&found->node)) {
        if (show->is_pattern)
            show->target = arena_str_z(&show->arena, found->path);
        show_problem(show, "Is a directory");
    } else if (show->json != NULL) {
        show_json(show, found->path, shell_json(&found->node));
    } else {
        print_text(&found->node, 0);
    }
}

void shell_cat(struct shell *shell, const struct shell_words *words)
{
    struct show show;
    show_begin(&show, shell, "cat");
    each_target(&show, words, cat_visit, "No such file or directory.");
    show_end(&show);
}

static void print_tree(const struct shell_node *node, int depth)
{
    struct shell_names names;
    struct arena arena;
    if (!shell_is_folder(node)) {
        print_text(node, depth);
        return;
    }
    arena_init(&arena, 0);
    shell_list(node, false, &arena, &names);
    for (size_t i = 0; i < names.count; i++) {
        struct shell_node child;
        printf("%*s%.*s:\n", depth * 2, "", STR_FMT(names.items[i]));
        if (shell_child(node, names.items[i], &child))
            print_tree(&child, depth + 1);
    }
    arena_release(&arena);
}

static json_t *json_of_tree(const struct shell_node *node)
{
    struct shell_names names;
    struct arena arena;
    if (!shell_is_folder(node))
        return shell_json(node);
    arena_init(&arena, 0);
    shell_list(node, false, &arena, &names);
    json_t *json = json_object();
    for (size_t i = 0; i < names.count; i++) {
        struct shell_node child;
        if (shell_child(node, names.items[i], &child))
            json_object_set_new(json, arena_str_z(&arena, arena_utf8(&arena, names.items[i])),
                                json_of_tree(&child));
    }
    arena_release(&arena);
    return json;
}

static void tree_visit(void *ctx, const struct shell_found *found)
{
    struct show *show = ctx;
    if (show->json != NULL)
        show_json(show, found->path, json_of_tree(&found->node));
    else
        print_tree(&found->node, 0);
}

void shell_tree(struct shell *shell, const struct shell_words *words)
{
    struct show show;
    show_begin(&show, shell, "tree");
    each_target(&show, words, tree_visit, "No such file or directory.");
    show_end(&show);
}

/* --- find ------------------------------------------------------------------------------------- */

struct find {
    struct show show;
    struct pcre2_real_code_8 *name, *value; /* NULL: any */
    struct str exact_name;                  /* null: any */
    bool leaves;                            /* what is looked for has a value */
    struct bytebuf text;
};

static bool find_value(struct find *find, const struct shell_node *leaf)
{
    find->text.len = 0;
    shell_text(leaf, &find->text);
    bytebuf_reserve(&find->text, 1);
    return shell_pattern_matches(find->value,
                                 str_from((const char *)find->text.data, find->text.len));
}

static bool find_takes(struct find *find, const struct shell_node *node, struct str name)
{
    if (find->name != NULL && !shell_pattern_matches(find->name, name))
        return false;
    if (!str_is_null(find->exact_name) && !str_eq(name, find->exact_name))
        return false;
    if (find->value == NULL)
        return true;
    return !shell_is_folder(node) && find_value(find, node);
}

static void find_below(struct find *find, const struct shell_node *node, struct str path,
                       struct str name)
{
    struct shell_names names;
    struct arena arena;
    arena_init(&arena, 0);
    if (find_takes(find, node, name)) {
        if (find->show.json != NULL)
            show_json(&find->show, path, shell_is_folder(node) ? json_null() : shell_json(node));
        else
            printf("%.*s\n", STR_FMT(path));
    }
    if (shell_is_folder(node)) {
        shell_list(node, false, &arena, &names);
        for (size_t i = 0; i < names.count; i++) {
            struct shell_node child;
            bool slash = path.len > 0 && path.data[path.len - 1] == '/';
            if (shell_child(node, names.items[i], &child))
                find_below(find, &child,
                           arena_printf(&arena, "%.*s%s%.*s", STR_FMT(path), slash ? "" : "/",
                                        STR_FMT(names.items[i])),
                           names.items[i]);
        }
    }
    arena_release(&arena);
}

static void find_visit(void *ctx, const struct shell_found *found)
{
    struct find *find = ctx;
    bool as_typed = !find->show.is_pattern && find->show.json == NULL;
    find_below(find, &found->node, as_typed ? str_of(find->show.target) : found->path, found->name);
}

static bool find_compile(struct find *find, const char *regex)
{
    int error;
    PCRE2_SIZE where;
    unsigned char text[128] = "";
    find->value = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
                                PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &error, &where, NULL);
    if (find->value != NULL)
        return true;
    struct failure failure;
    pcre2_get_error_message(error, text, sizeof(text));
    failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST,
                "find: %s is no regular expression: %s at place %zu", regex, (const char *)text,
                where);
    shell_fail(find->show.shell, &failure);
    return false;
}

void shell_find(struct shell *shell, const struct shell_words *words)
{
    const char *name = words->options[0], *value = words->options[1];
    struct find find = {.exact_name = STR_NULL};
    show_begin(&find.show, shell, "find");
    bytebuf_init(&find.text);
    if (name != NULL && (find.name = shell_pattern(str_of(name))) == NULL)
        find.exact_name = str_of(name);
    if (value == NULL || find_compile(&find, value))
        each_target(&find.show, words, find_visit, "no such file or directory.");
    else
        find.show.failed = true;
    bytebuf_release(&find.text);
    pcre2_code_free(find.name);
    pcre2_code_free(find.value);
    show_end(&find.show);
}

/* --- cd and pwd ------------------------------------------------------------------------------- */

struct cd {
    struct show show;
    char *directory; /* where to go */
};

static void cd_visit(void *ctx, const struct shell_found *found)
{
    struct cd *cd = ctx;
    if (!shell_is_folder(&found->node)) {
        show_problem(&cd->show, "not a directory.");
        return;
    }
    free(cd->directory);
    cd->directory = str_dup_z(found->path);
}

void shell_cd(struct shell *shell, const struct shell_words *words)
{
    struct cd cd = {0};
    const char *target = words->count > 0 ? words->items[0] : "/";
    show_begin(&cd.show, shell, "cd");
    cd.show.target = target;
    if (shell_visit(metadata_replay_view(shell->replay), shell->directory, target, cd_visit, &cd) ==
        0)
        show_problem(&cd.show, "no such directory.");
    if (cd.directory != NULL) {
        free(shell->directory);
        shell->directory = cd.directory;
    }
    cd.show.failed = true; /* nothing to print */
    show_end(&cd.show);
}

void shell_pwd(struct shell *shell, const struct shell_words *words)
{
    if (shell->json)
        tool_print_json(json_pack("{s:s}", "path", shell->directory));
    else
        puts(shell->directory);
}
