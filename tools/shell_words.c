#include "common/base/mem.h"
#include "tools/shell.h"

/* Reads one word at *at into `word`; false at the end of the line. */
static bool next_word(const char **at, char *word, size_t *ret_len)
{
    const char *s = *at + strspn(*at, " \t");
    size_t len = 0;
    char quote = '\0';
    if (*s == '\0')
        return false;
    for (; *s != '\0' && (quote != '\0' || strchr(" \t", *s) == NULL); s++) {
        if (quote == '\0' && (*s == '"' || *s == '\''))
            quote = *s;
        else if (quote != '\0' && *s == quote)
            quote = '\0';
        else if (*s == '\\' && s[1] != '\0' && quote != '\'')
            word[len++] = *++s;
        else
            word[len++] = *s;
    }
    *at = s;
    *ret_len = len;
    return true;
}

void shell_split_words(const char *line, struct arena *arena, const char ***ret_words,
                       size_t *ret_count)
{
    size_t max = strlen(line) / 2 + 2, count = 0, len;
    const char **words = ARENA_ARRAY(arena, const char *, max);
    char *word = arena_alloc(arena, strlen(line) + 1);
    while (next_word(&line, word, &len))
        words[count++] = arena_str_z(arena, str_from(word, len));
    *ret_words = words;
    *ret_count = count;
}
