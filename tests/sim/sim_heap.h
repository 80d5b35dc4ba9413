/*
 * sim_heap: who allocated what, so that a simulated process can die at any moment: all that it
 * allocated is freed at once, none of its own code runs. malloc and its relatives are wrapped by
 * the linker in programs that link kraftd_sim_env; what is allocated while a heap is entered
 * belongs to it until it is freed, from wherever. Memory that the C library allocates by itself is
 * not seen (it is still freed normally). Single-threaded.
 */
#ifndef KRAFTD_SIM_HEAP_H
#define KRAFTD_SIM_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct sim_heap;

struct sim_heap *sim_heap_new(void);
/* Frees all that still belongs to it. The heap must not be entered. */
void sim_heap_free(struct sim_heap *heap);
/* From now on allocations belong to `heap` (NULL: to nobody). Returns what was entered before, to
 * go back to. */
struct sim_heap *sim_heap_enter(struct sim_heap *heap);
/* Blocks that belong to it. */
size_t sim_heap_blocks(const struct sim_heap *heap);
/* How many allocations there were, those that moved a block among them. */
uint64_t sim_heap_allocations(const struct sim_heap *heap);

#endif
