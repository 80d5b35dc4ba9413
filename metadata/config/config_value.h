/*
 * Typed values of configuration keys: from the text that stands in a file or a request, with
 * Kafka's checks and Kafka's error sentences, and back to the text that Kafka shows.
 *
 * Texts and lists lie in the arena that the caller gives. Pure; any thread.
 */
#ifndef KRAFTD_METADATA_CONFIG_VALUE_H
#define KRAFTD_METADATA_CONFIG_VALUE_H

#include "common/base/arena.h"
#include "metadata/config/config_def.h"

struct config_value {
    enum config_type type; /* CONFIG_TYPE_UNKNOWN: null */
    union {
        bool boolean;
        int64_t integer; /* int, short, long */
        double real;
        struct str text; /* string, class, password */
        struct {
            struct str *items;
            int32_t count;
        } list;
    };
};

/*
 * Reads and checks one value. -EINVAL with Kafka's sentence in *ret_error ("Invalid value abc for
 * configuration retention.ms: Not a number of type LONG"); the sentence never shows a password.
 * Java classes cannot be loaded: a class is accepted when it is the default or one of the names
 * that stand in its place, and else "could not be found".
 */
int config_value_parse(const struct config_def *def, struct str text, struct arena *arena,
                       struct config_value *ret_value, struct str *ret_error);

/* The type alone, as above without the key's own rule. */
int config_value_read(const struct config_def *def, struct str text, struct arena *arena,
                      struct config_value *ret_value, struct str *ret_error);

/* The default; null where there is none. */
struct config_value config_value_default(const struct config_def *def, struct arena *arena);

/* As Kafka shows it: numbers in Java's form, lists joined by commas; null for null. A password is
 * given as it is: whoever shows it looks at config_is_sensitive first. */
struct str config_value_format(const struct config_value *value, struct arena *arena);

/* The items of a list with `separator` between them. */
struct str config_value_join(const struct config_value *value, struct str separator,
                             struct arena *arena);
bool config_value_list_has(const struct config_value *value, struct str item);
/* The text of a list with items added, or taken away. */
struct str config_list_edit(struct str list, struct str change, bool append, struct arena *arena);

/* What values the key takes, in a few words: "a whole number from 1 on". */
struct str config_allowed(const struct config_def *def, struct arena *arena);

/* A double as Java writes it: 0.5, 1.0E10, Infinity. */
struct str config_format_double(double value, struct arena *arena);

/* Splits at commas with white space around them, as Kafka does; "" has no items. */
struct config_value config_split_list(struct str text, struct arena *arena);

#endif
