/*
 * Java's properties files, which server.properties and meta.properties are.
 *
 * A logical line is a key, then a separator (=, : or white space), then the value up to the end of
 * the line. White space before the key and around the separator is dropped, white space at the end
 * of the value is kept. A line that ends with an odd number of backslashes goes on in the next one,
 * whose leading white space is dropped. Blank lines and lines that start with # or ! are skipped.
 * Escapes: \t \n \r \f \uXXXX, and a backslash before anything else means that character. A key
 * that stands twice has its last value.
 *
 * Two deliberate differences from Java: bytes above 0x7f are taken as UTF-8, not as Latin-1, so
 * that paths can be written as they are; and a zero character is refused, because no value may hold
 * one.
 *
 * A struct properties owns its texts; slices live until it is released. Any thread.
 */
#ifndef KRAFTD_BASE_PROPERTIES_H
#define KRAFTD_BASE_PROPERTIES_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/map.h"
#include "common/base/str.h"

#define PROPERTIES_ERROR_LEN 160

struct property {
    struct str key, value; /* also terminated by a zero byte */
    int line;              /* where the value that counts starts, from 1 */
    int earlier_line;      /* where the key stood before, 0 if nowhere */
};

struct properties {
    struct arena arena;
    struct map map; /* key -> struct property *, in the order of first appearance */
};

void properties_init(struct properties *p);
void properties_release(struct properties *p);

/*
 * Adds what `text` says. 0, or -EINVAL with a sentence that names the line in error (its first
 * words are "line N: "); then p holds the lines before it.
 */
int properties_parse(struct properties *p, struct str text, char error[PROPERTIES_ERROR_LEN]);

/* Sets one key as if it stood last in the text, at `line` (0: not from a file). */
void properties_set(struct properties *p, struct str key, struct str value, int line);

/* PROPERTIES_FOR_EACH(entry, &p) { const struct property *item = entry->value; } */
#define PROPERTIES_FOR_EACH(entry, p) MAP_FOR_EACH (entry, &(p)->map)

/* NULL when the key is not there. */
const struct property *properties_find(const struct properties *p, struct str key);
/* STR_NULL when the key is not there. */
struct str properties_get(const struct properties *p, struct str key);

/* Appends "key=value\n" with the escapes that Java writes (ASCII only). */
void properties_write(struct bytebuf *out, struct str key, struct str value);

#endif
