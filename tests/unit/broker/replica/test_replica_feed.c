#include "broker/replica/replica_feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void count_wake(struct replica_feed *feed)
{
    ++*(int *)feed->ctx;
}

static void what_stirs_comes_in_its_order_and_wakes_once(void **state)
{
    int wakes = 0;
    struct list a_members, b_members;
    list_init(&a_members);
    list_init(&b_members);
    struct replica_feed *feed = replica_feed_new(7, 0, 0, count_wake, &wakes);
    struct feed_member *a = replica_feed_add(feed, NULL, &a_members);
    struct feed_member *b = replica_feed_add(feed, NULL, &b_members);
    assert_ptr_equal(replica_feed_find(feed, &b_members), b);
    assert_null(replica_feed_next(feed));
    feed->armed = true;
    replica_feeds_stir(&b_members);
    replica_feeds_stir(&a_members);
    replica_feeds_stir(&b_members);
    assert_int_equal(wakes, 1);
    assert_false(feed->armed);
    assert_ptr_equal(replica_feed_next(feed), b);
    /* What was given out is not stirred until the follower names it again. */
    feed_member_set(b, FEED_GIVEN);
    replica_feeds_stir(&b_members);
    assert_ptr_equal(replica_feed_next(feed), a);
    /* A new watermark waits apart, until there are records. */
    feed_member_set(a, FEED_NEWS);
    assert_null(replica_feed_next(feed));
    assert_ptr_equal(replica_feed_next_news(feed), a);
    replica_feeds_stir(&a_members);
    assert_null(replica_feed_next_news(feed));
    assert_ptr_equal(replica_feed_next(feed), a);
    replica_feeds_drop(&a_members);
    assert_null(replica_feed_next(feed));
    assert_true(list_empty(&a_members));
    replica_feed_free(feed); /* with b */
    assert_true(list_empty(&b_members));
}

static void each_session_has_its_own(void **state)
{
    int first_wakes = 0, second_wakes = 0;
    struct list members;
    list_init(&members);
    struct replica_feed *first = replica_feed_new(1, 0, 0, count_wake, &first_wakes);
    struct replica_feed *second = replica_feed_new(2, 0, 0, count_wake, &second_wakes);
    struct feed_member *mine = replica_feed_add(first, NULL, &members);
    assert_null(replica_feed_find(second, &members));
    replica_feed_add(second, NULL, &members);
    second->armed = true;
    replica_feeds_stir(&members);
    assert_int_equal(first_wakes, 0);
    assert_int_equal(second_wakes, 1);
    replica_feed_free(second);
    assert_ptr_equal(replica_feed_find(first, &members), mine);
    assert_ptr_equal(replica_feed_next(first), mine);
    replica_feed_free(first);
    assert_true(list_empty(&members));
}

static void who_is_named_was_sent_nothing(void **state)
{
    int wakes = 0;
    struct list members;
    list_init(&members);
    struct replica_feed *feed = replica_feed_new(1, 0, 0, count_wake, &wakes);
    struct feed_member *member = replica_feed_add(feed, NULL, &members);
    member->at.sent_high_watermark = 251;
    member->at.sent_log_start_offset = 250;
    feed_member_set(member, FEED_NEWS);
    feed_member_named(member, 1);
    assert_int_equal(member->state, FEED_GIVEN);
    assert_null(replica_feed_next_news(feed));
    assert_true(member->at.sent_high_watermark < 0 && member->at.sent_log_start_offset < 0);
    replica_feed_free(feed);
}

/* The answer to the earlier one would be left aside: it is from before the follower named it. */
static void what_a_later_request_names_is_not_for_an_earlier_one(void **state)
{
    int wakes = 0;
    struct list members;
    list_init(&members);
    struct replica_feed *feed = replica_feed_new(1, 0, INT32_MAX - 1, count_wake, &wakes);
    struct feed_member *member = replica_feed_add(feed, NULL, &members);
    const int32_t requests[] = {INT32_MAX - 1, INT32_MAX, 1, 2};
    for (int i = 0; i < 4; i++) {
        assert_true(replica_feed_begin(feed, requests[i]));
        assert_true(replica_feed_begin(feed, requests[i])); /* woken, it reads again */
        feed_member_named(member, requests[i]);
        assert_false(feed_member_is_beyond(member, requests[i]));
        for (int earlier = 0; earlier < i; earlier++) {
            assert_false(replica_feed_begin(feed, requests[earlier]));
            assert_true(feed_member_is_beyond(member, requests[earlier]));
        }
    }
    replica_feed_free(feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stirs_comes_in_its_order_and_wakes_once),
        cmocka_unit_test(each_session_has_its_own),
        cmocka_unit_test(who_is_named_was_sent_nothing),
        cmocka_unit_test(what_a_later_request_names_is_not_for_an_earlier_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
