/* Formation: the model world of formation_model.c, and single steps. */
#include "tests/unit/raft/formation_model.c"

static uint64_t seeds(uint64_t count, uint64_t *ret_first)
{
    const char *text = getenv("FORMATION_SEEDS");
    unsigned long long a, b;
    *ret_first = 1;
    if (!text || sscanf(text, "%llu-%llu", &a, &b) != 2)
        return count;
    *ret_first = a;
    return b - a + 1;
}

static void test_model(void **state)
{
    static const int sizes[] = {1, 3, 5};
    uint64_t first, count = seeds(25, &first), bad = 0;
    unsigned resets = 0, wipes = 0, adopted = 0;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (uint64_t seed = first; seed < first + count; seed++) {
            struct room room = {0};
            room_run(&room, seed * 10 + (uint64_t)sizes[s], sizes[s]);
            resets += room.resets;
            wipes += room.wipes;
            adopted += room.adopted;
            if (room.broken[0]) {
                print_message("%d nodes, seed %llu, at %lld ms: %s\n", sizes[s],
                              (unsigned long long)seed, (long long)room.now_ms, room.broken);
                bad++;
            }
        }
    }
    print_message("%u records written, %u resets, %u wiped disks\n", adopted, resets, wipes);
    assert_int_equal(bad, 0);
    assert_true(resets > 0 && wipes > 0);
}

/* Each rule is needed: without it some seed breaks. */
static void breaks(bool one_collect, bool majority, bool never_reset, int nodes)
{
    for (uint64_t seed = 1; seed <= 600; seed++) {
        struct room room = {
            .one_collect = one_collect, .majority_is_enough = majority, .never_reset = never_reset};
        room_run(&room, seed * 10 + (uint64_t)nodes, nodes);
        if (room.broken[0]) {
            print_message("seed %llu: %s\n", (unsigned long long)seed, room.broken);
            return;
        }
    }
    fail();
}

static void test_needs_every_answer(void **state)
{
    breaks(false, true, false, 5);
}

static void test_needs_the_reset(void **state)
{
    breaks(false, false, true, 3);
}

static struct formation *alone(struct uuid directory_id)
{
    struct quorum_voters *self = quorum_voters_new();
    quorum_voters_add(self, 1, directory_id, QUORUM_VOTER);
    quorum_voters_add_listener(self, STR("CONTROLLER"), STR("localhost"), 9093);
    struct formation_config config = {.node_id = 1,
                                      .self = self,
                                      .listed_count = 1,
                                      .round_timeout_ms = ROUND_MS,
                                      .retry_ms = RETRY_MS};
    struct formation *f = formation_new(&config, directory_id, directory_id, NULL);
    quorum_voters_unref(self);
    return f;
}

static void test_alone(void **state)
{
    struct uuid id = {{1, 2, 3}};
    struct formation *f = alone(id);
    struct formation_action action;
    formation_start(f, 0);
    assert_true(formation_take(f, &action));
    assert_int_equal(action.type, FORMATION_SAY);
    assert_true(formation_take(f, &action));
    assert_int_equal(action.type, FORMATION_WRITE);
    assert_int_equal(strlen(action.record->cluster_id), UUID_TEXT_LEN);
    assert_int_equal(action.record->voters->count, 1);
    assert_string_equal(action.record->voters->servers[0].listeners[0].host, "localhost");
    assert_false(formation_take(f, &action));
    formation_written(f, 1);
    assert_true(formation_take(f, &action));
    assert_int_equal(action.type, FORMATION_START);
    assert_int_equal(formation_state(f), FORMATION_BOUND);
    formation_free(f);
}

static void test_alone_but_not_alone(void **state)
{
    struct uuid id = {{1, 2, 3}}, other = {{4}};
    struct formation *f = alone(id);
    struct formation_action action;
    struct quorum_voters *self = quorum_voters_new();
    quorum_voters_add(self, 2, other, QUORUM_VOTER);
    struct formation_message ask = {
        .ask = true, .nonce = 9, .node_id = 2, .directory_id = other, .self = self};
    /* Not before the start, which collects at once; so a round is kept open by a retry. */
    formation_receive(f, -1, &ask, 0);
    assert_false(formation_take(f, &action));
    formation_free(f);

    struct quorum_voters *own = quorum_voters_new();
    quorum_voters_add(own, 1, id, QUORUM_VOTER);
    struct formation_config config = {.node_id = 1,
                                      .self = own,
                                      .listed_count = 2,
                                      .round_timeout_ms = ROUND_MS,
                                      .retry_ms = RETRY_MS};
    f = formation_new(&config, id, id, NULL);
    formation_start(f, 0);
    assert_true(formation_take(f, &action));
    assert_int_equal(action.type, FORMATION_SEND);
    /* The other one has another list: nothing forms, and it is said why. */
    struct formation_message tell = {.nonce = action.message.nonce,
                                     .node_id = 2,
                                     .directory_id = other,
                                     .listed_hash = 5,
                                     .self = self};
    formation_receive(f, 1, &tell, 5);
    assert_true(formation_take(f, &action));
    assert_int_equal(action.type, FORMATION_SAY);
    assert_non_null(strstr(action.text, "another list"));
    /* The other one claims our node id. */
    formation_tick(f, formation_deadline_ms(f));
    assert_true(formation_take(f, &action));
    tell = (struct formation_message){
        .nonce = action.message.nonce, .node_id = 1, .directory_id = other, .self = self};
    formation_receive(f, 1, &tell, 500);
    assert_true(formation_take(f, &action));
    assert_non_null(strstr(action.text, "give each its own"));
    formation_free(f);
    quorum_voters_unref(own);
    quorum_voters_unref(self);
}

/* The next question, with everything else that came out before it. */
static struct formation_message next_question(struct formation *f, bool *ret_writes)
{
    struct formation_action action;
    struct formation_message question = {0};
    while (formation_take(f, &action)) {
        *ret_writes |= action.type == FORMATION_WRITE;
        if (action.type == FORMATION_SEND)
            question = action.message;
    }
    return question;
}

/* A disk that was wiped after it had answered: the second collect finds another one. */
static void test_needs_two_collects(void **state)
{
    for (int collects = 2; collects >= 1; collects--) {
        struct uuid id = {{1}}, before = {{2}}, after = {{3}};
        struct quorum_voters *own = quorum_voters_new(), *other = quorum_voters_new();
        quorum_voters_add(own, 1, id, QUORUM_VOTER);
        quorum_voters_add(other, 2, before, QUORUM_VOTER);
        struct formation_config config = {
            .node_id = 1,
            .self = own,
            .listed_count = 2,
            .round_timeout_ms = ROUND_MS,
            .retry_ms = RETRY_MS,
            .one_collect = collects == 1 || mutate().on[MUTATION_FORMATION_ONE_COLLECT]};
        struct formation *f = formation_new(&config, id, id, NULL);
        bool writes = false;
        formation_start(f, 0);
        struct formation_message tell = {.node_id = 2, .directory_id = before, .self = other};
        tell.nonce = next_question(f, &writes).nonce;
        formation_receive(f, 1, &tell, 1);
        tell.nonce = next_question(f, &writes).nonce;
        assert_int_equal(writes, collects == 1);
        tell.directory_id = after;
        formation_receive(f, 1, &tell, 2);
        next_question(f, &writes);
        assert_int_equal(writes, collects == 1);
        formation_free(f);
        quorum_voters_unref(own);
        quorum_voters_unref(other);
    }
}

static void test_record_file(void **state)
{
    struct sim_disk *sim = sim_disk_new(1);
    struct disk *disk = sim_disk_base(sim);
    struct formation_record record = {.directory_id = {{7}}, .cluster_id = "some cluster \"x\""};
    struct formation_record back;
    assert_int_equal(formation_record_load(disk, "/", &back), -ENOENT);
    record.voters = quorum_voters_new();
    quorum_voters_add(record.voters, 3, record.directory_id, QUORUM_VOTER);
    quorum_voters_add_listener(record.voters, STR("CONTROLLER"), STR("::1"), 9093);
    assert_int_equal(formation_record_store(disk, "/", &record), 0);
    sim_disk_power_cut(sim, SIM_CUT_DROP_ALL);
    assert_int_equal(formation_record_load(disk, "/", &back), 0);
    assert_string_equal(back.cluster_id, record.cluster_id);
    assert_true(quorum_voters_same_servers(back.voters, record.voters));
    assert_string_equal(back.voters->servers[0].listeners[0].host, "::1");
    formation_record_release(&back);
    formation_record_release(&record);

    struct formation_record blank = {.directory_id = {{8}}};
    assert_int_equal(formation_record_store(disk, "/", &blank), 0);
    assert_int_equal(formation_record_load(disk, "/", &back), 0);
    assert_string_equal(back.cluster_id, "");
    assert_true(uuid_eq(back.directory_id, blank.directory_id));
    static const char *const bad[] = {
        "",
        "{}",
        "{\"version\":2,\"directory.id\":\"lcou4jWfT1OARlSoRQoOCQ\"}",
        "{\"version\":1,\"directory.id\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"version\":1,\"directory.id\":\"lcou4jWfT1OARlSoRQoOCQ\",\"cluster.id\":\"c\"}",
        "{\"version\":1,\"directory.id\":\"lcou4jWfT1OARlSoRQoOCQ\",\"cluster.id\":\"c\","
        "\"voters\":[{\"node.id\":1}]}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(disk_replace_file(disk, "/" FORMATION_FILE, bad[i], strlen(bad[i])), 0);
        assert_int_equal(formation_record_load(disk, "/", &back), -EBADMSG);
    }
    assert_int_equal(formation_record_remove(disk, "/"), 0);
    assert_int_equal(formation_record_remove(disk, "/"), 0);
    assert_int_equal(formation_record_load(disk, "/", &back), -ENOENT);
    sim_disk_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_alone_but_not_alone),
        cmocka_unit_test(test_needs_two_collects),
        cmocka_unit_test(test_record_file),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_needs_every_answer),
        cmocka_unit_test(test_needs_the_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
