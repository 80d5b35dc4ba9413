#include "raft/formation_driver.h"

#define LOG_MODULE "formation"

#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/base/mutation.h"
#include "raft/formation_collect.h"
#include "raft/quorum_link.h"

#include <errno.h>
#include <stdlib.h>

#define ROUND_TIMEOUT_MS 1000
#define RETRY_MS         100
#define BACKOFF_MAX_MS   200
/* How often is looked whether the quorum has come to life. */
#define LOOK_MS 50
/* Nodes that are started together close connections, too. */
#define CLOSED_SAID 5

/* A listed end point. */
struct contact {
    struct formation_driver *driver;
    int index;
    struct endpoint endpoint;
    struct quorum_link *link;
    int closed;       /* how often in a row it has closed a connection without an answer */
    bool has_pending; /* to be said when it is connected */
    struct formation_message pending;
};

struct formation_driver {
    struct loop *loop;
    struct formation_driver_config config;
    const struct formation_driver_handler *handler;
    void *ctx;
    struct formation *formation;
    char *names[FORMATION_LISTED_MAX];
    struct contact contacts[FORMATION_LISTED_MAX];
    struct timer timer;
    bool stopping, observing; /* observing: the disk is being written */
    struct formation_collect collect;
    bool collecting;
    const char *why_not; /* the last answer that did not count */
    struct formation_record collected;
    struct bytebuf voters, self;
    struct peer_formation *answer; /* of the question at hand */
    struct formation_message answered;
    int closing;
    struct task stop_task;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

static void tick(struct timer *timer);
static void run(struct formation_driver *d);
static void look(struct formation_driver *d);

/* The same for all who have the same list, whatever its order. */
static uint64_t hash_listed(const struct endpoint *listed, int count)
{
    uint64_t sum = 0;
    for (int i = 0; i < count; i++) {
        char text[HOST_MAX + 16];
        endpoint_format(&listed[i], text);
        sum += str_hash(str_of(text));
    }
    return hash_u64(sum + (uint64_t)count);
}

static struct formation *make_formation(struct formation_driver *d,
                                        const struct formation_record *record)
{
    return formation_new(&d->config.formation, env_random_uuid(d->loop->env),
                         d->config.directory_id, record);
}

struct formation_driver *formation_driver_new(const struct formation_driver_config *config,
                                              const struct formation_driver_handler *handler,
                                              void *ctx)
{
    struct formation_driver *d = mem_calloc(1, sizeof(*d));
    d->loop = config->loop;
    d->config = *config;
    d->handler = handler;
    d->ctx = ctx;
    struct formation_config *f = &d->config.formation;
    f->self = quorum_voters_copy(f->self);
    f->listed_hash = hash_listed(config->listed, f->listed_count);
    f->round_timeout_ms = ROUND_TIMEOUT_MS;
    f->retry_ms = RETRY_MS;
    f->majority_is_enough = MUTATED(config->loop->env->disk, FORMATION_MAJORITY);
    f->one_collect = MUTATED(config->loop->env->disk, FORMATION_ONE_COLLECT);
    f->never_reset |= MUTATED(config->loop->env->disk, FORMATION_NO_RESET);
    for (int i = 0; i < f->listed_count; i++) {
        char text[HOST_MAX + 16];
        endpoint_format(&config->listed[i], text);
        d->names[i] = mem_strdup(text);
        d->contacts[i] = (struct contact){.driver = d, .index = i, .endpoint = config->listed[i]};
    }
    f->listed_names = d->names;
    d->config.listed = NULL;
    bytebuf_init(&d->voters);
    bytebuf_init(&d->self);
    timer_init(&d->timer, d->loop, tick);
    d->formation = make_formation(d, config->record);
    d->collecting = config->collects;
    if (d->collecting) {
        formation_record_copy(&d->collected, config->record);
        formation_collect_init(&d->collect, f->listed_count);
    }
    d->config.record = NULL;
    return d;
}

static void forget_pending(struct contact *contact)
{
    if (contact->has_pending)
        quorum_wire_release_formation(&contact->pending);
    contact->has_pending = false;
}

static const struct quorum_voters *hold(const struct quorum_voters *voters)
{
    return voters ? quorum_voters_ref((struct quorum_voters *)(uintptr_t)voters) : NULL;
}

static void keep_pending(struct contact *contact, const struct formation_message *message)
{
    forget_pending(contact);
    contact->pending = *message;
    contact->pending.voters = hold(message->voters);
    contact->pending.self = hold(message->self);
    contact->has_pending = true;
}

/* The voters of a static quorum are complete, or one more of them is known. */
static void collect_answer(struct formation_driver *d, int at,
                           const struct formation_message *message)
{
    const char *why = NULL;
    if (!formation_collect_add(&d->collect, at, d->collected.cluster_id, message, &why)) {
        if (why != d->why_not)
            log_warn(d->loop->env->logger, "The controller at %s cannot be counted in: %s",
                     d->names[at], why);
        d->why_not = why;
        return;
    }
    struct quorum_voters *voters = formation_collect_voters(&d->collect);
    if (!voters)
        return;
    d->observing = true;
    timer_stop(&d->timer);
    quorum_voters_unref(d->collected.voters);
    d->collected.voters = voters;
    d->handler->write(d->ctx, &d->collected);
}

static void collect_self(struct formation_driver *d)
{
    const struct formation_config *f = &d->config.formation;
    struct formation_message self = {
        .node_id = f->node_id, .directory_id = d->config.directory_id, .self = f->self};
    memcpy(self.cluster_id, d->collected.cluster_id, sizeof(self.cluster_id));
    if (f->self_index >= 0)
        collect_answer(d, f->self_index, &self);
}

static void fill(struct formation_driver *d, const struct formation_message *message,
                 struct peer_formation *out)
{
    d->voters.len = d->self.len = 0;
    quorum_wire_fill_formation(message, &d->voters, &d->self, out);
}

static void answered(void *ctx, int status, struct buf *frame)
{
    struct contact *contact = ctx;
    struct formation_driver *d = contact->driver;
    if (status != 0 || d->stopping || d->observing)
        return;
    struct peer_formation wire;
    struct formation_message message;
    struct arena arena;
    arena_init(&arena, 0);
    int rv = quorum_wire_read_answer((struct bytes){frame->data, (int32_t)frame->size_bytes},
                                     &peer_formation_desc, &arena, &wire);
    if (rv == 0 && wire.node_id >= 0 && quorum_wire_read_formation(&wire, &message) == 0) {
        look(d);
        contact->closed = 0;
        formation_receive(d->formation, contact->index, &message, env_now_ms(d->loop->env));
        if (d->collecting)
            collect_answer(d, contact->index, &message);
        quorum_wire_release_formation(&message);
        run(d);
    }
    arena_release(&arena);
}

static void say_to(struct contact *contact, const struct formation_message *message)
{
    struct peer_formation wire;
    fill(contact->driver, message, &wire);
    if (!contact->link ||
        quorum_link_ask(contact->link, QUORUM_WIRE_FORMATION, &wire, answered, contact) != 0)
        keep_pending(contact, message);
}

static void on_ready(void *owner, const struct peer_hello_answer *answer)
{
    struct contact *contact = owner;
    (void)answer;
    if (!contact->has_pending)
        return;
    struct formation_message message = contact->pending;
    contact->has_pending = false;
    say_to(contact, &message);
    quorum_wire_release_formation(&message);
}

/* Who is not there is missed by the formation; here it is told who is there and is no controller.
 */
static void on_down(void *owner, int status, struct str refusal)
{
    struct contact *contact = owner;
    struct formation_driver *d = contact->driver;
    (void)refusal;
    if (status == -ECONNRESET && ++contact->closed == CLOSED_SAID)
        log_warn(d->loop->env->logger,
                 "%s closes the connection and says nothing: is it the listener of a controller, "
                 "or that of a broker?",
                 d->names[contact->index]);
}

static const struct quorum_link_handler link_handler = {.ready = on_ready, .down = on_down};

static void link_closed(void *owner)
{
    struct formation_driver *d = owner;
    d->closing--;
    if (d->stopping && d->closing == 0)
        d->stopped(d->stopped_ctx);
}

static void set_linked(struct formation_driver *d, bool linked)
{
    for (int i = 0; i < d->config.formation.listed_count; i++) {
        struct contact *contact = &d->contacts[i];
        if (i == d->config.formation.self_index || linked == (contact->link != NULL))
            continue;
        if (linked) {
            struct quorum_link_options options = {
                .loop = d->loop,
                .endpoint = contact->endpoint,
                .request_timeout_ms = d->config.request_timeout_ms,
                .backoff_min_ms = d->config.backoff_ms,
                .backoff_max_ms = MAX(BACKOFF_MAX_MS, d->config.backoff_ms),
                .handler = &link_handler,
                .owner = contact,
            };
            contact->link = quorum_link_new(&options);
        } else {
            d->closing++;
            forget_pending(contact);
            quorum_link_close(contact->link, link_closed, d);
            contact->link = NULL;
        }
    }
}

/* Formations with data have nothing to ask for: the voters of a static quorum are asked here, until
 * all have answered. */
static void ask_uncounted(struct formation_driver *d)
{
    const struct formation_config *f = &d->config.formation;
    struct formation_message ask = {
        .ask = true,
        .node_id = f->node_id,
        .directory_id = d->config.directory_id,
        .listed_hash = f->listed_hash,
        .has_data = true,
        .voters = d->collected.voters,
        .self = f->self,
    };
    memcpy(ask.cluster_id, d->collected.cluster_id, sizeof(ask.cluster_id));
    for (int i = 0; i < f->listed_count; i++) {
        struct contact *contact = &d->contacts[i];
        if (i != f->self_index && !d->collect.answers[i])
            say_to(contact, &ask);
    }
}

static void carry_out(struct formation_driver *d, const struct formation_action *action)
{
    switch (action->type) {
    case FORMATION_SEND:
        if (action->to >= 0) {
            say_to(&d->contacts[action->to], &action->message);
        } else if (d->answer) {
            d->answered = action->message;
            fill(d, &d->answered, d->answer);
        }
        return;
    case FORMATION_WRITE:
        d->handler->write(d->ctx, action->record);
        return;
    case FORMATION_START:
        if (d->collecting)
            return;
        d->handler->start(d->ctx, action->record);
        return;
    case FORMATION_OBSERVE:
        d->observing = true;
        timer_stop(&d->timer);
        d->handler->observe(d->ctx, action->record);
        return;
    case FORMATION_RESET:
        d->handler->reset(d->ctx);
        return;
    case FORMATION_SAY:
        log_info(d->loop->env->logger, "%s", action->text);
        return;
    }
    UNREACHABLE();
}

static void run(struct formation_driver *d)
{
    struct formation_action action;
    while (!d->stopping && !d->observing && formation_take(d->formation, &action))
        carry_out(d, &action);
    if (d->stopping || d->observing)
        return;
    int64_t deadline_ms = formation_deadline_ms(d->formation);
    if (d->collecting ||
        (formation_state(d->formation) == FORMATION_BOUND && deadline_ms != INT64_MAX))
        deadline_ms = MIN(deadline_ms, env_now_ms(d->loop->env) + LOOK_MS);
    /* With nothing left to settle nobody is asked any more. */
    set_linked(d, deadline_ms != INT64_MAX || formation_state(d->formation) != FORMATION_BOUND);
    if (deadline_ms == INT64_MAX)
        timer_stop(&d->timer);
    else
        timer_start_at_us(&d->timer, deadline_ms * 1000);
}

/* Asked before each event: whether the quorum lives. */
static void look(struct formation_driver *d)
{
    if (formation_state(d->formation) == FORMATION_BOUND && d->handler->has_data(d->ctx))
        formation_has_data(d->formation);
}

static void tick(struct timer *timer)
{
    struct formation_driver *d = CONTAINER_OF(timer, struct formation_driver, timer);
    look(d);
    formation_tick(d->formation, env_now_ms(d->loop->env));
    if (d->collecting && !d->observing)
        ask_uncounted(d);
    run(d);
}

void formation_driver_start(struct formation_driver *d)
{
    set_linked(d, formation_state(d->formation) == FORMATION_BLANK);
    formation_start(d->formation, env_now_ms(d->loop->env));
    run(d);
    if (d->collecting)
        collect_self(d);
}

void formation_driver_written(struct formation_driver *d)
{
    if (d->stopping)
        return;
    if (d->collecting) {
        d->collecting = d->observing = false;
        d->handler->start(d->ctx, &d->collected);
        run(d);
        return;
    }
    formation_written(d->formation, env_now_ms(d->loop->env));
    run(d);
}

void formation_driver_observing(struct formation_driver *d, const struct formation_record *record)
{
    if (d->stopping)
        return;
    struct formation *before = d->formation;
    d->config.formation.never_reset = true;
    d->formation = make_formation(d, record);
    formation_free(before);
    d->observing = false;
    formation_has_data(d->formation);
    formation_driver_start(d);
}

void formation_driver_receive(struct formation_driver *d, const struct peer_formation *wire,
                              struct peer_formation *answer)
{
    struct formation_message message;
    message_init(&peer_formation_desc, answer);
    if (d->stopping || d->observing || quorum_wire_read_formation(wire, &message) != 0)
        return;
    look(d);
    d->answer = answer;
    formation_receive(d->formation, -1, &message, env_now_ms(d->loop->env));
    quorum_wire_release_formation(&message);
    run(d);
    d->answer = NULL;
}

static void no_links(struct task *task)
{
    link_closed(CONTAINER_OF(task, struct formation_driver, stop_task));
}

void formation_driver_stop(struct formation_driver *d, void (*stopped)(void *ctx), void *ctx)
{
    CHECK(!d->stopping);
    set_linked(d, false);
    timer_stop(&d->timer);
    d->stopping = true;
    d->stopped = stopped;
    d->stopped_ctx = ctx;
    d->closing++;
    d->stop_task.run = no_links;
    loop_post(d->loop, &d->stop_task);
}

void formation_driver_free(struct formation_driver *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->config.formation.listed_count; i++) {
        CHECK(!d->contacts[i].link);
        forget_pending(&d->contacts[i]);
        free(d->names[i]);
    }
    formation_free(d->formation);
    formation_collect_release(&d->collect);
    formation_record_release(&d->collected);
    quorum_voters_unref((struct quorum_voters *)(uintptr_t)d->config.formation.self);
    bytebuf_release(&d->voters);
    bytebuf_release(&d->self);
    free(d);
}
