#include "common/storage/meta_properties.h"

#include "common/base/properties.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { META_MAX_BYTES = 64 << 10 };

static int parse(const struct properties *p, struct meta_properties *ret_meta)
{
    struct meta_properties meta = {.node_id = -1};
    struct str version = properties_get(p, STR("version"));
    struct str cluster = properties_get(p, STR("cluster.id"));
    struct str node = properties_get(p, STR("node.id"));
    struct str directory = properties_get(p, STR("directory.id"));
    if (str_eq_z(version, "0"))
        return -ENOTSUP;
    if (!str_eq_z(version, "1") || cluster.len <= 0 || cluster.len > CLUSTER_ID_MAX)
        return -EBADMSG;
    memcpy(meta.cluster_id, cluster.data, (size_t)cluster.len);
    if (!str_is_null(node) && (str_to_i32(node, &meta.node_id) != 0 || meta.node_id < 0))
        return -EBADMSG;
    if (!str_is_null(directory) && uuid_parse(directory, &meta.directory_id) != 0)
        return -EBADMSG;
    *ret_meta = meta;
    return 0;
}

int meta_properties_read(struct disk *disk, const char *path, struct meta_properties *ret_meta)
{
    char *text, error[PROPERTIES_ERROR_LEN];
    size_t len;
    int rv = disk_read_file(disk, path, META_MAX_BYTES, &text, &len);
    if (rv != 0)
        return rv;
    struct properties p;
    properties_init(&p);
    rv = properties_parse(&p, str_from(text, len), error) != 0 ? -EBADMSG : parse(&p, ret_meta);
    properties_release(&p);
    free(text);
    return rv;
}

/* What Java's Date.toString prints in a node whose time zone is UTC. */
static void print_date(struct bytebuf *out, int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    char date[64];
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof(date), "%a %b %d %H:%M:%S UTC %Y", &tm);
    bytebuf_printf(out, "#\n#%s\n", date);
}

int meta_properties_write(struct disk *disk, const char *path, const struct meta_properties *meta,
                          int64_t now_ms)
{
    struct bytebuf out;
    char node[16], directory[UUID_TEXT_LEN + 1];
    bytebuf_init(&out);
    print_date(&out, now_ms);
    snprintf(node, sizeof(node), "%d", meta->node_id);
    uuid_format(meta->directory_id, directory);
    properties_write(&out, STR("node.id"), str_of(node));
    properties_write(&out, STR("directory.id"), str_of(directory));
    properties_write(&out, STR("version"), STR("1"));
    properties_write(&out, STR("cluster.id"), str_of(meta->cluster_id));
    int rv = disk_replace_file(disk, path, out.data, out.len);
    bytebuf_release(&out);
    return rv;
}
