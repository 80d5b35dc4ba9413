#include "common/base/env.h"

struct uuid env_random_uuid(struct env *env)
{
    struct uuid uuid;
    uint8_t random[16];
    do
        env_random(env, random, sizeof(random));
    while (!uuid_from_random(random, &uuid));
    return uuid;
}
