#include "tools/date_format.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

/* Walks over a pattern: one letter and how often it stands there, or other text as it is. */
struct piece {
    char letter; /* 0: text */
    int count;
    char text;
};

static bool next_piece(const char **at, bool *quoted, struct piece *ret_piece)
{
    while (**at == '\'') {
        if ((*at)[1] == '\'') {
            *ret_piece = (struct piece){.text = '\''};
            *at += 2;
            return true;
        }
        *quoted = !*quoted;
        (*at)++;
    }
    if (**at == '\0')
        return false;
    if (*quoted || !isalpha((unsigned char)**at)) {
        *ret_piece = (struct piece){.text = *(*at)++};
        return true;
    }
    *ret_piece = (struct piece){.letter = **at};
    while (**at == ret_piece->letter) {
        ret_piece->count++;
        (*at)++;
    }
    return true;
}

bool date_format_check(const char *pattern, struct failure *failure)
{
    struct piece piece;
    bool quoted = false;
    while (next_piece(&pattern, &quoted, &piece))
        if (piece.letter != 0 && strchr("yMdHhmsSa", piece.letter) == NULL)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Illegal pattern character '%c'", piece.letter);
    return !quoted || failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Unterminated quote");
}

static int value_of(char letter, const struct tm *tm, int ms)
{
    switch (letter) {
    case 'y':
        return tm->tm_year + 1900;
    case 'M':
        return tm->tm_mon + 1;
    case 'd':
        return tm->tm_mday;
    case 'H':
        return tm->tm_hour;
    case 'h':
        return (tm->tm_hour + 11) % 12 + 1;
    case 'm':
        return tm->tm_min;
    case 's':
        return tm->tm_sec;
    default:
        return ms;
    }
}

void date_format_append(const char *pattern, int64_t wall_ms, struct bytebuf *out)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct piece piece;
    struct tm tm;
    bool quoted = false;
    localtime_r(&seconds, &tm);
    while (next_piece(&pattern, &quoted, &piece)) {
        int value = value_of(piece.letter, &tm, (int)(wall_ms % 1000));
        if (piece.letter == 0)
            bytebuf_append(out, &piece.text, 1);
        else if (piece.letter == 'a')
            bytebuf_printf(out, "%s", tm.tm_hour < 12 ? "AM" : "PM");
        else if (piece.letter == 'y' && piece.count == 2)
            bytebuf_printf(out, "%02d", value % 100);
        else if (piece.letter == 'M' && piece.count > 2) {
            char name[32];
            size_t len = strftime(name, sizeof(name), piece.count == 3 ? "%b" : "%B", &tm);
            bytebuf_append(out, name, len);
        } else {
            bytebuf_printf(out, "%0*d", piece.count, value);
        }
    }
}
