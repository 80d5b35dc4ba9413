/*
 * A node's admin port (kraftd.admin.listener): admin_http.h with what a node has to say.
 *
 *   /healthz   every loop comes round
 *   /readyz    the node serves clients
 *   /metrics   the node's metrics and those of the process
 *
 * start: any thread, before or while the loops run. stop: while they still run, on a worker: it
 * waits for an answer that is being made, which may wait for the loops.
 */
#ifndef KRAFTD_BROKER_ADMIN_BROKER_ADMIN_H
#define KRAFTD_BROKER_ADMIN_BROKER_ADMIN_H

#include <stdint.h>

struct broker_admin;
struct node;

/* 0, also where there is to be none (*ret_admin is NULL then), or where only the default port is
 * taken, which is logged; else an errno whose reason was logged. */
int broker_admin_start(struct node *node, struct broker_admin **ret_admin);
uint16_t broker_admin_port(const struct broker_admin *admin);
/* NULL is fine. */
void broker_admin_stop(struct broker_admin *admin);

#endif
