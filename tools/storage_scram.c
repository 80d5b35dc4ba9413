/*
 * --add-scram: MECHANISM=[name=USER,password=P] or [name=USER,saltedpassword=B,salt=B], where B is
 * base64; iterations=N may stand there too. Values may be quoted. Of the password only what RFC
 * 5802 calls StoredKey and ServerKey goes into the record.
 */
#include "common/base/check.h"
#include "metadata/record_codec.h"
#include "tools/scram.h"
#include "tools/storage_internal.h"

#include <openssl/hmac.h>

struct scram {
    const struct scram_mechanism *mechanism;
    struct str name, password, salted_password, salt;
    int32_t iterations;
};

static bool bad(struct failure *failure, const char *sentence)
{
    return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", sentence);
}

/* Takes key=value off the front; a quoted value may hold commas. */
static bool take_pair(struct str *rest, struct str *ret_key, struct str *ret_value,
                      struct failure *failure)
{
    if (!str_split(rest, '=', ret_key))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Failed to find equals sign in SCRAM argument '%.*s'",
                           STR_FMT(*ret_key));
    *ret_key = str_trim(*ret_key);
    if (!str_starts_with(*rest, STR("\""))) {
        str_split(rest, ',', ret_value);
        *ret_value = str_trim(*ret_value);
        return true;
    }
    *rest = str_from(rest->data + 1, (size_t)rest->len - 1);
    if (!str_split(rest, '"', ret_value))
        return bad(failure, "No closing quote was found in the SCRAM argument.");
    struct str nothing;
    str_split(rest, ',', &nothing);
    return true;
}

static bool set_part(struct scram *scram, struct str key, struct str value, struct failure *failure)
{
    if (str_eq_z(key, "name"))
        scram->name = value;
    else if (str_eq_z(key, "password"))
        scram->password = value;
    else if (str_eq_z(key, "saltedpassword"))
        scram->salted_password = value;
    else if (str_eq_z(key, "salt"))
        scram->salt = value;
    else if (!str_eq_z(key, "iterations"))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Unknown SCRAM configurations: %.*s", STR_FMT(key));
    else if (str_to_i32(value, &scram->iterations) != 0)
        return bad(failure, "The 'iterations' value must be a number for add-scram");
    return true;
}

static bool check(const struct scram *scram, struct failure *failure)
{
    if (scram->name.len <= 0)
        return bad(failure, "You must supply 'name' to add-scram");
    if (str_is_null(scram->password) == str_is_null(scram->salted_password))
        return bad(failure, str_is_null(scram->password)
                                ? "You must supply one of 'password' or 'saltedpassword' to "
                                  "add-scram"
                                : "You must supply only one of 'password' or 'saltedpassword' to "
                                  "add-scram");
    if (!str_is_null(scram->password) && scram->password.len == 0)
        return bad(failure, "The 'password' of add-scram is empty");
    if (!str_is_null(scram->salted_password) && str_is_null(scram->salt))
        return bad(failure, "You must supply 'salt' with 'saltedpassword' to add-scram");
    if (scram->iterations < SCRAM_MIN_ITERATIONS)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "The 'iterations' value must be >= %d for add-scram using %s",
                           SCRAM_MIN_ITERATIONS, scram->mechanism->constant);
    if (scram->iterations > SCRAM_MAX_ITERATIONS)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "The 'iterations' value must be <= %d for add-scram using %s",
                           SCRAM_MAX_ITERATIONS, scram->mechanism->constant);
    return true;
}

static bool parse(const char *text, struct scram *ret_scram, struct failure *failure)
{
    struct scram scram = {.name = STR_NULL,
                          .password = STR_NULL,
                          .salted_password = STR_NULL,
                          .salt = STR_NULL,
                          .iterations = SCRAM_MIN_ITERATIONS};
    struct str rest = str_trim(str_of(text)), mechanism, key, value;
    if (!str_split(&rest, '=', &mechanism))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Failed to find equals sign in SCRAM argument '%s'", text);
    scram.mechanism = scram_find(mechanism);
    if (scram.mechanism == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "The add-scram mechanism %.*s is not supported.", STR_FMT(mechanism));
    rest = str_trim(rest);
    if (!str_starts_with(rest, STR("[")))
        return bad(failure, "Expected configuration string to start with [");
    if (!str_ends_with(rest, STR("]")))
        return bad(failure, "Expected configuration string to end with ]");
    rest = str_from(rest.data + 1, (size_t)rest.len - 2);
    while (!str_is_null(rest) && str_trim(rest).len > 0)
        if (!take_pair(&rest, &key, &value, failure) || !set_part(&scram, key, value, failure))
            return false;
    *ret_scram = scram;
    return check(&scram, failure);
}

static bool decode_base64(struct str text, const char *what, struct arena *arena,
                          struct bytes *ret_data, struct failure *failure)
{
    uint8_t *data = arena_alloc(arena, (size_t)text.len + 3);
    int len = EVP_DecodeBlock(data, (const uint8_t *)text.data, text.len);
    while (len > 0 && str_ends_with(text, STR("="))) {
        text.len--;
        len--;
    }
    if (len <= 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "The value of '%s' in add-scram is no base64", what);
    *ret_data = (struct bytes){data, len};
    return true;
}

static bool make_salt(const struct scram *scram, struct arena *arena, struct bytes *ret_salt,
                      struct failure *failure)
{
    if (!str_is_null(scram->salt))
        return decode_base64(scram->salt, "salt", arena, ret_salt, failure);
    return scram_new_salt(arena, ret_salt, failure);
}

static bool salted_password(const struct scram *scram, struct bytes salt, struct arena *arena,
                            struct bytes *ret_salted, struct failure *failure)
{
    if (str_is_null(scram->salted_password)) {
        *ret_salted =
            scram_salted(scram->mechanism, scram->password, salt, scram->iterations, arena);
        return true;
    }
    if (!decode_base64(scram->salted_password, "saltedpassword", arena, ret_salted, failure))
        return false;
    return ret_salted->len == EVP_MD_get_size(scram->mechanism->digest()) ||
           bad(failure, "The 'saltedpassword' of add-scram has not the mechanism's length");
}

static struct bytes hmac(const struct scram *scram, struct bytes key, const char *text,
                         struct arena *arena)
{
    uint8_t *result = arena_alloc(arena, EVP_MAX_MD_SIZE);
    unsigned int len;
    CHECK(HMAC(scram->mechanism->digest(), key.data, key.len, (const uint8_t *)text, strlen(text),
               result, &len) != NULL);
    return (struct bytes){result, (int32_t)len};
}

bool storage_add_scram(const char *text, struct arena *arena, struct metadata_records *records,
                       struct failure *failure)
{
    struct scram scram;
    struct bytes salt, salted;
    if (!parse(text, &scram, failure) || !make_salt(&scram, arena, &salt, failure) ||
        !salted_password(&scram, salt, arena, &salted, failure))
        return false;
    struct bytes client_key = hmac(&scram, salted, "Client Key", arena);
    uint8_t *stored_key = arena_alloc(arena, EVP_MAX_MD_SIZE);
    unsigned int len;
    CHECK(EVP_Digest(client_key.data, (size_t)client_key.len, stored_key, &len,
                     scram.mechanism->digest(), NULL) == 1);
    struct user_scram_credential_record *record =
        METADATA_RECORD_ADD(records, arena, user_scram_credential_record, USER_SCRAM_CREDENTIAL, 0);
    record->name = arena_str(arena, scram.name);
    record->mechanism = scram.mechanism->number;
    record->salt = salt;
    record->stored_key = (struct bytes){stored_key, (int32_t)len};
    record->server_key = hmac(&scram, salted, "Server Key", arena);
    record->iterations = scram.iterations;
    return true;
}
