/*
 * A peer that proved who it is and then says anything: the core may stop (an entry that is
 * committed here differs), but never crashes, and never changes what it gave out as committed.
 */
#include "tests/unit/raft/quorum_bench.c"

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = hash_u64(*seed + 0x9e3779b97f4a7c15u);
    return below ? *seed % below : 0;
}

/* Mostly near what the core holds, sometimes far off. */
static uint64_t draw_index(struct bench *b, uint64_t *seed)
{
    switch (draw(seed, 8)) {
    case 0:
        return 0;
    case 1:
        return draw(seed, UINT32_MAX) << draw(seed, 32);
    case 2:
        return UINT64_MAX - draw(seed, 3);
    default: {
        uint64_t last = quorum_core_last_index(b->core) + 2;
        return last - MIN(last, draw(seed, 12));
    }
    }
}

static uint64_t draw_term(struct bench *b, uint64_t *seed)
{
    uint64_t term = quorum_core_term(b->core);
    switch (draw(seed, 10)) {
    case 0:
        return draw(seed, UINT64_MAX);
    case 1:
        return term + 1;
    case 2:
        return term > 0 ? term - 1 : 0;
    default:
        return term;
    }
}

static void fill_append(struct bench *b, uint64_t *seed, struct quorum_message *message,
                        struct quorum_batch *batches, struct quorum_voters *voters)
{
    struct quorum_append *append = &message->append;
    append->prev_index = draw_index(b, seed);
    append->prev_term =
        draw(seed, 3) ? quorum_core_term_of(b->core, append->prev_index) : draw_term(b, seed);
    append->commit_index = draw_index(b, seed);
    append->echo = draw(seed, 2) ? append->prev_index : draw_index(b, seed);
    append->batches = batches;
    append->batch_count = draw(seed, 5);
    uint64_t next = append->prev_index + 1, term = append->prev_term;
    for (size_t i = 0; i < append->batch_count; i++) {
        term += draw(seed, 3) == 0;
        batches[i] = batch(draw(seed, 12) ? next : draw_index(b, seed), 1 + (uint32_t)draw(seed, 4),
                           draw(seed, 12) ? MAX(term, 1) : draw_term(b, seed));
        if (draw(seed, 20) == 0)
            batches[i].count = (uint32_t)draw(seed, UINT32_MAX);
        if (draw(seed, 6) == 0) {
            batches[i].kind = QUORUM_CHANGE;
            batches[i].voters = draw(seed, 10) ? voters : NULL;
        }
        next += batches[i].count;
    }
}

static struct quorum_message draw_message(struct bench *b, uint64_t *seed,
                                          struct quorum_batch *batches,
                                          struct quorum_voters *voters)
{
    struct quorum_message message = {.type = (enum quorum_message_type)draw(seed, 8),
                                     .term = draw_term(b, seed)};
    switch (message.type) {
    case QUORUM_APPEND:
        fill_append(b, seed, &message, batches, voters);
        break;
    case QUORUM_APPEND_RESULT:
        message.append_result.rejected = draw(seed, 2) ? 0 : draw_index(b, seed);
        message.append_result.last_index = draw_index(b, seed);
        break;
    case QUORUM_VOTE:
        message.vote = (struct quorum_vote){draw_index(b, seed), draw_term(b, seed), draw(seed, 2),
                                            draw(seed, 2)};
        break;
    case QUORUM_VOTE_RESULT:
        message.vote_result.granted = draw(seed, 2);
        message.vote_result.pre_vote = draw(seed, 2);
        break;
    case QUORUM_INSTALL:
        message.install = (struct quorum_install){draw_index(b, seed), draw_term(b, seed),
                                                  draw(seed, 10) ? voters : NULL};
        break;
    default:
        message.timeout_now.last_index = quorum_core_last_index(b->core);
        message.timeout_now.last_term =
            quorum_core_term_of(b->core, message.timeout_now.last_index);
    }
    return message;
}

static void check_actions(struct bench *b, uint64_t *commit)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->log[i].type == QUORUM_COMMIT) {
            assert_true(b->log[i].index >= *commit);
            *commit = b->log[i].index;
        }
        if (b->log[i].type == QUORUM_TRUNCATE)
            assert_true(b->log[i].index > *commit);
    }
}

static void run(uint64_t seed, unsigned *stopped)
{
    struct bench b;
    struct quorum_batch batches[8];
    struct quorum_voters *sets[] = {voters_of(3, 0), voters_of(3, 1), voters_of(2, 0),
                                    voters_of(4, 0)};
    uint64_t commit = 0;
    start_follower(&b, 0);
    for (int i = 0; i < 300; i++) {
        struct quorum_message message = draw_message(&b, &seed, batches, sets[draw(&seed, 4)]);
        b.now_ms += (int64_t)draw(&seed, 60);
        receive(&b, (int)draw(&seed, 4), message);
        check_actions(&b, &commit);
        if (draw(&seed, 3) == 0) {
            persist_all(&b);
            check_actions(&b, &commit);
        }
        if (draw(&seed, 10) == 0) {
            quorum_core_tick(b.core, b.now_ms);
            bench_drain(&b);
            check_actions(&b, &commit);
        }
        if (b.core->installing && draw(&seed, 5) == 0) {
            quorum_core_snapshot_installed(b.core, b.now_ms);
            bench_drain(&b);
            check_actions(&b, &commit);
        }
        uint64_t base;
        quorum_core_submit(b.core, 1 + (uint32_t)draw(&seed, 3), (struct quorum_bytes){0}, b.now_ms,
                           &base);
        bench_drain(&b);
        if (b.core->failed) {
            (*stopped)++;
            break;
        }
    }
    bench_release(&b);
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        quorum_voters_unref(sets[i]);
}

static void test_any_message(void **state)
{
    const char *text = getenv("HOSTILE_SEEDS");
    uint64_t count = text ? strtoull(text, NULL, 10) : 1000;
    unsigned stopped = 0;
    for (uint64_t seed = 1; seed <= count; seed++)
        run(seed * 1000, &stopped);
    print_message("%u of %llu cores stopped\n", stopped, (unsigned long long)count);
    assert_true(stopped < count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
