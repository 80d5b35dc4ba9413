#include "common/storage/small_files.h"

#include "common/base/mem.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALL_MAX_BYTES = 64 << 10 };

int partition_metadata_read(struct disk *disk, const char *path, struct uuid *ret_topic_id)
{
    char *text;
    size_t len;
    int rv = disk_read_file(disk, path, SMALL_MAX_BYTES, &text, &len);
    if (rv != 0)
        return rv;
    struct str rest = str_from(text, len), line;
    struct uuid id = UUID_ZERO;
    bool have_version = false, have_id = false;
    while (rv == 0 && rest.len > 0) {
        str_split(&rest, '\n', &line);
        struct str key, value = line;
        if (!str_split(&value, ':', &key))
            rv = -EBADMSG;
        else if (str_eq_z(str_trim(key), "version"))
            have_version = str_eq_z(str_trim(value), "0");
        else if (str_eq_z(str_trim(key), "topic_id"))
            have_id = uuid_parse(str_trim(value), &id) == 0;
        else
            rv = -EBADMSG;
    }
    if (rv == 0 && !(have_version && have_id && !uuid_is_zero(id)))
        rv = -EBADMSG;
    free(text);
    if (rv == 0)
        *ret_topic_id = id;
    return rv;
}

int partition_metadata_write(struct disk *disk, const char *path, struct uuid topic_id)
{
    char id[UUID_TEXT_LEN + 1], text[64];
    uuid_format(topic_id, id);
    int len = snprintf(text, sizeof(text), "version: 0\ntopic_id: %s", id);
    struct disk_file *file;
    /* Not emptied before: what is written again has been there all the time. */
    int rv = disk_open(disk, path, DISK_WRITE | DISK_CREATE, &file);
    if (rv != 0)
        return rv;
    rv = disk_pwrite(file, text, (size_t)len, 0);
    disk_file_unref(file);
    return rv;
}

static int read_json(struct disk *disk, const char *path, json_t **ret_json)
{
    char *text;
    size_t len;
    int rv = disk_read_file(disk, path, SMALL_MAX_BYTES, &text, &len);
    if (rv != 0)
        return rv;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (!json_is_object(json)) {
        json_decref(json);
        return -EBADMSG;
    }
    *ret_json = json;
    return 0;
}

/* Takes the reference to json. */
static int write_json(struct disk *disk, const char *path, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text == NULL)
        return -ENOMEM;
    int rv = disk_replace_file(disk, path, text, strlen(text));
    free(text);
    return rv;
}

static bool json_int(const json_t *object, const char *key, int64_t min, int64_t max,
                     int64_t *ret_value)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return false;
    int64_t n = json_integer_value(value);
    if (n < min || n > max)
        return false;
    *ret_value = n;
    return true;
}

int clean_shutdown_read(struct disk *disk, const char *path, int64_t *ret_broker_epoch)
{
    json_t *json;
    int rv = read_json(disk, path, &json);
    if (rv != 0)
        return rv;
    int64_t version, epoch = -1;
    if (!json_int(json, "version", 0, 0, &version) ||
        !json_int(json, "brokerEpoch", INT64_MIN, INT64_MAX, &epoch))
        rv = -EBADMSG;
    json_decref(json);
    if (rv == 0)
        *ret_broker_epoch = epoch;
    return rv;
}

int clean_shutdown_write(struct disk *disk, const char *path, int64_t broker_epoch)
{
    return write_json(
        disk, path, json_pack("{s:i, s:I}", "version", 0, "brokerEpoch", (json_int_t)broker_epoch));
}

int clean_shutdown_remove(struct disk *disk, const char *path)
{
    int rv = disk->ops->unlink(disk, path);
    if (rv == -ENOENT)
        return 0;
    return rv != 0 ? rv : disk_sync_parent(disk, path);
}
