#include "metadata/controller/partition_change.h"

#include "common/base/mem.h"
#include "metadata/feature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* Node lists are written as digits: "123". */
struct scenario {
    const char *name;
    const char *replicas, *isr, *elr, *last_known;
    int32_t leader;
    const char *alive;  /* who may lead */
    const char *leaves; /* who is taken out of the ISR; "" nobody */
    enum election election;
    int32_t min_isr;
    int32_t unclean_node;
    bool no_elr;
    int16_t metadata_version; /* 0: the latest */
    /* expected: "-" no change of that field; all "-": no record */
    const char *ret_isr, *ret_leader, *ret_elr, *ret_last_known;
    bool recovering;
};

static struct node_list list_of(struct arena *arena, const char *digits)
{
    int32_t count = (int32_t)strlen(digits);
    int32_t *ids = ARENA_ARRAY(arena, int32_t, count);
    for (int32_t i = 0; i < count; i++)
        ids[i] = digits[i] - '0';
    return (struct node_list){ids, count};
}

static bool is_alive(void *ctx, int32_t node)
{
    return strchr(ctx, '0' + node) != NULL;
}

static void assert_list(const char *name, const char *what, const char *expected,
                        const int32_t *ids, int32_t count)
{
    char text[16] = "-";
    if (count >= 0)
        text[0] = '\0';
    for (int32_t i = 0; i < count; i++) {
        text[i] = (char)('0' + ids[i]);
        text[i + 1] = '\0';
    }
    if (strcmp(expected, text) != 0)
        fail_msg("%s: %s is \"%s\", expected \"%s\"", name, what, text, expected);
}

static void run(const struct scenario *s)
{
    struct arena arena;
    struct pmap_edit edit = {.version = 1};
    arena_init(&arena, 0);
    struct partition_fields fields = {
        .leader = s->leader,
        .leader_epoch = 5,
        .partition_epoch = 9,
        .replicas = list_of(&arena, s->replicas),
        .isr = list_of(&arena, s->isr),
        .elr = list_of(&arena, s->elr),
        .last_known_elr = list_of(&arena, s->last_known),
    };
    struct partition_image *p = partition_image_new(&edit, &fields);
    struct partition_change change;
    struct partition_change_record record;
    partition_change_init(&change, UUID_ZERO, p);
    change.election = s->election;
    change.may_lead = is_alive;
    change.ctx = (void *)(uintptr_t)s->alive;
    change.min_isr = s->min_isr;
    change.elr_enabled = !s->no_elr;
    change.metadata_version = s->metadata_version ? s->metadata_version : METADATA_VERSION_LATEST;
    change.unclean_node = s->unclean_node ? s->unclean_node : -1;
    for (const char *node = s->leaves; *node; node++)
        change.isr = node_list_without(change.isr, *node - '0', &arena);
    bool changes = partition_change_make(&change, &arena, &record);
    bool expected = strcmp(s->ret_isr, "-") != 0 || strcmp(s->ret_leader, "-") != 0 ||
                    strcmp(s->ret_elr, "-") != 0 || strcmp(s->ret_last_known, "-") != 0;
    if (changes != expected)
        fail_msg("%s: %s", s->name, changes ? "a record" : "no record");
    if (changes) {
        char leader[8] = "-";
        if (record.leader != PARTITION_NO_LEADER_CHANGE)
            snprintf(leader, sizeof(leader), "%d", record.leader);
        if (strcmp(leader, s->ret_leader) != 0)
            fail_msg("%s: leader %s, expected %s", s->name, leader, s->ret_leader);
        assert_list(s->name, "isr", s->ret_isr, record.isr, record.isr_count);
        assert_list(s->name, "elr", s->ret_elr, record.eligible_leader_replicas,
                    record.eligible_leader_replicas_count);
        assert_list(s->name, "last known elr", s->ret_last_known, record.last_known_elr,
                    record.last_known_elr_count);
        assert_int_equal(record.leader_recovery_state, s->recovering ? LEADER_RECOVERING : -1);
    }
    free(p);
    arena_release(&arena);
}

static const struct scenario scenarios[] = {
    {"nothing to do", "123", "123", "", "", 1, "123", "", ELECTION_ONLINE, 2, 0, false, 0, "-", "-",
     "-", "-", false},
    {"a follower leaves", "123", "123", "", "", 1, "12", "3", ELECTION_ONLINE, 2, 0, false, 0, "12",
     "-", "-", "-", false},
    {"the leader leaves", "123", "123", "", "", 1, "23", "1", ELECTION_ONLINE, 2, 0, false, 0, "23",
     "2", "-", "-", false},
    {"the next leader is alive", "123", "123", "", "", 1, "3", "1", ELECTION_ONLINE, 2, 0, false, 0,
     "23", "3", "-", "-", false},
    {"below the minimum a leaver stays eligible", "123", "12", "", "", 1, "1", "2", ELECTION_ONLINE,
     2, 0, false, 0, "1", "-", "2", "-", false},
    {"the last one leaves", "123", "1", "2", "", 1, "", "1", ELECTION_ONLINE, 2, 0, false, 0, "",
     "-1", "12", "1", false},
    {"an eligible one comes back", "123", "", "12", "1", -1, "2", "", ELECTION_ONLINE, 2, 0, false,
     0, "2", "2", "1", "", false},
    {"only who is eligible", "123", "", "12", "1", -1, "3", "", ELECTION_ONLINE, 2, 0, false, 0,
     "-", "-", "-", "-", false},
    {"back at the minimum the rest is forgotten", "123", "12", "3", "", 1, "123", "",
     ELECTION_ONLINE, 2, 0, false, 0, "-", "-", "", "-", false},
    {"a broker that lost data is not eligible", "123", "12", "3", "", 1, "1", "2", ELECTION_ONLINE,
     3, 2, false, 0, "1", "-", "-", "-", false},
    {"an eligible broker lost data", "123", "1", "23", "", 1, "1", "2", ELECTION_ONLINE, 2, 2,
     false, 0, "-", "-", "3", "-", false},
    {"nobody eligible: the last leader, unclean", "123", "", "", "2", -1, "23", "", ELECTION_ONLINE,
     2, 0, false, 0, "2", "2", "-", "", true},
    {"nobody eligible and the last leader is away", "123", "", "", "2", -1, "13", "",
     ELECTION_ONLINE, 2, 0, false, 0, "-", "-", "-", "-", false},
    {"unclean election", "123", "", "", "2", -1, "13", "", ELECTION_UNCLEAN, 2, 0, false, 0, "1",
     "1", "-", "", true},
    {"unclean prefers a clean one", "123", "3", "", "", -1, "13", "", ELECTION_UNCLEAN, 2, 0, false,
     0, "-", "3", "-", "-", false},
    {"preferred leader", "123", "231", "", "", 2, "123", "", ELECTION_PREFERRED, 2, 0, false, 0,
     "-", "1", "-", "-", false},
    {"preferred leader is out of sync", "123", "23", "", "", 2, "123", "", ELECTION_PREFERRED, 2, 0,
     false, 0, "-", "-", "-", "-", false},
    {"one replica, a larger minimum", "1", "1", "", "", 1, "1", "", ELECTION_ONLINE, 2, 0, false, 0,
     "-", "-", "-", "-", false},
    {"without ELR the last one stays in the ISR", "12", "1", "", "", 1, "", "1", ELECTION_ONLINE, 2,
     0, true, 0, "-", "-1", "-", "-", false},
    {"without ELR it comes back", "12", "1", "", "", -1, "1", "", ELECTION_ONLINE, 2, 0, true, 0,
     "-", "1", "-", "-", false},
    {"turning ELR off empties it", "123", "12", "3", "", 1, "12", "", ELECTION_ONLINE, 3, 0, true,
     0, "-", "-", "", "-", false},
    {"old levels bump the epoch when the ISR shrinks", "123", "123", "", "", 1, "12", "3",
     ELECTION_ONLINE, 2, 0, true, METADATA_VERSION_SCRAM, "12", "1", "-", "-", false},
};

static void leaders_and_in_sync_replicas(void **state)
{
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        run(&scenarios[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaders_and_in_sync_replicas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
