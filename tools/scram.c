#include "tools/scram.h"

#include "common/base/check.h"

#include <sys/random.h>

enum { SALT_BYTES = 26 };

static const struct scram_mechanism mechanisms[] = {
    {"SCRAM-SHA-256", "SCRAM_SHA_256", 1, EVP_sha256},
    {"SCRAM-SHA-512", "SCRAM_SHA_512", 2, EVP_sha512},
};

const struct scram_mechanism *scram_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
        if (str_eq_z(name, mechanisms[i].name))
            return &mechanisms[i];
    return NULL;
}

const struct scram_mechanism *scram_of_number(int8_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
        if (number == mechanisms[i].number)
            return &mechanisms[i];
    return NULL;
}

bool scram_new_salt(struct arena *arena, struct bytes *ret_salt, struct failure *failure)
{
    uint8_t *salt = arena_alloc(arena, SALT_BYTES);
    if (getrandom(salt, SALT_BYTES, 0) != SALT_BYTES)
        return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                           "There is no randomness for a salt");
    *ret_salt = (struct bytes){salt, SALT_BYTES};
    return true;
}

struct bytes scram_salted(const struct scram_mechanism *mechanism, struct str password,
                          struct bytes salt, int32_t iterations, struct arena *arena)
{
    int size = EVP_MD_get_size(mechanism->digest());
    uint8_t *salted = arena_alloc(arena, (size_t)size);
    CHECK(PKCS5_PBKDF2_HMAC(password.data, password.len, salt.data, salt.len, iterations,
                            mechanism->digest(), size, salted) == 1);
    return (struct bytes){salted, size};
}
