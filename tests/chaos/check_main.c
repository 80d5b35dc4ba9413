/*
 * kraftd-chaos-check: judges a chaos run. What it finds goes to standard output as JSON.
 *
 *   kraftd-chaos-check [--replicas FILE] HISTORY...
 *
 * FILE has a line for each partition: NAME END FOLDER..., the folders of its copies on the stopped
 * nodes and its high watermark, or "-" for the end that the last reader came to. Exit code: 0
 * nothing found, 1 anomalies, 2 it could not judge.
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tests/chaos/checker.h"
#include "tests/chaos/replicas.h"
#include "tests/chaos/timeline.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLICAS_MAX = 16 };

struct divergence {
    int64_t partitions, diverged, batches, bytes;
    json_t *examples;
};

static int compare_line(char *line, const struct checker *checker, struct divergence *divergence)
{
    const char *folders[REPLICAS_MAX];
    size_t count = 0;
    char *rest = NULL;
    const char *name = strtok_r(line, " \n", &rest), *end = strtok_r(NULL, " \n", &rest);
    const char *folder;
    while (count < REPLICAS_MAX && (folder = strtok_r(NULL, " \n", &rest)))
        folders[count++] = folder;
    if (!name || !end || count == 0)
        return -EINVAL;
    int64_t end_offset =
        strcmp(end, "-") == 0 ? checker_end(checker, name) : strtoll(end, NULL, 10);
    struct replicas_verdict verdict;
    int error = replicas_compare(folders, count, end_offset, &verdict);
    if (error != 0) {
        fprintf(stderr, "kraftd-chaos-check: the copies of %s cannot be read: %s\n", name,
                strerror(-error));
        return error;
    }
    divergence->partitions++;
    divergence->batches += verdict.batches;
    divergence->bytes += verdict.bytes;
    if (verdict.at >= 0) {
        divergence->diverged++;
        json_array_append_new(divergence->examples, json_sprintf("%s: %s", name, verdict.text));
    }
    return 0;
}

static int compare_replicas(const char *path, const struct checker *checker,
                            struct divergence *divergence)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        fprintf(stderr, "kraftd-chaos-check: %s: %s\n", path, strerror(errno));
        return -errno;
    }
    char *line = NULL;
    size_t capacity = 0;
    int error = 0;
    while (error == 0 && getline(&line, &capacity, file) > 0)
        error = compare_line(line, checker, divergence);
    free(line);
    fclose(file);
    return error;
}

static json_t *timeline_json(const struct checker *checker)
{
    const struct timeline *timeline = checker_timeline(checker);
    json_t *seconds = json_array(), *faults = json_array();
    for (size_t i = 0; i < timeline->second_count; i++)
        json_array_append_new(seconds, json_pack("[i,i,i]", timeline->seconds[i].attempted,
                                                 timeline->seconds[i].acknowledged,
                                                 timeline->seconds[i].read));
    for (size_t i = 0; i < timeline->fault_count; i++) {
        const struct timeline_fault *fault = &timeline->faults[i];
        const char *partition =
            fault->gap_ms > 0 ? checker_partition(checker, fault->gap_partition) : NULL;
        json_array_append_new(faults,
                              json_pack("{s:i,s:I,s:I,s:s,s:s?,s:I,s:s?}", "fault",
                                        (int)fault->fault, "begin_ms", (json_int_t)fault->begin_ms,
                                        "end_ms", (json_int_t)fault->end_ms, "text", fault->text,
                                        "outcome", fault->outcome, "gap_ms",
                                        (json_int_t)fault->gap_ms, "gap_partition", partition));
    }
    return json_pack("{s:o,s:o,s:I,s:I}", "seconds", seconds, "faults", faults,
                     "max_produce_gap_ms", (json_int_t)timeline->max_gap_ms, "p99_produce_gap_ms",
                     (json_int_t)timeline->p99_gap_ms);
}

static json_t *anomalies_json(const struct checker *checker, int64_t *ret_total)
{
    json_t *all = json_object();
    *ret_total = 0;
    for (enum anomaly anomaly = 0; anomaly < ANOMALY_COUNT; anomaly++) {
        json_t *examples = json_array();
        const char *example;
        for (size_t i = 0; (example = checker_example(checker, anomaly, i)); i++)
            json_array_append_new(examples, json_string(example));
        int64_t count = checker_counts(checker)->anomalies[anomaly];
        *ret_total += count;
        json_object_set_new(
            all, anomaly_name(anomaly),
            json_pack("{s:I,s:o}", "count", (json_int_t)count, "examples", examples));
    }
    return all;
}

static int print_verdict(const struct checker *checker, struct divergence *divergence)
{
    const struct checker_counts *counts = checker_counts(checker);
    int64_t total;
    json_t *anomalies = anomalies_json(checker, &total);
    total += divergence->diverged;
    json_object_set_new(anomalies, "diverged",
                        json_pack("{s:I,s:o}", "count", (json_int_t)divergence->diverged,
                                  "examples", divergence->examples));
    json_t *verdict = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:{s:I,s:I,s:I},s:o,s:o}", "attempted", (json_int_t)counts->attempted,
        "acknowledged", (json_int_t)counts->acknowledged, "given_up", (json_int_t)counts->given_up,
        "read_following", (json_int_t)counts->read[READER_TAIL], "read_at_the_end",
        (json_int_t)counts->read[READER_FINAL], "replicas", "partitions",
        (json_int_t)divergence->partitions, "batches", (json_int_t)divergence->batches, "bytes",
        (json_int_t)divergence->bytes, "anomalies", anomalies, "timeline", timeline_json(checker));
    CHECK(verdict);
    int error = json_dumpf(verdict, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(verdict);
    if (error != 0 || fflush(stdout) != 0)
        return 2;
    return total > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"replicas", required_argument, NULL, 'r'}, {0}};
    const char *replicas = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'r')
            return 2;
        replicas = optarg;
    }
    if (optind == argc) {
        fprintf(stderr, "usage: kraftd-chaos-check [--replicas FILE] HISTORY...\n");
        return 2;
    }
    struct checker *checker = checker_new();
    struct divergence divergence = {.examples = json_array()};
    int error = 0;
    for (int i = optind; i < argc && error == 0; i++) {
        int64_t line = 0;
        error = checker_read(checker, argv[i], &line);
        if (error == -EINVAL)
            fprintf(stderr, "kraftd-chaos-check: %s:%" PRId64 ": no line of a history\n", argv[i],
                    line);
        else if (error != 0)
            fprintf(stderr, "kraftd-chaos-check: %s: %s\n", argv[i], strerror(-error));
    }
    if (error == 0 && replicas)
        error = compare_replicas(replicas, checker, &divergence);
    int rc = 2;
    if (error == 0) {
        checker_finish(checker);
        rc = print_verdict(checker, &divergence);
    } else {
        json_decref(divergence.examples);
    }
    checker_free(checker);
    return rc;
}
