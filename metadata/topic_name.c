#include "metadata/topic_name.h"

static bool chars_valid(struct str name)
{
    for (int32_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

struct str topic_name_fault(struct str name, struct arena *arena)
{
    if (name.len <= 0)
        return STR("Topic name is invalid: the empty string is not allowed");
    if (str_eq(name, STR(".")))
        return STR("Topic name is invalid: '.' is not allowed");
    if (str_eq(name, STR("..")))
        return STR("Topic name is invalid: '..' is not allowed");
    if (name.len > TOPIC_NAME_LEN_MAX)
        return arena_printf(
            arena,
            "Topic name is invalid: the length of '%.*s' is longer than the max allowed length %d",
            STR_FMT(name), TOPIC_NAME_LEN_MAX);
    if (!chars_valid(name))
        return arena_printf(arena,
                            "Topic name is invalid: '%.*s' contains one or more characters other "
                            "than ASCII alphanumerics, '.', '_' and '-'",
                            STR_FMT(name));
    return STR_NULL;
}

bool topic_name_valid(struct str name)
{
    return name.len > 0 && name.len <= TOPIC_NAME_LEN_MAX && !str_eq(name, STR(".")) &&
           !str_eq(name, STR("..")) && chars_valid(name);
}

static char unified(char c)
{
    return c == '.' ? '_' : c;
}

bool topic_names_collide(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (int32_t i = 0; i < a.len; i++) {
        if (unified(a.data[i]) != unified(b.data[i]))
            return false;
    }
    return true;
}

bool topic_name_internal(struct str name)
{
    return str_eq(name, STR("__consumer_offsets")) || str_eq(name, STR("__transaction_state")) ||
           str_eq(name, STR("__share_group_state"));
}
