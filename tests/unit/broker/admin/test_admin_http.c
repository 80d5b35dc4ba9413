#include "broker/admin/admin_http.h"

#include "broker/admin/loop_gather.h"
#include "broker/admin/process_metrics.h"
#include "common/base/metrics.h"
#include "tests/unit/common/net/tcp_test.h"

#include <stdio.h>

static struct net_env n;
static struct admin_http *http;
static struct metrics *metrics;
static _Atomic bool healthy, ready;

static void visit(struct loop *loop, void *ctx, struct bytebuf *text)
{
    bytebuf_printf(text, "loop %d\n", loop->index);
}

static bool is_healthy(void *ctx, struct bytebuf *text)
{
    if (loop_gather(n.env, visit, NULL, 5000, text) != 0)
        return false;
    return atomic_load(&healthy);
}

static bool is_ready(void *ctx, struct bytebuf *text)
{
    bytebuf_printf(text, "formation: waiting for node 2\n");
    return atomic_load(&ready);
}

static void write_metrics(void *ctx, struct bytebuf *text)
{
    metrics_render(metrics, env_now_us(n.env), text);
}

static int set_up(void **state)
{
    net_env_start(&n, 3);
    metrics = metrics_new(1);
    metrics_add_collector(metrics, process_metrics_collect, NULL);
    struct admin_http_handlers handlers = {is_healthy, is_ready, write_metrics, NULL};
    struct endpoint endpoint = {.host = "127.0.0.1"};
    assert_int_equal(admin_http_start(&endpoint, &handlers, &http), 0);
    atomic_store(&healthy, true);
    atomic_store(&ready, false);
    return 0;
}

static int tear_down(void **state)
{
    admin_http_stop(http);
    metrics_free(metrics);
    net_env_stop(&n);
    return 0;
}

/* The whole answer to these bytes, until the end of the connection. */
static const char *talk(const char *request)
{
    static char text[20000];
    int fd = tcp_connect(admin_http_port(http));
    tcp_send(fd, request, strlen(request));
    text[tcp_recv(fd, text, sizeof(text) - 1)] = '\0';
    close(fd);
    return text;
}

static void expect(const char *request, const char *status, const char *body)
{
    const char *text = talk(request);
    assert_memory_equal(text, status, strlen(status));
    assert_non_null(strstr(text, body));
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void pages_answer_by_state(void **state)
{
    expect(GET("/healthz"), "HTTP/1.1 200 ", "\r\n\r\nloop 0\nloop 1\nloop 2\n");
    expect(GET("/readyz"), "HTTP/1.1 503 ", "\r\n\r\nformation: waiting for node 2\n");
    atomic_store(&ready, true);
    expect(GET("/readyz"), "HTTP/1.1 200 ", "formation");
    expect(GET("/ruok"), "HTTP/1.1 200 ", "\r\n\r\nimok");
    atomic_store(&healthy, false);
    expect(GET("/healthz"), "HTTP/1.1 503 ", "loop 0");
    expect(GET("/ruok"), "HTTP/1.1 503 ", "\r\n\r\n");
    expect(GET("/"), "HTTP/1.1 404 ", "/metrics");
    expect("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
           "HTTP/1.1 405 ", "only GET");
    expect("HEAD /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
           "Content-Length: 30");
}

static void metrics_tell_of_the_process(void **state)
{
    const char *text = talk(GET("/metrics"));
    assert_non_null(strstr(text, "text/plain; version=0.0.4"));
    const char *at = strstr(text, "\nprocess_open_fds ");
    assert_non_null(at);
    assert_true(strtod(at + 18, NULL) > 5);
    at = strstr(text, "\nprocess_resident_memory_bytes ");
    assert_non_null(at);
    assert_true(strtod(at + 31, NULL) > 1e6);
    at = strstr(text, "\nprocess_start_time_seconds ");
    assert_non_null(at);
    double started_s = strtod(at + 28, NULL), now_s = (double)env_wall_ms(n.env) / 1000;
    assert_true(started_s > now_s - 600 && started_s < now_s + 2);
    assert_non_null(strstr(text, "\nprocess_cpu_seconds_total "));
    assert_non_null(strstr(text, "\nkafka_server_kafkaserver_linux_disk_write_bytes "));
}

static void four_letters_are_answered(void **state)
{
    assert_string_equal(talk("ruok"), "imok");
    assert_string_equal(talk("ruok\n"), "imok");
    int fd = tcp_connect(admin_http_port(http));
    for (int i = 0; i < 4; i++) {
        tcp_send(fd, "ruok" + i, 1);
        sleep_ms(30);
    }
    char text[5] = "";
    assert_int_equal(tcp_recv(fd, text, 5), 4);
    assert_string_equal(text, "imok");
    close(fd);
    atomic_store(&healthy, false);
    assert_string_equal(talk("ruok"), "");
}

static void silent_and_half_greetings_do_not_block_others(void **state)
{
    int silent[10], half = tcp_connect(admin_http_port(http));
    tcp_send(half, "ru", 2);
    for (int i = 0; i < 10; i++)
        silent[i] = tcp_connect(admin_http_port(http));
    assert_string_equal(talk("ruok"), "imok");
    expect(GET("/healthz"), "HTTP/1.1 200 ", "loop 0");
    for (int i = 0; i < 10; i++)
        close(silent[i]);
    /* The half one was an HTTP method after all: no such method, but an answer. */
    tcp_send(half, "n / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 44);
    char text[13] = "";
    assert_int_equal(tcp_recv(half, text, 12), 12);
    assert_string_equal(text, "HTTP/1.1 405");
    close(half);
}

static void garbage_is_refused(void **state)
{
    const char *text = talk("\x01\x02garbage\r\n\r\n");
    assert_true(text[0] == '\0' || strncmp(text, "HTTP/1.1 400", 12) == 0);
    assert_string_equal(talk("ruok"), "imok");
}

static void a_port_in_use_is_an_error(void **state)
{
    struct endpoint endpoint = {.host = "127.0.0.1", .port = admin_http_port(http)};
    struct admin_http_handlers handlers = {is_healthy, is_ready, write_metrics, NULL};
    struct admin_http *second = NULL;
    assert_int_equal(admin_http_start(&endpoint, &handlers, &second), -EADDRINUSE);
    assert_null(second);
}

static _Atomic bool stuck;

static void be_stuck(struct task *task)
{
    while (atomic_load(&stuck))
        sleep_ms(1);
    free(task);
}

static void a_stuck_loop_is_noticed(void **state)
{
    struct bytebuf text;
    struct task *task = mem_calloc(1, sizeof(*task));
    task->run = be_stuck;
    atomic_store(&stuck, true);
    loop_post(n.env->loops[1], task);
    bytebuf_init(&text);
    assert_int_equal(loop_gather(n.env, visit, NULL, 2000, &text), -ETIMEDOUT);
    assert_int_equal(text.len, 14);
    assert_memory_equal(text.data, "loop 0\nloop 2\n", 14);
    atomic_store(&stuck, false);
    bytebuf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(pages_answer_by_state),     T(metrics_tell_of_the_process),
        T(four_letters_are_answered), T(silent_and_half_greetings_do_not_block_others),
        T(garbage_is_refused),        T(a_port_in_use_is_an_error),
        T(a_stuck_loop_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
