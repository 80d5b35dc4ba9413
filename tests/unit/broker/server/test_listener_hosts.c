#include "broker/server/listener_hosts.h"
#include "tests/unit/common/net/net_test.h"

static struct net_env n;
static struct listener_hosts hosts;
static _Atomic int changes;

static void changed(void *ctx)
{
    CHECK(ctx == &hosts);
    atomic_fetch_add(&changes, 1);
}

static void init(void *arg)
{
    listener_hosts_init(&hosts, n.env->loops[0], changed, &hosts);
}

static int set_up(void **state)
{
    net_env_start(&n, 1);
    atomic_store(&changes, 0);
    on_loop(n.env->loops[0], init, NULL);
    return 0;
}

static void release(void *arg)
{
    listener_hosts_release(&hosts);
}

static int tear_down(void **state)
{
    on_loop(n.env->loops[0], release, NULL);
    net_env_stop(&n);
    return 0;
}

struct question {
    struct endpoint asked, answer;
    int status;
    bool busy;
};

static void ask_run(void *arg)
{
    struct question *q = arg;
    q->status = listener_hosts_resolve(&hosts, &q->asked, &q->answer);
    q->busy = listener_hosts_busy(&hosts);
}

static struct question ask(const char *host, uint16_t port)
{
    struct question q = {.asked.port = port};
    memcpy(q.asked.host, host, strlen(host));
    on_loop(n.env->loops[0], ask_run, &q);
    return q;
}

static void addresses_are_known_at_once(void **state)
{
    static const char *const literals[] = {"127.0.0.1", "::1", "0.0.0.0", ""};
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        struct question q = ask(literals[i], 9092);
        assert_int_equal(q.status, 0);
        assert_string_equal(q.answer.host, literals[i]);
        assert_int_equal(q.answer.port, 9092);
        assert_false(q.busy);
    }
}

static void a_name_is_looked_up_elsewhere(void **state)
{
    struct question q = ask("localhost", 9092);
    assert_int_equal(q.status, -EINPROGRESS);
    WAIT_FOR(atomic_load(&changes) == 1);
    /* For whatever port it is asked then, once. */
    q = ask("localhost", 9093);
    assert_int_equal(q.status, 0);
    assert_string_equal(q.answer.host, "127.0.0.1");
    assert_int_equal(q.answer.port, 9093);
    q = ask("localhost", 9092);
    assert_int_equal(q.status, -EINPROGRESS);
    WAIT_FOR(atomic_load(&changes) == 2);
}

/* A name with a space is nobody's, without any name server. */
static void a_name_that_is_unknown_is_told(void **state)
{
    assert_int_equal(ask("no such host", 1).status, -EINPROGRESS);
    assert_int_equal(ask("localhost", 1).status, -EINPROGRESS);
    WAIT_FOR(atomic_load(&changes) == 2);
    assert_int_equal(ask("localhost", 1).status, 0);
    struct question q = ask("no such host", 1);
    assert_true(q.status < 0 && q.status != -EINPROGRESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(addresses_are_known_at_once),
        T(a_name_is_looked_up_elsewhere),
        T(a_name_that_is_unknown_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
