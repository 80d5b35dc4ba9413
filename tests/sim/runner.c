#include "tests/sim/runner.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/sim/sim_heap.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEEDS_PER_CHILD  10
#define SECONDS_PER_SEED 120 /* real ones, before it counts as stuck */
#define JOBS_MAX         64

/* What a child says of a seed, in one write. */
struct verdict {
    uint64_t seed, hash;
    int64_t events, steps;
    int32_t faults;
    bool failed, refused;
};

struct child {
    pid_t pid; /* 0: none */
    int pipe;
    uint64_t first, last, reported; /* seeds; how many verdicts came */
};

struct tally {
    struct runner *runner;
    uint64_t next_seed;
    uint64_t done, failed, refused;
    uint64_t hash;
    int64_t events, steps, faults;
    struct timespec began;
    bool terminal;
};

/* The world under way, for the handlers of fatal signals. */
static struct {
    const struct sim *sim;
    uint64_t seed;
} now;

static int64_t seconds_of_seed(const struct runner *r)
{
    return r->seconds != 0 ? r->seconds : r->subject->seconds;
}

static void how_to_replay(const struct runner *r, uint64_t seed)
{
    fprintf(stderr, "replay: kraftd-sim --subject %s --seed %" PRIu64, r->subject->name, seed);
    if (r->seconds != 0)
        fprintf(stderr, " --seconds %" PRId64, r->seconds);
    static const char *const names[] = {
#define MUTATION_NAME(id, name, effect) name,
        MUTATION_LIST(MUTATION_NAME)
#undef MUTATION_NAME
    };
    for (size_t i = 0; i < MUTATION_COUNT; i++)
        if (r->mutations.on[i])
            fprintf(stderr, " --mutate %s", names[i]);
    fprintf(stderr, "   (--trace shows every event)\n");
}

/* Not what a signal handler may do in general, but the process is lost anyway. */
static void print_last_words(void)
{
    if (!now.sim)
        return;
    const struct sim *sim = now.sim;
    now.sim = NULL;
    sim_heap_enter(NULL);
    sim_print_log(sim, stderr);
    fprintf(stderr, "seed %" PRIu64 " died at %.6f s\n", now.seed, (double)sim_now_us(sim) / 1e6);
}

static void fatal_signal(int number)
{
    print_last_words();
    if (number == SIGALRM)
        fprintf(stderr, "seed %" PRIu64 " is stuck: no end after %d s\n", now.seed,
                SECONDS_PER_SEED);
    signal(number, SIG_DFL);
    raise(number);
}

#ifdef __SANITIZE_ADDRESS__
void __sanitizer_set_death_callback(void (*callback)(void));
const char *__lsan_default_suppressions(void);

/* Libraries that keep contexts for a process that died in simulation. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libzstd.so\nleak:liblz4.so\nleak:libz.so\nleak:libraft.so\nleak:libjansson.so\n"
           "leak:libcrypto.so\n";
}
#endif

static void catch_signals(void)
{
    static const int numbers[] = {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE};
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(print_last_words);
    size_t count = 2; /* the sanitizer reports the others better */
#else
    size_t count = ARRAY_LEN(numbers);
#endif
    for (size_t i = 0; i < count; i++)
        signal(numbers[i], fatal_signal);
}

static struct verdict run_once(const struct runner *r, uint64_t seed, bool print)
{
    struct sim *sim = sim_new(seed, r->trace);
    struct subject_run run = {
        .sim = sim, .mutations = &r->mutations, .seconds = seconds_of_seed(r)};
    now.seed = seed;
    now.sim = sim;
    alarm(SECONDS_PER_SEED);
    r->subject->run(&run);
    alarm(0);
    now.sim = NULL;
    struct verdict verdict = {
        .seed = seed,
        .hash = sim_hash(sim),
        .events = sim_event_count(sim),
        .steps = run.steps,
        .faults = run.faults,
        .failed = sim_failure(sim) != NULL,
        .refused = run.refused,
    };
    if (verdict.failed && print) {
        if (!r->trace && !r->expect_failure)
            sim_print_log(sim, stderr);
        fprintf(stderr, "seed %" PRIu64 " FAILED at %.6f s: %s\n", seed,
                (double)sim_now_us(sim) / 1e6, sim_failure(sim));
        how_to_replay(r, seed);
    }
    sim_free(sim);
    return verdict;
}

static struct verdict run_seed(const struct runner *r, uint64_t seed)
{
    struct verdict verdict = run_once(r, seed, true);
    if (!r->twice || verdict.failed)
        return verdict;
    struct verdict again = run_once(r, seed, true);
    if (again.hash != verdict.hash || again.events != verdict.events) {
        fprintf(stderr,
                "seed %" PRIu64 " FAILED: it does not replay: hash %016" PRIx64 ", then %016" PRIx64
                "\n",
                seed, verdict.hash, again.hash);
        verdict.failed = true;
    }
    return verdict;
}

static void print_verdict(const struct verdict *v)
{
    printf("seed %" PRIu64 ": hash %016" PRIx64 ", %" PRId64 " events, %d faults, %" PRId64
           " steps%s\n",
           v->seed, v->hash, v->events, v->faults, v->steps, v->failed ? ", FAILED" : "");
}

/* --- Children --- */

static int child_main(const struct runner *r, uint64_t first, uint64_t last, int to)
{
    catch_signals();
    for (uint64_t seed = first; seed <= last; seed++) {
        struct verdict verdict = run_seed(r, seed);
        if (write(to, &verdict, sizeof(verdict)) != (ssize_t)sizeof(verdict))
            return 1;
    }
    close(to);
    return 0;
}

static bool start_child(struct tally *t, struct child *child)
{
    struct runner *r = t->runner;
    if (t->next_seed > r->last || (r->expect_failure && t->failed > 0))
        return false;
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    *child = (struct child){.pipe = ends[0], .first = t->next_seed};
    child->last = MIN(t->next_seed + SEEDS_PER_CHILD - 1, r->last);
    t->next_seed = child->last + 1;
    fflush(stdout);
    child->pid = fork();
    if (child->pid == 0) {
        close(ends[0]);
        exit(child_main(r, child->first, child->last, ends[1]));
    }
    close(ends[1]);
    return child->pid > 0;
}

static void take_verdict(struct tally *t, const struct verdict *v)
{
    t->done++;
    t->failed += v->failed;
    t->refused += v->refused;
    t->hash ^= v->hash * (v->seed | 1);
    t->events += v->events;
    t->steps += v->steps;
    t->faults += v->faults;
    if (t->runner->hashes)
        print_verdict(v);
}

/* The child is gone: all its seeds are reported, or it died in the one that is not. */
static void reap(struct tally *t, struct child *child)
{
    int status;
    close(child->pipe);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    child->pid = 0;
    uint64_t seed = child->first + child->reported;
    if (seed > child->last && status == 0)
        return;
    t->failed++;
    if (seed > child->last) {
        fprintf(stderr, "seeds %" PRIu64 "-%" PRIu64 " FAILED: exit status %d after the last\n",
                child->first, child->last, WEXITSTATUS(status));
        return;
    }
    fprintf(stderr, "seed %" PRIu64 " FAILED: %s %d\n", seed,
            WIFSIGNALED(status) ? "signal" : "exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    how_to_replay(t->runner, seed);
    /* The rest of its seeds still has to run; the order does not matter. */
    t->done++;
    child->first = seed + 1;
}

static double seconds_since(const struct timespec *began)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)(at.tv_sec - began->tv_sec) + (double)(at.tv_nsec - began->tv_nsec) / 1e9;
}

static void progress(const struct tally *t, bool last)
{
    if (!t->terminal)
        return;
    fprintf(stderr, "\r%s: %" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed, %.0f s%s",
            t->runner->subject->name, t->done, t->runner->last - t->runner->first + 1, t->failed,
            seconds_since(&t->began), last ? "\n" : "");
}

/* Reads what has come; false at the end. */
static bool read_verdict(struct tally *t, struct child *child)
{
    struct verdict verdict;
    ssize_t len = read(child->pipe, &verdict, sizeof(verdict));
    if (len < 0 && errno == EINTR)
        return true;
    if (len != (ssize_t)sizeof(verdict))
        return false;
    child->reported++;
    take_verdict(t, &verdict);
    progress(t, false);
    return true;
}

/* A child that died leaves seeds behind: they get a child of their own. */
static void restart_rest(struct tally *t, struct child *child)
{
    uint64_t first = child->first, last = child->last;
    reap(t, child);
    if (child->first == first || child->first > last || t->runner->expect_failure)
        return;
    struct tally rest = *t;
    struct runner runner = *t->runner;
    runner.last = last;
    rest.runner = &runner;
    rest.next_seed = child->first;
    start_child(&rest, child);
}

static void run_children(struct tally *t)
{
    struct child children[JOBS_MAX] = {{0}};
    for (;;) {
        struct pollfd polls[JOBS_MAX];
        nfds_t count = 0;
        struct child *polled[JOBS_MAX];
        for (int64_t i = 0; i < t->runner->jobs; i++) {
            if (children[i].pid == 0 && !start_child(t, &children[i]))
                continue;
            polls[count] = (struct pollfd){.fd = children[i].pipe, .events = POLLIN};
            polled[count++] = &children[i];
        }
        if (count == 0)
            return;
        if (poll(polls, count, -1) < 0)
            continue;
        for (nfds_t i = 0; i < count; i++)
            if (polls[i].revents != 0 && !read_verdict(t, polled[i]))
                restart_rest(t, polled[i]);
    }
}

int runner_run(struct runner *r)
{
    struct tally t = {.runner = r, .next_seed = r->first, .terminal = isatty(STDERR_FILENO)};
    clock_gettime(CLOCK_MONOTONIC, &t.began);
    if (r->single) {
        catch_signals();
        struct verdict verdict = run_seed(r, r->first);
        print_verdict(&verdict);
        return verdict.failed != r->expect_failure;
    }
    run_children(&t);
    progress(&t, true);
    printf("%s: %" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64 " refused a disk, %" PRId64
           " virtual seconds each, %" PRId64 " faults, %" PRId64 " steps, %" PRId64
           " events, hash %016" PRIx64 ", %.1f s\n",
           r->subject->name, t.done, t.failed, t.refused, seconds_of_seed(r), t.faults, t.steps,
           t.events, t.hash, seconds_since(&t.began));
    if (r->expect_failure && t.failed == 0)
        fprintf(stderr, "kraftd-sim: no seed failed, though one should have\n");
    return (t.failed > 0) != r->expect_failure;
}
