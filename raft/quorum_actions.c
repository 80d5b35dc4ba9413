#include "raft/quorum_core_internal.h"

#include <stdlib.h>

struct quorum_action *action_push(struct quorum_core *core, enum quorum_action_type type)
{
    if (core->action_front > 0 && core->action_front == core->action_count)
        core->action_front = core->action_count = 0;
    struct quorum_action blank = {.type = type};
    VEC_PUSH(core->actions, core->action_count, core->action_capacity) = blank;
    return &core->actions[core->action_count - 1];
}

bool quorum_core_take(struct quorum_core *core, struct quorum_action *ret_action)
{
    if (core->action_front == core->action_count)
        return false;
    *ret_action = core->actions[core->action_front++];
    return true;
}

const struct quorum_action *quorum_core_peek(const struct quorum_core *core)
{
    return core->action_front < core->action_count ? &core->actions[core->action_front] : NULL;
}

void quorum_action_release(struct quorum_action *action)
{
    switch (action->type) {
    case QUORUM_APPEND_BATCH:
        buf_unref(action->append.batch.bytes.buf);
        quorum_voters_unref(action->append.batch.voters);
        quorum_voters_unref(action->append.voters);
        break;
    case QUORUM_INSTALL_SNAPSHOT:
        quorum_voters_unref(action->install.voters);
        break;
    case QUORUM_SEND:
        if (action->message.type == QUORUM_INSTALL)
            quorum_voters_unref(action->message.install.voters);
        break;
    default:
        break;
    }
    *action = (struct quorum_action){.type = QUORUM_COMMIT};
}

void actions_release(struct quorum_core *core)
{
    struct quorum_action action;
    while (quorum_core_take(core, &action))
        quorum_action_release(&action);
    free(core->actions);
}
