/*
 * Changes of in-sync replicas on their way to the controller: what the leaders of all loops propose
 * goes out together, one AlterPartition at a time (KIP-497), and each answer goes back to the loop
 * that owns the partition.
 *
 * Proposals come from any loop; all else is on loop 0. While there is no controller, or it does not
 * know this broker, proposals are kept and sent again.
 */
#ifndef KRAFTD_BROKER_SERVER_ISR_CHANGES_H
#define KRAFTD_BROKER_SERVER_ISR_CHANGES_H

struct isr_changes;
struct isr_proposal;
struct node;
struct partition;
struct shard;

struct isr_changes *isr_changes_new(struct node *node);
/* After isr_changes_stop, when no call is under way and no loop runs. NULL is fine. */
void isr_changes_free(struct isr_changes *changes);

/* On the shard's loop; copies the proposal. */
void isr_changes_propose(struct isr_changes *changes, struct shard *shard, struct partition *p,
                         const struct isr_proposal *proposal);
/* Nothing more is sent. */
void isr_changes_stop(struct isr_changes *changes);

#endif
