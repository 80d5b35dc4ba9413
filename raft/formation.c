#include "raft/formation.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Who is missing is said so often, even if it stays the same. */
#define REPEAT_MS 30000

/* What one listed end point answered in the round at hand. */
struct answer {
    bool told;
    int32_t node_id;
    struct uuid directory_id;
    bool blank, has_data;
    bool same_cluster; /* as ours, for one that is bound */
    uint64_t listed_hash;
    struct quorum_voters *self; /* of a blank one: its listeners */
};

struct formation {
    struct formation_config config;
    struct quorum_voters *self;
    struct uuid entropy, directory_id;
    uint64_t counter;
    enum formation_state state;
    struct formation_record record; /* being written, or bound to */
    bool has_data, started, contacted;
    /* The round: a collect of a blank node, a survey of a bound one. */
    uint64_t nonce; /* 0: no round is on */
    int64_t round_end_ms, next_round_ms;
    bool second; /* the first collect was complete; `first` is what it found */
    struct uuid first[FORMATION_LISTED_MAX];
    struct answer answers[FORMATION_LISTED_MAX];
    char observed[CLUSTER_ID_MAX + 1];
    char said[256]; /* once is enough */
    int64_t missing_said_ms;
    struct formation_action *actions;
    size_t front, count, capacity;
};

static struct formation_action *push(struct formation *f, enum formation_action_type type)
{
    if (f->front == f->count)
        f->front = f->count = 0;
    struct formation_action action = {.type = type};
    VEC_PUSH(f->actions, f->count, f->capacity) = action;
    return &f->actions[f->count - 1];
}

bool formation_take(struct formation *f, struct formation_action *ret_action)
{
    if (f->front == f->count)
        return false;
    *ret_action = f->actions[f->front++];
    return true;
}

__attribute__((format(printf, 2, 3))) static void say(struct formation *f, const char *format, ...)
{
    char text[sizeof(f->said)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (strcmp(text, f->said) == 0)
        return;
    memcpy(f->said, text, sizeof(text));
    memcpy(push(f, FORMATION_SAY)->text, text, sizeof(text));
}

static uint64_t fresh(struct formation *f)
{
    uint64_t seed[3] = {0, 0, ++f->counter};
    memcpy(seed, f->entropy.b, 16);
    uint64_t value = hash_bytes(seed, sizeof(seed));
    return value ? value : 1;
}

/* A cluster id: as random as the entropy, and never twice. */
static void fresh_cluster_id(struct formation *f, char id[CLUSTER_ID_MAX + 1])
{
    struct uuid uuid;
    uint8_t random[16];
    do {
        uint64_t halves[2] = {fresh(f), fresh(f)};
        memcpy(random, halves, 16);
        for (int i = 0; i < 16; i++)
            random[i] ^= f->entropy.b[i];
    } while (!uuid_from_random(random, &uuid));
    char text[UUID_TEXT_LEN + 1];
    uuid_format(uuid, text);
    snprintf(id, CLUSTER_ID_MAX + 1, "%s", text);
}

static void set_directory(struct formation *f, struct uuid directory_id)
{
    f->directory_id = directory_id;
    f->self->servers[0].directory_id = directory_id;
    f->self->servers[0].raft_id = quorum_raft_id(directory_id);
}

struct formation *formation_new(const struct formation_config *config, struct uuid entropy,
                                struct uuid directory_id, const struct formation_record *record)
{
    CHECK(config->listed_count >= 1 && config->listed_count <= FORMATION_LISTED_MAX);
    CHECK(config->self_index >= -1 && config->self_index < config->listed_count);
    CHECK(config->self->count == 1 && config->self->servers[0].node_id == config->node_id);
    struct formation *f = mem_calloc(1, sizeof(*f));
    f->config = *config;
    f->entropy = entropy;
    f->self = quorum_voters_copy(config->self);
    set_directory(f, directory_id);
    if (record && record->cluster_id[0]) {
        formation_record_copy(&f->record, record);
        f->state = FORMATION_BOUND;
    }
    return f;
}

static void forget_answers(struct formation *f)
{
    for (int i = 0; i < f->config.listed_count; i++) {
        quorum_voters_unref(f->answers[i].self);
        f->answers[i] = (struct answer){0};
    }
}

void formation_free(struct formation *f)
{
    if (!f)
        return;
    forget_answers(f);
    formation_record_release(&f->record);
    quorum_voters_unref(f->self);
    free(f->actions);
    free(f);
}

enum formation_state formation_state(const struct formation *f)
{
    return f->state;
}

static struct formation_message message_of(const struct formation *f, bool ask, uint64_t nonce)
{
    struct formation_message message = {
        .ask = ask,
        .nonce = nonce,
        .node_id = f->config.node_id,
        .directory_id = f->directory_id,
        .listed_hash = f->config.listed_hash,
        .has_data = f->has_data,
        .self = f->self,
    };
    if (f->state == FORMATION_BOUND) {
        memcpy(message.cluster_id, f->record.cluster_id, sizeof(message.cluster_id));
        message.voters = f->record.voters;
    }
    return message;
}

static void send(struct formation *f, int to, bool ask, uint64_t nonce)
{
    struct formation_action *action = push(f, FORMATION_SEND);
    action->to = to;
    action->message = message_of(f, ask, nonce);
}

static void round_complete(struct formation *f, int64_t now_ms);

static bool all_told(const struct formation *f)
{
    int told = 0;
    for (int i = 0; i < f->config.listed_count; i++)
        told += f->answers[i].told;
    if (f->config.majority_is_enough)
        return told > f->config.listed_count / 2;
    return told == f->config.listed_count;
}

static void begin_round(struct formation *f, int64_t now_ms)
{
    forget_answers(f);
    f->nonce = fresh(f);
    f->round_end_ms = now_ms + f->config.round_timeout_ms;
    struct answer own = {
        .told = true,
        .node_id = f->config.node_id,
        .directory_id = f->directory_id,
        .blank = f->state == FORMATION_BLANK,
        .has_data = f->has_data,
        .same_cluster = true,
        .listed_hash = f->config.listed_hash,
    };
    if (f->config.self_index >= 0) {
        own.self = quorum_voters_ref(f->self);
        f->answers[f->config.self_index] = own;
    }
    for (int i = 0; i < f->config.listed_count; i++) {
        if (i != f->config.self_index)
            send(f, i, true, f->nonce);
    }
    if (all_told(f))
        round_complete(f, now_ms);
}

static void end_round(struct formation *f, int64_t now_ms)
{
    f->nonce = 0;
    f->second = false;
    f->next_round_ms = now_ms + f->config.retry_ms;
}

/* The record of what the second collect found. */
static void form(struct formation *f)
{
    struct quorum_voters *voters = quorum_voters_new();
    for (int i = 0; i < f->config.listed_count; i++) {
        const struct answer *a = &f->answers[i];
        if (!a->told || quorum_voters_find(voters, quorum_raft_id(a->directory_id)))
            continue;
        int rv = quorum_voters_add(voters, a->node_id, a->directory_id, QUORUM_VOTER);
        CHECK(rv == 0);
        const struct quorum_server *from = &a->self->servers[0];
        for (int k = 0; k < from->listener_count; k++)
            quorum_voters_add_listener(voters, str_of(from->listeners[k].name),
                                       str_of(from->listeners[k].host), from->listeners[k].port);
    }
    if (f->config.listed_count == 1)
        say(f, "only this node is listed: it forms a cluster of its own");
    formation_record_release(&f->record);
    f->record.directory_id = f->directory_id;
    f->record.voters = voters;
    fresh_cluster_id(f, f->record.cluster_id);
    f->state = FORMATION_WRITING;
    push(f, FORMATION_WRITE)->record = &f->record;
}

static bool has_own_answer(const struct formation *f)
{
    for (int i = 0; i < f->config.listed_count; i++) {
        if (f->answers[i].told && uuid_eq(f->answers[i].directory_id, f->directory_id))
            return true;
    }
    return false;
}

/* The answers can make a cluster, and we are the one to form it. */
static bool may_form(struct formation *f)
{
    for (int i = 0; i < f->config.listed_count; i++) {
        const struct answer *a = &f->answers[i];
        if (!a->told)
            continue;
        if (!a->blank)
            return false;
        if (a->listed_hash != f->config.listed_hash) {
            say(f,
                "node %" PRId32 " has another list of controllers than this one: make "
                "controller.quorum.voters (or .bootstrap.servers) equal on all of them",
                a->node_id);
            return false;
        }
        for (int k = 0; k < i; k++) {
            const struct answer *b = &f->answers[k];
            if (b->told && a->node_id == b->node_id && !uuid_eq(a->directory_id, b->directory_id)) {
                say(f, "two live nodes say that they are node.id %" PRId32 ": give each its own",
                    a->node_id);
                return false;
            }
        }
    }
    /* All say what is wrong with the lists, not only the one that would form. */
    for (int i = 0; i < f->config.listed_count; i++) {
        if (f->answers[i].told && f->answers[i].node_id < f->config.node_id)
            return false;
    }
    if (!has_own_answer(f)) {
        say(f, "none of the listed controllers is this node: it can only join a cluster");
        return false;
    }
    if (f->config.listed_count == 1 && f->contacted) {
        say(f, "only this node is listed, but another node made contact: list all controllers");
        return false;
    }
    return true;
}

static void collect_complete(struct formation *f, int64_t now_ms)
{
    if (!may_form(f)) {
        end_round(f, now_ms);
        return;
    }
    if (!f->second && !f->config.one_collect) {
        f->second = true;
        for (int i = 0; i < f->config.listed_count; i++)
            f->first[i] = f->answers[i].directory_id;
        begin_round(f, now_ms);
        return;
    }
    bool equal = true;
    for (int i = 0; i < f->config.listed_count && !f->config.one_collect; i++)
        equal &= uuid_eq(f->first[i], f->answers[i].directory_id);
    end_round(f, now_ms);
    if (equal)
        form(f);
}

/* Rule 6: this formation can never elect. */
static bool is_stillborn(const struct formation *f)
{
    int able = 0;
    if (f->has_data || f->config.never_reset)
        return false;
    for (int i = 0; i < f->config.listed_count; i++) {
        if (f->answers[i].has_data && f->answers[i].same_cluster)
            return false;
    }
    const struct quorum_voters *voters = f->record.voters;
    for (int i = 0; i < voters->count; i++) {
        bool found = false;
        for (int k = 0; k < f->config.listed_count; k++) {
            const struct answer *a = &f->answers[k];
            found |= a->told && (a->blank || a->same_cluster) &&
                     uuid_eq(a->directory_id, voters->servers[i].directory_id);
        }
        able += found;
    }
    return able <= voters->count / 2;
}

static void survey_complete(struct formation *f, int64_t now_ms)
{
    end_round(f, now_ms);
    if (!is_stillborn(f))
        return;
    say(f,
        "the formation of cluster %s can never elect a leader, because disks it names are gone: "
        "starting over",
        f->record.cluster_id);
    f->state = FORMATION_RESETTING;
    push(f, FORMATION_RESET);
}

static void round_complete(struct formation *f, int64_t now_ms)
{
    if (f->state == FORMATION_BLANK)
        collect_complete(f, now_ms);
    else if (f->state == FORMATION_BOUND)
        survey_complete(f, now_ms);
}

/* Said again when it changes, and now and then. */
static void say_who_is_missing(struct formation *f, int64_t now_ms)
{
    char names[160] = "";
    size_t len = 0;
    int missing = 0;
    for (int i = 0; i < f->config.listed_count; i++) {
        if (f->answers[i].told)
            continue;
        missing++;
        if (f->config.listed_names && len < sizeof(names))
            len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len > 0 ? ", " : "",
                                    f->config.listed_names[i]);
        else if (len < sizeof(names))
            len += (size_t)snprintf(names + len, sizeof(names) - len, "%snumber %d of the list",
                                    len > 0 ? ", " : "", i + 1);
    }
    if (missing == 0)
        return;
    if (now_ms - f->missing_said_ms >= REPEAT_MS) {
        f->said[0] = '\0';
        f->missing_said_ms = now_ms;
    }
    say(f, "waiting for %d of %d listed controllers: %s", missing, f->config.listed_count, names);
}

void formation_tick(struct formation *f, int64_t now_ms)
{
    if (!f->started || (f->state != FORMATION_BLANK && f->state != FORMATION_BOUND))
        return;
    if (f->nonce != 0 && now_ms >= f->round_end_ms) {
        say_who_is_missing(f, now_ms);
        end_round(f, now_ms);
    }
    bool due = f->nonce == 0 && now_ms >= f->next_round_ms;
    /* With data there is nothing left to settle; others ask us. */
    if (due && !(f->state == FORMATION_BOUND && f->has_data))
        begin_round(f, now_ms);
}

int64_t formation_deadline_ms(const struct formation *f)
{
    if (!f->started || (f->state != FORMATION_BLANK && f->state != FORMATION_BOUND) ||
        (f->state == FORMATION_BOUND && f->has_data))
        return INT64_MAX;
    return f->nonce != 0 ? f->round_end_ms : f->next_round_ms;
}

void formation_start(struct formation *f, int64_t now_ms)
{
    f->started = true;
    f->next_round_ms = now_ms;
    if (f->state == FORMATION_BOUND)
        push(f, FORMATION_START)->record = &f->record;
    formation_tick(f, now_ms);
}

/* A record of somebody else, while we are blank. */
static void meet_cluster(struct formation *f, const struct formation_message *message,
                         int64_t now_ms)
{
    const struct quorum_server *named =
        quorum_voters_find(message->voters, quorum_raft_id(f->directory_id));
    if (named && named->node_id == f->config.node_id &&
        uuid_eq(named->directory_id, f->directory_id)) {
        end_round(f, now_ms);
        formation_record_release(&f->record);
        f->record.directory_id = f->directory_id;
        memcpy(f->record.cluster_id, message->cluster_id, sizeof(f->record.cluster_id));
        f->record.voters = quorum_voters_copy(message->voters);
        f->state = FORMATION_WRITING;
        push(f, FORMATION_WRITE)->record = &f->record;
        return;
    }
    f->second = false;
    if (!message->has_data || strcmp(f->observed, message->cluster_id) == 0)
        return;
    memcpy(f->observed, message->cluster_id, sizeof(f->observed));
    formation_record_release(&f->record);
    f->record.directory_id = f->directory_id;
    memcpy(f->record.cluster_id, message->cluster_id, sizeof(f->record.cluster_id));
    f->record.voters = quorum_voters_copy(message->voters);
    say(f, "cluster %s exists and does not know this disk: joining it as an observer",
        message->cluster_id);
    push(f, FORMATION_OBSERVE)->record = &f->record;
}

static bool is_sane(const struct formation_message *message)
{
    if (message->node_id < 0 || uuid_is_zero(message->directory_id) || !message->self ||
        message->self->count != 1)
        return false;
    return message->cluster_id[0] == '\0' || (message->voters && message->voters->count > 0);
}

static void take_answer(struct formation *f, int from, const struct formation_message *message,
                        int64_t now_ms)
{
    if (f->nonce == 0 || message->nonce != f->nonce || from == f->config.self_index)
        return;
    struct answer *a = &f->answers[from];
    quorum_voters_unref(a->self);
    bool blank = message->cluster_id[0] == '\0';
    *a = (struct answer){
        .told = true,
        .node_id = message->node_id,
        .directory_id = message->directory_id,
        .blank = blank,
        .has_data = message->has_data,
        .same_cluster = !blank && strcmp(message->cluster_id, f->record.cluster_id) == 0,
        .listed_hash = message->listed_hash,
        .self = quorum_voters_copy(message->self),
    };
    if (f->state == FORMATION_BLANK && !blank) {
        end_round(f, now_ms);
        return;
    }
    if (all_told(f))
        round_complete(f, now_ms);
}

void formation_receive(struct formation *f, int from, const struct formation_message *message,
                       int64_t now_ms)
{
    if (!f->started || !is_sane(message))
        return;
    if (!uuid_eq(message->directory_id, f->directory_id))
        f->contacted = true;
    bool bound = message->cluster_id[0] != '\0';
    if (f->state == FORMATION_BOUND && bound &&
        strcmp(message->cluster_id, f->record.cluster_id) != 0)
        say(f,
            "node %" PRId32 " belongs to cluster %s, this one to %s: a wrong address, or two "
            "clusters that share a list",
            message->node_id, message->cluster_id, f->record.cluster_id);
    if (f->state == FORMATION_BLANK && bound)
        meet_cluster(f, message, now_ms);
    /* What is being written is not durable: it is neither told nor denied. */
    bool settled = f->state == FORMATION_BLANK || f->state == FORMATION_BOUND;
    if (message->ask && settled)
        send(f, from, false, message->nonce);
    else if (!message->ask && settled && from >= 0)
        take_answer(f, from, message, now_ms);
}

void formation_written(struct formation *f, int64_t now_ms)
{
    CHECK(f->state == FORMATION_WRITING);
    f->state = FORMATION_BOUND;
    f->next_round_ms = now_ms + f->config.retry_ms;
    push(f, FORMATION_START)->record = &f->record;
    for (int i = 0; i < f->config.listed_count; i++) {
        if (i != f->config.self_index)
            send(f, i, false, 0);
    }
}

void formation_was_reset(struct formation *f, struct uuid directory_id, int64_t now_ms)
{
    CHECK(f->state == FORMATION_RESETTING && !uuid_eq(directory_id, f->directory_id));
    /* Nothing that is still queued may name the old disk. */
    f->front = f->count = 0;
    formation_record_release(&f->record);
    f->observed[0] = '\0';
    set_directory(f, directory_id);
    f->state = FORMATION_BLANK;
    f->next_round_ms = now_ms;
    formation_tick(f, now_ms);
}

void formation_has_data(struct formation *f)
{
    f->has_data = true;
}
