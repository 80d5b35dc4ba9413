#include "common/net/connection_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

/* Idle connections: every connection moves to the end of the list when bytes pass, so that the
 * first is the one to look at; one timer waits for it. Nothing is done per connection and turn. */

static void arm_idle_timer(struct connection_group *group)
{
    if (group->limits.idle_max_ms <= 0 || list_empty(&group->by_activity) ||
        timer_running(&group->idle_timer))
        return;
    struct connection *first = LIST_ITEM(group->by_activity.next, struct connection, activity_link);
    int64_t due_ms = first->active_ms + group->limits.idle_max_ms;
    timer_start_at_us(&group->idle_timer, due_ms * 1000);
}

void group_touch(struct connection *c)
{
    struct connection_group *group = c->group;
    c->active_ms = env_now_ms(group->loop->env);
    list_remove(&c->activity_link);
    list_push_back(&group->by_activity, &c->activity_link);
    arm_idle_timer(group);
}

/* Whoever waits for the node (a long poll, a replication) is not idle; whoever does not take its
 * answers is. */
static bool waits_for_us(const struct connection *c)
{
    return c->next_out != NULL;
}

static void idle_timer_fired(struct timer *timer)
{
    struct connection_group *group = CONTAINER_OF(timer, struct connection_group, idle_timer);
    int64_t now_ms = env_now_ms(group->loop->env);
    while (!list_empty(&group->by_activity)) {
        struct connection *c = LIST_ITEM(group->by_activity.next, struct connection, activity_link);
        if (c->active_ms + group->limits.idle_max_ms > now_ms)
            break;
        if (waits_for_us(c) || c->disconnected) {
            group_touch(c);
            continue;
        }
        stat_add(&group->stats.expired_total, 1);
        list_remove(&c->activity_link);
        list_push_back(&group->by_activity, &c->activity_link);
        c->active_ms = now_ms;
        connection_close(c, "idle for connections.max.idle.ms");
    }
    arm_idle_timer(group);
}

bool group_hold(struct connection *c, size_t bytes)
{
    struct connection_group *group = c->group;
    int64_t max = group->limits.group_max_bytes;
    /* One request always fits; nobody overtakes who waits. */
    if (max > 0 && group->held_bytes > 0 &&
        (group->held_bytes + (int64_t)bytes > max || !list_empty(&group->waiting))) {
        list_remove(&c->wait_link);
        list_push_back(&group->waiting, &c->wait_link);
        return false;
    }
    group->held_bytes += (int64_t)bytes;
    return true;
}

static void post_resume(struct connection_group *group)
{
    if (group->resume_posted)
        return;
    group->resume_posted = true;
    loop_post(group->loop, &group->resume_task);
}

void group_unhold(struct connection_group *group, size_t bytes)
{
    group->held_bytes -= (int64_t)bytes;
    CHECK(group->held_bytes >= 0);
    if (!list_empty(&group->waiting))
        post_resume(group);
}

void group_resume_later(struct connection *c)
{
    if (!list_empty(&c->wait_link))
        return;
    list_push_back(&c->group->resumed, &c->wait_link);
    post_resume(c->group);
}

static void resume_run(struct task *task)
{
    struct connection_group *group = CONTAINER_OF(task, struct connection_group, resume_task);
    struct list now;
    group->resume_posted = false;
    list_init(&now);
    while (!list_empty(&group->resumed))
        list_push_back(&now, list_pop_front(&group->resumed));
    struct list *node;
    while ((node = list_pop_front(&now)) != NULL)
        connection_continue(LIST_ITEM(node, struct connection, wait_link));
    /* In the order of their coming; whoever still does not fit goes back to the end. */
    while (!list_empty(&group->waiting))
        list_push_back(&now, list_pop_front(&group->waiting));
    while ((node = list_pop_front(&now)) != NULL) {
        struct connection *c = LIST_ITEM(node, struct connection, wait_link);
        c->blocked &= ~(unsigned)BLOCK_GROUP;
        connection_continue(c);
        connection_block(c, 0, 0);
    }
}

void connection_group_init(struct connection_group *group, struct loop *loop,
                           const struct connection_handler *handler,
                           const struct connection_limits *limits, void *ctx)
{
    *group =
        (struct connection_group){.loop = loop, .handler = handler, .limits = *limits, .ctx = ctx};
    group->staging = mem_alloc(STAGING_BYTES);
    group->resume_task.run = resume_run;
    list_init(&group->by_activity);
    list_init(&group->waiting);
    list_init(&group->resumed);
    timer_init(&group->idle_timer, loop, idle_timer_fired);
}

void connection_group_release(struct connection_group *group)
{
    CHECK(list_empty(&group->by_activity) && group->held_bytes == 0);
    timer_stop(&group->idle_timer);
    free(group->staging);
}

void connection_group_drain(struct connection_group *group, const char *reason)
{
    LIST_FOR_EACH (node, &group->by_activity)
        connection_drain(LIST_ITEM(node, struct connection, activity_link), reason);
}

void connection_group_close(struct connection_group *group, const char *reason)
{
    LIST_FOR_EACH (node, &group->by_activity)
        connection_close(LIST_ITEM(node, struct connection, activity_link), reason);
}

bool connection_group_close_oldest(struct connection_group *group, const char *reason)
{
    LIST_FOR_EACH (node, &group->by_activity) {
        struct connection *c = LIST_ITEM(node, struct connection, activity_link);
        if (!c->disconnected) {
            connection_close(c, reason);
            return true;
        }
    }
    return false;
}
