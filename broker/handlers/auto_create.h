/*
 * Topics that come into being because somebody asked for them (auto.create.topics.enable). Nobody
 * waits: the client asks again. On the shard's loop.
 */
#ifndef KRAFTD_BROKER_HANDLERS_AUTO_CREATE_H
#define KRAFTD_BROKER_HANDLERS_AUTO_CREATE_H

#include "common/base/str.h"

struct shard;

/* Asks the controller for a topic with the broker's defaults; twice at a time is harmless. */
void auto_create_topic(struct shard *shard, struct str name);

#endif
