/*
 * The text format: for each family one line "# TYPE name kind", then its samples. Samples of one
 * family must stand together, whoever wrote them, so each family is gathered on its own first.
 */
#include "common/base/metrics_internal.h"

#include "common/base/check.h"
#include "common/base/mem.h"

#include <math.h>
#include <stdlib.h>

struct written_family {
    char *name;
    enum metric_kind kind;
    struct bytebuf samples;
};

struct metrics_writer {
    struct map families; /* written_family by name */
};

static struct written_family *family_of(struct metrics_writer *w, enum metric_kind kind,
                                        const char *name)
{
    struct written_family *family = map_get(&w->families, map_key_str(str_of(name)));
    if (family == NULL) {
        family = mem_calloc(1, sizeof(*family));
        family->name = mem_strdup(name);
        family->kind = kind;
        bytebuf_init(&family->samples);
        map_put(&w->families, map_key_str(str_of(family->name)), family);
    }
    return family;
}

static void write_sample(struct bytebuf *out, const char *name, const char *suffix,
                         const char *labels, const char *quantile, double value)
{
    bool has_labels = labels[0] != '\0';
    bytebuf_printf(out, "%s%s", name, suffix);
    if (has_labels || quantile != NULL)
        bytebuf_printf(out, "{%s%s%s%s%s}", labels, has_labels && quantile ? "," : "",
                       quantile ? "quantile=\"" : "", quantile ? quantile : "",
                       quantile ? "\"" : "");
    if (isnan(value))
        bytebuf_printf(out, " NaN\n");
    else if (value == floor(value) && fabs(value) < 9e15)
        bytebuf_printf(out, " %.0f\n", value);
    else
        bytebuf_printf(out, " %.15g\n", value);
}

void metrics_write_plain(struct metrics_writer *w, enum metric_kind kind, const char *name,
                         const struct metric_label *labels, int label_count, double value)
{
    char *text = metric_labels_format(labels, label_count);
    write_sample(&family_of(w, kind, name)->samples, name, "", text, NULL, value);
    free(text);
}

void metrics_write(struct metrics_writer *w, enum metric_kind kind, const char *mbean,
                   const struct metric_label *labels, int label_count, double value)
{
    char name[METRIC_NAME_ROOM];
    CHECK(metrics_name(kind, mbean, name, sizeof(name)) == 0);
    metrics_write_plain(w, kind, name, labels, label_count, value);
}

static void write_histogram(const struct metrics *m, struct metric *metric, int64_t now_us,
                            struct bytebuf *out)
{
    static const char *const names[] = {"0.50", "0.75", "0.95", "0.98", "0.99", "0.999"};
    static const double shares[] = {0.5, 0.75, 0.95, 0.98, 0.99, 0.999};
    double values[ARRAY_LEN(shares)];
    histogram_quantiles(metric->histogram, m->shard_count, now_us, shares, ARRAY_LEN(shares),
                        values);
    for (size_t i = 0; i < ARRAY_LEN(shares); i++)
        write_sample(out, metric->family->name, "", metric->labels, names[i], values[i]);
    write_sample(out, metric->family->name, "_count", metric->labels, NULL,
                 (double)metric_sum(m, metric));
}

static void write_registered(const struct metrics *m, struct metric_family *family, int64_t now_us,
                             struct metrics_writer *w)
{
    if (family->metrics.count == 0)
        return;
    struct bytebuf *out = &family_of(w, family->kind, family->name)->samples;
    MAP_FOR_EACH (entry, &family->metrics) {
        struct metric *metric = entry->value;
        if (family->kind == METRIC_HISTOGRAM)
            write_histogram(m, metric, now_us, out);
        else
            write_sample(out, family->name, "", metric->labels, NULL,
                         (double)metric_sum(m, metric));
    }
}

void metrics_render(struct metrics *m, int64_t now_us, struct bytebuf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "summary"};
    struct metrics_writer w;
    map_init(&w.families, MAP_STR_BORROWED);
    pthread_mutex_lock(&m->render_mutex);
    pthread_mutex_lock(&m->mutex);
    MAP_FOR_EACH (entry, &m->families)
        write_registered(m, entry->value, now_us, &w);
    pthread_mutex_unlock(&m->mutex);
    for (size_t i = 0; i < m->collector_count; i++)
        m->collectors[i].collect(m->collectors[i].ctx, &w);
    pthread_mutex_unlock(&m->render_mutex);
    MAP_FOR_EACH (entry, &w.families) {
        struct written_family *family = entry->value;
        bytebuf_printf(out, "# TYPE %s %s\n", family->name, kinds[family->kind]);
        bytebuf_append(out, family->samples.data, family->samples.len);
        bytebuf_release(&family->samples);
        free(family->name);
        free(family);
    }
    map_release(&w.families);
}
