/*
 * One call on the simulated disk, between its begin and its end: counting, which fault strikes it,
 * and telling the hooks. The mutex is held in between.
 */
#ifndef KRAFTD_SIM_DISK_CALL_H
#define KRAFTD_SIM_DISK_CALL_H

#include "tests/sim/sim_disk_internal.h"

/* What a call that goes wrong still does. */
enum effect { EFFECT_ALL, EFFECT_PART, EFFECT_NONE };

struct call {
    struct sim_disk *d;
    struct sim_disk_call seen;
    struct sim_volume *volume;
    enum effect effect;
    int error;
    void *entered;
};

void *disk_enter(struct sim_disk *d);
void disk_leave(struct sim_disk *d, void *entered);

/* False: nothing is left to do but call_end; look at call->effect where a part may be. The path
 * comes back normalized. */
bool call_begin_path(struct call *call, struct sim_disk *d, enum sim_disk_op op, const char *path,
                     char normalized[PATH_MAX]);
bool call_begin_file(struct call *call, struct sim_file *file, enum sim_disk_op op,
                     int64_t position, int64_t len);
void call_fail(struct call *call, int error, enum effect effect);
/* The result as the caller gets it. */
int64_t call_end(struct call *call, int64_t result);

#endif
