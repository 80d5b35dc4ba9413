/*
 * kafka-topics in two files: topics.c (options, list, create, alter, delete) and topics_describe.c.
 */
#ifndef KRAFTD_TOOLS_TOPICS_INTERNAL_H
#define KRAFTD_TOOLS_TOPICS_INTERNAL_H

#include "tools/admin.h"
#include "tools/tool.h"

struct topics_command {
    struct tool tool;
    struct client_config config;
    struct client *client;
    struct arena arena;
};

/* The topics that --topic means, by name; all without it. Where it names none and they must exist,
 * it fails: "Topic 'x' does not exist as expected". */
bool topics_find(struct topics_command *command, bool must_exist, struct admin_topics *ret_topics,
                 struct failure *failure);
bool topics_describe(struct topics_command *command, struct failure *failure);

#endif
