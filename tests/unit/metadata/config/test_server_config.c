#include "metadata/config/server_config_change.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct server_config config;

static int setup(void **state)
{
    server_config_init(&config);
    return 0;
}

static int teardown(void **state)
{
    server_config_release(&config);
    return 0;
}

static int load_with(const char *text, bool strict, const struct str *overrides, int count)
{
    server_config_release(&config);
    struct server_config_options options = {.text = str_of(text),
                                            .source = STR("server.properties"),
                                            .overrides = overrides,
                                            .overrides_count = count,
                                            .hostname = STR("box.example"),
                                            .strict = strict};
    return server_config_load(&config, &options);
}

static void load(const char *text)
{
    if (load_with(text, false, NULL, 0) != 0)
        fail_msg("%s", config.error);
}

static void refuse(const char *text, const char *error)
{
    assert_int_equal(load_with(text, false, NULL, 0), -EINVAL);
    if (strstr(config.error, error) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", config.error, error);
}

static bool noted(enum log_level level, const char *text)
{
    for (size_t i = 0; i < config.notices_count; i++)
        if (config.notices[i].level == level && strstr(config.notices[i].text.data, text) != NULL)
            return true;
    return false;
}

static const char *shown(const struct endpoint *endpoint)
{
    static char text[HOST_MAX + 9];
    endpoint_format(endpoint, text);
    return text;
}

static void assert_listener(int i, const char *name, bool controller, const char *bind,
                            const char *advertised)
{
    assert_true(i < config.listeners_count);
    const struct server_listener *listener = &config.listeners[i];
    assert_string_equal(listener->name.data, name);
    assert_int_equal(listener->is_controller, controller);
    assert_string_equal(shown(&listener->bind), bind);
    assert_int_equal(listener->is_advertised, advertised != NULL);
    if (advertised != NULL)
        assert_string_equal(shown(&listener->advertised), advertised);
}

#define NODE                                                                                       \
    "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"           \
    "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n"                           \
    "controller.quorum.bootstrap.servers=127.0.0.1:9093\n"

static void nothing_at_all_is_one_node_on_loopback(void **state)
{
    load(NULL);
    assert_true(config.is_broker && config.is_controller);
    assert_int_equal(config.node_id, 1);
    assert_int_equal(config.listeners_count, 2);
    assert_listener(0, "PLAINTEXT", false, "127.0.0.1:9092", "127.0.0.1:9092");
    assert_listener(1, "CONTROLLER", true, "127.0.0.1:9093", "127.0.0.1:9093");
    assert_ptr_equal(config.inter_broker, &config.listeners[0]);
    assert_ptr_equal(config.controller_listener, &config.listeners[1]);
    assert_int_equal(config.voters_count + config.bootstrap_servers_count, 0);
    assert_int_equal(config.log_dirs_count, 1);
    assert_string_equal(config.log_dirs[0].data, "kraftd-data");
    assert_string_equal(config.metadata_log_dir.data, "kraftd-data");
    assert_true(config.has_admin);
    assert_string_equal(shown(&config.admin), "127.0.0.1:9292");
    /* DescribeConfigs shows what was filled in. */
    assert_string_equal(properties_get(&config.properties, STR("process.roles")).data,
                        "broker,controller");
    assert_string_equal(properties_get(&config.properties, STR("broker.id")).data, "1");
}

static void kafkas_file_loads_as_it_stands(void **state)
{
    load(NODE "num.partitions=3\nlog.dirs=/a , /b\nmetadata.log.dir=/m\nbroker.rack=r1\n"
              "num.io.threads=16\nlog.retention.hours=1\nkraftd.admin.listener=\n");
    assert_int_equal(config.listeners_count, 2);
    assert_int_equal(server_config_integer(&config, CONFIG_BROKER_NUM_PARTITIONS), 3);
    assert_int_equal(server_config_integer(&config, CONFIG_BROKER_DEFAULT_REPLICATION_FACTOR), 1);
    assert_true(server_config_boolean(&config, CONFIG_BROKER_AUTO_CREATE_TOPICS_ENABLE));
    assert_string_equal(server_config_text(&config, CONFIG_BROKER_BROKER_RACK).data, "r1");
    assert_true(str_is_null(server_config_text(&config, CONFIG_BROKER_SSL_KEYSTORE_LOCATION)));
    assert_int_equal(config.log_dirs_count, 2);
    assert_string_equal(config.log_dirs[1].data, "/b");
    assert_string_equal(config.metadata_log_dir.data, "/m");
    assert_int_equal(config.bootstrap_servers_count, 1);
    assert_false(config.has_admin);
    assert_true(noted(LOG_INFO, "num.io.threads has no effect in kraftd"));
    assert_int_equal(config.notices_count, 1);
}

static void keys_get_the_word_they_need(void **state)
{
    load(NODE "no.such.key=1\nssl.keystore.location=/x\nsuper.users=User:a\nnum.partitions=1\n"
              "num.partitions=2\nlistener.name.plaintext.max.connections=5\n"
              "leader.replication.throttled.rate=5\nport=9095\n");
    assert_true(noted(LOG_WARN, "no.such.key is no configuration key that Kafka knows"));
    assert_true(noted(LOG_WARN, "port is no configuration key"));
    assert_true(noted(LOG_INFO, "ssl.keystore.location has no effect yet"));
    assert_true(noted(LOG_INFO, "super.users has no effect"));
    assert_true(noted(LOG_WARN, "num.partitions stands in line 9 and in line 10"));
    assert_true(noted(LOG_INFO, "listener.name.plaintext.max.connections has no effect yet"));
    assert_true(noted(LOG_WARN, "leader.replication.throttled.rate is ignored"));
    assert_int_equal(config.notices_count, 7);
}

static void bad_values_name_line_value_and_what_is_allowed(void **state)
{
    refuse(NODE "num.partitions=abc\n",
           "server.properties, line 6: Invalid value abc for configuration num.partitions: Not a "
           "number of type INT (allowed: a whole number from 1 on)");
    refuse(
        NODE "\n\nlog.cleanup.policy=shrink\n",
        "server.properties, line 8: Invalid value shrink for configuration log.cleanup.policy: "
        "String must be one of: compact, delete (allowed: a list of compact, delete, or nothing)");
    refuse("a=\\u00\n", "server.properties: line 1: \\u must be followed by");
    refuse(NODE "log.retention.ms=0\n", "line 6: log.retention.ms must be unlimited (-1) or");
    refuse(NODE "log.roll.hours=0\n", "line 6: ");
    refuse(NODE "queued.max.request.bytes=5\n", "line 6: queued.max.request.bytes is 5 and "
                                                "socket.request.max.bytes is 104857600: ");
    refuse(NODE "replica.fetch.wait.max.ms=60000\n", "line 6: replica.socket.timeout.ms is 30000");
    refuse(NODE "replica.lag.time.max.ms=1\n", "line 6: replica.lag.time.max.ms is 1 and");
    refuse(NODE "kraftd.admin.listener=here\n", "line 6: kraftd.admin.listener is here, but");
    refuse(NODE "listener.name.x.ssl.client.auth=maybe\n", "line 6: Invalid value maybe");
    refuse(NODE "cordoned.log.dirs=/x\n", "Missing entries : /x");
    struct str override = STR("num.partitions=0");
    assert_int_equal(load_with(NODE, false, &override, 1), -EINVAL);
    assert_string_equal(config.error,
                        "--override num.partitions: Invalid value 0 for configuration "
                        "num.partitions: Value must be at least 1 (allowed: a whole number from 1 "
                        "on)");
}

static void what_would_weaken_a_node_is_refused(void **state)
{
    static const char *const lines[] = {
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "remote.log.storage.system.enable=true",
        "config.providers=file",
        "security.inter.broker.protocol=SSL",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[1000];
        snprintf(text, sizeof(text), NODE "%s\n", lines[i]);
        refuse(text, "is not supported yet");
    }
    refuse(NODE "create.topic.policy.class.name=com.x.Policy\n", "could not be found");
    refuse("listeners=SSL://:9094\n", "listener SSL uses SSL, which is not supported yet");
    refuse(
        "listeners=X://:1\nlistener.security.protocol.map=X:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n"
        "inter.broker.listener.name=X\n",
        "line 1: listener X uses SASL_PLAINTEXT");
    /* The default is no request. */
    load(NODE "authorizer.class.name=\nremote.log.storage.system.enable=false\n");
    assert_int_equal(config.notices_count, 0);
}

static void directories_become_absolute(void **state)
{
    server_config_release(&config);
    struct server_config_options options = {
        .text = STR(NODE "log.dirs=a,/b\nmetadata.log.dir=./m\ncordoned.log.dirs=a\n"),
        .source = STR("server.properties"),
        .hostname = STR("box.example"),
        .directory = STR("/srv/x")};
    assert_int_equal(server_config_load(&config, &options), 0);
    assert_string_equal(config.log_dirs[0].data, "/srv/x/a");
    assert_string_equal(config.log_dirs[1].data, "/b");
    assert_string_equal(config.metadata_log_dir.data, "/srv/x/./m");
    /* What was written is what is shown. */
    assert_string_equal(properties_get(&config.properties, STR("log.dirs")).data, "a,/b");
    options.text = STR_NULL;
    server_config_release(&config);
    assert_int_equal(server_config_load(&config, &options), 0);
    assert_string_equal(config.log_dirs[0].data, "/srv/x/kraftd-data");
    assert_string_equal(config.metadata_log_dir.data, "/srv/x/kraftd-data");
}

static void overrides_come_last(void **state)
{
    struct str overrides[] = {STR("num.partitions=7"), STR("abc"), STR("log.dirs=/o=p")};
    assert_int_equal(load_with(NODE "num.partitions=2\nlog.dirs=/x\n", false, overrides, 3), 0);
    assert_int_equal(server_config_integer(&config, CONFIG_BROKER_NUM_PARTITIONS), 7);
    assert_string_equal(config.log_dirs[0].data, "/o=p");
    assert_true(noted(LOG_WARN, "--override abc is ignored"));
    assert_int_equal(load_with(NULL, false, overrides, 1), 0);
    assert_string_equal(config.log_dirs[0].data, "kraftd-data");
    assert_int_equal(server_config_integer(&config, CONFIG_BROKER_NUM_PARTITIONS), 7);
}

static void a_node_id_is_found_or_asked_for(void **state)
{
    load("broker.id=5\n");
    assert_int_equal(config.node_id, 5);
    load("broker.id=-1\n");
    assert_int_equal(config.node_id, 1);
    load("node.id=0\ncontroller.quorum.voters=0@a:1,2@b:2\n");
    assert_int_equal(config.node_id, 0);
    assert_int_equal(config.voters_count, 2);
    assert_int_equal(config.voters[1].node_id, 2);
    assert_string_equal(shown(&config.voters[1].endpoint), "b:2");
    refuse("controller.quorum.voters=1@a:1,2@b:1\n",
           "server.properties: node.id is not set, and controller.quorum.voters lists 2 hosts");
    refuse("controller.quorum.bootstrap.servers=a:1,b:1\n", "lists 2 hosts");
    refuse("node.id=1\nbroker.id=2\n", "line 2: `node.id` and `broker.id` must be set to the same");
    refuse("node.id=-1\n", "line 1: Invalid value -1 for configuration node.id");
}

static void voters_and_roles_agree(void **state)
{
    refuse(
        NODE "controller.quorum.voters=2@h:1\n",
        "line 6: If process.roles contains the 'controller' role, the node id 1 must be included "
        "in the set of voters controller.quorum.voters=Set(2)");
    refuse("process.roles=broker\nnode.id=1\ncontroller.listener.names=C\n"
           "controller.quorum.voters=1@h:1\n",
           "just the 'broker' role, the node id 1 must not be included");
    refuse("process.roles=broker\nnode.id=1\ncontroller.listener.names=C\n",
           "If using process.roles, either controller.quorum.bootstrap.servers");
    refuse(NODE "controller.quorum.voters=1@h:1,1@i:1\n", "names node 1 twice");
    refuse(NODE "controller.quorum.voters=-1@h:1\n", "id of at least 0");
    refuse("process.roles=cook\n", "Invalid value cook for configuration process.roles");
    refuse("process.roles=broker,controller\nnode.id=1\n",
           "Missing required configuration \"controller.listener.names\"");
    load("process.roles=controller\nnode.id=3\ncontroller.listener.names=C\n"
         "listeners=C://:9093\nlistener.security.protocol.map=C:PLAINTEXT\n"
         "controller.quorum.voters=3@[::1]:9093\n");
    assert_false(config.is_broker);
    assert_null(config.inter_broker);
    assert_listener(0, "C", true, ":9093", "box.example:9093");
    assert_string_equal(shown(&config.voters[0].endpoint), "[::1]:9093");
    load("process.roles=broker\nnode.id=3\ncontroller.listener.names=C\n"
         "controller.quorum.bootstrap.servers=a:1\n");
    assert_null(config.controller_listener);
    assert_string_equal(config.controller_listener_name.data, "C");
}

static void a_node_knows_when_it_is_alone(void **state)
{
    static const struct {
        const char *text;
        bool alone;
    } cases[] = {
        {NULL, true},
        {NODE, true},
        {"controller.quorum.bootstrap.servers=localhost:9093\n", true},
        {"controller.quorum.bootstrap.servers=box.example:9093\nlisteners=PLAINTEXT://:9092\n",
         true},
        {"controller.quorum.bootstrap.servers=localhost:9094\n", false},
        {"controller.quorum.bootstrap.servers=other:9093\n", false},
        {"node.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093,other:9093\n", false},
        {"controller.quorum.voters=1@h:9093\n", true},
        {"node.id=1\ncontroller.quorum.voters=1@h:9093,2@i:9093\n", false},
        {"process.roles=broker\nnode.id=3\ncontroller.listener.names=C\n"
         "controller.quorum.bootstrap.servers=localhost:1\n",
         false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        load(cases[i].text);
        if (config.is_alone != cases[i].alone)
            fail_msg("case %d", (int)i);
    }
}

/* The file that is shipped. */
static void the_shipped_file_loads_without_a_warning(void **state)
{
    FILE *file = fopen(TEST_DATA "/../../config/server.properties", "r");
    assert_non_null(file);
    static char text[20000];
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    load(text);
    for (size_t i = 0; i < config.notices_count; i++)
        assert_int_equal(config.notices[i].level, LOG_INFO);
    assert_true(config.is_alone);
    assert_string_equal(config.log_dirs[0].data, "/tmp/kraftd-logs");
    assert_listener(0, "PLAINTEXT", false, ":9092", "localhost:9092");
}

static void zookeeper_is_passed_over_but_a_cluster_stays_one(void **state)
{
    load("broker.id=2\nzookeeper.connect=a:2181\nzookeeper.connection.timeout.ms=1\n");
    assert_int_equal(config.bootstrap_servers_count, 0);
    assert_true(noted(LOG_WARN, "there is no ZooKeeper"));
    load("broker.id=2\nzookeeper.connect=a:2181, b:2182,[::1]:1/chroot\n"
         "listeners=PLAINTEXT://b:9092,CONTROLLER://b:9500\n");
    assert_int_equal(config.bootstrap_servers_count, 3);
    assert_string_equal(shown(&config.bootstrap_servers[0]), "a:9500");
    assert_string_equal(shown(&config.bootstrap_servers[2]), "[::1]:9500");
    assert_true(noted(LOG_WARN, "a:9500,b:9500,[::1]:9500"));
    load("broker.id=2\nzookeeper.connect=a:1,b:1\ncontroller.quorum.voters=2@x:1\n");
    assert_int_equal(config.bootstrap_servers_count, 0);
    refuse("zookeeper.connect=a:1,b:1\n", "zookeeper.connect lists 2 hosts");
}

static void a_controller_listener_is_added(void **state)
{
    load("listeners=PLAINTEXT://10.0.0.1:9092\n");
    assert_listener(1, "CONTROLLER", true, "10.0.0.1:9093", "10.0.0.1:9093");
    assert_string_equal(properties_get(&config.properties, STR("listeners")).data,
                        "PLAINTEXT://10.0.0.1:9092,CONTROLLER://10.0.0.1:9093");
    load("num.partitions=1\n");
    assert_listener(0, "PLAINTEXT", false, ":9092", "box.example:9092");
    assert_listener(1, "CONTROLLER", true, "127.0.0.1:9093", "127.0.0.1:9093");
    load("listeners=PLAINTEXT://h:1,controller://h:2\n");
    assert_int_equal(config.listeners_count, 2);
    assert_listener(1, "CONTROLLER", true, "h:2", "h:2");
    load("listeners=PLAINTEXT://h:1\ncontroller.listener.names=Q\n");
    assert_listener(1, "Q", true, "h:9093", "h:9093");
    load("listeners=A://h:1\nlistener.security.protocol.map=A:PLAINTEXT\n"
         "inter.broker.listener.name=A\n");
    assert_listener(1, "CONTROLLER", true, "h:9093", "h:9093");
    refuse("listeners=PLAINTEXT://h:9093\n", "Each listener must have a different port");
}

static void listeners_advertise_what_can_be_reached(void **state)
{
    load(NODE "advertised.listeners=PLAINTEXT://pub:19092\n");
    assert_listener(0, "PLAINTEXT", false, "127.0.0.1:9092", "pub:19092");
    load("listeners=A://0.0.0.0:1,B://[::1]:2\nadvertised.listeners=A://h:11\n"
         "listener.security.protocol.map=A:plaintext,B:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
         "inter.broker.listener.name=a\n");
    assert_listener(0, "A", false, "0.0.0.0:1", "h:11");
    assert_listener(1, "B", false, "[::1]:2", NULL);
    assert_listener(2, "CONTROLLER", true, "0.0.0.0:9093", "box.example:9093");
    refuse("listeners=PLAINTEXT://0.0.0.0:9092\n",
           "line 1: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0.");
    refuse("listeners=PLAINTEXT://[::]:9092\n", "nonroutable meta-address ::.");
    refuse(NODE "advertised.listeners=PLAINTEXT://0.0.0.0:1\n",
           "line 6: advertised.listeners cannot");
    refuse(NODE "advertised.listeners=X://h:1\n", "No security protocol defined for listener X");
    refuse(NODE "advertised.listeners=SSL://h:1\n", "a subset of the ones defined in listeners");
    refuse(NODE "advertised.listeners=CONTROLLER://h:1\n", "inter.broker.listener.name must be");
}

static void listeners_are_told_apart(void **state)
{
    load("listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://[::1]:1\n");
    load("listeners=PLAINTEXT://h:0,CONTROLLER://h:0\n");
    refuse("listeners=A://h:1,A://h:2\n", "Each listener must have a different name, listeners: "
                                          "[A://h:1, A://h:2, CONTROLLER://h:9093]");
    refuse("listeners=PLAINTEXT://1.1.1.1:1,CONTROLLER://2.2.2.2:1\n",
           "If you have two listeners on the same port then one needs to be IPv4");
    refuse("listeners=foo\n",
           "line 1: Error creating broker listeners from '[foo]': Unable to parse foo to a "
           "broker endpoint (write NAME://host:port)");
    refuse("listeners=PLAINTEXT://h:x\n", "Unable to parse PLAINTEXT://h:x to a broker endpoint");
    refuse("listeners=PLAINTEXT://h:70000\n", "Unable to parse PLAINTEXT://h:70000");
    refuse("listeners=PLAINTEXT://::1:9092\n", "with an IPv6 address in brackets");
    refuse("listeners=\n", "Configuration 'listeners' must not be empty");
    refuse("listeners=NOPE://h:1\n", "No security protocol defined for listener NOPE");
    refuse(
        "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=C\n",
        "controller.listener.names must contain at least one value appearing in the 'listeners'");
    refuse("process.roles=controller\nnode.id=1\ncontroller.listener.names=C\n"
           "listeners=C://:1,PLAINTEXT://:2\n",
           "must only contain KRaft controller listeners");
    refuse("listener.security.protocol.map=A\n", "A is not LISTENER:PROTOCOL");
    refuse("listener.security.protocol.map=A:B\n", "Invalid security protocol `B`");
    refuse(NODE "inter.broker.listener.name=CONTROLLER\n",
           "The valid options based on currently configured listeners are PLAINTEXT");
    refuse(NODE "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT\n",
           "Only one of inter.broker.listener.name and");
}

static void limits_of_addresses_are_read(void **state)
{
    load(NODE "max.connections.per.ip.overrides=10.0.0.1:5, h : 0\nmax.connections.per.ip=0\n");
    assert_int_equal(config.ip_limits_count, 2);
    assert_true(str_eq_z(config.ip_limits[0].host, "10.0.0.1"));
    assert_int_equal(config.ip_limits[0].connections, 5);
    assert_true(str_eq_z(config.ip_limits[1].host, "h"));
    refuse(NODE "max.connections.per.ip=0\n", "can be set to zero only if");
    refuse(NODE "max.connections.per.ip.overrides=x\n",
           "Error parsing configuration property 'max.connections.per.ip.overrides': x is not");
    refuse(NODE "max.connections.per.ip.overrides=x:-1\n", "x:-1 is not host:count");
}

static void strict_refuses_what_kafka_refuses(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"node.id=1\n", "server.properties: Missing required configuration \"process.roles\" which "
                        "has no default value."},
        {"process.roles=broker,controller\n",
         "server.properties: Missing required configuration \"node.id\" which has no default "
         "value."},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(load_with(cases[i].text, true, NULL, 0), -EINVAL);
        assert_string_equal(config.error, cases[i].error);
    }
    assert_int_equal(load_with("process.roles=broker,controller\nnode.id=1\n"
                               "controller.listener.names=C\nlisteners=PLAINTEXT://:1,C://:2\n",
                               true, NULL, 0),
                     -EINVAL);
    assert_int_equal(load_with(NODE, true, NULL, 0), 0);
}

static void cordon(const char *text, const char *flags, const char *fault)
{
    bool cordoned[3] = {true, false, true};
    struct str error = STR_EMPTY;
    struct config_value list = config_split_list(str_of(text), &config.arena);
    int rv = server_config_cordoned(&config, &list, &config.arena, cordoned, &error);
    assert_int_equal(rv, fault == NULL ? 0 : -EINVAL);
    if (fault != NULL)
        assert_string_equal(error.data, fault);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cordoned[i], flags[i] == 'c');
}

static void cordoned_directories_are_found(void **state)
{
    load(NODE "log.dirs=/a,/b,/c\n");
    cordon("", "...", NULL);
    cordon("/b", ".c.", NULL);
    cordon("/c, /a", "c.c", NULL);
    cordon("*", "ccc", NULL);
    /* What is refused changes nothing. */
    cordon("*,/a", "c.c", "When cordoned.log.dirs is set to *, it must not contain other values");
    cordon("/a/,/b,/x", "c.c",
           "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing "
           "entries : /a/, /x");
}

/* "NAME" for each, or what is wrong. */
static void change_listeners(const char *listeners, const char *map, const char *expected)
{
    struct server_config changed;
    char text[200] = "";
    server_config_init(&changed);
    int rv = server_config_with_listeners(&config, str_of(listeners), str_of(map), &changed);
    for (int i = 0; rv == 0 && i < changed.listeners_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s%s", i > 0 ? " " : "",
                 changed.listeners[i].name.data, changed.listeners[i].is_advertised ? "+" : "");
    assert_string_equal(rv == 0 ? text : changed.error, expected);
    server_config_release(&changed);
}

#define MAP "PLAINTEXT:PLAINTEXT,NEW:PLAINTEXT,CONTROLLER:PLAINTEXT"

static void listeners_can_be_others_later(void **state)
{
    static const char more[] =
        "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093,NEW://127.0.0.1:9094";
    load(NODE);
    change_listeners(NULL, NULL, "PLAINTEXT+ CONTROLLER+");
    change_listeners(more, MAP, "PLAINTEXT+ CONTROLLER+ NEW+");
    change_listeners(NULL, MAP, "PLAINTEXT+ CONTROLLER+");
    load(NODE "advertised.listeners=PLAINTEXT://127.0.0.1:9092\n");
    change_listeners(more, MAP, "PLAINTEXT+ CONTROLLER+ NEW");
    assert_int_equal(config.listeners_count, 2); /* as it was */
    /* No place: none of this stands in the file. */
    change_listeners("PLAINTEXT://127.0.0.1:9092", NULL,
                     "requirement failed: controller.listener.names must contain at least one "
                     "value appearing in the "
                     "'listeners' configuration when running the KRaft controller role");
    /* Where nobody spoke of controllers nobody has to now. */
    load(NULL);
    change_listeners("PLAINTEXT://127.0.0.1:9092", NULL, "PLAINTEXT+ CONTROLLER+");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_at_all_is_one_node_on_loopback),
        TEST(kafkas_file_loads_as_it_stands),
        TEST(keys_get_the_word_they_need),
        TEST(bad_values_name_line_value_and_what_is_allowed),
        TEST(what_would_weaken_a_node_is_refused),
        TEST(directories_become_absolute),
        TEST(overrides_come_last),
        TEST(a_node_id_is_found_or_asked_for),
        TEST(voters_and_roles_agree),
        TEST(a_node_knows_when_it_is_alone),
        TEST(the_shipped_file_loads_without_a_warning),
        TEST(zookeeper_is_passed_over_but_a_cluster_stays_one),
        TEST(a_controller_listener_is_added),
        TEST(listeners_advertise_what_can_be_reached),
        TEST(listeners_are_told_apart),
        TEST(limits_of_addresses_are_read),
        TEST(strict_refuses_what_kafka_refuses),
        TEST(cordoned_directories_are_found),
        TEST(listeners_can_be_others_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
