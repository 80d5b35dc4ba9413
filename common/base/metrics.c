#include "common/base/metrics_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct metrics *metrics_new(int shard_count)
{
    struct metrics *m = mem_calloc(1, sizeof(*m));
    pthread_mutex_init(&m->mutex, NULL);
    pthread_mutex_init(&m->render_mutex, NULL);
    m->shard_count = shard_count;
    m->shards = mem_calloc((size_t)shard_count, sizeof(*m->shards));
    map_init(&m->families, MAP_STR_BORROWED);
    return m;
}

static void metric_free(struct metrics *m, struct metric *metric)
{
    histogram_free(metric->histogram, m->shard_count);
    free(metric->labels);
    free(metric);
}

void metrics_free(struct metrics *m)
{
    if (m == NULL)
        return;
    MAP_FOR_EACH (entry, &m->families) {
        struct metric_family *family = entry->value;
        MAP_FOR_EACH (metric_entry, &family->metrics)
            metric_free(m, metric_entry->value);
        map_release(&family->metrics);
        free(family->name);
        free(family);
    }
    map_release(&m->families);
    for (int i = 0; i < m->shard_count; i++) {
        struct cell_slab *slab = m->shards[i].slabs;
        while (slab != NULL) {
            struct cell_slab *next = slab->next;
            free(slab);
            slab = next;
        }
        free(m->shards[i].free_cells);
    }
    free(m->shards);
    free(m->collectors);
    pthread_mutex_destroy(&m->mutex);
    pthread_mutex_destroy(&m->render_mutex);
    free(m);
}

static bool ends_with(struct str s, const char *end)
{
    return str_ends_with(s, str_of(end));
}

/* Lower case; what cannot stand in a Prometheus name becomes '_'. */
static size_t append_word(char *text, size_t at, size_t room, struct str word)
{
    for (int32_t i = 0; i < word.len && at < room; i++) {
        unsigned char c = (unsigned char)word.data[i];
        text[at++] = (char)(isalnum(c) ? tolower(c) : '_');
    }
    return at;
}

int metrics_name(enum metric_kind kind, const char *mbean, char *text, size_t room)
{
    struct str rest = str_of(mbean), domain, type, name;
    if (!str_split(&rest, ':', &domain) || !str_split(&rest, ',', &type) ||
        !str_starts_with(type, STR("type=")) || !str_starts_with(rest, STR("name=")))
        return -EINVAL;
    type = str_from(type.data + 5, (size_t)type.len - 5);
    name = str_from(rest.data + 5, (size_t)rest.len - 5);
    const char *suffix = "";
    if (kind == METRIC_COUNTER && ends_with(name, "PerSec")) {
        name.len -= 6;
        suffix = "_total";
    } else if (ends_with(name, "Percent")) {
        name.len -= 7;
        suffix = "_percent";
    }
    size_t at = append_word(text, 0, room, domain);
    at = append_word(text, at, room, STR("_"));
    /* These three the exporter's rules write together; elsewhere a dash is a '_'. */
    bool together = str_eq_z(type, "raft-metrics") || str_eq_z(type, "raft-channel-metrics") ||
                    str_eq_z(type, "broker-metadata-metrics");
    struct str part;
    while (together && str_split(&type, '-', &part))
        at = append_word(text, at, room, part);
    at = append_word(text, at, room, together ? part : type);
    at = append_word(text, at, room, STR("_"));
    at = append_word(text, at, room, name);
    at = append_word(text, at, room, str_of(suffix));
    if (at >= room)
        return -EINVAL;
    text[at] = '\0';
    return 0;
}

char *metric_labels_format(const struct metric_label *labels, int label_count)
{
    struct bytebuf b;
    bytebuf_init(&b);
    for (int i = 0; i < label_count; i++) {
        bytebuf_printf(&b, "%s%s=\"", i > 0 ? "," : "", labels[i].name);
        for (int32_t j = 0; j < labels[i].value.len; j++) {
            char c = labels[i].value.data[j];
            if (c == '\n')
                bytebuf_append(&b, "\\n", 2);
            else if (c == '"' || c == '\\')
                bytebuf_printf(&b, "\\%c", c);
            else
                bytebuf_append(&b, &c, 1);
        }
        bytebuf_append(&b, "\"", 1);
    }
    bytebuf_append(&b, "", 1);
    return (char *)b.data;
}

static _Atomic int64_t *cell_take(struct metrics_shard *shard)
{
    if (shard->free_count > 0) {
        _Atomic int64_t *cell = shard->free_cells[--shard->free_count];
        atomic_store(cell, 0);
        return cell;
    }
    if (shard->slabs == NULL || shard->used == ARRAY_LEN(shard->slabs->cells)) {
        struct cell_slab *slab = mem_calloc(1, sizeof(*slab));
        slab->next = shard->slabs;
        shard->slabs = slab;
        shard->used = 0;
    }
    return &shard->slabs->cells[shard->used++];
}

static struct metric_family *family_get(struct metrics *m, enum metric_kind kind, const char *mbean)
{
    char name[METRIC_NAME_ROOM];
    CHECK(metrics_name(kind, mbean, name, sizeof(name)) == 0);
    struct metric_family *family = map_get(&m->families, map_key_str(str_of(name)));
    if (family == NULL) {
        family = mem_calloc(1, sizeof(*family));
        family->name = mem_strdup(name);
        family->kind = kind;
        map_init(&family->metrics, MAP_STR_BORROWED);
        map_put(&m->families, map_key_str(str_of(family->name)), family);
    }
    CHECK(family->kind == kind);
    return family;
}

struct metric *metrics_register(struct metrics *m, enum metric_kind kind, const char *mbean,
                                const struct metric_label *labels, int label_count)
{
    char *text = metric_labels_format(labels, label_count);
    pthread_mutex_lock(&m->mutex);
    struct metric_family *family = family_get(m, kind, mbean);
    struct metric *metric = map_get(&family->metrics, map_key_str(str_of(text)));
    if (metric == NULL) {
        metric = mem_calloc(1, sizeof(*metric) + (size_t)m->shard_count * sizeof(metric->cells[0]));
        metric->family = family;
        metric->labels = text;
        text = NULL;
        for (int i = 0; i < m->shard_count; i++)
            metric->cells[i] = cell_take(&m->shards[i]);
        if (kind == METRIC_HISTOGRAM)
            metric->histogram = histogram_new(m->shard_count);
        map_put(&family->metrics, map_key_str(str_of(metric->labels)), metric);
    }
    metric->references++;
    pthread_mutex_unlock(&m->mutex);
    free(text);
    return metric;
}

void metrics_remove(struct metrics *m, struct metric *metric)
{
    if (metric == NULL)
        return;
    pthread_mutex_lock(&m->mutex);
    if (--metric->references == 0) {
        map_remove(&metric->family->metrics, map_key_str(str_of(metric->labels)));
        for (int i = 0; i < m->shard_count; i++) {
            struct metrics_shard *shard = &m->shards[i];
            VEC_PUSH(shard->free_cells, shard->free_count, shard->free_capacity) = metric->cells[i];
        }
        metric_free(m, metric);
    }
    pthread_mutex_unlock(&m->mutex);
}

int64_t metric_sum(const struct metrics *m, const struct metric *metric)
{
    int64_t sum = 0;
    for (int i = 0; i < m->shard_count; i++)
        sum += atomic_load_explicit(metric->cells[i], memory_order_relaxed);
    return sum;
}

void metrics_add_collector(struct metrics *m, void (*collect)(void *ctx, struct metrics_writer *),
                           void *ctx)
{
    pthread_mutex_lock(&m->render_mutex);
    VEC_PUSH(m->collectors, m->collector_count, m->collector_capacity) =
        (struct collector){collect, ctx};
    pthread_mutex_unlock(&m->render_mutex);
}

void metrics_remove_collector(struct metrics *m, void *ctx)
{
    pthread_mutex_lock(&m->render_mutex);
    size_t kept = 0;
    for (size_t i = 0; i < m->collector_count; i++)
        if (m->collectors[i].ctx != ctx)
            m->collectors[kept++] = m->collectors[i];
    m->collector_count = kept;
    pthread_mutex_unlock(&m->render_mutex);
}
