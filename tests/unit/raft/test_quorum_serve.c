#include "tests/unit/raft/node_world.c"

#include "raft/quorum_serve.h"

#include <stdlib.h>

/* A leader in epoch 1 with some hundred records. */
static struct quorum_node *lead(struct world *w)
{
    world_init(w, 1);
    w->propose_every_ms = 1;
    w->segment_bytes = 4096;
    w->retention_bytes = 8192;
    world_start(w);
    assert_true(world_run_until_active(w));
    world_run_ms(w, 200);
    w->propose_every_ms = 0;
    world_run_ms(w, 50);
    struct program *p = world_program(w);
    assert_true(quorum_node_high_watermark(p->node) > 300);
    return p->node;
}

static void end_world(struct world *w)
{
    world_stop(w);
    world_release(w);
}

static struct quorum_fetched fetch_at(struct quorum_node *node, int32_t leader_epoch,
                                      int64_t offset, int32_t last_epoch)
{
    struct quorum_fetch fetch = {.replica_id = 5,
                                 .replica_directory_id = {{5}},
                                 .leader_epoch = leader_epoch,
                                 .offset = offset,
                                 .last_epoch = last_epoch,
                                 .max_bytes = 1 << 20};
    struct quorum_fetched found;
    quorum_node_fetch(node, &fetch, &found);
    disk_file_unref(found.read.file);
    return found;
}

static void test_epochs(void **state)
{
    struct world w;
    struct quorum_node *node = lead(&w);
    assert_int_equal(fetch_at(node, 0, 0, 0).error, KAFKA_ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(fetch_at(node, 2, 0, 0).error, KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(fetch_at(node, 1, 0, 2).error, KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(fetch_at(node, 1, -1, 0).error, KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(fetch_at(node, -1, 0, -1).error, KAFKA_ERROR_INVALID_REQUEST);
    struct quorum_fetched found = fetch_at(node, 0, 0, 0);
    assert_int_equal(found.leader.id, 1);
    assert_int_equal(found.leader.epoch, 1);
    assert_string_equal(found.leader.endpoint.host, "127.0.0.1");
    assert_int_equal(found.leader.endpoint.port, 9093);
    assert_int_equal(found.high_watermark, -1);
    size_t count;
    quorum_node_observers(node, &count);
    assert_int_equal(count, 0);
    end_world(&w);
}

static void test_batches_and_their_end(void **state)
{
    struct world w;
    struct quorum_node *node = lead(&w);
    int64_t end = quorum_node_high_watermark(node);
    struct quorum_fetched found = fetch_at(node, 1, 0, 0);
    assert_int_equal(found.error, KAFKA_ERROR_NONE);
    assert_int_equal(found.kind, QUORUM_FETCH_BATCHES);
    assert_int_equal(found.high_watermark, end);
    assert_true(found.read.size_bytes > 0);
    found = fetch_at(node, 1, end, 1);
    assert_int_equal(found.kind, QUORUM_FETCH_BATCHES);
    assert_null(found.read.file);
    size_t count;
    const struct quorum_replica *observer = quorum_node_observers(node, &count);
    assert_int_equal(count, 1);
    assert_int_equal(observer->fetch_offset, end);
    assert_true(observer->caught_up_ms >= 0);
    /* What we never had. */
    found = fetch_at(node, 1, end + 1, 1);
    assert_int_equal(found.kind, QUORUM_FETCH_DIVERGING);
    assert_int_equal(found.end_epoch, 1);
    assert_int_equal(found.end_offset, end);
    found = fetch_at(node, 1, 10, 0);
    assert_int_equal(found.kind, QUORUM_FETCH_DIVERGING);
    assert_int_equal(found.end_epoch, 0);
    assert_int_equal(found.end_offset, 0);
    end_world(&w);
}

static void test_who_is_behind_gets_a_checkpoint(void **state)
{
    struct world w;
    struct quorum_node *node = lead(&w);
    w.snapshot_every_ms = 20;
    w.propose_every_ms = 1;
    world_run_ms(&w, 400);
    w.propose_every_ms = 0;
    world_run_ms(&w, 100);
    struct quorum_checkpoint_id newest;
    assert_true(quorum_node_newest_snapshot(node, &newest));
    int64_t start = quorum_node_log_start(node);
    assert_true(start > 0);
    const int64_t offsets[] = {0, 3, start - 1};
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        struct quorum_fetched found = fetch_at(node, 1, offsets[i], offsets[i] > 0);
        assert_int_equal(found.error, KAFKA_ERROR_NONE);
        assert_int_equal(found.kind, QUORUM_FETCH_SNAPSHOT);
        assert_int_equal(found.end_offset, newest.end_offset);
        assert_int_equal(found.end_epoch, newest.epoch);
    }
    /* Its own end is where it goes on from. */
    struct quorum_fetched found = fetch_at(node, 1, newest.end_offset, newest.epoch);
    assert_int_equal(found.kind, QUORUM_FETCH_BATCHES);
    struct quorum_fetch_snapshot fetch = {1, newest};
    struct quorum_leader leader;
    char *path = NULL;
    assert_int_equal(quorum_node_fetch_snapshot(node, &fetch, &leader, &path), KAFKA_ERROR_NONE);
    assert_true(str_ends_with(str_of(path), STR(".checkpoint")));
    free(path);
    fetch.id.epoch++;
    assert_int_equal(quorum_node_fetch_snapshot(node, &fetch, &leader, &path),
                     KAFKA_ERROR_SNAPSHOT_NOT_FOUND);
    fetch.leader_epoch = 0;
    assert_int_equal(quorum_node_fetch_snapshot(node, &fetch, &leader, &path),
                     KAFKA_ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(leader.id, 1);
    /* The bootstrap checkpoint is nobody's to take. */
    fetch = (struct quorum_fetch_snapshot){1, QUORUM_CHECKPOINT_BOOTSTRAP};
    assert_int_equal(quorum_node_fetch_snapshot(node, &fetch, &leader, &path),
                     KAFKA_ERROR_SNAPSHOT_NOT_FOUND);
    end_world(&w);
}

struct waiter {
    struct quorum_wait wait;
    int woken;
};

static void on_ready(struct quorum_wait *wait)
{
    CONTAINER_OF(wait, struct waiter, wait)->woken++;
}

static void test_a_commit_ends_waits(void **state)
{
    struct world w;
    struct quorum_node *node = lead(&w);
    struct waiter waiter = {.wait.ready = on_ready}, gone = {.wait.ready = on_ready};
    assert_true(quorum_node_wait(node, &waiter.wait));
    assert_true(quorum_node_wait(node, &gone.wait));
    quorum_wait_end(&gone.wait);
    world_run_ms(&w, 100);
    assert_int_equal(waiter.woken, 0);
    w.propose_every_ms = 1;
    world_run_ms(&w, 20);
    assert_int_equal(waiter.woken, 1);
    assert_int_equal(gone.woken, 0);
    waiter.woken = 0;
    w.propose_every_ms = 0;
    world_run_ms(&w, 50);
    assert_true(quorum_node_wait(node, &waiter.wait));
    quorum_node_end_waits(node);
    assert_int_equal(waiter.woken, 1);
    assert_false(quorum_node_wait(node, &waiter.wait));
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_batches_and_their_end),
        cmocka_unit_test(test_who_is_behind_gets_a_checkpoint),
        cmocka_unit_test(test_a_commit_ends_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
