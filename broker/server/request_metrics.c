#include "broker/server/request_metrics.h"

#include "broker/server/broker_metrics.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/connection.h"
#include "common/protocol/messages/fetch.h"

#include <stdio.h>
#include <stdlib.h>

enum request_histogram {
    REQUEST_QUEUE,
    LOCAL,
    REMOTE,
    THROTTLE,
    RESPONSE_QUEUE,
    RESPONSE_SEND,
    TOTAL,
    SIZE,
    HISTOGRAM_COUNT,
};

enum {
    VERSIONS_MAX = 32,
    ERRORS_MAX = 192, /* codes from -1 on */
    TIMINGS_KEPT = 256,
};

/* Where the error codes of a response are: in a struct itself, and in those that it holds. */
struct error_plan {
    const struct field_desc *own; /* ErrorCode, or NULL */
    int child_count;
    struct error_child {
        const struct field_desc *field; /* a struct, or an array of structs */
        struct error_plan *plan;
    } * children;
};

/* What is counted under one name. */
struct request_kind {
    struct str name;
    struct metric *requests[VERSIONS_MAX]; /* NULL until there was one */
    struct metric *histograms[HISTOGRAM_COUNT];
    struct metric *errors[ERRORS_MAX];
    struct error_plan *plan; /* NULL: errors are not counted under this name */
};

struct request_timing {
    struct request_timing *next; /* spare ones */
    struct shard_metrics *metrics;
    struct env *env;
    struct request_kind *kind, *second; /* NULL: it was never handled; of a Fetch */
    int16_t version;
    int64_t start_us, local_end_us;
    bool *gone; /* set when it is over while its handler is still running */
};

static const char *const histogram_mbeans[HISTOGRAM_COUNT] = {
    [REQUEST_QUEUE] = "kafka.network:type=RequestMetrics,name=RequestQueueTimeMs",
    [LOCAL] = "kafka.network:type=RequestMetrics,name=LocalTimeMs",
    [REMOTE] = "kafka.network:type=RequestMetrics,name=RemoteTimeMs",
    [THROTTLE] = "kafka.network:type=RequestMetrics,name=ThrottleTimeMs",
    [RESPONSE_QUEUE] = "kafka.network:type=RequestMetrics,name=ResponseQueueTimeMs",
    [RESPONSE_SEND] = "kafka.network:type=RequestMetrics,name=ResponseSendTimeMs",
    [TOTAL] = "kafka.network:type=RequestMetrics,name=TotalTimeMs",
    [SIZE] = "kafka.network:type=RequestMetrics,name=RequestBytes",
};

static void plan_free(struct error_plan *plan)
{
    if (plan == NULL)
        return;
    for (int i = 0; i < plan->child_count; i++)
        plan_free(plan->children[i].plan);
    free(plan->children);
    free(plan);
}

/* NULL when there is no error code anywhere in it. */
static struct error_plan *plan_new(const struct struct_desc *desc)
{
    struct error_plan *plan = mem_calloc(1, sizeof(*plan));
    size_t count = 0, capacity = 0;
    for (int i = 0; i < desc->field_count; i++) {
        const struct field_desc *field = &desc->fields[i];
        if (field->type == FIELD_INT16 && strcmp(field->name, "ErrorCode") == 0)
            plan->own = field;
        bool is_array = field->type == FIELD_ARRAY && field->element == FIELD_STRUCT;
        if (!is_array && field->type != FIELD_STRUCT)
            continue;
        struct error_plan *child = plan_new(field->sub);
        if (child != NULL)
            VEC_PUSH(plan->children, count, capacity) = (struct error_child){field, child};
    }
    plan->child_count = (int)count;
    if (plan->own != NULL || count > 0)
        return plan;
    plan_free(plan);
    return NULL;
}

static void count_error(struct shard_metrics *metrics, struct request_kind *kind, int16_t code)
{
    int at = code + 1;
    if (at < 0 || at >= ERRORS_MAX)
        return;
    if (kind->errors[at] == NULL) {
        struct metric_label labels[] = {{"request", kind->name},
                                        {"error", str_of(kafka_error_name(code))}};
        kind->errors[at] =
            metrics_register(broker_metrics_registry(metrics->broker), METRIC_COUNTER,
                             "kafka.network:type=RequestMetrics,name=ErrorsPerSec", labels, 2);
    }
    metric_add(kind->errors[at], metrics->index, 1);
}

static bool in_version(const struct field_desc *field, int16_t version)
{
    return version >= field->min_version && version <= field->max_version;
}

static void count_errors(struct shard_metrics *metrics, struct request_kind *kind,
                         const struct error_plan *plan, int16_t version, const void *data)
{
    const char *base = data;
    int16_t code;
    if (plan->own != NULL && in_version(plan->own, version)) {
        memcpy(&code, base + plan->own->offset, sizeof(code));
        count_error(metrics, kind, code);
    }
    for (int c = 0; c < plan->child_count; c++) {
        const struct field_desc *field = plan->children[c].field;
        if (!in_version(field, version))
            continue;
        const char *at = base + field->offset;
        int32_t count = 1;
        if (field->type == FIELD_ARRAY) {
            memcpy(&count, at + sizeof(void *), sizeof(count));
            at = *(const char *const *)(const void *)at;
        }
        for (int32_t i = 0; i < count; i++)
            count_errors(metrics, kind, plan->children[c].plan, version,
                         at + (size_t)i * field->sub->size_bytes);
    }
}

static struct request_kind *kind_new(struct shard_metrics *metrics, const char *name,
                                     const struct api *errors_of)
{
    struct metrics *registry = broker_metrics_registry(metrics->broker);
    struct request_kind *kind = mem_calloc(1, sizeof(*kind));
    kind->name = str_of(name);
    struct metric_label label = {"request", kind->name};
    for (int i = 0; i < HISTOGRAM_COUNT; i++)
        kind->histograms[i] =
            metrics_register(registry, METRIC_HISTOGRAM, histogram_mbeans[i], &label, 1);
    if (errors_of != NULL)
        kind->plan = plan_new(errors_of->response->body);
    return kind;
}

static void kind_free(struct metrics *registry, struct request_kind *kind)
{
    if (kind == NULL)
        return;
    for (int i = 0; i < VERSIONS_MAX; i++)
        metrics_remove(registry, kind->requests[i]);
    for (int i = 0; i < HISTOGRAM_COUNT; i++)
        metrics_remove(registry, kind->histograms[i]);
    for (int i = 0; i < ERRORS_MAX; i++)
        metrics_remove(registry, kind->errors[i]);
    plan_free(kind->plan);
    free(kind);
}

/* The places behind those of the APIs. */
static int kind_count(void)
{
    return api_table_size + 2;
}

static struct request_kind *kind_of_api(struct shard_metrics *metrics, const struct api *api)
{
    struct request_kind **kind = &metrics->kinds[api - api_table];
    if (*kind == NULL)
        *kind = kind_new(metrics, api->name, api);
    return *kind;
}

static struct request_kind *kind_of_fetch(struct shard_metrics *metrics,
                                          const struct request *request)
{
    const struct fetch_request *body = request->body;
    bool follower = (request->header.request_api_version >= 15 ? body->replica_state.replica_id
                                                               : body->replica_id) >= 0;
    struct request_kind **kind = &metrics->kinds[api_table_size + follower];
    if (*kind == NULL)
        *kind = kind_new(metrics, follower ? "FetchFollower" : "FetchConsumer", NULL);
    return *kind;
}

void request_metrics_init(struct shard_metrics *metrics)
{
    metrics->kinds = mem_calloc((size_t)kind_count(), sizeof(*metrics->kinds));
}

void request_metrics_release(struct shard_metrics *metrics)
{
    for (int i = 0; i < kind_count(); i++)
        kind_free(broker_metrics_registry(metrics->broker), metrics->kinds[i]);
    free(metrics->kinds);
    while (metrics->spare != NULL) {
        struct request_timing *timing = metrics->spare;
        metrics->spare = timing->next;
        free(timing);
    }
}

void request_metrics_begin(struct shard_metrics *metrics, struct request_slot *slot)
{
    struct request_timing *timing = metrics->spare;
    if (timing != NULL) {
        metrics->spare = timing->next;
        metrics->spare_count--;
    } else {
        timing = mem_alloc(sizeof(*timing));
    }
    *timing = (struct request_timing){.metrics = metrics};
    slot->ctx = timing;
}

void request_metrics_handle(struct request *request)
{
    struct request_timing *timing = request->slot->ctx;
    struct env *env = timing->env = request->shard->loop->env;
    bool gone = false;
    timing->kind = kind_of_api(timing->metrics, request->api);
    if (request->api->key == API_FETCH)
        timing->second = kind_of_fetch(timing->metrics, request);
    timing->version = request->header.request_api_version;
    timing->gone = &gone;
    timing->start_us = env_now_us(env);
    request->handler->handle(request);
    if (gone)
        return;
    timing->gone = NULL;
    timing->local_end_us = env_now_us(env);
}

void request_metrics_answer(struct shard_metrics *metrics, const struct api *api, int16_t version,
                            const void *response)
{
    struct request_kind *kind = kind_of_api(metrics, api);
    if (kind->plan != NULL)
        count_errors(metrics, kind, kind->plan, version, response);
}

static void record(const struct request_timing *timing, struct request_kind *kind,
                   const struct request_slot *slot, int64_t now_us)
{
    int index = timing->metrics->index;
    int64_t handled_us = timing->local_end_us > 0 && timing->local_end_us < slot->responded_us
                             ? timing->local_end_us
                             : slot->responded_us;
    if (timing->version < VERSIONS_MAX) {
        struct metric **requests = &kind->requests[timing->version];
        if (*requests == NULL) {
            char version[8];
            int len = snprintf(version, sizeof(version), "%d", timing->version);
            struct metric_label labels[] = {{"request", kind->name},
                                            {"version", str_from(version, (size_t)len)}};
            *requests = metrics_register(
                broker_metrics_registry(timing->metrics->broker), METRIC_COUNTER,
                "kafka.network:type=RequestMetrics,name=RequestsPerSec", labels, 2);
        }
        metric_add(*requests, index, 1);
    }
    metric_record_us(kind->histograms[REQUEST_QUEUE], index, timing->start_us - slot->received_us);
    metric_record_us(kind->histograms[LOCAL], index, handled_us - timing->start_us);
    metric_record_us(kind->histograms[REMOTE], index, slot->responded_us - handled_us);
    metric_record_us(kind->histograms[THROTTLE], index, 0);
    metric_record_us(kind->histograms[RESPONSE_QUEUE], index,
                     slot->written_us - slot->responded_us);
    metric_record_us(kind->histograms[RESPONSE_SEND], index, now_us - slot->written_us);
    metric_record_us(kind->histograms[TOTAL], index, now_us - slot->received_us);
    metric_record(kind->histograms[SIZE], index, (int64_t)slot->request_bytes);
}

void request_metrics_done(struct connection *connection, struct request_slot *slot, bool sent)
{
    struct request_timing *timing = slot->ctx;
    struct shard_metrics *metrics = timing->metrics;
    if (sent && timing->kind != NULL) {
        int64_t now_us = env_now_us(timing->env);
        record(timing, timing->kind, slot, now_us);
        if (timing->second != NULL)
            record(timing, timing->second, slot, now_us);
    }
    if (timing->gone != NULL)
        *timing->gone = true;
    if (metrics->spare_count == TIMINGS_KEPT) {
        free(timing);
        return;
    }
    timing->next = metrics->spare;
    metrics->spare = timing;
    metrics->spare_count++;
}
