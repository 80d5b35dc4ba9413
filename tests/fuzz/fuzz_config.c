/*
 * Configuration that anyone may write: the first byte picks what the rest is. 0: server.properties,
 * loaded; else a key by its number in two bytes, then a value of it, parsed, shown and parsed
 * again.
 */
#include "common/base/check.h"
#include "metadata/config/config_value.h"
#include "metadata/config/server_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load_file(struct str text)
{
    struct server_config config;
    struct server_config_options options = {
        .text = text, .source = STR("server.properties"), .hostname = STR("here")};
    server_config_init(&config);
    int rv = server_config_load(&config, &options);
    CHECK((rv == 0) == (config.error == NULL));
    CHECK(rv != 0 || config.listeners_count > 0);
    server_config_release(&config);
}

static void parse_value(const struct config_def *def, struct str text)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct config_value value, again;
    struct str error = STR_NULL;
    if (config_value_parse(def, text, &arena, &value, &error) == 0) {
        struct str shown = config_value_format(&value, &arena);
        CHECK(config_value_parse(def, shown, &arena, &again, &error) == 0);
        CHECK(str_eq(shown, config_value_format(&again, &arena)));
    } else {
        CHECK(error.len > 0);
    }
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 1 << 16)
        return 0;
    if (data[0] == 0)
        load_file(str_from((const char *)data + 1, size - 1));
    else
        parse_value(&config_defs[(data[1] * 256 + data[2]) % CONFIG_COUNT],
                    str_from((const char *)data + 3, size - 3));
    return 0;
}
