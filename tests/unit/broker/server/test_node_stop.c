/* A whole node that is told to stop at any moment of its start. */
#include "tests/sim/node_app.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define STEP_US 50

struct process {
    struct node_app_world app;
    char properties[512];
    bool stopped;
    int status;
};

static struct sim *sim;
static struct process nodes[2];

static void note_gave_up(void *ctx, int status)
{
    struct process *p = ctx;
    p->status = status;
}

static void note_stopped(void *ctx)
{
    struct process *p = ctx;
    p->stopped = true;
}

static void run_us(int64_t us)
{
    sim_run_until(sim, sim_now_us(sim) + us);
    assert_null(sim_failure(sim));
}

static void stop_it(void *ctx)
{
    struct process *p = ctx;
    node_app_stop(p->app.node);
}

static void process_make(struct process *p, int id)
{
    const char *name = id == 1 ? "one" : "two";
    memset(p, 0, sizeof(*p));
    snprintf(p->properties, sizeof(p->properties),
             "node.id=%d\nprocess.roles=broker,controller\n"
             "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
             "advertised.listeners=PLAINTEXT://%s:9092,CONTROLLER://%s:9093\n"
             "controller.listener.names=CONTROLLER\n"
             "controller.quorum.voters=1@one:9093,2@two:9093\n"
             "log.dirs=/data\n",
             id, name, name);
    p->app = (struct node_app_world){.sim = sim,
                                     .properties = str_of(p->properties),
                                     .gave_up = note_gave_up,
                                     .stopped = note_stopped,
                                     .ctx = p};
    p->app.node = sim_node_new(sim, &(struct sim_node_config){.name = name,
                                                              .loops = 2,
                                                              .log_level = LOG_ERROR,
                                                              .boot = node_app_boot,
                                                              .ctx = &p->app});
    sim_node_start(p->app.node);
}

/* Two nodes, of which one was killed and begins again. */
static struct process *begin(uint64_t seed)
{
    sim = sim_new(seed, false);
    for (int i = 0; i < 2; i++)
        process_make(&nodes[i], i + 1);
    for (int i = 0; i < 4000 && !(nodes[0].app.started && nodes[1].app.started); i++)
        run_us(5 * SIM_MS);
    assert_true(nodes[0].app.started && nodes[1].app.started);
    struct process *p = &nodes[seed % 2];
    sim_node_kill(p->app.node);
    sim_disk_set_faults(sim_node_disk(p->app.node), "/",
                        &(struct sim_disk_faults){.latency_us = 1000, .fsync_latency_us = 3000});
    sim_node_start(p->app.node);
    return p;
}

/* How long it takes until it has the metadata: the same for the same seed. */
static int64_t loaded_after_us(uint64_t seed)
{
    struct process *p = begin(seed);
    int64_t us = 0;
    for (; us < 20 * SIM_SECOND; us += STEP_US) {
        const struct node *node = node_app_node(p->app.node);
        if (node && node->metadata_loaded)
            break;
        run_us(STEP_US);
    }
    sim_free(sim);
    return us;
}

static void stop_after_us(uint64_t seed, int64_t us)
{
    struct process *p = begin(seed);
    run_us(us);
    sim_at(sim, sim_now_us(sim), stop_it, p);
    for (int i = 0; i < 12000 && !p->stopped; i++)
        run_us(5 * SIM_MS);
    if (!p->stopped)
        fail_msg("told to stop %lld us after it began, it does not", (long long)us);
    assert_int_equal(p->status, 0);
    sim_free(sim);
}

static void test_stops_at_any_moment_of_its_start(void **state)
{
    (void)state;
    int64_t loaded_us = loaded_after_us(1);
    assert_true(loaded_us > 50 * SIM_MS && loaded_us < 20 * SIM_SECOND);
    for (int64_t us = SIM_MS; us < loaded_us + 100 * SIM_MS; us += 5 * SIM_MS)
        stop_after_us(1, us);
}

/* The listeners are closed by then. */
static void test_the_metadata_comes_while_it_stops(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        int64_t loaded_us = loaded_after_us(seed);
        for (int64_t us = loaded_us - 2 * SIM_MS; us <= loaded_us; us += STEP_US)
            stop_after_us(seed, us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops_at_any_moment_of_its_start),
        cmocka_unit_test(test_the_metadata_comes_while_it_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
