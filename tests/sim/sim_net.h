/*
 * sim_net: the network between simulated processes, behind struct net_ops: streams with random
 * latency, bounded windows and bytes that arrive in random pieces, always in order. What a program
 * sees is what TCP shows: after kill -9 the peer gets an end or a reset; after a power cut it gets
 * nothing until its own bytes stay unanswered; over a cut link bytes wait, and come late or never.
 *
 * Every node is reached by its name or by 10.0.0.<index + 1>; localhost and 127.0.0.1 are itself.
 */
#ifndef KRAFTD_SIM_NET_H
#define KRAFTD_SIM_NET_H

#include "tests/sim/sim_env.h"

/* Bytes from `from` to `to` wait while it is cut; both directions for a partition. */
void sim_net_cut(struct sim_node *from, struct sim_node *to, bool cut);
void sim_net_heal(struct sim *sim);
/* Resets one connection at random between started streams; false when there is none. */
bool sim_net_reset_one(struct sim *sim);
/* Mean latency of a link; bandwidth in bytes per second. The same for all links. */
void sim_net_set_speed(struct sim *sim, int64_t latency_us, int64_t bandwidth);
/* A tenth of all pieces then takes that long in addition; 0 ends it. */
void sim_net_set_delay_spikes(struct sim *sim, int64_t spike_us);

#endif
