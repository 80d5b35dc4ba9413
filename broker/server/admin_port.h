/*
 * What the admin port (broker/admin/admin_http.h) answers for a node: healthy while every loop
 * comes round, ready while clients are served, and the metrics of the registry.
 *
 * Started before the node, so that a long recovery can be watched; stopped on loop 0 when the node
 * has stopped and the loops still run.
 */
#ifndef KRAFTD_BROKER_SERVER_ADMIN_PORT_H
#define KRAFTD_BROKER_SERVER_ADMIN_PORT_H

struct admin_port;
struct metrics;
struct node;

/*
 * Reads kraftd.admin.listener. 0, with NULL where there is no port: none is configured, or the
 * default one is in use and nobody asked for it (logged). A negative errno, logged, where the
 * configured one cannot be served. node and metrics outlive it.
 */
int admin_port_start(struct node *node, struct metrics *metrics, struct admin_port **ret_port);
/* NULL is fine. */
void admin_port_stop(struct admin_port *port);

#endif
