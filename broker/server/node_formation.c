#include "broker/server/node_formation.h"

#define LOG_MODULE "formation"

#include "broker/server/metadata_loop.h"
#include "broker/server/node_internal.h"
#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "metadata/config/server_config.h"
#include "raft/cluster_lookup.h"
#include "raft/formation_driver.h"
#include "raft/quorum_node.h"

#include <errno.h>
#include <stdlib.h>

struct node_formation {
    struct node *node;
    struct formation_driver *driver; /* of a controller */
    struct cluster_lookup *lookup;   /* of a broker alone */
    void (*formed)(struct node *node, int status);
    bool observing;                 /* what is being written is another's cluster */
    struct formation_record record; /* being written */
    struct work work;
    int status;
};

static struct logger *logger_of(const struct node_formation *nf)
{
    return nf->node->env->logger;
}

static void report(struct node_formation *nf, int status)
{
    void (*formed)(struct node *, int) = nf->formed;
    nf->formed = NULL;
    if (formed)
        formed(nf->node, status);
}

static void write_run(struct work *work)
{
    struct node_formation *nf = CONTAINER_OF(work, struct node_formation, work);
    struct node *node = nf->node;
    nf->status = node_disk_form(node->env, node->config, &node->disk, &nf->record);
}

static void write_done(struct work *work)
{
    struct node_formation *nf = CONTAINER_OF(work, struct node_formation, work);
    struct node *node = nf->node;
    node->work_running = false;
    if (node->stop_waits) {
        node_stop_continue(node);
        return;
    }
    if (nf->status != 0) {
        log_at(logger_of(nf), LOG_FATAL, "%s", node->disk.error);
        report(nf, nf->status);
        return;
    }
    if (nf->lookup)
        report(nf, 0);
    else if (nf->observing)
        formation_driver_observing(nf->driver, &nf->record);
    else
        formation_driver_written(nf->driver);
}

static void begin_write(struct node_formation *nf, const struct formation_record *record)
{
    formation_record_release(&nf->record);
    formation_record_copy(&nf->record, record);
    nf->node->work_running = true;
    nf->work = (struct work){.run = write_run, .done = write_done, .loop = nf->node->env->loops[0]};
    work_submit(&nf->work, WORK_DISK);
}

static void on_write(void *ctx, const struct formation_record *record)
{
    struct node_formation *nf = ctx;
    log_info(logger_of(nf), "All listed controllers are there: %s cluster %s of %d voters",
             nf->node->disk.cluster_id[0] ? "taking over the static quorum of" : "forming",
             record->cluster_id, quorum_voters_count(record->voters));
    begin_write(nf, record);
}

static void on_observe(void *ctx, const struct formation_record *record)
{
    struct node_formation *nf = ctx;
    nf->observing = true;
    begin_write(nf, record);
}

static void on_cluster(void *ctx, struct str cluster_id)
{
    struct node_formation *nf = ctx;
    struct formation_record record = {.directory_id = nf->node->disk.metadata_directory_id,
                                      .voters = quorum_voters_new()};
    memcpy(record.cluster_id, cluster_id.data, (size_t)cluster_id.len);
    log_info(logger_of(nf), "The controllers are of cluster %s: this broker joins it",
             record.cluster_id);
    begin_write(nf, &record);
    formation_record_release(&record);
}

/* A broker forms nothing, and Apache Kafka's controllers know nothing of a formation. */
static void look_up(struct node_formation *nf, const struct endpoint *listed, int count)
{
    const struct server_config *config = nf->node->config;
    struct cluster_lookup_config lookup = {
        .loop = nf->node->env->loops[0],
        .controllers = listed,
        .count = (size_t)count,
        .timeout_ms =
            (int)server_config_integer(config, CONFIG_BROKER_CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS),
        .backoff_ms =
            server_config_integer(config, CONFIG_BROKER_CONTROLLER_QUORUM_RETRY_BACKOFF_MS),
        .found = on_cluster,
        .ctx = nf,
    };
    log_info(logger_of(nf),
             "The log directories are empty: asking %d listed controllers which cluster it is",
             count);
    nf->lookup = cluster_lookup_new(&lookup);
}

static void on_start(void *ctx, const struct formation_record *record)
{
    struct node_formation *nf = ctx;
    (void)record;
    report(nf, 0);
}

static void on_reset(void *ctx)
{
    struct node_formation *nf = ctx;
    nf->node->reset_wanted = true;
    node_fatal(nf->node);
}

static bool has_data(void *ctx)
{
    const struct node_formation *nf = ctx;
    const struct quorum_node *quorum =
        nf->node->metadata ? metadata_loop_quorum(nf->node->metadata) : NULL;
    const struct quorum_core *core = quorum ? quorum_node_core(quorum) : NULL;
    /* While the log is being opened the others ask already. */
    return nf->node->disk.has_data ||
           (core && (quorum_core_last_index(core) > QUORUM_INDEX_BOOTSTRAP ||
                     quorum_core_leader(core) != 0));
}

static const struct formation_driver_handler handler = {
    .write = on_write,
    .start = on_start,
    .observe = on_observe,
    .reset = on_reset,
    .has_data = has_data,
};

/* One of the ways to write this node's own controller listener. */
static bool is_own(const struct server_config *config, const struct endpoint *endpoint)
{
    const struct server_listener *own = config->controller_listener;
    if (!own || own->bind.port != endpoint->port)
        return false;
    return strcmp(own->bind.host, endpoint->host) == 0 ||
           strcmp(own->advertised.host, endpoint->host) == 0;
}

int node_formation_list(const struct server_config *config,
                        struct endpoint listed[FORMATION_LISTED_MAX], int *ret_self)
{
    int count = 0;
    *ret_self = -1;
    for (int i = 0; i < config->voters_count && count < FORMATION_LISTED_MAX; i++) {
        if (config->voters[i].node_id == config->node_id)
            *ret_self = count;
        listed[count++] = config->voters[i].endpoint;
    }
    for (int i = 0; config->voters_count == 0 && i < config->bootstrap_servers_count &&
                    count < FORMATION_LISTED_MAX;
         i++) {
        if (is_own(config, &config->bootstrap_servers[i]))
            *ret_self = count;
        listed[count++] = config->bootstrap_servers[i];
    }
    if (count == 0 && config->controller_listener) {
        *ret_self = 0;
        listed[count++] = config->controller_listener->advertised;
    }
    return count;
}

/* What a directory that was formatted by hand tells others: its cluster, and this node as one that
 * knows more. */
static void stand_in(const struct node *node, const struct quorum_voters *self,
                     struct formation_record *ret)
{
    *ret = (struct formation_record){.directory_id = node->disk.metadata_directory_id};
    memcpy(ret->cluster_id, node->disk.cluster_id, sizeof(ret->cluster_id));
    ret->voters = quorum_voters_copy(self);
}

void node_formation_start(struct node *node, void (*formed)(struct node *node, int status))
{
    const struct server_config *config = node->config;
    if (!config->is_controller && node->disk.cluster_id[0]) {
        /* A broker is asked by nobody, and has nothing to ask. */
        formed(node, 0);
        return;
    }
    struct node_formation *nf = mem_calloc(1, sizeof(*nf));
    struct endpoint listed[FORMATION_LISTED_MAX];
    int self_index, count = node_formation_list(config, listed, &self_index);
    nf->node = node;
    nf->formed = formed;
    node->formation = nf;
    if (!config->is_controller) {
        look_up(nf, listed, count);
        return;
    }
    struct quorum_voters *self = node_disk_self(config, node->disk.metadata_directory_id);
    bool by_hand = node->disk.cluster_id[0] && !node->disk.record.cluster_id[0];
    struct formation_record record = {0};
    if (by_hand)
        stand_in(node, self, &record);
    else
        formation_record_copy(&record, &node->disk.record);
    struct formation_driver_config driver = {
        .loop = node->env->loops[0],
        .formation = {.node_id = config->node_id,
                      .self = self,
                      .listed_count = count,
                      .self_index = self_index,
                      .never_reset = by_hand},
        .listed = listed,
        .directory_id = node->disk.metadata_directory_id,
        .record = &record,
        /* A disk that joined, or took the place of another, has a record of its id and needs no
         * more; and if its log is gone it is not a static quorum that begins. */
        .collects = by_hand && uuid_is_zero(node->disk.record.directory_id) &&
                    !node->disk.is_dynamic && config->voters_count > 1 && config->is_controller,
        .request_timeout_ms =
            (int)server_config_integer(config, CONFIG_BROKER_CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS),
        .backoff_ms =
            (int)server_config_integer(config, CONFIG_BROKER_CONTROLLER_QUORUM_RETRY_BACKOFF_MS),
    };
    nf->driver = formation_driver_new(&driver, &handler, nf);
    formation_record_release(&record);
    quorum_voters_unref(self);
    if (!node->disk.cluster_id[0])
        log_info(logger_of(nf),
                 "The log directories are empty: looking for the %d listed "
                 "controllers, to form a cluster or to join one",
                 count);
    formation_driver_start(nf->driver);
}

void node_formation_receive(struct node *node, const struct peer_formation *message,
                            struct peer_formation *ret_answer)
{
    if (node->formation && node->formation->driver)
        formation_driver_receive(node->formation->driver, message, ret_answer);
    else
        message_init(&peer_formation_desc, ret_answer);
}

void node_formation_stop(struct node *node, void (*stopped)(void *ctx), void *ctx)
{
    if (node->formation) {
        node->formation->formed = NULL;
        if (node->formation->lookup)
            cluster_lookup_stop(node->formation->lookup, stopped, ctx);
        else
            formation_driver_stop(node->formation->driver, stopped, ctx);
    } else {
        stopped(ctx);
    }
}

void node_formation_free(struct node *node)
{
    if (!node->formation)
        return;
    formation_driver_free(node->formation->driver);
    cluster_lookup_free(node->formation->lookup);
    formation_record_release(&node->formation->record);
    free(node->formation);
    node->formation = NULL;
}
