#include "tools/cluster_status.h"
#include "common/base/check.h"
#include "tools/tool.h"

#include <inttypes.h>

/* So many partitions that are in order are listed; --all lists them all. */
enum { FINE_SHOWN = 200 };

static const struct {
    const char *name, *said, *color;
} problems[] = {
    [STATUS_NO_LEADER] = {"no-leader", "without a leader", "\x1b[1;31m"},
    [STATUS_UNDER_MIN_ISR] = {"under-min-isr", "under min.insync.replicas", "\x1b[31m"},
    [STATUS_UNDER_REPLICATED] = {"under-replicated", "under-replicated", "\x1b[33m"},
    [STATUS_MOVING] = {"reassigning", "being reassigned", "\x1b[36m"},
    [STATUS_NOT_PREFERRED] = {"not-preferred", "not led by the first replica", "\x1b[36m"},
    [STATUS_FINE] = {"ok", "in order", "\x1b[32m"},
};

const char *status_problem_name(enum status_problem problem)
{
    return problems[problem].name;
}

/* A piece of text with what ends its colour. */
static void say_colored(const struct status_view *view, const char *color, const char *text)
{
    printf("%s%s%s", view->color ? color : "", text, view->color ? "\x1b[0m" : "");
}

/* --- text ------------------------------------------------------------------------------------- */

static void say_quorum(const struct cluster_status *status, const struct status_view *view)
{
    if (status->quorum_failure != NULL) {
        say_colored(view, problems[STATUS_NO_LEADER].color, "quorum: ");
        puts(status->quorum_failure);
        return;
    }
    const struct describe_quorum_response_partition_data *p = status->quorum.partition;
    int64_t end = status->quorum.leader->log_end_offset;
    printf("quorum: node %d leads in epoch %d, voters", p->leader_id, p->leader_epoch);
    for (int32_t i = 0; i < p->current_voters_count; i++) {
        const struct describe_quorum_response_replica_state *voter = &p->current_voters[i];
        printf("%s %d", i ? "," : "", voter->replica_id);
        if (voter->log_end_offset < 0)
            say_colored(view, problems[STATUS_UNDER_REPLICATED].color, " (not heard of)");
        else if (voter->log_end_offset < end)
            printf(" (%" PRId64 " behind)", end - voter->log_end_offset);
    }
    if (p->observers_count > 0)
        printf("; observers");
    for (int32_t i = 0; i < p->observers_count; i++)
        printf("%s %d", i ? "," : "", p->observers[i].replica_id);
    putchar('\n');
}

struct counts {
    size_t by_problem[ARRAY_LEN(problems)];
    int64_t max_lag;
    size_t unknown; /* replicas of which nobody says how far they are */
};

static struct counts count(const struct cluster_status *status)
{
    struct counts counts = {0};
    for (size_t i = 0; i < status->partition_count; i++) {
        const struct status_partition *p = &status->partitions[i];
        counts.by_problem[p->problem]++;
        counts.max_lag = MAX(counts.max_lag, p->max_lag);
        for (int32_t r = 0; r < p->replica_count; r++)
            counts.unknown += p->replicas[r].lag == STATUS_UNKNOWN;
    }
    return counts;
}

static void say_summary(const struct cluster_status *status, const struct status_view *view)
{
    struct counts counts = count(status);
    char text[96];
    printf("partitions: %zu of %zu topics, %zu replicas on %zu live brokers",
           status->partition_count, status->topic_count, status->replica_count, status->node_count);
    for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
        if (counts.by_problem[i] == 0)
            continue;
        snprintf(text, sizeof(text), "%zu %s", counts.by_problem[i], problems[i].said);
        fputs(i == STATUS_FINE && counts.by_problem[i] == status->partition_count ? ", " : "; ",
              stdout);
        say_colored(view, problems[i].color, text);
    }
    if (status->replica_count > 0)
        printf("; largest lag %" PRId64, counts.max_lag);
    if (counts.unknown > 0)
        printf(", of %zu replicas not known", counts.unknown);
    putchar('\n');
}

static struct str isr_text(const struct status_partition *p, struct arena *arena)
{
    struct str text = STR("");
    for (int32_t i = 0; i < p->replica_count; i++)
        if (p->replicas[i].in_sync)
            text = arena_printf(arena, "%.*s%s%d", STR_FMT(text), text.len ? "," : "",
                                p->replicas[i].id);
    return text.len ? text : STR("none");
}

/* The replicas that are behind, are gone or do not answer; "0" where there are none. */
static struct str lag_text(const struct status_partition *p, struct arena *arena)
{
    struct str text = STR("");
    for (int32_t i = 0; i < p->replica_count; i++) {
        const struct status_replica *replica = &p->replicas[i];
        const char *separator = text.len ? " " : "";
        if (!replica->alive)
            text = arena_printf(arena, "%.*s%s%d:down", STR_FMT(text), separator, replica->id);
        else if (replica->lag == STATUS_UNKNOWN)
            text = arena_printf(arena, "%.*s%s%d:?", STR_FMT(text), separator, replica->id);
        else if (replica->lag > 0)
            text = arena_printf(arena, "%.*s%s%d:%" PRId64, STR_FMT(text), separator, replica->id,
                                replica->lag);
    }
    return text.len ? text : STR("0");
}

enum { PARTITION, LEADER, REPLICAS, ISR, LAG, COLUMNS };

struct row {
    struct str cells[COLUMNS];
    enum status_problem problem;
};

static struct row row_of(const struct status_partition *p, struct arena *arena)
{
    struct str replicas = STR("");
    for (int32_t i = 0; i < p->replica_count; i++)
        replicas =
            arena_printf(arena, "%.*s%s%d", STR_FMT(replicas), i ? "," : "", p->replicas[i].id);
    return (struct row){
        .cells = {arena_printf(arena, "%.*s-%d", STR_FMT(p->topic), p->index),
                  p->leader < 0 ? STR("none") : arena_printf(arena, "%d", p->leader), replicas,
                  isr_text(p, arena), lag_text(p, arena)},
        .problem = p->problem};
}

static void say_row(const struct row *row, const size_t *widths, const struct status_view *view)
{
    for (size_t c = 0; c < COLUMNS; c++)
        printf("%-*.*s  ", (int)widths[c], STR_FMT(row->cells[c]));
    say_colored(view, problems[row->problem].color, problems[row->problem].name);
    putchar('\n');
}

static void say_partitions(const struct cluster_status *status, const struct status_view *view,
                           struct arena *arena)
{
    static const char *const titles[COLUMNS] = {"PARTITION", "LEADER", "REPLICAS", "ISR", "LAG"};
    size_t widths[COLUMNS], bad = 0, shown;
    while (bad < status->partition_count && status->partitions[bad].problem != STATUS_FINE)
        bad++;
    shown = view->all ? status->partition_count : MIN(status->partition_count, bad + FINE_SHOWN);
    struct row *rows = ARENA_ARRAY(arena, struct row, shown);
    for (size_t c = 0; c < COLUMNS; c++)
        widths[c] = strlen(titles[c]);
    for (size_t i = 0; i < shown; i++) {
        rows[i] = row_of(&status->partitions[i], arena);
        for (size_t c = 0; c < COLUMNS; c++)
            widths[c] = MAX(widths[c], (size_t)rows[i].cells[c].len);
    }
    for (size_t c = 0; shown > 0 && c < COLUMNS; c++)
        printf("%-*s  ", (int)widths[c], titles[c]);
    if (shown > 0)
        puts("STATE");
    for (size_t i = 0; i < shown; i++)
        say_row(&rows[i], widths, view);
    if (shown < status->partition_count)
        printf("... and %zu more that are in order (--all)\n", status->partition_count - shown);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *json_known(int64_t number)
{
    return number == STATUS_UNKNOWN ? json_null() : json_integer(number);
}

static json_t *json_of_partition(const struct status_partition *p)
{
    json_t *out = json_object(), *replicas = json_array();
    for (int32_t i = 0; i < p->replica_count; i++) {
        const struct status_replica *replica = &p->replicas[i];
        json_t *one = json_object();
        json_object_set_new(one, "id", json_integer(replica->id));
        json_object_set_new(one, "alive", json_boolean(replica->alive));
        json_object_set_new(one, "inSync", json_boolean(replica->in_sync));
        json_object_set_new(one, "adding", json_boolean(replica->adding));
        json_object_set_new(one, "endOffset", json_known(replica->end));
        json_object_set_new(one, "lag", json_known(replica->lag));
        json_array_append_new(replicas, one);
    }
    json_object_set_new(out, "topic", tool_json_str(p->topic));
    json_object_set_new(out, "partition", json_integer(p->index));
    json_object_set_new(out, "leader", json_known(p->leader));
    json_object_set_new(out, "minInSyncReplicas", json_integer(p->min_isr));
    json_object_set_new(out, "state", json_string(status_problem_name(p->problem)));
    json_object_set_new(out, "replicas", replicas);
    return out;
}

static json_t *json_of_quorum(const struct cluster_status *status)
{
    json_t *out = json_object(), *voters = json_array(), *observers = json_array();
    if (status->quorum_failure != NULL) {
        json_object_set_new(out, "error", tool_json_str(str_of(status->quorum_failure)));
        json_decref(voters);
        json_decref(observers);
        return out;
    }
    const struct describe_quorum_response_partition_data *p = status->quorum.partition;
    int64_t end = status->quorum.leader->log_end_offset;
    for (int32_t i = 0; i < p->current_voters_count; i++) {
        int64_t at = p->current_voters[i].log_end_offset;
        json_t *one = json_object();
        json_object_set_new(one, "id", json_integer(p->current_voters[i].replica_id));
        json_object_set_new(one, "lag", at < 0 ? json_null() : json_integer(MAX(end - at, 0)));
        json_array_append_new(voters, one);
    }
    for (int32_t i = 0; i < p->observers_count; i++)
        json_array_append_new(observers, json_integer(p->observers[i].replica_id));
    json_object_set_new(out, "leader", json_integer(p->leader_id));
    json_object_set_new(out, "epoch", json_integer(p->leader_epoch));
    json_object_set_new(out, "voters", voters);
    json_object_set_new(out, "observers", observers);
    return out;
}

static void say_json(const struct cluster_status *status)
{
    struct counts counts = count(status);
    json_t *out = json_object(), *brokers = json_array(), *partitions = json_array();
    json_t *summary = json_object();
    for (size_t i = 0; i < status->node_count; i++) {
        json_t *one = json_object();
        json_object_set_new(one, "id", json_integer(status->nodes[i].id));
        json_object_set_new(one, "host", tool_json_str(str_of(status->nodes[i].endpoint.host)));
        json_object_set_new(one, "port", json_integer(status->nodes[i].endpoint.port));
        json_array_append_new(brokers, one);
    }
    for (size_t i = 0; i < ARRAY_LEN(problems); i++)
        json_object_set_new(summary, problems[i].name,
                            json_integer((json_int_t)counts.by_problem[i]));
    json_object_set_new(summary, "topics", json_integer((json_int_t)status->topic_count));
    json_object_set_new(summary, "partitions", json_integer((json_int_t)status->partition_count));
    json_object_set_new(summary, "replicas", json_integer((json_int_t)status->replica_count));
    json_object_set_new(summary, "maxLag", json_integer(counts.max_lag));
    json_object_set_new(summary, "unknownLags", json_integer((json_int_t)counts.unknown));
    for (size_t i = 0; i < status->partition_count; i++)
        json_array_append_new(partitions, json_of_partition(&status->partitions[i]));
    json_object_set_new(out, "brokers", brokers);
    json_object_set_new(out, "quorum", json_of_quorum(status));
    json_object_set_new(out, "summary", summary);
    json_object_set_new(out, "partitions", partitions);
    tool_print_json(out);
}

void cluster_status_show(const struct cluster_status *status, const struct status_view *view)
{
    if (view->json) {
        say_json(status);
        return;
    }
    struct arena arena;
    arena_init(&arena, 0);
    say_quorum(status, view);
    say_summary(status, view);
    say_partitions(status, view, &arena);
    arena_release(&arena);
}
