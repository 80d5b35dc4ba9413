/*
 * Inside of the simulated network. sim_net.c: listening, connecting, links and death.
 * sim_stream.c: the ends of a connection and the bytes between them.
 */
#ifndef KRAFTD_SIM_NET_INTERNAL_H
#define KRAFTD_SIM_NET_INTERNAL_H

#include "tests/sim/sim_internal.h"

struct listener {
    struct list link; /* in sim_net */
    struct sim_node *node;
    struct loop *loop;
    uint16_t port;
    int pending; /* ends that wait for on_accept; they keep it */
    bool closed;
    void (*on_accept)(void *owner, struct stream *);
    void *owner;
};

/* Bytes on their way or in the receiver's kernel; or the end of the stream. */
struct segment {
    struct list link;
    int64_t arrives_us;
    bool end;   /* no bytes: */
    int status; /* 0 in order, else a reset */
    size_t len, taken;
    uint8_t data[];
};

/* One end of a connection: the kernel's part, which may outlive the process. */
struct sim_end {
    struct stream base;
    struct list link; /* in sim_net */
    struct sim_net *net;
    struct sim_node *home;
    struct sim_node *remote;
    struct sim_end *peer;       /* NULL: the other kernel knows nothing of it (any more) */
    struct listener *accepting; /* until on_accept ran */
    struct task task;
    bool owned; /* a program has it; base is valid */
    bool started, paused, task_queued;
    bool sent;  /* on_sent is due */
    bool ended; /* an end or reset arrived: end_status */
    bool told;  /* on_end was called */
    int end_status;
    /* Output: what the program wrote, then what is on its way. */
    struct out_chunk *chunks;
    size_t chunk_first, chunk_count, chunk_capacity;
    bool finishing, finished; /* an end follows the chunks; it is on its way */
    struct list on_the_way;
    size_t on_the_way_bytes;
    int64_t last_arrival_us, stalled_since_us;
    struct sim_event arrival;
    /* Input: arrived, not read. */
    struct list received;
    size_t received_bytes;
    /* Closing by the owner. */
    bool closing;
    struct sim_event flush_limit;
    void (*closed)(void *owner);
    void *closed_owner;
};

struct connecting {
    struct list link;
    struct sim_net *net;
    struct sim_node *home;
    struct loop *loop;
    struct endpoint endpoint;
    int64_t gives_up_us;
    struct sim_event event;
    struct task task;
    struct sim_end *end; /* the result */
    int status;
    void (*connected)(void *owner, struct stream *, int status);
    void *owner;
};

struct sim_net {
    struct sim *sim;
    struct sim_random random;
    struct list listeners, ends, connecting;
    int64_t latency_us, bandwidth, spike_us;
    uint16_t next_port;
};

/* sim_net.c */
bool sim_link_is_cut(const struct sim_node *from, const struct sim_node *to);
int64_t sim_link_delay(struct sim_net *net, const struct sim_node *from, const struct sim_node *to);
/* Frees a closed listener that nothing waits for any more. */
void sim_listener_drop_closed(struct listener *listener);

/* sim_stream.c */
struct sim_end *sim_end_new(struct sim_net *net, struct sim_node *home, struct sim_node *remote);
/* The owner has nothing more to do with it; the kernel may still. */
void sim_end_disown(struct sim_end *end);
/* Frees at once; the peer's kernel will know nothing of it. */
void sim_end_drop(struct sim_end *end);
/* A reset or timeout arrives here: no byte goes either way any more. */
void sim_end_reset(struct sim_end *end, int status);
/* An end goes to the peer behind what is on its way. */
void sim_end_finish(struct sim_end *end, int status);
void sim_end_forget_output(struct sim_end *end, bool unref);
void sim_stream_start(struct stream *s, struct loop *loop, const struct stream_handler *handler,
                      void *owner);
void sim_stream_read_pause(struct stream *s);
void sim_stream_read_resume(struct stream *s);
void sim_stream_write(struct stream *s, struct out_chunk *chunks, int count);
void sim_stream_close(struct stream *s, bool flush, void (*closed)(void *owner), void *owner);

static inline struct sim_end *sim_end_of(struct stream *s)
{
    return CONTAINER_OF(s, struct sim_end, base);
}

#endif
