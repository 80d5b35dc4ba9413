#include "common/protocol/control_record.h"

#include "common/base/check.h"
#include "common/protocol/endian.h"

#include <errno.h>

static const char *const names[CONTROL_RECORD_TYPE_COUNT] = {
    [CONTROL_ABORT] = "ABORT",
    [CONTROL_COMMIT] = "COMMIT",
    [CONTROL_LEADER_CHANGE] = "LEADER_CHANGE",
    [CONTROL_SNAPSHOT_HEADER] = "SNAPSHOT_HEADER",
    [CONTROL_SNAPSHOT_FOOTER] = "SNAPSHOT_FOOTER",
    [CONTROL_KRAFT_VERSION] = "KRAFT_VERSION",
    [CONTROL_KRAFT_VOTERS] = "KRAFT_VOTERS",
};

const char *control_record_name(int type)
{
    return type >= 0 && type < CONTROL_RECORD_TYPE_COUNT ? names[type] : NULL;
}

void control_record_key(enum control_record_type type, uint8_t ret_key[CONTROL_RECORD_KEY_SIZE])
{
    put_i16(ret_key, CONTROL_RECORD_VERSION);
    put_i16(ret_key + 2, (int16_t)type);
}

int control_record_parse_key(struct bytes key, int *ret_type)
{
    /* Later versions may add fields behind the type. */
    if (key.len < CONTROL_RECORD_KEY_SIZE || get_i16(key.data) < CONTROL_RECORD_VERSION)
        return -EBADMSG;
    *ret_type = get_i16(key.data + 2);
    return 0;
}

void control_end_txn_value(int32_t coordinator_epoch, uint8_t ret_value[CONTROL_END_TXN_SIZE])
{
    put_i16(ret_value, CONTROL_RECORD_VERSION);
    put_i32(ret_value + 2, coordinator_epoch);
}

int control_end_txn_parse(struct bytes value, int32_t *ret_coordinator_epoch)
{
    if (value.len < CONTROL_END_TXN_SIZE || get_i16(value.data) < CONTROL_RECORD_VERSION)
        return -EBADMSG;
    *ret_coordinator_epoch = get_i32(value.data + 2);
    return 0;
}
