#include "broker/replica/leader_state.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>

static void forget_proposal(struct leader_state *leader)
{
    free(leader->proposal.members);
    leader->proposal = (struct isr_proposal){0};
    leader->proposing = false;
}

void leader_state_init(struct leader_state *leader, int32_t node_id,
                       const struct partition_role *role)
{
    *leader = (struct leader_state){.node_id = node_id, .role = role};
}

void leader_state_release(struct leader_state *leader)
{
    forget_proposal(leader);
    free(leader->followers);
    leader->followers = NULL;
    leader->follower_count = 0;
}

static struct follower_progress *find(const struct leader_state *leader, int32_t id)
{
    for (int32_t i = 0; i < leader->follower_count; i++)
        if (leader->followers[i].id == id)
            return &leader->followers[i];
    return NULL;
}

const struct follower_progress *leader_state_follower(const struct leader_state *leader, int32_t id)
{
    return find(leader, id);
}

/* Who is in sync by the metadata was so a moment ago: it has the whole lag time from now on. */
static struct follower_progress new_follower(const struct leader_state *leader, int32_t id,
                                             int64_t now_ms)
{
    bool in_sync = node_list_contains(leader->role->isr, id);
    return (struct follower_progress){
        .id = id,
        .broker_epoch = -1,
        .end_offset = -1,
        .log_start_offset = -1,
        .fetched_leader_end = INT64_MAX,
        .caught_up_ms = in_sync ? now_ms : INT64_MIN,
    };
}

static void set_followers(struct leader_state *leader, bool keep, int64_t now_ms)
{
    struct node_list replicas = leader->role->replicas;
    struct follower_progress *followers =
        mem_calloc((size_t)MAX(replicas.count, 1), sizeof(*followers));
    int32_t count = 0;
    for (int32_t i = 0; i < replicas.count; i++) {
        const struct follower_progress *old = keep ? find(leader, replicas.ids[i]) : NULL;
        if (replicas.ids[i] != leader->node_id)
            followers[count++] = old ? *old : new_follower(leader, replicas.ids[i], now_ms);
    }
    free(leader->followers);
    leader->followers = followers;
    leader->follower_count = count;
}

void leader_state_begin(struct leader_state *leader, int64_t end_offset, int64_t now_ms)
{
    forget_proposal(leader);
    leader->start_offset = end_offset;
    set_followers(leader, false, now_ms);
}

void leader_state_update(struct leader_state *leader, int64_t now_ms)
{
    if (leader->proposing && leader->role->partition_epoch > leader->proposal.partition_epoch)
        forget_proposal(leader);
    set_followers(leader, true, now_ms);
}

enum kafka_error leader_state_check(const struct leader_state *leader,
                                    const struct leader_view *view,
                                    const struct replica_fetch *fetch)
{
    if (find(leader, fetch->id) == NULL)
        return KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
    bool live;
    int64_t epoch = view->epoch_of(view->ctx, fetch->id, &live);
    if (fetch->broker_epoch < epoch || fetch->broker_epoch < 0)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return fetch->broker_epoch > epoch ? KAFKA_ERROR_UNKNOWN_LEADER_EPOCH : KAFKA_ERROR_NONE;
}

void leader_state_fetched(struct leader_state *leader, const struct leader_view *view,
                          const struct replica_fetch *fetch)
{
    struct follower_progress *f = find(leader, fetch->id);
    CHECK(f != NULL);
    /* All that was there at the fetch before is here now: it had caught up then, at least. */
    if (fetch->offset >= view->end_offset)
        f->caught_up_ms = MAX(f->caught_up_ms, view->now_ms);
    else if (fetch->offset >= f->fetched_leader_end)
        f->caught_up_ms = MAX(f->caught_up_ms, f->fetched_ms);
    f->broker_epoch = fetch->broker_epoch;
    f->end_offset = fetch->offset;
    f->log_start_offset = fetch->log_start_offset;
    f->fetched_leader_end = view->end_offset;
    f->fetched_ms = view->now_ms;
}

void leader_state_appended(struct leader_state *leader, int64_t end, int64_t now_ms)
{
    for (int32_t i = 0; i < leader->follower_count; i++) {
        struct follower_progress *f = &leader->followers[i];
        if (f->end_offset == end)
            f->caught_up_ms = MAX(f->caught_up_ms, now_ms);
    }
}

/* Whether the controller would take it into the ISR (KIP-841, KIP-903). */
static bool eligible(const struct leader_view *view, const struct follower_progress *f)
{
    bool live;
    int64_t epoch = view->epoch_of(view->ctx, f->id, &live);
    return epoch >= 0 && live && f->broker_epoch == epoch;
}

static bool caught_up(const struct leader_view *view, const struct follower_progress *f)
{
    return f->end_offset == view->end_offset ||
           (f->caught_up_ms != INT64_MIN && view->now_ms - f->caught_up_ms <= view->lag_max_ms);
}

static bool is_proposed(const struct leader_state *leader, int32_t id)
{
    for (int32_t i = 0; i < leader->proposal.member_count; i++)
        if (leader->proposal.members[i].id == id)
            return true;
    return false;
}

static bool in_maximal_isr(const struct leader_state *leader, int32_t id)
{
    return node_list_contains(leader->role->isr, id) || is_proposed(leader, id);
}

int32_t leader_state_maximal_isr_count(const struct leader_state *leader)
{
    int32_t count = leader->role->isr.count;
    for (int32_t i = 0; i < leader->proposal.member_count; i++)
        count += !node_list_contains(leader->role->isr, leader->proposal.members[i].id);
    return count;
}

int32_t leader_state_min_isr(const struct leader_state *leader, int32_t min_isr)
{
    return MIN(min_isr, leader->role->replicas.count);
}

/* Whoever is about to join is waited for, or it would never reach a moving high watermark. */
int64_t leader_state_high_watermark(const struct leader_state *leader,
                                    const struct leader_view *view)
{
    if (leader->role->isr.count < leader_state_min_isr(leader, view->min_isr))
        return view->high_watermark;
    int64_t offset = view->own_offset;
    for (int32_t i = 0; i < leader->follower_count; i++) {
        const struct follower_progress *f = &leader->followers[i];
        if (f->end_offset < offset &&
            (in_maximal_isr(leader, f->id) || (caught_up(view, f) && eligible(view, f))))
            offset = f->end_offset;
    }
    return MAX(offset, view->high_watermark);
}

static bool may_join(const struct leader_state *leader, const struct leader_view *view,
                     const struct follower_progress *f)
{
    return f->end_offset >= MAX(view->high_watermark, leader->start_offset) && eligible(view, f);
}

static bool stays(const struct leader_state *leader, const struct leader_view *view,
                  const struct follower_progress *f, bool shrink)
{
    if (!node_list_contains(leader->role->isr, f->id))
        return may_join(leader, view, f);
    return !shrink || caught_up(view, f);
}

/* Kafka's leaders keep the ISR in a hash set of Java: 16 places, or twice as many until three of
 * four are left over, in the order of the ids' last bits. That is the order that everybody sees. */
static void sort_members(struct isr_member *members, int32_t count)
{
    uint32_t places = 16;
    while ((uint32_t)count > places / 4 * 3)
        places *= 2;
    for (int32_t i = 1; i < count; i++) {
        struct isr_member member = members[i];
        uint32_t hash = (uint32_t)member.id, place = (hash ^ hash >> 16) & (places - 1);
        int32_t k = i;
        for (; k > 0; k--) {
            uint32_t other = (uint32_t)members[k - 1].id;
            if (((other ^ other >> 16) & (places - 1)) <= place)
                break;
            members[k] = members[k - 1];
        }
        members[k] = member;
    }
}

bool leader_state_propose(struct leader_state *leader, const struct leader_view *view, bool shrink)
{
    const struct partition_role *role = leader->role;
    bool changed = role->recovery_state != LEADER_RECOVERED;
    int32_t count = 1;
    if (leader->proposing || role->leader_id != leader->node_id)
        return false;
    for (int32_t i = 0; i < leader->follower_count; i++) {
        const struct follower_progress *f = &leader->followers[i];
        bool in = stays(leader, view, f, shrink);
        changed |= in != node_list_contains(role->isr, f->id);
        count += in;
    }
    if (!changed)
        return false;
    struct isr_proposal *proposal = &leader->proposal;
    *proposal = (struct isr_proposal){
        .leader_epoch = role->leader_epoch,
        .partition_epoch = role->partition_epoch,
        .recovery_state = LEADER_RECOVERED,
        .members = mem_calloc((size_t)count, sizeof(struct isr_member)),
    };
    for (int32_t i = 0; i < role->replicas.count; i++) {
        const struct follower_progress *f = find(leader, role->replicas.ids[i]);
        if (role->replicas.ids[i] == leader->node_id)
            proposal->members[proposal->member_count++] =
                (struct isr_member){leader->node_id, view->broker_epoch};
        else if (f != NULL && stays(leader, view, f, shrink))
            proposal->members[proposal->member_count++] =
                (struct isr_member){f->id, f->broker_epoch};
    }
    CHECK(proposal->member_count <= count);
    sort_members(proposal->members, proposal->member_count);
    leader->proposing = true;
    return true;
}

void leader_state_accepted(struct leader_state *leader, int64_t now_ms)
{
    forget_proposal(leader);
    set_followers(leader, true, now_ms);
}

enum isr_verdict leader_state_refused(struct leader_state *leader, enum kafka_error error)
{
    switch (error) {
    case KAFKA_ERROR_OPERATION_NOT_ATTEMPTED:
    case KAFKA_ERROR_INELIGIBLE_REPLICA:
        forget_proposal(leader);
        return ISR_DROPPED;
    case KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_ERROR_UNKNOWN_TOPIC_ID:
    case KAFKA_ERROR_FENCED_LEADER_EPOCH:
    case KAFKA_ERROR_INVALID_UPDATE_VERSION:
    case KAFKA_ERROR_INVALID_REQUEST:
    case KAFKA_ERROR_NEW_LEADER_ELECTED:
        return ISR_OPEN;
    default:
        return ISR_AGAIN;
    }
}
