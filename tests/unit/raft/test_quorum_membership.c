#include "tests/unit/raft/node_world.c"

#include "raft/quorum_membership.h"

#include <errno.h>

#define ANOTHER ((struct uuid){{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}})

/* A node that leads alone, and somebody who asks it. */
struct asker {
    struct world world;
    struct quorum_membership *membership;
};

struct asked {
    struct quorum_member_change change;
    int answers, status;
    char sentence[300];
};

static void answered(struct quorum_member_change *change, int status, const char *sentence)
{
    struct asked *asked = CONTAINER_OF(change, struct asked, change);
    asked->answers++;
    asked->status = status;
    snprintf(asked->sentence, sizeof(asked->sentence), "%s", sentence ? sentence : "");
    quorum_voters_unref(change->server);
}

static struct quorum_node *node_of(struct asker *a)
{
    return ((struct program *)world_program(&a->world))->node;
}

static const struct quorum_voters *voters_of(struct asker *a)
{
    return quorum_core_voters(quorum_node_core(node_of(a)));
}

static void asker_init(struct asker *a)
{
    *a = (struct asker){0};
    world_init(&a->world, 7);
    world_start(&a->world);
    assert_true(world_run_until_active(&a->world));
    world_run_ms(&a->world, 200);
    struct quorum_membership_config config = {
        .node = node_of(a),
        .directory_id = voters_of(a)->servers[0].directory_id,
    };
    struct program *p = world_program(&a->world);
    a->membership = quorum_membership_new(p->env->loops[0], &config);
    quorum_membership_lead(a->membership, true);
}

static void asker_release(struct asker *a)
{
    quorum_membership_free(a->membership);
    world_stop(&a->world); /* in order: what we made in its heap is freed by it */
    world_release(&a->world);
}

static void ask(struct asker *a, struct asked *asked, enum quorum_member_kind kind, int32_t node_id,
                struct uuid directory_id)
{
    struct quorum_voters *server = quorum_voters_new();
    assert_int_equal(quorum_voters_add(server, node_id, directory_id, QUORUM_VOTER), 0);
    quorum_voters_add_listener(server, STR("CONTROLLER"), STR("elsewhere"), 9999);
    *asked = (struct asked){
        .change = {.kind = kind, .server = server, .timeout_ms = 500, .done = answered}};
    quorum_membership_start(a->membership, &asked->change);
}

static void assert_answer(const struct asked *asked, int status, const char *part)
{
    assert_int_equal(asked->answers, 1);
    assert_int_equal(asked->status, status);
    assert_non_null(strstr(asked->sentence, part));
}

static void what_makes_no_sense_is_refused_at_once(void **state)
{
    struct asker a;
    struct asked asked;
    asker_init(&a);
    const struct quorum_server self = voters_of(&a)->servers[0];
    int64_t end = quorum_node_log_end(node_of(&a));
    ask(&a, &asked, QUORUM_MEMBER_ADD, self.node_id, self.directory_id);
    assert_answer(&asked, -EEXIST, "a voter already");
    ask(&a, &asked, QUORUM_MEMBER_ADD, self.node_id, ANOTHER);
    assert_answer(&asked, -EEXIST, "a voter with its node id is there");
    ask(&a, &asked, QUORUM_MEMBER_REMOVE, 77, ANOTHER);
    assert_answer(&asked, -ENOENT, "it is no voter");
    ask(&a, &asked, QUORUM_MEMBER_REMOVE, 77, self.directory_id); /* another node's disk */
    assert_answer(&asked, -ENOENT, "it is no voter");
    ask(&a, &asked, QUORUM_MEMBER_REMOVE, self.node_id, self.directory_id);
    assert_answer(&asked, -EINVAL, "the only voter");
    ask(&a, &asked, QUORUM_MEMBER_UPDATE, 77, ANOTHER);
    assert_answer(&asked, -ENOENT, "it is no voter");
    assert_int_equal(quorum_node_log_end(node_of(&a)), end); /* nothing was written */
    asker_release(&a);
}

/* Whoever is not there is waited for, and never gets into the set. */
static void a_stranger_is_waited_for(void **state)
{
    struct asker a;
    struct asked first, second;
    asker_init(&a);
    ask(&a, &first, QUORUM_MEMBER_ADD, 77, ANOTHER);
    assert_int_equal(first.answers, 0);
    ask(&a, &second, QUORUM_MEMBER_ADD, 78, ANOTHER);
    assert_answer(&second, -EBUSY, "another change");
    world_run_ms(&a.world, 400);
    assert_int_equal(first.answers, 0);
    world_run_ms(&a.world, 200);
    assert_answer(&first, -ETIMEDOUT, "is not connected");
    assert_int_equal(voters_of(&a)->count, 1);
    ask(&a, &second, QUORUM_MEMBER_ADD, 78, ANOTHER); /* the way is free again */
    assert_int_equal(second.answers, 0);
    quorum_membership_lead(a.membership, false);
    assert_answer(&second, -EPERM, "does not lead");
    ask(&a, &second, QUORUM_MEMBER_ADD, 78, ANOTHER);
    assert_answer(&second, -EPERM, "does not lead");
    asker_release(&a);
}

static void listeners_are_written_to_the_log(void **state)
{
    struct asker a;
    struct asked asked;
    asker_init(&a);
    const struct quorum_server self = voters_of(&a)->servers[0];
    int64_t end = quorum_node_log_end(node_of(&a));
    ask(&a, &asked, QUORUM_MEMBER_UPDATE, self.node_id, self.directory_id);
    world_run_ms(&a.world, 200);
    assert_answer(&asked, 0, "");
    assert_int_equal(quorum_node_log_end(node_of(&a)), end + 1);
    assert_int_equal(voters_of(&a)->servers[0].listener_count, 1);
    assert_string_equal(voters_of(&a)->servers[0].listeners[0].host, "elsewhere");
    ask(&a, &asked, QUORUM_MEMBER_UPDATE, self.node_id, self.directory_id);
    assert_answer(&asked, 0, ""); /* nothing left to do */
    assert_int_equal(quorum_node_log_end(node_of(&a)), end + 1);
    asker_release(&a);
}

static void who_stops_says_so(void **state)
{
    struct asker a;
    struct asked asked;
    asker_init(&a);
    ask(&a, &asked, QUORUM_MEMBER_ADD, 77, ANOTHER);
    asker_release(&a);
    assert_answer(&asked, -EPERM, "stops");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_refused_at_once),
        cmocka_unit_test(a_stranger_is_waited_for),
        cmocka_unit_test(listeners_are_written_to_the_log),
        cmocka_unit_test(who_stops_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
