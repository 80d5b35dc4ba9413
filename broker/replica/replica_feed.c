#include "broker/replica/replica_feed.h"

#include "common/base/mem.h"

#include <stdlib.h>

/* Epochs of requests begin again behind the largest. */
static bool is_later(int32_t request, int32_t than)
{
    uint32_t ahead = ((uint32_t)request - (uint32_t)than) & INT32_MAX;
    return ahead > 0 && ahead < INT32_MAX / 2;
}

struct replica_feed *replica_feed_new(int32_t session_id, int asker, int32_t request,
                                      void (*wake)(struct replica_feed *), void *ctx)
{
    struct replica_feed *feed = mem_calloc(1, sizeof(*feed));
    feed->session_id = session_id;
    feed->asker = asker;
    feed->request = request;
    feed->wake = wake;
    feed->ctx = ctx;
    list_init(&feed->members);
    list_init(&feed->stirred);
    list_init(&feed->news);
    list_init(&feed->held);
    return feed;
}

bool replica_feed_begin(struct replica_feed *feed, int32_t request)
{
    if (is_later(feed->request, request))
        return false;
    feed->request = request;
    return true;
}

void feed_member_free(struct feed_member *member)
{
    list_remove(&member->of_feed);
    list_remove(&member->of_partition);
    list_remove(&member->queued);
    free(member);
}

void replica_feed_free(struct replica_feed *feed)
{
    if (feed == NULL)
        return;
    LIST_FOR_EACH (node, &feed->members)
        feed_member_free(LIST_ITEM(node, struct feed_member, of_feed));
    free(feed);
}

struct feed_member *replica_feed_find(const struct replica_feed *feed,
                                      const struct list *of_partition)
{
    LIST_FOR_EACH (node, (struct list *)(uintptr_t)of_partition) {
        struct feed_member *member = LIST_ITEM(node, struct feed_member, of_partition);
        if (member->feed == feed)
            return member;
    }
    return NULL;
}

static void forget_sent(struct feed_member *member)
{
    member->at.sent_high_watermark = member->at.sent_log_start_offset = INT64_MIN;
}

void feed_member_named(struct feed_member *member, int32_t request)
{
    member->named_by = request;
    forget_sent(member);
    feed_member_set(member, FEED_GIVEN);
}

bool feed_member_is_beyond(const struct feed_member *member, int32_t request)
{
    return is_later(member->named_by, request);
}

struct feed_member *replica_feed_add(struct replica_feed *feed, struct partition *partition,
                                     struct list *of_partition)
{
    struct feed_member *member = mem_calloc(1, sizeof(*member));
    member->feed = feed;
    member->partition = partition;
    member->named_by = feed->request;
    forget_sent(member);
    list_init(&member->queued);
    list_push_back(&feed->members, &member->of_feed);
    list_push_back(of_partition, &member->of_partition);
    return member;
}

void feed_member_set(struct feed_member *member, enum feed_state state)
{
    struct replica_feed *feed = member->feed;
    if (state == member->state)
        return;
    member->state = state;
    list_remove(&member->queued);
    if (state == FEED_NEWS)
        list_push_back(&feed->news, &member->queued);
    if (state == FEED_HELD)
        list_push_back(&feed->held, &member->queued);
    if (state != FEED_STIRRED)
        return;
    list_push_back(&feed->stirred, &member->queued);
    if (feed->armed) {
        feed->armed = false;
        feed->wake(feed);
    }
}

static struct feed_member *first_of(const struct list *queue)
{
    return list_empty(queue) ? NULL : LIST_ITEM(queue->next, struct feed_member, queued);
}

struct feed_member *replica_feed_next(const struct replica_feed *feed)
{
    return first_of(&feed->stirred);
}

struct feed_member *replica_feed_next_news(const struct replica_feed *feed)
{
    return first_of(&feed->news);
}

void replica_feed_stir_held(struct replica_feed *feed)
{
    struct feed_member *member;
    while ((member = first_of(&feed->held)) != NULL)
        feed_member_set(member, FEED_STIRRED);
}

void replica_feeds_stir(struct list *of_partition)
{
    LIST_FOR_EACH (node, of_partition) {
        struct feed_member *member = LIST_ITEM(node, struct feed_member, of_partition);
        if (member->state == FEED_IDLE || member->state == FEED_NEWS)
            feed_member_set(member, FEED_STIRRED);
    }
}

void replica_feeds_drop(struct list *of_partition)
{
    LIST_FOR_EACH (node, of_partition)
        feed_member_free(LIST_ITEM(node, struct feed_member, of_partition));
}
