#include "common/net/blocking_client.h"
#include "tests/unit/common/net/tcp_test.h"

static int listen_fd;
static struct endpoint endpoint;

static int set_up(void **state)
{
    memcpy(endpoint.host, "127.0.0.1", 10);
    listen_fd = tcp_listen(&endpoint.port);
    return 0;
}

static int tear_down(void **state)
{
    close(listen_fd);
    return 0;
}

static struct blocking_client *connect_pair(int *ret_fd)
{
    struct blocking_client *client = NULL;
    assert_int_equal(blocking_client_connect(&endpoint, 5000, &client), 0);
    *ret_fd = accept(listen_fd, NULL, NULL);
    assert_true(*ret_fd >= 0);
    return client;
}

static void frames_pass_both_ways(void **state)
{
    int fd;
    struct blocking_client *client = connect_pair(&fd);
    struct buf *frame = NULL;
    assert_string_equal(blocking_client_peer(client)->host, "127.0.0.1");
    assert_int_equal(blocking_client_peer(client)->port, endpoint.port);
    assert_int_equal(blocking_client_send(client, "\0\0\0\2hi", 6, PATIENCE_MS), 0);
    expect_frame(fd, "hi");
    tcp_send(fd, "\0\0\0\5hel", 7);
    sleep_ms(5);
    tcp_send(fd, "lo\0\0\0\0", 6);
    assert_int_equal(blocking_client_receive(client, 5, PATIENCE_MS, &frame), 0);
    assert_int_equal(frame->size_bytes, 5);
    assert_memory_equal(frame->data, "hello", 5);
    buf_unref(frame);
    assert_int_equal(blocking_client_receive(client, 5, PATIENCE_MS, &frame), 0);
    assert_int_equal(frame->size_bytes, 0);
    buf_unref(frame);
    close(fd);
    blocking_client_free(client);
}

static void check_receive(const void *bytes, size_t len, bool end, int status)
{
    int fd;
    struct blocking_client *client = connect_pair(&fd);
    struct buf *frame = NULL;
    tcp_send(fd, bytes, len);
    if (end)
        close(fd);
    assert_int_equal(blocking_client_receive(client, 100, 50, &frame), status);
    assert_null(frame);
    if (!end)
        close(fd);
    blocking_client_free(client);
}

static void bad_answers_are_errors(void **state)
{
    check_receive("\xff\xff\xff\xff", 4, false, -EPROTO);
    check_receive("\0\0\0\x65", 4, false, -EMSGSIZE);
    check_receive("\0\0\0\3ab", 6, false, -ETIMEDOUT);
    check_receive("\0\0\0\3ab", 6, true, -ECONNRESET);
    check_receive("\0\0", 2, true, -ECONNRESET);
}

static void a_peer_that_does_not_read_times_out(void **state)
{
    int fd;
    struct blocking_client *client = connect_pair(&fd);
    uint8_t *data = mem_calloc(1, 30000000);
    assert_int_equal(blocking_client_send(client, data, 30000000, 100), -ETIMEDOUT);
    free(data);
    close(fd);
    blocking_client_free(client);
}

static void connect_errors(void **state)
{
    struct blocking_client *client = NULL;
    struct endpoint other = {.host = "127.0.0.1"};
    int fd = tcp_listen(&other.port);
    close(fd);
    assert_int_equal(blocking_client_connect(&other, PATIENCE_MS, &client), -ECONNREFUSED);
    memcpy(other.host, "no-such-host.invalid", 21);
    assert_true(blocking_client_connect(&other, 1000, &client) < 0);
    assert_null(client);
    blocking_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(frames_pass_both_ways),
        T(bad_answers_are_errors),
        T(a_peer_that_does_not_read_times_out),
        T(connect_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
