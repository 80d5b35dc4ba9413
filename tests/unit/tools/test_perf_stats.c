/* Windows, totals and percentiles of a performance test. */
#include "tools/perf_stats.h"

#include "tests/unit/tools/capture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct perf_stats stats;

static int print_total(int argc, char **argv)
{
    perf_stats_print_total(&stats, 2000);
    return 0;
}

static int record_two_windows(int argc, char **argv)
{
    for (int i = 1; i <= 4; i++)
        perf_stats_record(&stats, i * 10, 1 << 20, 500 * i);
    return 0;
}

static void expect_output(int (*tool)(int argc, char **argv), const char *text)
{
    const char *words[] = {NULL};
    struct capture capture = capture_run(tool, words);
    assert_string_equal((const char *)capture.out.data, text);
    capture_release(&capture);
}

static void percentiles_are_those_of_the_sorted_list(void **state)
{
    perf_stats_init(&stats, 0, 5000, false);
    assert_int_equal(perf_stats_percentile(&stats, 0.5), 0);
    for (int64_t latency_ms = 1000; latency_ms > 0; latency_ms--)
        perf_stats_record(&stats, latency_ms, 1, 1);
    assert_int_equal(perf_stats_percentile(&stats, 0.5), 501);
    assert_int_equal(perf_stats_percentile(&stats, 0.95), 951);
    assert_int_equal(perf_stats_percentile(&stats, 0.999), 1000);
    perf_stats_release(&stats);
}

static void without_records_there_is_no_average(void **state)
{
    perf_stats_init(&stats, 0, 5000, false);
    expect_output(print_total, "0 records sent, 0.000000 records/sec (0.00 MB/sec), NaN ms avg "
                               "latency, 0.00 ms max latency, 0 ms 50th, 0 ms 95th, 0 ms 99th, 0 "
                               "ms 99.9th.\n");
    perf_stats_release(&stats);
}

static void a_window_is_printed_when_its_time_is_over(void **state)
{
    perf_stats_init(&stats, 0, 1000, false);
    expect_output(record_two_windows,
                  "2 records sent, 2.0 records/sec (2.00 MB/sec), 15.0 ms avg latency, 20.0 ms max "
                  "latency.\n"
                  "2 records sent, 2.0 records/sec (2.00 MB/sec), 35.0 ms avg latency, 40.0 ms max "
                  "latency.\n");
    expect_output(print_total, "4 records sent, 2.000000 records/sec (2.00 MB/sec), 25.00 ms avg "
                               "latency, 40.00 ms max latency, 30 ms 50th, 40 ms 95th, 40 ms "
                               "99th, 40 ms 99.9th.\n");
    perf_stats_release(&stats);
}

static void the_steady_state_is_announced_once(void **state)
{
    perf_stats_init(&stats, 0, 1000, true);
    expect_output(record_two_windows,
                  "In steady state.\n"
                  "2 records sent, 2.0 records/sec (2.00 MB/sec), 15.0 ms avg latency, 20.0 ms max "
                  "latency.\n"
                  "2 records sent, 2.0 records/sec (2.00 MB/sec), 35.0 ms avg latency, 40.0 ms max "
                  "latency.\n");
    perf_stats_release(&stats);
    perf_stats_init(&stats, 0, 1000, true);
    stats.quiet = true;
    expect_output(record_two_windows, "");
    perf_stats_release(&stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_those_of_the_sorted_list),
        cmocka_unit_test(without_records_there_is_no_average),
        cmocka_unit_test(a_window_is_printed_when_its_time_is_over),
        cmocka_unit_test(the_steady_state_is_announced_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
