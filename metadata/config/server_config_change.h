/*
 * What changes of a running node are judged by, and come to, beside what it was started with. Pure;
 * any thread.
 */
#ifndef KRAFTD_METADATA_SERVER_CONFIG_CHANGE_H
#define KRAFTD_METADATA_SERVER_CONFIG_CHANGE_H

#include "metadata/config/server_config.h"

/* Threads for each directory, however few are configured: whoever opens a log that is in no cache
 * waits for the disk half a dozen times, and does next to nothing else. And for all of them: more
 * than that wait for each other, not for disks. */
#define SERVER_DISK_WORKERS_PER_DIR 16
#define SERVER_DISK_WORKERS_MAX     1024

/*
 * What a node that was started with `config` is with these texts as `listeners` and
 * listener.security.protocol.map; a null one: with what it was started with. ret_config, which
 * server_config_init made, has the members about listeners then, and points into config. -EINVAL
 * with ret_config->error, in Kafka's words. Security protocols are not judged.
 */
int server_config_with_listeners(const struct server_config *config, struct str listeners,
                                 struct str protocol_map, struct server_config *ret_config);

/* Which of log_dirs a value of cordoned.log.dirs names, "*" all of them; ret_cordoned has room for
 * each. -EINVAL with Kafka's sentence, in the arena. */
int server_config_cordoned(const struct server_config *config, const struct config_value *list,
                           struct arena *arena, bool *ret_cordoned, struct str *ret_fault);

/* "host:count,host:count", as max.connections.per.ip.overrides says it. -EINVAL with the item that
 * cannot be read. The limits and their hosts lie in the arena, or point into the text. */
int server_ip_limits_parse(struct str text, struct arena *arena,
                           struct server_ip_limit **ret_limits, int *ret_count,
                           struct str *ret_bad);

/* How many threads work on disks, with num.recovery.threads.per.data.dir. */
static inline int server_config_disk_workers(const struct server_config *config, int64_t per_dir)
{
    int64_t count = MAX(per_dir, SERVER_DISK_WORKERS_PER_DIR) * config->log_dirs_count;
    return (int)MIN(count, SERVER_DISK_WORKERS_MAX);
}

#endif
