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

/* A command of a tool that is one operation; `call` is what Kafka's client calls it. */
struct bootstrap_command {
    const char *name, *call;
    bool (*run)(const struct args *args, struct client_op *op, struct failure *failure);
};
/* Runs the one of `count` commands that was given, and says what failed. The exit code. */
int bootstrap_run(const struct args *args, const char *config_path,
                  const struct bootstrap_command *commands, size_t count);

#endif
