#include "metadata/security_image.h"

#include "common/protocol/codec.h"

static struct pmap_key key_of(const void *value)
{
    return pmap_key_str(((const struct delegation_token_image *)value)->token_id);
}

const struct pmap_kind delegation_token_image_kind = {.key_of = key_of, .owns_values = true};

const struct delegation_token_image *
delegation_tokens_image_find(const struct delegation_tokens_image *tokens, struct str token_id)
{
    return pmap_get(&delegation_token_image_kind, tokens->by_id, pmap_key_str(token_id));
}

int delegation_tokens_image_put(struct delegation_tokens_image *tokens, struct image_edit *edit,
                                const struct delegation_token_record *record)
{
    size_t table = (size_t)record->renewers_count * sizeof(struct str);
    size_t text = flat_str_bytes(record->token_id) + flat_str_bytes(record->owner) +
                  flat_str_bytes(record->requester);
    for (int32_t i = 0; i < record->renewers_count; i++)
        text += flat_str_bytes(record->renewers[i]);
    struct delegation_token_image *token =
        pmap_edit_new(&edit->pmap, sizeof(*token) + table + text);
    struct flat flat = {(char *)token->renewers + table, (char *)token->renewers + table + text};
    token->token_id = flat_str(&flat, record->token_id);
    token->owner = flat_str(&flat, record->owner);
    token->requester = flat_str(&flat, record->requester);
    token->issue_timestamp = record->issue_timestamp;
    token->max_timestamp = record->max_timestamp;
    token->expiration_timestamp = record->expiration_timestamp;
    token->renewer_count = record->renewers_count;
    for (int32_t i = 0; i < record->renewers_count; i++)
        token->renewers[i] = flat_str(&flat, record->renewers[i]);
    pmap_put(&delegation_token_image_kind, &tokens->by_id, &edit->pmap, token);
    return 0;
}

int delegation_tokens_image_remove(struct delegation_tokens_image *tokens, struct image_edit *edit,
                                   const struct remove_delegation_token_record *record)
{
    if (!pmap_remove(&delegation_token_image_kind, &tokens->by_id, &edit->pmap,
                     pmap_key_str(record->token_id)))
        return image_fault(edit, "there is no delegation token %.*s", STR_FMT(record->token_id));
    return 0;
}

static bool equal(const void *a, const void *b)
{
    const struct delegation_token_image *x = a, *y = b;
    bool same = str_eq(x->token_id, y->token_id) && str_eq(x->owner, y->owner) &&
                str_eq(x->requester, y->requester) && x->issue_timestamp == y->issue_timestamp &&
                x->max_timestamp == y->max_timestamp &&
                x->expiration_timestamp == y->expiration_timestamp &&
                x->renewer_count == y->renewer_count;
    for (int32_t i = 0; same && i < x->renewer_count; i++)
        same = str_eq(x->renewers[i], y->renewers[i]);
    return same;
}

bool delegation_tokens_image_equal(const struct delegation_tokens_image *a,
                                   const struct delegation_tokens_image *b)
{
    return image_maps_equal(a->by_id, b->by_id, equal);
}

void delegation_tokens_image_write(const struct delegation_tokens_image *tokens,
                                   struct image_writer *writer)
{
    struct pmap_iter iter;
    pmap_iter_first(&iter, tokens->by_id);
    for (const struct delegation_token_image *token; (token = pmap_iter_next(&iter)) != NULL;) {
        struct delegation_token_record record;
        message_init(&delegation_token_record_desc, &record);
        record.token_id = token->token_id;
        record.owner = token->owner;
        record.requester = token->requester;
        record.issue_timestamp = token->issue_timestamp;
        record.max_timestamp = token->max_timestamp;
        record.expiration_timestamp = token->expiration_timestamp;
        record.renewers_count = token->renewer_count;
        record.renewers = (struct str *)(uintptr_t)token->renewers;
        IMAGE_WRITE(writer, DELEGATION_TOKEN, 0, &record);
    }
}
