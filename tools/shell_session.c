/* Reads commands: on a terminal with libedit, else line by line. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/shell.h"

#include <histedit.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PROMPT ">> "

enum { HISTORY_LINES = 10000 };

/* Takes off what ends the line, and blanks before that, such as the one behind a completed word. */
static void trim_end(char *line)
{
    size_t len = strlen(line);
    while (len > 0 && strchr(" \t\r\n", line[len - 1]) != NULL)
        len--;
    line[len] = '\0';
}

/* Not kept, as in Kafka's: what begins with a space, and the same line once more. */
static void remember(struct shell_history *history, const char *line)
{
    if (line[0] == '\0' || line[0] == ' ')
        return;
    if (history->count > 0 && strcmp(history->lines[history->count - 1], line) == 0)
        return;
    VEC_PUSH(history->lines, history->count, history->capacity) = mem_strdup(line);
}

/* Empty words, such as "", are none, as in Kafka's: cd "" goes to the root. */
static void run_line(struct shell *shell, char *line)
{
    struct arena arena;
    const char **words;
    size_t count, kept = 0;
    trim_end(line);
    remember(&shell->history, line);
    arena_init(&arena, 0);
    shell_split_words(line, &arena, &words, &count);
    for (size_t i = 0; i < count; i++) {
        if (words[i][0] != '\0')
            words[kept++] = words[i];
    }
    shell_run(shell, words, kept);
    arena_release(&arena);
}

static void plain_session(struct shell *shell)
{
    char *line = NULL;
    size_t capacity = 0;
    while (!shell->leaving) {
        fputs(PROMPT, stdout);
        fflush(stdout);
        if (getline(&line, &capacity, stdin) < 0)
            break;
        run_line(shell, line);
    }
    free(line);
}

/* --- completion ------------------------------------------------------------------------------- */

/* The word before the cursor: what was typed of it (with quotes), and which word it is. */
struct typed {
    const char *word; /* without quotes and backslashes */
    size_t number;
    const char *command;
};

static void read_typed(const LineInfo *info, struct arena *arena, struct typed *ret_typed)
{
    size_t len = (size_t)(info->cursor - info->buffer), count;
    const char *line = arena_str_z(arena, str_from(info->buffer, len)), **words;
    bool begun = len > 0 && strchr(" \t", line[len - 1]) == NULL;
    begun = begun || (len > 1 && line[len - 2] == '\\');
    shell_split_words(line, arena, &words, &count);
    ret_typed->number = begun && count > 0 ? count - 1 : count;
    ret_typed->word = begun && count > 0 ? words[count - 1] : "";
    ret_typed->command = count > 0 ? words[0] : "";
}

static void complete_words(const struct shell *shell, const struct typed *typed,
                           struct arena *arena, struct shell_names *ret_names)
{
    const struct shell_command *command = shell_find_command(typed->command);
    bool names_command = typed->number == 0 || (command && strcmp(command->name, "man") == 0);
    *ret_names = (struct shell_names){.arena = arena};
    if (names_command) {
        ret_names->items = ARENA_ARRAY(arena, struct str, shell_command_count);
        for (size_t i = 0; i < shell_command_count; i++) {
            struct str name = str_of(shell_commands[i].name);
            if (str_starts_with(name, str_of(typed->word)))
                ret_names->items[ret_names->count++] = name;
        }
    } else if (command != NULL && command->paths) {
        shell_complete_path(metadata_replay_view(shell->replay), shell->directory, typed->word,
                            arena, ret_names);
    }
}

static int32_t common_length(const struct shell_names *names)
{
    int32_t len = names->items[0].len;
    for (size_t i = 1; i < names->count; i++) {
        int32_t same = 0;
        while (same < len && same < names->items[i].len &&
               names->items[i].data[same] == names->items[0].data[same])
            same++;
        len = same;
    }
    return len;
}

static bool insert_rest(EditLine *el, struct arena *arena, struct str rest, bool ended)
{
    char *text = arena_alloc(arena, (size_t)rest.len * 2 + 2), *at = text;
    for (int32_t i = 0; i < rest.len; i++) {
        if (strchr(" \t\"'\\*?{}[]", rest.data[i]) != NULL)
            *at++ = '\\';
        *at++ = rest.data[i];
    }
    if (ended)
        *at++ = ' ';
    *at = '\0';
    return at > text && el_insertstr(el, text) == 0;
}

static void list_choices(const struct shell_names *names)
{
    putchar('\n');
    for (size_t i = 0; i < names->count; i++)
        printf("%.*s\n", STR_FMT(names->items[i]));
    fflush(stdout);
}

static unsigned char complete(EditLine *el, wint_t key)
{
    struct shell *shell;
    struct shell_names names;
    struct typed typed;
    struct arena arena;
    unsigned char what = CC_ERROR;
    el_get(el, EL_CLIENTDATA, &shell);
    arena_init(&arena, 0);
    read_typed(el_line(el), &arena, &typed);
    complete_words(shell, &typed, &arena, &names);
    if (names.count > 0) {
        int32_t len = common_length(&names), have = (int32_t)strlen(typed.word);
        struct str first = names.items[0];
        bool ended = names.count == 1 && first.data[first.len - 1] != '/';
        if (insert_rest(el, &arena, (struct str){first.data + have, len - have}, ended)) {
            what = CC_REFRESH;
        } else if (names.count > 1) {
            list_choices(&names);
            what = CC_REDISPLAY;
        }
    }
    arena_release(&arena);
    return what;
}

/* --- a terminal ------------------------------------------------------------------------------- */

static char *prompt(EditLine *el)
{
    static char text[] = PROMPT;
    return text;
}

/* Control-C gives up the line, not the shell. */
static unsigned char give_up_line(EditLine *el, wint_t key)
{
    const LineInfo *info = el_line(el);
    el_cursor(el, (int)(info->lastchar - info->cursor));
    el_deletestr(el, (int)(info->lastchar - info->buffer));
    fputs("^C\n", stdout);
    fflush(stdout);
    return CC_REDISPLAY;
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void terminal_session(struct shell *shell)
{
    HistEvent event;
    History *past = history_init();
    EditLine *el = el_init("kafka-metadata-shell", stdin, stdout, stderr);
    const char *text;
    int count;
    if (el == NULL || past == NULL) {
        plain_session(shell);
        return;
    }
    history(past, &event, H_SETSIZE, HISTORY_LINES);
    el_set(el, EL_CLIENTDATA, shell);
    el_set(el, EL_PROMPT, prompt);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_HIST, history, past);
    /* The narrow call would leak its strings. */
    el_wset(el, EL_ADDFN, L"complete-word", L"Complete the word", complete);
    el_wset(el, EL_ADDFN, L"give-up-line", L"Give up the line", give_up_line);
    el_set(el, EL_BIND, "^I", "complete-word", NULL);
    el_set(el, EL_BIND, "^C", "give-up-line", NULL);
    el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(el, EL_SETTY, "-d", "-isig", NULL);
    el_source(el, NULL);
    while (!shell->leaving && (text = el_gets(el, &count)) != NULL && count > 0) {
        char *line = mem_strdup(text);
        shell->width = terminal_width();
        trim_end(line);
        if (line[0] != '\0')
            history(past, &event, H_ENTER, line);
        run_line(shell, line);
        free(line);
    }
    if (!shell->leaving)
        putchar('\n');
    el_end(el);
    history_end(past);
}

void shell_session(struct shell *shell)
{
    puts("[ Kafka Metadata Shell ]");
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        setlocale(LC_CTYPE, "");
        shell->width = terminal_width();
        terminal_session(shell);
    } else {
        plain_session(shell);
    }
    for (size_t i = 0; i < shell->history.count; i++)
        free(shell->history.lines[i]);
    free(shell->history.lines);
}
