/* Whole clusters of cores under faults; see cluster.h. QUORUM_SEEDS=A-B runs more of them. */
#include "tests/unit/raft/cluster.c"
#include "tests/unit/raft/cluster_disk.c"
#include "tests/unit/raft/cluster_events.c"
#include "tests/unit/raft/cluster_faults.c"
#include "tests/unit/mutate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static struct cluster_options options_of(uint64_t seed, int servers)
{
    struct mutations mutations = mutate();
    return (struct cluster_options){
        .guards_off = mutations.guards_off,
        .persisted_before_sync = mutations.on[MUTATION_PERSISTED_BEFORE_FSYNC],
        .vote_after_send = mutations.on[MUTATION_VOTE_NOT_DURABLE],
        .wiped_keeps_id = mutations.on[MUTATION_KEEP_RAFT_ID],
        .seed = seed * 8 + (uint64_t)servers,
        .servers = servers,
        .faulty_ms = 6000,
        .reorder = seed % 2,
        .wipe = servers > 1 && seed % 3 == 0,
        .huge_batches = seed % 5 == 0,
    };
}

static void seed_range(uint64_t *from, uint64_t *to, uint64_t count)
{
    *from = 1;
    *to = count;
    const char *text = getenv("QUORUM_SEEDS");
    unsigned long long a, b;
    if (text && sscanf(text, "%llu-%llu", &a, &b) == 2) {
        *from = a;
        *to = b;
    }
}

static void run_seeds(int servers, uint64_t count)
{
    uint64_t from, to, broken = 0;
    struct cluster_result sum = {0};
    seed_range(&from, &to, count);
    for (uint64_t seed = from; seed <= to; seed++) {
        struct cluster_options options = options_of(seed, servers);
        struct cluster_result result;
        cluster_run(&options, &result);
        sum.elections += result.elections;
        sum.commits += result.commits;
        sum.crashes += result.crashes;
        sum.snapshots += result.snapshots;
        sum.installs += result.installs;
        sum.wipes += result.wipes;
        sum.changes += result.changes;
        for (int i = 0; i < QUORUM_GUARDS; i++)
            sum.guarded[i] += result.guarded[i];
        sum.malformed += result.malformed;
        if (result.broken[0]) {
            print_message("%d servers, seed %llu, at %lld ms: %s\n", servers,
                          (unsigned long long)seed, (long long)result.broken_ms, result.broken);
            broken++;
        }
    }
    print_message("%d servers, %llu seeds: %u elections, %u commits, %u crashes, %u snapshots, %u "
                  "installed, %u wiped, %u changes\n",
                  servers, (unsigned long long)(to - from + 1), sum.elections, sum.commits,
                  sum.crashes, sum.snapshots, sum.installs, sum.wipes, sum.changes);
    print_message("  guards that made a difference:");
    for (int i = 0; i < QUORUM_GUARDS; i++) {
        if (sum.guarded[i])
            print_message(" %d (%llu times)", i, (unsigned long long)sum.guarded[i]);
    }
    print_message("\n");
    assert_int_equal(sum.malformed, 0);
    assert_int_equal(broken, 0);
    assert_true(sum.commits > 100 * (to - from + 1));
    assert_true(sum.crashes > to - from);
}

static void test_one(void **state)
{
    run_seeds(1, 20);
}

static void test_three(void **state)
{
    run_seeds(3, 60);
}

static void test_five(void **state)
{
    run_seeds(5, 30);
}

static void test_replays(void **state)
{
    struct cluster_options options = options_of(15, 3);
    struct cluster_result first, second;
    cluster_run(&options, &first);
    cluster_run(&options, &second);
    assert_int_equal(first.digest, second.digest);
    assert_int_equal(first.commits, second.commits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_three),
        cmocka_unit_test(test_five),
        cmocka_unit_test(test_replays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
