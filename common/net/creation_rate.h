/*
 * How fast something may come: so many a second, with a burst of one second's worth. Pure; the
 * owner's thread.
 */
#ifndef KRAFTD_NET_CREATION_RATE_H
#define KRAFTD_NET_CREATION_RATE_H

#include "common/base/check.h"

#include <stdint.h>

struct creation_rate {
    int per_s_max; /* 0: any */
    double tokens;
    int64_t at_us;
};

static inline void creation_rate_set(struct creation_rate *rate, int per_s_max, int64_t now_us)
{
    *rate = (struct creation_rate){.per_s_max = per_s_max, .tokens = per_s_max, .at_us = now_us};
}

/* Microseconds until the next may come; 0: now. */
static inline int64_t creation_rate_wait_us(struct creation_rate *rate, int64_t now_us)
{
    if (rate->per_s_max <= 0)
        return 0;
    rate->tokens += (double)(now_us - rate->at_us) * rate->per_s_max / 1e6;
    rate->tokens = MIN(rate->tokens, (double)rate->per_s_max);
    rate->at_us = now_us;
    return rate->tokens >= 1 ? 0 : (int64_t)((1 - rate->tokens) * 1e6 / rate->per_s_max) + 1;
}

static inline void creation_rate_take(struct creation_rate *rate)
{
    if (rate->per_s_max > 0)
        rate->tokens -= 1;
}

#endif
