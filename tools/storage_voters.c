/*
 * --initial-controllers: "1@host:port:directory-id,2@[::1]:9093:directory-id".
 */
#include "tools/storage_internal.h"
#include "tools/uuid_text.h"

#include <errno.h>

static bool bad(struct failure *failure, const char *sentence)
{
    return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", sentence);
}

/* Takes "host:" off the front. */
static bool take_host(struct str *rest, struct str *ret_host, struct failure *failure)
{
    if (!str_starts_with(*rest, STR("["))) {
        if (str_split(rest, ':', ret_host))
            return true;
        return bad(failure, "No : following hostname could be found in dynamic voter string.");
    }
    struct str inside = str_from(rest->data + 1, (size_t)rest->len - 1);
    if (!str_split(&inside, ']', ret_host))
        return bad(failure, "Hostname began with left bracket, but no right bracket was found.");
    if (!str_starts_with(inside, STR(":")))
        return bad(failure, "No : following hostname could be found in dynamic voter string.");
    *rest = str_from(inside.data + 1, (size_t)inside.len - 1);
    return true;
}

static bool add_voter(struct quorum_voters *voters, struct str text, struct str listener,
                      struct failure *failure)
{
    struct str rest = str_trim(text), id_text, host, port_text;
    int32_t id, port;
    struct uuid directory;
    struct failure why;
    if (!str_split(&rest, '@', &id_text))
        return bad(failure, "No @ found in dynamic voter string.");
    if (str_to_i32(id_text, &id) != 0)
        return bad(failure, "Failed to parse node id in dynamic voter string.");
    if (id < 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Invalid negative node id %d in dynamic voter string.", id);
    if (!take_host(&rest, &host, failure))
        return false;
    if (!str_split(&rest, ':', &port_text))
        return bad(failure, "No colon following port could be found.");
    if (str_to_i32(port_text, &port) != 0)
        return bad(failure, "Failed to parse port in dynamic voter string.");
    if (port < 0 || port > UINT16_MAX)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Invalid port %d in dynamic voter string.", port);
    if (!uuid_text_parse(rest, &directory, &why))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Failed to parse directory ID in dynamic voter string.\n%s", why.text);
    if (quorum_voters_find_node(voters, id) != NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Node id %d was specified more than once.", id);
    int rv = quorum_voters_add(voters, id, directory, QUORUM_VOTER);
    if (rv == -EEXIST)
        return bad(failure, "A directory id was specified more than once.");
    if (rv == -E2BIG)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "More than %d controllers cannot vote.", QUORUM_SERVERS_MAX);
    if (rv != 0)
        return bad(failure, "A directory id must not be all zeros.");
    quorum_voters_add_listener(voters, listener, host, (uint16_t)port);
    return true;
}

bool storage_parse_voters(const char *text, struct str listener, struct quorum_voters **ret_voters,
                          struct failure *failure)
{
    struct quorum_voters *voters = quorum_voters_new();
    struct str rest = str_of(text), one;
    bool ok = true;
    while (ok && !str_is_null(rest)) {
        str_split(&rest, ',', &one);
        if (str_trim(one).len > 0)
            ok = add_voter(voters, one, listener, failure);
    }
    if (ok && voters->count == 0)
        ok = bad(failure, "No voters given.");
    if (ok)
        *ret_voters = voters;
    else
        quorum_voters_unref(voters);
    return ok;
}
