/*
 * Random numbers of the simulation: xoshiro256** seeded through splitmix64. The same seed gives the
 * same numbers on every machine. A generator is a plain value of one owner; fork gives a part of
 * the simulation numbers of its own, so that a change in one part does not shift all others.
 */
#ifndef KRAFTD_SIM_RANDOM_H
#define KRAFTD_SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sim_random {
    uint64_t s[4];
};

static inline uint64_t sim_random_mix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void sim_random_init(struct sim_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = sim_random_mix(&seed);
}

static inline uint64_t sim_random_u64(struct sim_random *r)
{
    uint64_t *s = r->s;
    uint64_t x = s[1] * 5;
    uint64_t result = ((x << 7) | (x >> 57)) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

static inline struct sim_random sim_random_fork(struct sim_random *r)
{
    struct sim_random fork;
    sim_random_init(&fork, sim_random_u64(r));
    return fork;
}

/* 0 <= result < bound; 0 for a bound of 0 or less. */
static inline int64_t sim_random_below(struct sim_random *r, int64_t bound)
{
    return bound > 0 ? (int64_t)(sim_random_u64(r) % (uint64_t)bound) : 0;
}

/* low <= result <= high. */
static inline int64_t sim_random_range(struct sim_random *r, int64_t low, int64_t high)
{
    return low + sim_random_below(r, high - low + 1);
}

/* True in `per_million` of a million calls. Draws nothing when that is 0. */
static inline bool sim_random_chance(struct sim_random *r, int64_t per_million)
{
    return per_million > 0 && sim_random_below(r, 1000000) < per_million;
}

static inline void sim_random_fill(struct sim_random *r, void *ret_bytes, size_t len)
{
    uint8_t *at = ret_bytes;
    while (len > 0) {
        uint64_t value = sim_random_u64(r);
        size_t part = len < sizeof(value) ? len : sizeof(value);
        memcpy(at, &value, part);
        at += part;
        len -= part;
    }
}

#endif
