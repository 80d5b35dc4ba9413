/*
 * Where the parts of an image write the records that make them again. Each record is handed over as
 * soon as it is complete; the struct and all it points to need to live only during the call. After
 * a failure the writer swallows the rest. Any one thread that holds the image.
 */
#ifndef KRAFTD_METADATA_IMAGE_WRITER_H
#define KRAFTD_METADATA_IMAGE_WRITER_H

#include "metadata/record_codec.h"

struct image_writer {
    int (*write)(void *ctx, const struct metadata_record *record);
    void *ctx;
    int16_t metadata_version; /* of the image: tells which record versions to write */
    int error;                /* the first one that write returned */
};

static inline void image_write_record(struct image_writer *writer, int16_t key, int16_t version,
                                      const void *data)
{
    struct metadata_record record = {.key = key, .version = version, .data = data};
    if (writer->error == 0)
        writer->error = writer->write(writer->ctx, &record);
}

/* struct topic_record r; ... IMAGE_WRITE(writer, TOPIC, 0, &r) */
#define IMAGE_WRITE(writer, key_name, version, data)                                               \
    image_write_record((writer), METADATA_##key_name##_RECORD, (version), (data))

#endif
