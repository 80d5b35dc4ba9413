/*
 * This controller towards the active one: registers where it listens and what it supports
 * (KIP-919), again whenever the metadata do not know this process. Whoever asks for the controllers
 * of the cluster, or wants to raise a feature, relies on it. Loop 0.
 */
#ifndef KRAFTD_BROKER_SERVER_CONTROLLER_LIFECYCLE_H
#define KRAFTD_BROKER_SERVER_CONTROLLER_LIFECYCLE_H

struct controller_lifecycle;
struct node;

struct controller_lifecycle *controller_lifecycle_new(struct node *node);
/* NULL is fine. After the controller channel has stopped. */
void controller_lifecycle_free(struct controller_lifecycle *lifecycle);

/* From now on it registers; the listeners are open. */
void controller_lifecycle_start(struct controller_lifecycle *lifecycle);
void controller_lifecycle_stop(struct controller_lifecycle *lifecycle);
/* A new image is out. */
void controller_lifecycle_image(struct controller_lifecycle *lifecycle);

#endif
