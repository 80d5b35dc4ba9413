/*
 * Whole nodes in numbers: they form a cluster from nothing, elect, replicate their metadata and
 * serve clients that change it, while processes die, disks lie and are wiped, clocks jump and links
 * are cut one way or both. What has to hold at any moment is quorum_watch.h's to say; once faults
 * end the cluster answers, on every node, with all that was acknowledged.
 */
#include "tests/sim/cluster_world.h"
#include "tests/sim/deletion_watch.h"
#include "tests/sim/node_app.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/subject.h"

#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "metadata/image.h"
#include "raft/quorum_node_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOPS        2
#define ANSWER_BOUND 60 /* seconds */

enum shape { THREE_COMBINED, FIVE_COMBINED, THREE_AND_TWO, ONE_AND_TWO, SHAPE_COUNT };

static const struct {
    int nodes, voters;
    bool split; /* controllers and brokers are different nodes */
} shapes[SHAPE_COUNT] = {
    [THREE_COMBINED] = {.nodes = 3, .voters = 3},
    [FIVE_COMBINED] = {.nodes = 5, .voters = 5},
    [THREE_AND_TWO] = {.nodes = 5, .voters = 3, .split = true},
    [ONE_AND_TWO] = {.nodes = 3, .voters = 1, .split = true},
};

/* --- A node's life --- */

static bool disk_is_sick(const struct member *m)
{
    enum nemesis_fault fault = m->nemesis.fault;
    return !sim_node_is_up(m->app.node) ||
           (m->nemesis.busy && (fault == NEMESIS_WRITE_ERRORS || fault == NEMESIS_FSYNC_ERRORS ||
                                fault == NEMESIS_READ_ERRORS || fault == NEMESIS_DISK_FULL));
}

static void restart(void *ctx)
{
    struct member *m = ctx;
    nemesis_restart(&m->nemesis);
}

static void stopped_now(void *ctx)
{
    struct member *m = ctx;
    nemesis_stopped(&m->nemesis);
}

static void gave_up(void *ctx, int status)
{
    struct member *m = ctx;
    struct sim *sim = m->world->sim;
    if (!sim_node_is_up(m->app.node))
        return;
    sim_log(sim, m->name, "gives up: %d", status);
    if (!disk_is_sick(m))
        sim_fail(sim, "%s gives up with %d on a disk without faults", m->name, status);
    sim_at(sim, sim_now_us(sim) + 100 * SIM_MS, restart, m);
}

static void stopped(void *ctx)
{
    struct member *m = ctx;
    sim_at(m->world->sim, sim_now_us(m->world->sim), stopped_now, m);
}

static void stop(void *ctx)
{
    struct member *m = ctx;
    node_app_stop(m->app.node);
}

static const char common[] = "controller.listener.names=CONTROLLER\n"
                             "broker.session.timeout.ms=3000\n"
                             "broker.heartbeat.interval.ms=500\n"
                             "replica.lag.time.max.ms=4000\n"
                             "replica.selector.class="
                             "org.apache.kafka.common.replica.RackAwareReplicaSelector\n"
                             "metadata.log.max.snapshot.interval.ms=3000\n"
                             "metadata.log.segment.ms=1000\n"
                             "metadata.max.retention.bytes=1\n"
                             "kraftd.admin.listener=\n";

/* Followers let go of what was deleted when they look at their logs for other reasons. */
static const char quick_retention[] = "log.retention.check.interval.ms=1500\n"
                                      "log.initial.task.delay.ms=1000\n";

/* Copies may take their time; with the bytes a second for %lld. */
static const char two_dirs[] = "log.dirs=/data,/data2\n"
                               "metadata.log.dir=/data\n";
static const char copy_speed[] = "replica.alter.log.dirs.io.max.bytes.per.second=%lld\n";

/* The roles of a node and what follows from them; its number for each %d. */
static const char combined_roles[] =
    "process.roles=broker,controller\n"
    "node.id=%d\n"
    "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
    "advertised.listeners=PLAINTEXT://n%d:9092,CONTROLLER://n%d:9093\n";
static const char controller_role[] = "process.roles=controller\n"
                                      "node.id=%d\n"
                                      "listeners=CONTROLLER://:9093\n"
                                      "advertised.listeners=CONTROLLER://n%d:9093\n";
static const char broker_role[] = "process.roles=broker\n"
                                  "node.id=%d\n"
                                  "listeners=PLAINTEXT://:9092\n"
                                  "advertised.listeners=PLAINTEXT://n%d:9092\n";

static void configure(struct member *m, int number, enum shape shape)
{
    char voters[128], roles[256], speed[80] = "";
    int64_t bytes_per_second;
    bool shifts = record_load_has_shifter(m->world->sim, &bytes_per_second);
    size_t len = 0;
    for (int i = 0; i < shapes[shape].voters; i++)
        len += (size_t)snprintf(voters + len, sizeof(voters) - len, "%s%d@n%d:9093", i ? "," : "",
                                i + 1, i + 1);
    if (!shapes[shape].split)
        snprintf(roles, sizeof(roles), combined_roles, number, number, number);
    else if (m->voter)
        snprintf(roles, sizeof(roles), controller_role, number, number);
    else
        snprintf(roles, sizeof(roles), broker_role, number, number);
    if (shifts && bytes_per_second > 0)
        snprintf(speed, sizeof(speed), copy_speed, (long long)bytes_per_second);
    len = (size_t)snprintf(m->properties, sizeof(m->properties),
                           "%scontroller.quorum.voters=%s\nbroker.rack=rack%d\n%s%s%s%s", roles,
                           voters, m->world->records.broker_count,
                           shifts ? two_dirs : "log.dirs=/data\n", common,
                           record_load_has_churner(m->world->sim) ? quick_retention : "", speed);
    CHECK(len < sizeof(m->properties));
}

static int32_t epoch_at(void *ctx, const struct sim_node *node)
{
    struct cluster_world *w = ctx;
    for (int i = 0; i < w->count; i++) {
        const struct quorum_node *quorum = quorum_watch_quorum(&w->watch, i);
        if (w->members[i].app.node == node && quorum)
            return quorum->epoch;
    }
    return -1;
}

static void make_member(struct cluster_world *w, int number, enum shape shape,
                        const struct mutations *mutations)
{
    struct member *m = &w->members[number - 1];
    m->world = w;
    m->voter = number <= shapes[shape].voters;
    snprintf(m->name, sizeof(m->name), "n%d", number);
    configure(m, number, shape);
    m->app.sim = w->sim;
    m->app.properties = str_of(m->properties);
    m->app.gave_up = gave_up;
    m->app.stopped = stopped;
    m->app.ctx = m;
    m->app.node = sim_node_new(w->sim, &(struct sim_node_config){.name = m->name,
                                                                 .loops = LOOPS,
                                                                 .log_level = LOG_INFO,
                                                                 .boot = node_app_boot,
                                                                 .ctx = &m->app});
    sim_node_set_mutations(m->app.node, mutations);
    sim_disk_set_writeback(sim_node_disk(m->app.node), 64);
    if (record_load_has_churner(w->sim))
        sim_disk_set_journaled(sim_node_disk(m->app.node));
    int64_t speed;
    bool shifts = record_load_has_shifter(w->sim, &speed);
    if (shifts)
        sim_disk_mount(sim_node_disk(m->app.node), watched_dirs[1]);
    m->nemesis = (struct nemesis){
        .sim = w->sim,
        .node = m->app.node,
        .stop = stop,
        .ctx = m,
        .fragile = ".checkpoint.part",
        .pause_ms = 2500 * w->count,
        .jump_ms = 3600000,
    };
    if (shifts)
        memcpy(m->nemesis.volumes, watched_dirs, sizeof(watched_dirs));
    for (int i = 0; i < NEMESIS_FAULT_COUNT; i++)
        m->nemesis.wanted[i] = true;
    quorum_watch_add(&w->watch, m->app.node);
    replica_watch_add_node(&w->replicas, m->app.node);
    if (shapes[shape].split && m->voter)
        return;
    w->load.nodes[w->load.node_count++] = m->app.node;
    w->records.ids[w->records.broker_count] = number;
    w->records.brokers[w->records.broker_count++] = m->app.node;
}

/* --- The run --- */

static void look(void *ctx, const struct sim_node *ran)
{
    struct cluster_world *w = ctx;
    quorum_watch_look(&w->watch, ran);
    replica_watch_look(&w->replicas, ran);
}

static void begin(struct cluster_world *w, const struct mutations *mutations)
{
    static const enum shape drawn[] = {THREE_COMBINED, THREE_COMBINED, THREE_COMBINED,
                                       FIVE_COMBINED,  FIVE_COMBINED,  THREE_AND_TWO,
                                       THREE_AND_TWO,  ONE_AND_TWO};
    enum shape shape = drawn[cluster_draw(w, 0, ARRAY_LEN(drawn) - 1)];
    w->count = shapes[shape].nodes;
    w->voters = shapes[shape].voters;
    quorum_watch_begin(&w->watch, w->sim, node_app_node_to_the_end);
    replica_watch_begin(&w->replicas, w->sim, node_app_node_to_the_end);
    sim_observe(w->sim, look, w);
    w->load.sim = w->sim;
    w->load.epoch_at = epoch_at;
    w->load.ctx = w;
    for (int i = 1; i <= w->count; i++)
        make_member(w, i, shape, mutations);
    w->load.replicas = w->load.node_count;
    for (int i = 0; i < w->count; i++)
        sim_node_start(w->members[i].app.node);
    cluster_load_start(&w->load);
    w->records.sim = w->sim;
    w->records.watch = &w->replicas;
    record_load_init(&w->records, sim_random_of(w->sim));
    record_load_start(&w->records);
    w->operators = (struct cluster_operator){.sim = w->sim,
                                             .broker_count = w->load.node_count,
                                             .voter_count = w->voters,
                                             .directory_of = cluster_directory_of,
                                             .may_remove = cluster_may_remove,
                                             .ctx = w};
    memcpy(w->operators.brokers, w->load.nodes, sizeof(w->load.nodes));
    w->bold = cluster_draw(w, 0, 1) == 0;
    if (cluster_draw(w, 0, 1) == 0)
        cluster_operator_start(&w->operators);
    else
        w->operators.out = -1;
    for (int i = 0; i < w->count; i++)
        nemesis_begin(&w->members[i].nemesis);
    cluster_faults_begin(w);
}

static int faults(const struct cluster_world *w)
{
    int sum = w->partitions + w->wipes + w->outages + w->hunts;
    for (int i = 0; i < w->count; i++)
        sum += w->members[i].nemesis.faults;
    return sum;
}

/* What keeps node `at` from being done; NULL: nothing. */
static const char *not_ready(const struct cluster_world *w, int at, int64_t committed)
{
    const struct image *image = quorum_watch_image(&w->watch, at);
    if (!sim_node_is_up(w->members[at].app.node) || !w->members[at].app.started)
        return "has not started";
    if (!image || image->offset + 1 < committed)
        return "lags";
    for (int i = 0; i < w->count; i++) {
        bool is_broker = w->load.node_count == w->count || !w->members[i].voter;
        const struct broker_image *broker = cluster_image_broker(&image->cluster, i + 1);
        if (is_broker && (!broker || broker->fenced))
            return broker ? "sees a fenced broker" : "misses a broker";
    }
    return NULL;
}

/* For whoever looks into a failure. */
static void log_state(struct cluster_world *w, int at)
{
    const struct quorum_node *quorum = quorum_watch_quorum(&w->watch, at);
    const struct image *image = quorum_watch_image(&w->watch, at);
    const char *name = w->members[at].name;
    const struct node *node = node_app_node(w->members[at].app.node);
    if (node)
        sim_log(w->sim, name,
                "node state %d, metadata loaded %d, unfenced %d, opening %lld, epoch %lld",
                node->state, node->metadata_loaded, node->unfenced,
                (long long)node->opening_partitions, (long long)node_broker_epoch(node));
    for (int i = 0; image && i < w->count; i++) {
        const struct broker_image *broker = cluster_image_broker(&image->cluster, i + 1);
        if (broker)
            sim_log(w->sim, name, "  sees broker %d, epoch %lld, fenced %d", i + 1,
                    (long long)broker->epoch, broker->fenced);
    }
    if (!quorum) {
        sim_log(w->sim, name, "has no quorum");
        return;
    }
    sim_log(
        w->sim, name,
        "role %d of epoch %d, observes %d, active %d, leader %d, log %lld..%lld, committed %lld, "
        "given out %lld, image at %lld",
        quorum->role, quorum->epoch, quorum->observer != NULL, quorum->active, quorum->leader_id,
        (long long)log_start_offset(quorum->log), (long long)log_end_offset(quorum->log),
        (long long)quorum->high_watermark, (long long)quorum->given_out,
        image ? (long long)image->offset : -1);
    const struct quorum_voters *voters = quorum->core ? quorum_core_voters(quorum->core) : NULL;
    for (int i = 0; voters && i < voters->count; i++)
        sim_log(w->sim, name, "  knows node %d, id %llx, role %d", voters->servers[i].node_id,
                (unsigned long long)voters->servers[i].raft_id, voters->servers[i].role);
}

/* All nodes are there and have what was committed when this began; with `clients`, all that was
 * asked for has been answered. */
static void wait_for_answers(struct cluster_world *w, const char *when, bool clients)
{
    struct sim *sim = w->sim;
    int64_t committed = quorum_watch_committed_end(&w->watch);
    const struct watched_partition *part;
    const char *why = NULL;
    char text[96];
    int at = 0;
    for (int i = 0; i < ANSWER_BOUND * 20 && !sim_failure(sim); i++) {
        why = NULL;
        for (at = 0; at < w->count && !why; at++)
            why = not_ready(w, at, committed);
        bool idle = w->load.resting == CLUSTER_LOAD_CLIENTS && w->operators.out < 0;
        const char *unrest = replica_watch_unrest(&w->replicas, &part);
        bool rest = !why && !unrest && (!clients || (idle && record_load_at_rest(&w->records)));
        if (rest && !(why = deletion_watch_leftovers(&w->replicas, &at)))
            return;
        if (!why && unrest) {
            snprintf(text, sizeof(text), "%s-%d %s", part->topic, part->index, unrest);
            why = text;
        }
        sim_run_until(sim, sim_now_us(sim) + 50 * SIM_MS);
    }
    for (int i = 0; i < w->count && !sim_failure(sim); i++)
        log_state(w, i);
    for (int i = 0; i < w->replicas.partition_count && !sim_failure(sim); i++)
        deletion_watch_log(&w->replicas.partitions[i]);
    if (!sim_failure(sim))
        sim_fail(sim, "%s: no answer within %d s: %s %s", when, ANSWER_BOUND,
                 why ? w->members[at - 1].name : "a client", why ? why : "waits");
}

static void check_acknowledged(struct cluster_world *w, const char *when)
{
    char text[128];
    for (int i = 0; i < w->count && !sim_failure(w->sim); i++)
        if (!cluster_load_check(&w->load, quorum_watch_image(&w->watch, i), text, sizeof(text)))
            sim_fail(w->sim, "%s: on %s, %s", when, w->members[i].name, text);
}

static void finish(struct cluster_world *w)
{
    w->ended = true;
    sim_net_heal(w->sim);
    for (int i = 0; i < w->count; i++)
        nemesis_end(&w->members[i].nemesis);
    sim_at(w->sim, sim_now_us(w->sim) + 10 * SIM_MS, cluster_revive, w);
    w->load.quiet = w->operators.quiet = w->records.quiet = true;
    wait_for_answers(w, "at the end", true);
    if (sim_failure(w->sim))
        return;
    wait_for_answers(w, "at rest", true);
    check_acknowledged(w, "at rest");
    if (sim_failure(w->sim))
        return;
    for (int i = 0; i < w->count; i++)
        sim_node_power_cut(w->members[i].app.node);
    cluster_revive(w);
    wait_for_answers(w, "after the last power cut", false);
    check_acknowledged(w, "after the last power cut");
}

static void run(struct subject_run *run)
{
    struct cluster_world *w = mem_calloc(1, sizeof(*w));
    w->sim = run->sim;
    begin(w, run->mutations);
    sim_run_until(run->sim, run->seconds * SIM_SECOND);
    while (!sim_failure(run->sim) && faults(w) < 10)
        sim_run_until(run->sim, sim_now_us(run->sim) + SIM_SECOND);
    if (!sim_failure(run->sim))
        finish(w);
    run->faults = faults(w);
    run->steps = w->load.operations;
    sim_log(
        run->sim, "cluster",
        "%d nodes, %lld elections, %lld operations, %lld uncertain, %lld voters removed, %d wipes, "
        "%d splits, %d outages, %lld images, %lld compared, committed up to %lld",
        w->count, (long long)w->watch.elections, (long long)w->load.operations,
        (long long)w->load.uncertain, (long long)w->operators.removed, w->wipes, w->partitions,
        w->outages, (long long)w->watch.image_count, (long long)w->watch.images_compared,
        (long long)quorum_watch_committed_end(&w->watch));
    sim_log(run->sim, "records",
            "%lld sent, %lld acknowledged, %lld committed, %lld lost, %lld deletions, %lld moved",
            (long long)w->records.sent, (long long)w->records.acknowledged,
            (long long)w->replicas.committed, (long long)w->replicas.lost,
            (long long)w->records.records_deleted, (long long)w->replicas.moved);
    sim_kill_all(run->sim);
    sim_observe(run->sim, NULL, NULL);
    replica_watch_release(&w->replicas);
    quorum_watch_release(&w->watch);
    free(w);
}

const struct subject subject_cluster = {
    .name = "cluster",
    .about = "three or five whole nodes that form a quorum, with clients that change metadata",
    .seconds = 30,
    .run = run,
};
