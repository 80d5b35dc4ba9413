/*
 * kraftd-sim: runs seeds of a simulated world and says which ones fail and how to see why.
 *
 * Seeds run in child processes, a few in each: a crash costs the seed it happened in, and what a
 * library keeps for itself does not add up. Exit code: 0 all well, 1 a seed failed, 2 bad usage.
 * With --expect-failure the first two change places.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "raft/quorum_guard.h"
#include "tests/sim/runner.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct subject *const subjects[] = {
    &subject_node,
    &subject_cluster,
    &subject_log,
};

static void usage(FILE *to)
{
    fprintf(to, "usage: kraftd-sim [options]\n"
                "  --subject NAME     what runs in the world (all, one after the other):\n");
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
        fprintf(to, "                       %-8s %s\n", subjects[i]->name, subjects[i]->about);
    fprintf(to, "  --seeds A-B        which worlds (1-100)\n"
                "  --seed N           one world, in this process\n"
                "  --trace            with --seed: every event, on standard error\n"
                "  --seconds S        virtual seconds of a seed (60; cluster 30)\n"
                "  --jobs J           processes at a time (one per core)\n"
                "  --twice            run each seed twice and compare\n"
                "  --hashes           print what each seed's events hash to\n"
                "  --expect-failure   stop at the first seed that fails, and call that success\n"
                "  --mutate NAME      a fault in the program under test:\n");
    static const struct {
        const char *name, *effect;
    } mutations[] = {
#define MUTATION_LINE(id, name, effect) {name, effect},
        MUTATION_LIST(MUTATION_LINE)
#undef MUTATION_LINE
#define GUARD_LINE(id, number, name, effect) {name, effect},
            QUORUM_GUARD_LIST(GUARD_LINE)
#undef GUARD_LINE
    };
    for (size_t i = 0; i < ARRAY_LEN(mutations); i++)
        fprintf(to, "                       %-26s %s\n", mutations[i].name, mutations[i].effect);
}

static bool parse_u64(const char *text, uint64_t *ret_value, const char **ret_end)
{
    char *end;
    errno = 0;
    *ret_value = strtoull(text, &end, 10);
    *ret_end = end;
    return errno == 0 && end != text && text[0] >= '0' && text[0] <= '9';
}

static bool parse_seeds(const char *text, struct runner *runner)
{
    const char *end;
    if (!parse_u64(text, &runner->first, &end))
        return false;
    runner->last = runner->first;
    if (*end == '-' && !parse_u64(end + 1, &runner->last, &end))
        return false;
    return *end == '\0' && runner->first <= runner->last;
}

static bool parse_number(const char *text, int64_t *ret_value)
{
    const char *end;
    uint64_t value;
    if (!parse_u64(text, &value, &end) || *end != '\0' || value == 0 || value > 1000000)
        return false;
    *ret_value = (int64_t)value;
    return true;
}

static bool parse_mutation(const char *text, struct mutations *mutations)
{
    static const char *const names[] = {
#define MUTATION_NAME(id, name, effect) name,
        MUTATION_LIST(MUTATION_NAME)
#undef MUTATION_NAME
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            mutations->on[i] = true;
            return true;
        }
    }
#define GUARD_OFF(id, number, name, effect)                                                        \
    if (strcmp(text, name) == 0)                                                                   \
        mutations->guards_off |= (quorum_guards_off)1 << (number);
    QUORUM_GUARD_LIST(GUARD_OFF)
#undef GUARD_OFF
    return mutations->guards_off != 0;
}

static bool parse_subject(const char *text, struct runner *runner)
{
    runner->subject = NULL;
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
        if (strcmp(text, subjects[i]->name) == 0)
            runner->subject = subjects[i];
    return runner->subject != NULL;
}

enum option_id {
    OPT_SUBJECT = 256,
    OPT_SEEDS,
    OPT_SEED,
    OPT_TRACE,
    OPT_SECONDS,
    OPT_JOBS,
    OPT_TWICE,
    OPT_HASHES,
    OPT_EXPECT_FAILURE,
    OPT_MUTATE,
    OPT_HELP,
};

static const struct option options[] = {
    {"subject", required_argument, NULL, OPT_SUBJECT},
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"trace", no_argument, NULL, OPT_TRACE},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"twice", no_argument, NULL, OPT_TWICE},
    {"hashes", no_argument, NULL, OPT_HASHES},
    {"expect-failure", no_argument, NULL, OPT_EXPECT_FAILURE},
    {"mutate", required_argument, NULL, OPT_MUTATE},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* False: the option's value is not understood. */
static bool take_option(struct runner *runner, int option, const char *value)
{
    switch (option) {
    case OPT_SUBJECT:
        return parse_subject(value, runner);
    case OPT_SEEDS:
        return parse_seeds(value, runner);
    case OPT_SEED:
        runner->single = true;
        return parse_seeds(value, runner) && runner->first == runner->last;
    case OPT_SECONDS:
        return parse_number(value, &runner->seconds);
    case OPT_JOBS:
        return parse_number(value, &runner->jobs) && runner->jobs <= 64;
    case OPT_MUTATE:
        runner->mutated = true;
        return parse_mutation(value, &runner->mutations);
    case OPT_TRACE:
        runner->trace = true;
        return true;
    case OPT_TWICE:
        runner->twice = true;
        return true;
    case OPT_HASHES:
        runner->hashes = true;
        return true;
    default:
        runner->expect_failure = true;
        return true;
    }
}

int main(int argc, char **argv)
{
    struct runner runner = {
        .first = 1,
        .last = 100,
        .jobs = sysconf(_SC_NPROCESSORS_ONLN),
    };
    int option, at;
    while ((option = getopt_long(argc, argv, "h", options, &at)) != -1) {
        if (option == OPT_HELP || option == 'h') {
            usage(stdout);
            return 0;
        }
        if (option == '?') {
            usage(stderr);
            return 2;
        }
        if (!take_option(&runner, option, optarg)) {
            fprintf(stderr, "kraftd-sim: --%s does not take '%s'\n", options[at].name, optarg);
            return 2;
        }
    }
    if (optind < argc || (runner.trace && !runner.single)) {
        fprintf(stderr,
                optind < argc ? "kraftd-sim: what is '%s'?\n"
                              : "kraftd-sim: --trace goes with --seed\n%.0s",
                optind < argc ? argv[optind] : "");
        return 2;
    }
    if (runner.single && !runner.subject)
        runner.subject = subjects[0];
    if (runner.subject)
        return runner_run(&runner);
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        runner.subject = subjects[i];
        code |= runner_run(&runner);
    }
    return code;
}
