/*
 * What a node is started with: server.properties and the overrides of the command line, judged and
 * turned into typed values. A pure function of its inputs: it reads no file, no clock and no name
 * service. What a bad configuration gets is one sentence that names the place, what was read and
 * what is allowed.
 *
 * More lenient than Kafka on purpose: without process.roles a node is broker and controller, and
 * its controller listener is added on port 9093; broker.id stands for node.id, which is 1 where no
 * more than one host is listed; zookeeper.* keys are passed over, but several hosts in
 * zookeeper.connect are taken as the quorum's bootstrap servers, so that they never become as many
 * single nodes.
 *
 * Use: server_config_init, _load once, then read the members; _release, also after a failed load.
 * Read-only after _load, then any thread.
 */
#ifndef KRAFTD_METADATA_SERVER_CONFIG_H
#define KRAFTD_METADATA_SERVER_CONFIG_H

#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/properties.h"
#include "common/base/stream.h"
#include "metadata/config/config_value.h"

#define SERVER_CONTROLLER_PORT 9093

/* Kafka's numbers, as BrokerRegistration sends them. */
enum security_protocol {
    SECURITY_PLAINTEXT = 0,
    SECURITY_SSL = 1,
    SECURITY_SASL_PLAINTEXT = 2,
    SECURITY_SASL_SSL = 3,
};

struct server_listener {
    struct str name; /* in upper case */
    enum security_protocol protocol;
    bool is_controller; /* serves the quorum; else clients and brokers */
    bool is_advertised; /* always for a controller listener */
    struct endpoint bind;
    struct endpoint advertised;
};

struct server_voter {
    int32_t node_id;
    struct endpoint endpoint;
};

struct server_ip_limit {
    struct str host;
    int32_t connections;
};

/* A line for the log of the node, in the order in which they came up. */
struct server_notice {
    enum log_level level; /* LOG_INFO or LOG_WARN */
    struct str text;
};

struct server_config {
    struct arena arena;
    const char *error; /* the sentence of a failed load */
    /* The texts as configured, with what was filled in (node.id, listeners ...) as if it stood
     * there: where DescribeConfigs finds its STATIC_BROKER values. */
    struct properties properties;
    /* By enum config_id, broker and kraftd scope: configured value or default. */
    struct config_value values[CONFIG_COUNT];

    struct str hostname; /* of this machine */
    int32_t node_id;
    bool is_broker, is_controller;
    struct server_listener *listeners; /* as in `listeners`; an added controller listener is last */
    int listeners_count;
    const struct server_listener *inter_broker;        /* NULL on a node that is no broker */
    const struct server_listener *controller_listener; /* NULL on a node that is no controller */
    struct str controller_listener_name; /* first of controller.listener.names: how brokers talk */

    /* No other host is listed: none at all, or only this node itself. */
    bool is_alone;
    struct server_voter *voters;
    int voters_count;
    struct endpoint *bootstrap_servers;
    int bootstrap_servers_count;

    const struct str *log_dirs; /* at least one */
    int log_dirs_count;
    struct str metadata_log_dir;
    bool has_admin;
    struct endpoint admin;
    struct server_ip_limit *ip_limits;
    int ip_limits_count;

    struct server_notice *notices;
    size_t notices_count, notices_capacity;
};

struct server_config_options {
    struct str text;   /* contents of the file; null when there is none: loopback, ./kraftd-data */
    struct str source; /* the file's name, for messages */
    const struct str *overrides; /* "key=value" */
    int overrides_count;
    struct str hostname;  /* of this machine: advertised where a listener has no host */
    struct str directory; /* that relative log directories are in; empty: they stay so */
    bool strict;          /* refuse what Kafka refuses: no process.roles, no node.id, no quorum */
};

void server_config_init(struct server_config *config);
void server_config_release(struct server_config *config);
/* 0, or -EINVAL with config->error. */
int server_config_load(struct server_config *config, const struct server_config_options *options);

/* The typed value of a key; it must not be null and has to have that type. */
static inline int64_t server_config_integer(const struct server_config *config, enum config_id id)
{
    const struct config_value *value = &config->values[id];
    CHECK(value->type == CONFIG_TYPE_INT || value->type == CONFIG_TYPE_LONG ||
          value->type == CONFIG_TYPE_SHORT);
    return value->integer;
}

static inline bool server_config_boolean(const struct server_config *config, enum config_id id)
{
    CHECK(config->values[id].type == CONFIG_TYPE_BOOLEAN);
    return config->values[id].boolean;
}

/* Null when it is not set and has no default. */
static inline struct str server_config_text(const struct server_config *config, enum config_id id)
{
    const struct config_value *value = &config->values[id];
    return value->type == CONFIG_TYPE_UNKNOWN ? STR_NULL : value->text;
}

#endif
