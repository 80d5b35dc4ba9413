#include "tests/unit/common/net/net_test.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static struct net_env n;

static int set_up(void **state)
{
    net_env_start(&n, 3);
    return 0;
}

static int tear_down(void **state)
{
    net_env_stop(&n);
    return 0;
}

/* Posting from many threads: each producer's tasks arrive in its order, none is lost. */

enum { PRODUCERS = 4, TASKS = 5000 };

struct numbered_task {
    struct task task;
    int producer, number;
};

static struct numbered_task tasks[PRODUCERS][TASKS];
static int seen[PRODUCERS];
static _Atomic int seen_total;
static _Atomic int disorder;

static void note_task(struct task *task)
{
    struct numbered_task *t = CONTAINER_OF(task, struct numbered_task, task);
    if (seen[t->producer]++ != t->number)
        atomic_fetch_add(&disorder, 1);
    atomic_fetch_add(&seen_total, 1);
}

static void *produce(void *arg)
{
    int producer = (int)(intptr_t)arg;
    for (int i = 0; i < TASKS; i++) {
        tasks[producer][i] = (struct numbered_task){{note_task, NULL}, producer, i};
        loop_post(n.env->loops[1], &tasks[producer][i].task);
    }
    return NULL;
}

static void posts_of_many_threads_all_arrive_in_order(void **state)
{
    pthread_t threads[PRODUCERS];
    for (intptr_t i = 0; i < PRODUCERS; i++)
        pthread_create(&threads[i], NULL, produce, (void *)i);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    WAIT_FOR(atomic_load(&seen_total) == PRODUCERS * TASKS);
    assert_int_equal(atomic_load(&disorder), 0);
}

/* A loop's posts to itself run on a later turn, without waiting for another event. */

struct relay {
    struct task task;
    int left;
    bool inside;
    _Atomic bool done;
};

static void relay_run(struct task *task)
{
    struct relay *r = CONTAINER_OF(task, struct relay, task);
    CHECK(!r->inside);
    r->inside = true;
    if (--r->left > 0)
        loop_post(n.env->loops[2], &r->task);
    else
        atomic_store(&r->done, true);
    r->inside = false;
}

static void a_loop_posts_to_itself(void **state)
{
    static struct relay relay = {.task.run = relay_run, .left = 1000};
    loop_post(n.env->loops[2], &relay.task);
    WAIT_FOR(atomic_load(&relay.done));
}

/* Timers. */

struct timers {
    struct timer a, b, c, repeat, stopped;
    char order[16];
    int repeat_count;
    _Atomic bool done;
};

static struct timers timers;

static void fire_letter(struct timer *timer)
{
    size_t len = strlen(timers.order);
    timers.order[len] = timer == &timers.a ? 'a' : timer == &timers.b ? 'b' : 'c';
    if (timer == &timers.c)
        atomic_store(&timers.done, true);
}

static void fire_repeat(struct timer *timer)
{
    if (++timers.repeat_count < 100)
        timer_start_in_ms(timer, 0);
}

static void start_timers(void *arg)
{
    struct loop *loop = n.env->loops[1];
    timer_init(&timers.a, loop, fire_letter);
    timer_init(&timers.b, loop, fire_letter);
    timer_init(&timers.c, loop, fire_letter);
    timer_init(&timers.repeat, loop, fire_repeat);
    timer_init(&timers.stopped, loop, fire_letter);
    timer_start_in_ms(&timers.c, 30);
    timer_start_in_ms(&timers.b, 10);
    timer_start_in_ms(&timers.a, 0);
    timer_start_in_ms(&timers.repeat, 0);
    timer_start_in_ms(&timers.stopped, 1);
    CHECK(timers.order[0] == '\0'); /* never from inside the call */
    timer_stop(&timers.stopped);
    timer_stop(&timers.stopped);
    CHECK(!timer_running(&timers.stopped) && timer_running(&timers.c));
}

static void timers_fire_in_order_and_stop(void **state)
{
    int64_t began_ms = env_now_ms(n.env);
    on_loop(n.env->loops[1], start_timers, NULL);
    WAIT_FOR(atomic_load(&timers.done));
    assert_true(env_now_ms(n.env) - began_ms >= 30);
    assert_string_equal(timers.order, "abc");
    assert_int_equal(timers.repeat_count, 100);
}

/* Work. */

enum { WORKS = 200 };

struct counted_work {
    struct work work;
    int number;
};

static struct counted_work works[WORKS];
static int quorum_ran;
static _Atomic int works_done;

static void work_run(struct work *work)
{
    struct counted_work *w = CONTAINER_OF(work, struct counted_work, work);
    /* One thread in order of submission: no lock needed. */
    CHECK(quorum_ran == w->number);
    quorum_ran++;
}

static void work_done(struct work *work)
{
    atomic_fetch_add(&works_done, 1);
}

static void quorum_work_runs_in_order(void **state)
{
    for (int i = 0; i < WORKS; i++) {
        works[i] = (struct counted_work){{work_run, work_done, n.env->loops[i % 3]}, i};
        work_submit(&works[i].work, WORK_QUORUM);
    }
    WAIT_FOR(atomic_load(&works_done) == WORKS);
}

static _Atomic bool blocking;

static void block_run(struct work *work)
{
    while (atomic_load(&blocking))
        sleep_ms(1);
}

static void classes_do_not_wait_for_each_other(void **state)
{
    static struct work blocked[8];
    atomic_store(&works_done, 0);
    quorum_ran = 0;
    atomic_store(&blocking, true);
    for (int i = 0; i < 8; i++) {
        blocked[i] = (struct work){block_run, work_done, n.env->loops[0]};
        work_submit(&blocked[i], WORK_FLUSH);
    }
    works[0] = (struct counted_work){{work_run, work_done, n.env->loops[0]}, 0};
    work_submit(&works[0].work, WORK_QUORUM);
    WAIT_FOR(atomic_load(&works_done) == 1);
    atomic_store(&blocking, false);
    WAIT_FOR(atomic_load(&works_done) == 9);
}

/* What is on its way when the env stops is completed. */
static void work_is_completed_at_the_end(void **state)
{
    struct net_env own;
    static struct work late[4];
    net_env_start(&own, 1);
    atomic_store(&works_done, 0);
    for (int i = 0; i < 4; i++) {
        late[i] = (struct work){block_run, work_done, own.env->loops[0]};
        work_submit(&late[i], WORK_DISK);
    }
    net_env_stop(&own);
    assert_int_equal(atomic_load(&works_done), 4);
}

/* Each of these runs until as many as `together` run at the same time. */
static _Atomic int running_now, together;

static void gather_run(struct work *work)
{
    atomic_fetch_add(&running_now, 1);
    while (atomic_load(&running_now) < atomic_load(&together))
        sleep_ms(1);
}

static void quick_run(struct work *work)
{
}

static void set_disk_workers(void *arg)
{
    CHECK(n.env->ops->set_workers(n.env, WORK_DISK, (int)(intptr_t)arg) == 0);
}

static void submit_all(struct work *all, int count, void (*run)(struct work *))
{
    atomic_store(&works_done, 0);
    atomic_store(&running_now, 0);
    for (int i = 0; i < count; i++) {
        all[i] = (struct work){run, work_done, n.env->loops[0]};
        work_submit(&all[i], WORK_DISK);
    }
}

static void workers_become_more_and_fewer(void **state)
{
    static struct work all[600];
    atomic_store(&together, 6); /* more than there were at the start */
    submit_all(all, 6, gather_run);
    sleep_ms(20);
    assert_int_equal(atomic_load(&works_done), 0);
    on_loop(n.env->loops[0], set_disk_workers, (void *)6);
    WAIT_FOR(atomic_load(&works_done) == 6);
    /* One at a time: two would meet. */
    on_loop(n.env->loops[0], set_disk_workers, (void *)1);
    atomic_store(&together, 2);
    submit_all(all, 2, gather_run);
    WAIT_FOR(atomic_load(&running_now) == 1);
    sleep_ms(50);
    assert_int_equal(atomic_load(&running_now), 1);
    atomic_store(&together, 1);
    WAIT_FOR(atomic_load(&works_done) == 2);
    /* Nothing is forgotten while they come and go. */
    submit_all(all, 600, quick_run);
    for (intptr_t i = 0; i < 100; i++)
        on_loop(n.env->loops[0], set_disk_workers, (void *)(1 + i * 7 % 5));
    WAIT_FOR(atomic_load(&works_done) == 600);
    on_loop(n.env->loops[0], set_disk_workers, (void *)4);
}

static void spin(void *arg)
{
    int64_t end_us = env_now_us(n.env) + 50000;
    while (env_now_us(n.env) < end_us)
        ;
}

static void a_busy_loop_shows(void **state)
{
    int64_t before_us = uv_env_busy_us(n.env, 1), other_us = uv_env_busy_us(n.env, 2);
    on_loop(n.env->loops[1], spin, NULL);
    assert_true(uv_env_busy_us(n.env, 1) - before_us > 1000);
    assert_true(uv_env_busy_us(n.env, 2) - other_us < 40000);
}

static void random_ids_differ(void **state)
{
    struct uuid a = env_random_uuid(n.env), b = env_random_uuid(n.env);
    assert_false(uuid_eq(a, b));
    assert_int_equal(a.b[6] >> 4, 4);
    uint8_t many[5000] = {0};
    env_random(n.env, many, sizeof(many));
    int zeros = 0;
    for (size_t i = 0; i < sizeof(many); i++)
        zeros += many[i] == 0;
    assert_true(zeros < 200);
    int64_t now_ms = env_wall_ms(n.env);
    assert_true(now_ms > 1600000000000);
}

static _Atomic int caught_signal;

static void caught(void *ctx, int signum)
{
    atomic_store(&caught_signal, signum);
    uv_env_stop(ctx);
}

static void a_signal_reaches_loop_0(void **state)
{
    struct disk *disk = disk_posix_new();
    struct uv_env_options options = {.loop_count = 2, .disk = disk};
    struct env *env;
    pthread_t thread;
    assert_int_equal(uv_env_new(&options, &env), 0);
    assert_int_equal(uv_env_on_signal(env, SIGUSR1, caught, env), 0);
    pthread_create(&thread, NULL, net_env_main, env);
    kill(getpid(), SIGUSR1);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&caught_signal), SIGUSR1);
    uv_env_free(env);
    disk_posix_free(disk);
}

static void the_descriptor_limit_is_raised(void **state)
{
    struct rlimit before;
    uint64_t limit = 0;
    getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit low = {.rlim_cur = 64, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    assert_int_equal(uv_env_raise_descriptor_limit(MIN(before.rlim_max, 200), &limit), 0);
    assert_true(limit >= 64 && limit == MIN(before.rlim_max, 200));
    assert_int_equal(uv_env_raise_descriptor_limit(10, &limit), 0);
    assert_true(limit > 10);
    setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_of_many_threads_all_arrive_in_order),
        cmocka_unit_test(a_loop_posts_to_itself),
        cmocka_unit_test(timers_fire_in_order_and_stop),
        cmocka_unit_test(quorum_work_runs_in_order),
        cmocka_unit_test(classes_do_not_wait_for_each_other),
        cmocka_unit_test(work_is_completed_at_the_end),
        cmocka_unit_test(workers_become_more_and_fewer),
        cmocka_unit_test(a_busy_loop_shows),
        cmocka_unit_test(random_ids_differ),
        cmocka_unit_test(a_signal_reaches_loop_0),
        cmocka_unit_test(the_descriptor_limit_is_raised),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
