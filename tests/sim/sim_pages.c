#include "tests/sim/sim_pages.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct sim_page {
    uint32_t references;
    uint8_t data[SIM_PAGE_BYTES];
};

static void page_unref(struct sim_page *page)
{
    if (page && --page->references == 0)
        free(page);
}

static struct sim_page *page_ref(struct sim_page *page)
{
    if (page)
        page->references++;
    return page;
}

static void grow_count(struct sim_pages *p, size_t count)
{
    while (p->count < count)
        VEC_PUSH(p->pages, p->count, p->capacity) = NULL;
}

static void cut_count(struct sim_pages *p, size_t count)
{
    while (p->count > count)
        page_unref(p->pages[--p->count]);
}

/* The page for writing: there, and ours alone. */
static struct sim_page *own_page(struct sim_pages *p, size_t index)
{
    grow_count(p, index + 1);
    struct sim_page *page = p->pages[index];
    if (page && page->references == 1)
        return page;
    struct sim_page *own = mem_alloc(sizeof(*own));
    own->references = 1;
    if (page)
        memcpy(own->data, page->data, SIM_PAGE_BYTES);
    else
        memset(own->data, 0, SIM_PAGE_BYTES);
    page_unref(page);
    p->pages[index] = own;
    return own;
}

void sim_pages_release(struct sim_pages *p)
{
    cut_count(p, 0);
    free(p->pages);
    *p = (struct sim_pages){0};
}

void sim_pages_write(struct sim_pages *p, const void *data, size_t len, int64_t position)
{
    const uint8_t *from = data;
    while (len > 0) {
        size_t index = (size_t)(position / SIM_PAGE_BYTES);
        size_t offset = (size_t)(position % SIM_PAGE_BYTES);
        size_t part = MIN(len, SIM_PAGE_BYTES - offset);
        memcpy(own_page(p, index)->data + offset, from, part);
        from += part;
        len -= part;
        position += (int64_t)part;
    }
    p->size_bytes = MAX(p->size_bytes, position);
}

size_t sim_pages_read(const struct sim_pages *p, void *ret_data, size_t len, int64_t position)
{
    if (position >= p->size_bytes)
        return 0;
    len = (size_t)MIN((int64_t)len, p->size_bytes - position);
    uint8_t *to = ret_data;
    for (size_t left = len; left > 0;) {
        size_t index = (size_t)(position / SIM_PAGE_BYTES);
        size_t offset = (size_t)(position % SIM_PAGE_BYTES);
        size_t part = MIN(left, SIM_PAGE_BYTES - offset);
        if (index < p->count && p->pages[index])
            memcpy(to, p->pages[index]->data + offset, part);
        else
            memset(to, 0, part);
        to += part;
        left -= part;
        position += (int64_t)part;
    }
    return len;
}

void sim_pages_resize(struct sim_pages *p, int64_t size_bytes)
{
    if (size_bytes < p->size_bytes) {
        cut_count(p, MIN(p->count, sim_page_end(size_bytes)));
        size_t rest = (size_t)(size_bytes % SIM_PAGE_BYTES);
        size_t last = (size_t)(size_bytes / SIM_PAGE_BYTES);
        if (rest > 0 && last < p->count && p->pages[last])
            memset(own_page(p, last)->data + rest, 0, SIM_PAGE_BYTES - rest);
    }
    p->size_bytes = size_bytes;
}

void sim_pages_share(struct sim_pages *to, const struct sim_pages *from, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        struct sim_page *page = i < from->count ? from->pages[i] : NULL;
        if (!page && i >= to->count)
            continue;
        grow_count(to, i + 1);
        page_ref(page);
        page_unref(to->pages[i]);
        to->pages[i] = page;
    }
}

void sim_pages_assign(struct sim_pages *to, const struct sim_pages *from)
{
    sim_pages_share(to, from, 0, from->count);
    cut_count(to, from->count);
    to->size_bytes = from->size_bytes;
}
