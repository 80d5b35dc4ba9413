#include "tests/sim/image_hash.h"

#include "common/base/buf.h"
#include "common/base/check.h"
#include "metadata/image.h"
#include "metadata/record_codec.h"

struct hashing {
    struct bytebuf record;
    uint64_t hash;
};

static int add_record(void *ctx, const struct metadata_record *record)
{
    struct hashing *h = ctx;
    h->record.len = 0;
    int rv = record_codec_encode(record, &h->record);
    if (rv == 0)
        h->hash = hash_u64(h->hash ^ hash_bytes(h->record.data, h->record.len));
    return rv;
}

uint64_t image_hash(const struct image *image)
{
    struct hashing h = {.hash = 0};
    bytebuf_init(&h.record);
    int rv = image_write(image, add_record, &h);
    CHECK(rv == 0);
    bytebuf_release(&h.record);
    return h.hash;
}
