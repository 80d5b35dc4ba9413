#include "tests/unit/common/net/tcp_test.h"

#include <fcntl.h>

/* A side of a connection whose callbacks run on a loop and note what happened. */
struct side {
    struct loop *loop;
    struct stream *stream;
    struct buf *wanted_back; /* written as soon as the stream starts */
    char room[1000];
    uint8_t *data;
    size_t len, capacity;
    _Atomic size_t received;
    _Atomic int end_count;
    _Atomic int end_status;
    _Atomic size_t most_queued;
    _Atomic int sent_calls;
    _Atomic bool closed;
    bool echo, pause_at_start;
    struct task hand_over;
};

static struct net_env n;
static struct side side;
static struct listener *listener;
static uint16_t port;

static void *read_room(void *owner, size_t *ret_len)
{
    struct side *s = owner;
    *ret_len = sizeof(s->room);
    return s->room;
}

static void write_bytes(struct side *s, const void *data, size_t len)
{
    struct out_chunk chunk = {.buf = buf_copy(data, len), .len = len};
    stream_write(s->stream, &chunk, 1);
}

static void on_read(void *owner, size_t len)
{
    struct side *s = owner;
    for (size_t i = 0; i < len; i++)
        VEC_PUSH(s->data, s->len, s->capacity) = (uint8_t)s->room[i];
    if (s->echo)
        write_bytes(s, s->room, len);
    atomic_store(&s->received, s->len);
}

static void on_end(void *owner, int status)
{
    struct side *s = owner;
    atomic_store(&s->end_status, status);
    atomic_fetch_add(&s->end_count, 1);
}

static void on_sent(void *owner, size_t queued_bytes)
{
    struct side *s = owner;
    atomic_fetch_add(&s->sent_calls, 1);
    if (queued_bytes > atomic_load(&s->most_queued))
        atomic_store(&s->most_queued, queued_bytes);
}

static const struct stream_handler handler = {read_room, on_read, on_end, on_sent};

static _Atomic(struct stream *) accepted;

static void start_side(struct task *task)
{
    struct side *s = CONTAINER_OF(task, struct side, hand_over);
    stream_start(s->stream, s->loop, &handler, s);
    if (s->pause_at_start)
        stream_read_pause(s->stream);
    if (s->wanted_back != NULL) {
        struct out_chunk chunk = {.buf = s->wanted_back, .len = s->wanted_back->size_bytes};
        stream_write(s->stream, &chunk, 1);
    }
    atomic_store(&accepted, s->stream);
}

/* Accepted on loop 0, started on the side's loop. */
static void on_accept(void *owner, struct stream *stream)
{
    struct side *s = owner;
    if (s->stream != NULL) {
        stream_close(n.env, stream, false, NULL, NULL); /* never started: dropped */
        return;
    }
    s->stream = stream;
    s->hand_over.run = start_side;
    loop_post(s->loop, &s->hand_over);
}

static void open_listener(void *arg)
{
    struct endpoint endpoint = {.host = "127.0.0.1"};
    CHECK(n.env->net->listen(n.env->loops[0], &endpoint, 0, on_accept, &side, &listener) == 0);
    port = n.env->net->listener_port(listener);
}

static void close_listener(void *arg)
{
    n.env->net->listener_close(listener);
}

static void side_closed(void *owner)
{
    atomic_store(&((struct side *)owner)->closed, true);
}

static void close_now(void *arg)
{
    stream_close(n.env, side.stream, false, side_closed, &side);
}

static void close_flushed(void *arg)
{
    stream_close(n.env, side.stream, true, side_closed, &side);
}

static int set_up(void **state)
{
    net_env_start(&n, 2);
    side = (struct side){.loop = n.env->loops[1]};
    atomic_store(&accepted, NULL);
    on_loop(n.env->loops[0], open_listener, NULL);
    return 0;
}

static int tear_down(void **state)
{
    if (side.stream != NULL && !atomic_load(&side.closed)) {
        on_loop(side.loop, close_now, NULL);
        WAIT_FOR(atomic_load(&side.closed));
    }
    on_loop(n.env->loops[0], close_listener, NULL);
    net_env_stop(&n);
    free(side.data);
    return 0;
}

static int connect_side(void)
{
    int fd = tcp_connect(port);
    WAIT_FOR(atomic_load(&accepted) != NULL);
    return fd;
}

static void bytes_pass_both_ways_on_another_loop(void **state)
{
    side.echo = true;
    int fd = connect_side();
    char sent[20000], back[20000];
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i * 7);
    tcp_send(fd, sent, sizeof(sent));
    assert_int_equal(tcp_recv(fd, back, sizeof(back)), sizeof(back));
    assert_memory_equal(sent, back, sizeof(sent));
    assert_string_equal(side.stream->peer.host, "127.0.0.1");
    close(fd);
    WAIT_FOR(atomic_load(&side.end_count) == 1);
    assert_int_equal(atomic_load(&side.end_status), 0);
}

/* The peer has ended its side only: what is written still arrives. */
static void write_answer(void *arg)
{
    write_bytes(&side, "answer", 6);
}

static void writing_goes_on_after_the_peers_end(void **state)
{
    int fd = connect_side();
    shutdown(fd, SHUT_WR);
    WAIT_FOR(atomic_load(&side.end_count) == 1);
    assert_int_equal(atomic_load(&side.end_status), 0);
    on_loop(side.loop, write_answer, NULL);
    char got[7];
    assert_int_equal(tcp_recv(fd, got, 6), 6);
    on_loop(side.loop, close_flushed, NULL);
    assert_true(tcp_at_end(fd));
    WAIT_FOR(atomic_load(&side.closed));
    close(fd);
}

static void flush_sends_all_before_the_end(void **state)
{
    struct buf *big = buf_new(8000000);
    for (size_t i = 0; i < big->size_bytes; i++)
        big->data[i] = (uint8_t)(i % 251);
    side.wanted_back = big;
    int fd = connect_side();
    on_loop(side.loop, close_flushed, NULL);
    assert_false(atomic_load(&side.closed)); /* the socket buffers cannot hold it all */
    uint8_t *got = mem_alloc(8000001);
    assert_int_equal(tcp_recv(fd, got, 8000001), 8000000);
    for (size_t i = 0; i < 8000000; i++)
        CHECK(got[i] == i % 251);
    free(got);
    WAIT_FOR(atomic_load(&side.closed));
    close(fd);
}

/* Unread input must not turn our end into a reset that overtakes the answer. */
static void flush_survives_unread_input(void **state)
{
    side.pause_at_start = true;
    side.wanted_back = buf_copy("answer", 6);
    int fd = connect_side();
    static char junk[100000];
    tcp_send(fd, junk, sizeof(junk));
    sleep_ms(20);
    on_loop(side.loop, close_flushed, NULL);
    sleep_ms(20);
    tcp_send(fd, junk, sizeof(junk));
    char got[7];
    assert_int_equal(tcp_recv(fd, got, 7), 6);
    assert_memory_equal(got, "answer", 6);
    close(fd);
    WAIT_FOR(atomic_load(&side.closed));
}

static void a_close_without_flush_drops_the_output(void **state)
{
    side.wanted_back = buf_new(30000000);
    memset(side.wanted_back->data, 1, 30000000);
    int fd = connect_side();
    on_loop(side.loop, close_now, NULL);
    WAIT_FOR(atomic_load(&side.closed));
    uint8_t *got = mem_alloc(30000000);
    assert_true(tcp_recv(fd, got, 30000000) < 30000000);
    free(got);
    close(fd);
}

static void resume_side(void *arg)
{
    stream_read_resume(side.stream);
}

static void reading_stops_while_paused(void **state)
{
    side.pause_at_start = true;
    int fd = connect_side();
    tcp_send(fd, "hello", 5);
    sleep_ms(50);
    assert_int_equal(atomic_load(&side.received), 0);
    on_loop(side.loop, resume_side, NULL);
    WAIT_FOR(atomic_load(&side.received) == 5);
    close(fd);
}

static void a_reset_is_told_once(void **state)
{
    side.wanted_back = buf_new(30000000);
    memset(side.wanted_back->data, 1, 30000000);
    int fd = connect_side();
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    WAIT_FOR(atomic_load(&side.end_count) == 1);
    assert_true(atomic_load(&side.end_status) == -ECONNRESET ||
                atomic_load(&side.end_status) == -EPIPE);
    sleep_ms(20);
    assert_int_equal(atomic_load(&side.end_count), 1);
    assert_int_equal(side.stream->queued_bytes, 0);
}

/* Files. */

static char file_path[] = "/tmp/test_uv_stream.XXXXXX";

static struct disk_file *make_file(size_t len)
{
    int fd = mkstemp(file_path);
    assert_true(fd >= 0);
    uint8_t *data = mem_alloc(len);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i % 253);
    assert_int_equal(write(fd, data, len), len);
    free(data);
    close(fd);
    struct disk_file *file;
    assert_int_equal(disk_open(n.disk, file_path, DISK_WRITE, &file), 0);
    unlink(file_path);
    memcpy(file_path + sizeof(file_path) - 7, "XXXXXX", 6);
    return file;
}

struct file_write {
    struct disk_file *file;
    struct out_chunk chunks[8];
    int count;
};

static void write_file(void *arg)
{
    struct file_write *w = arg;
    stream_write(side.stream, w->chunks, w->count);
}

static void pieces_of_files_go_out_between_bytes(void **state)
{
    enum { SIZE = 3000000 };
    int fd = connect_side();
    struct disk_file *file = make_file(SIZE);
    struct file_write w = {.file = file, .count = 7};
    w.chunks[0] = (struct out_chunk){.buf = buf_copy("head", 4), .len = 4};
    w.chunks[1] = (struct out_chunk){.file = disk_file_ref(file), .position = 0, .len = SIZE};
    w.chunks[2] = (struct out_chunk){.buf = buf_copy("xmiddle", 7), .position = 1, .len = 6};
    w.chunks[3] = (struct out_chunk){.file = disk_file_ref(file), .position = 1000, .len = 500};
    w.chunks[4] = (struct out_chunk){.file = disk_file_ref(file), .position = 5, .len = 0};
    w.chunks[5] = (struct out_chunk){.file = disk_file_ref(file), .position = 7, .len = 100000};
    w.chunks[6] = (struct out_chunk){.buf = buf_copy("tail", 4), .len = 4};
    on_loop(side.loop, write_file, &w);
    size_t total = 4 + SIZE + 6 + 500 + 100000 + 4;
    uint8_t *got = mem_alloc(total);
    assert_int_equal(tcp_recv(fd, got, total), total);
    assert_memory_equal(got, "head", 4);
    uint8_t *at = got + 4;
    for (size_t i = 0; i < SIZE; i++)
        CHECK(at[i] == i % 253);
    at += SIZE;
    assert_memory_equal(at, "middle", 6);
    at += 6;
    for (size_t i = 0; i < 500; i++)
        CHECK(at[i] == (i + 1000) % 253);
    at += 500;
    for (size_t i = 0; i < 100000; i++)
        CHECK(at[i] == (i + 7) % 253);
    assert_memory_equal(at + 100000, "tail", 4);
    free(got);
    WAIT_FOR(atomic_load(&file->references) == 1);
    disk_file_unref(file);
    close(fd);
}

static void a_file_cut_off_breaks_the_stream(size_t len)
{
    int fd = connect_side();
    struct disk_file *file = make_file(len);
    struct file_write w = {.count = 1};
    w.chunks[0] = (struct out_chunk){.file = disk_file_ref(file), .position = 0, .len = len + 1};
    on_loop(side.loop, write_file, &w);
    uint8_t *got = mem_alloc(len + 1);
    WAIT_FOR(atomic_load(&side.end_count) == 1);
    assert_int_equal(atomic_load(&side.end_status), -EIO);
    on_loop(side.loop, close_now, NULL);
    assert_true(tcp_recv(fd, got, len + 1) <= len);
    free(got);
    assert_int_equal(atomic_load(&file->references), 1);
    disk_file_unref(file);
    close(fd);
}

static void a_long_file_cut_off_breaks_the_stream(void **state)
{
    a_file_cut_off_breaks_the_stream(100000);
}

static void a_short_file_cut_off_breaks_the_stream(void **state)
{
    a_file_cut_off_breaks_the_stream(100);
}

/* All that is written in one turn goes out at once: one on_sent for sixty writes. */
static void write_many(void *arg)
{
    for (int i = 0; i < 60; i++)
        write_bytes(&side, "0123456789", 10);
}

static void writes_of_one_turn_go_out_together(void **state)
{
    int fd = connect_side();
    on_loop(side.loop, write_many, NULL);
    char got[600];
    assert_int_equal(tcp_recv(fd, got, 600), 600);
    assert_int_equal(atomic_load(&side.sent_calls), 1);
    close(fd);
}

static void a_stream_never_started_is_dropped(void **state)
{
    int fd = connect_side();
    int second = tcp_connect(port);
    assert_true(tcp_at_end(second));
    close(second);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(bytes_pass_both_ways_on_another_loop),
        T(writing_goes_on_after_the_peers_end),
        T(flush_sends_all_before_the_end),
        T(flush_survives_unread_input),
        T(a_close_without_flush_drops_the_output),
        T(reading_stops_while_paused),
        T(a_reset_is_told_once),
        T(pieces_of_files_go_out_between_bytes),
        T(a_long_file_cut_off_breaks_the_stream),
        T(a_short_file_cut_off_breaks_the_stream),
        T(writes_of_one_turn_go_out_together),
        T(a_stream_never_started_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
