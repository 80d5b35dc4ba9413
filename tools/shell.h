/*
 * kafka-metadata-shell: a tree of files over the metadata of a cluster. The parts:
 *
 *   metadata_shell.c   the command line, and which source it opens
 *   shell_session.c    reads commands, on a terminal with libedit
 *   shell_commands.c   what commands there are and what they take
 *   shell_show.c       cat, cd, find, ls, pwd, tree
 *   shell_changes.c    diff, log, watch
 *   shell_path.c       paths and patterns; shell_words.c: words of a line
 *
 * What Kafka's shell prints, this one prints the same, and both exit with 0 where a path is not
 * there; with --format json a command prints one document and fails where Kafka's would only say
 * so. One thread.
 */
#ifndef KRAFTD_TOOLS_SHELL_H
#define KRAFTD_TOOLS_SHELL_H

#include "tools/metadata_replay.h"
#include "tools/tool.h"

struct shell_history {
    char **lines;
    size_t count, capacity;
};

struct shell {
    struct metadata_source *source;
    struct metadata_replay *replay;
    int64_t at_offset; /* METADATA_REPLAY_NEWEST: the newest, and on from there */
    char *directory;   /* the working directory: "/" or "/a/b" */
    bool json;
    bool interactive; /* one command after another, or one and out */
    int width;        /* of the terminal; 0: none */
    bool leaving;     /* exit was typed */
    struct shell_history history;
    int cancel_fd; /* readable when watch has to end; -1: none */
    int code;      /* what the tool exits with */
};

/* --- words -------------------------------------------------------------------------------- */

/* Quotes and backslashes as in a POSIX shell, without any other meaning. In the arena. */
void shell_split_words(const char *line, struct arena *arena, const char ***ret_words,
                       size_t *ret_count);

/* --- paths -------------------------------------------------------------------------------- */

struct shell_found {
    struct str path; /* from the root */
    struct str name; /* its last part, "/" for the root */
    struct shell_node node;
};

typedef void (*shell_visit_fn)(void *ctx, const struct shell_found *found);

/*
 * Calls visit for each node that the path names: "?", "*", "{a,b}" and "[a-z]" in its parts are
 * patterns, "\" takes the meaning of what follows. The number of nodes.
 */
size_t shell_visit(const struct shell_view *view, const char *directory, const char *path,
                   shell_visit_fn visit, void *ctx);
/* Whether some part of the path is a pattern. */
bool shell_is_pattern(const char *path);
/* The part of the path, from the root, that is before its first pattern. In the arena. */
const char *shell_path_base(const char *directory, const char *path, struct arena *arena);
/* Whether the pattern names this path, or a folder that it is in. */
bool shell_path_is_below(const char *directory, const char *pattern, struct str path);
/* A pattern for one name; NULL where it is not one. */
struct pcre2_real_code_8 *shell_pattern(struct str glob);
bool shell_pattern_matches(struct pcre2_real_code_8 *pattern, struct str name);
/* What a word may go on as: paths; folders end in a slash. In the arena. */
void shell_complete_path(const struct shell_view *view, const char *directory, const char *word,
                         struct arena *arena, struct shell_names *ret_names);

/* --- commands ----------------------------------------------------------------------------- */

struct shell_words {
    const char **items; /* what belongs to no option */
    size_t count;
    const char *options[4]; /* values by the command's options; "" for a flag that is there */
};

struct shell_option {
    const char *name;     /* without dashes; one or two are fine */
    const char *argument; /* NULL: a flag */
    const char *help;
};

struct shell_command {
    const char *name, *description;
    const char *usage; /* behind the name */
    const char *argument, *argument_help;
    int min, max;    /* words; max -1: any number */
    bool shell_only; /* only where one command follows another */
    bool paths;      /* its words are paths */
    void (*run)(struct shell *shell, const struct shell_words *words);
    struct shell_option options[4]; /* up to name NULL */
};

extern const struct shell_command shell_commands[];
extern const size_t shell_command_count;

/* NULL when there is none. */
const struct shell_command *shell_find_command(const char *name);
/* Runs one command; an empty list does nothing. What is wrong with it is printed. */
void shell_run(struct shell *shell, const char *const *words, size_t count);
/* One-shot: the option of this name is one of the command's. */
bool shell_has_option(const struct shell_command *command, const char *word, bool *ret_takes_value);
/* Says what went wrong; the tool will exit with 1. */
void shell_fail(struct shell *shell, const struct failure *failure);
/* The newest there is, where that is what is shown. */
bool shell_refresh(struct shell *shell, struct failure *failure);

void shell_cat(struct shell *shell, const struct shell_words *words);
void shell_cd(struct shell *shell, const struct shell_words *words);
void shell_diff_command(struct shell *shell, const struct shell_words *words);
void shell_find(struct shell *shell, const struct shell_words *words);
void shell_log(struct shell *shell, const struct shell_words *words);
void shell_ls(struct shell *shell, const struct shell_words *words);
void shell_pwd(struct shell *shell, const struct shell_words *words);
void shell_tree(struct shell *shell, const struct shell_words *words);
void shell_watch(struct shell *shell, const struct shell_words *words);

/* --- a session ---------------------------------------------------------------------------- */

/* Until exit or the end of the input. */
void shell_session(struct shell *shell);

#endif
