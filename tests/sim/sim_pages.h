/*
 * Contents of a simulated file: an array of 4 KiB pages, NULL for one that was never written (reads
 * as zeros). Pages are shared between copies and copied when written. Single-threaded.
 */
#ifndef KRAFTD_SIM_PAGES_H
#define KRAFTD_SIM_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SIM_PAGE_BYTES   4096
#define SIM_SECTOR_BYTES 512

struct sim_page;

struct sim_pages {
    struct sim_page **pages;
    size_t count, capacity; /* pages[count] and beyond do not exist */
    int64_t size_bytes;
};

void sim_pages_release(struct sim_pages *p);
/* Grows the size when it ends beyond it. */
void sim_pages_write(struct sim_pages *p, const void *data, size_t len, int64_t position);
/* Fewer bytes only at the end. */
size_t sim_pages_read(const struct sim_pages *p, void *ret_data, size_t len, int64_t position);
/* Cuts, or grows with zeros. */
void sim_pages_resize(struct sim_pages *p, int64_t size_bytes);
/* Pages [first, end) of `to` become those of `from`; sizes stay as they are. */
void sim_pages_share(struct sim_pages *to, const struct sim_pages *from, size_t first, size_t end);
/* `to` becomes equal to `from`. */
void sim_pages_assign(struct sim_pages *to, const struct sim_pages *from);

static inline size_t sim_page_end(int64_t position)
{
    return (size_t)((position + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES);
}

#endif
