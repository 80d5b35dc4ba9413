#include "tools/topic_filter.h"

#include "common/base/mem.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct topic_filter {
    pcre2_code *code; /* NULL: everything */
    pcre2_match_data *match;
};

/* Commas to bars, no blanks, no quotes around it. */
static char *clean_pattern(const char *pattern)
{
    struct str rest = str_trim(str_of(pattern));
    while (rest.len > 0 && strchr("\"'", rest.data[0]) != NULL)
        rest = str_from(rest.data + 1, (size_t)rest.len - 1);
    while (rest.len > 0 && strchr("\"'", rest.data[rest.len - 1]) != NULL)
        rest.len--;
    char *clean = mem_alloc((size_t)rest.len + 1);
    size_t len = 0;
    for (int32_t i = 0; i < rest.len; i++)
        if (rest.data[i] != ' ')
            clean[len++] = rest.data[i] == ',' ? '|' : rest.data[i];
    clean[len] = '\0';
    return clean;
}

/* False: *error_text says what is wrong, *ret_at where. */
static bool compile(struct topic_filter *filter, const char *pattern, char error_text[128],
                    size_t *ret_at)
{
    int error;
    PCRE2_SIZE at;
    filter->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                 PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &error, &at, NULL);
    if (filter->code == NULL) {
        pcre2_get_error_message(error, (PCRE2_UCHAR *)error_text, 128);
        *ret_at = at;
        return false;
    }
    filter->match = pcre2_match_data_create_from_pattern(filter->code, NULL);
    return true;
}

bool topic_filter_new(const char *pattern, struct topic_filter **ret_filter,
                      struct failure *failure)
{
    struct topic_filter *filter = mem_calloc(1, sizeof(*filter));
    if (pattern != NULL) {
        char error[128];
        size_t at;
        char *clean = clean_pattern(pattern);
        bool ok = compile(filter, clean, error, &at);
        free(clean);
        if (!ok) {
            free(filter);
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s is an invalid regex.",
                               pattern);
        }
    }
    *ret_filter = filter;
    return true;
}

bool topic_filter_of_regex(const char *regex, struct topic_filter **ret_filter,
                           struct failure *failure)
{
    struct topic_filter *filter = mem_calloc(1, sizeof(*filter));
    char error[128];
    size_t at;
    if (compile(filter, regex, error, &at)) {
        *ret_filter = filter;
        return true;
    }
    free(filter);
    return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s near index %zu\n%s", error, at,
                       regex);
}

void topic_filter_free(struct topic_filter *filter)
{
    if (filter == NULL)
        return;
    pcre2_match_data_free(filter->match);
    pcre2_code_free(filter->code);
    free(filter);
}

bool topic_filter_allows(const struct topic_filter *filter, struct str name)
{
    return filter->code == NULL ||
           pcre2_match(filter->code, (PCRE2_SPTR)name.data, (PCRE2_SIZE)name.len, 0, 0,
                       filter->match, NULL) >= 0;
}

bool topic_is_internal(struct str name)
{
    return str_eq_z(name, "__consumer_offsets") || str_eq_z(name, "__transaction_state") ||
           str_eq_z(name, "__share_group_state");
}
