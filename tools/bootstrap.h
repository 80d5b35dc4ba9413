/*
 * The client of a tool that takes --bootstrap-server or --bootstrap-controller, and what it needs.
 * One thread.
 */
#ifndef KRAFTD_TOOLS_BOOTSTRAP_H
#define KRAFTD_TOOLS_BOOTSTRAP_H

#include "tools/args.h"
#include "tools/client.h"

struct bootstrap {
    struct client_config config;
    struct client *client;
    struct arena arena;
};

/* config_path NULL: no file. Always followed by bootstrap_close. */
bool bootstrap_open(struct bootstrap *bootstrap, const struct args *args, const char *config_path,
                    struct failure *failure);
void bootstrap_close(struct bootstrap *bootstrap);

#endif
