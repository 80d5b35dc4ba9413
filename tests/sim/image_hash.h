/*
 * image_hash: a number for all that a metadata image says, in its canonical order: equal images
 * have equal numbers. From outside of all processes.
 */
#ifndef KRAFTD_SIM_IMAGE_HASH_H
#define KRAFTD_SIM_IMAGE_HASH_H

#include <stdint.h>

struct image;

uint64_t image_hash(const struct image *image);

#endif
