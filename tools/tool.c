#include "tools/tool.h"

#include "common/base/mem.h"
#include "common/base/stream.h"

#include <stdarg.h>
#include <stdlib.h>

static int parse_format(struct tool *tool)
{
    const char *format;
    int rv = options_value(&tool->options, "format", &format);
    if (rv != 0 || format == NULL || strcmp(format, "text") == 0)
        return rv;
    if (strcmp(format, "json") != 0) {
        snprintf(tool->options.error, sizeof(tool->options.error),
                 "Format %s is neither text nor json", format);
        return -1;
    }
    tool->json = true;
    return 0;
}

enum tool_begin tool_begin(struct tool *tool, const char *purpose, const struct option_spec *specs,
                           int argc, char **argv)
{
    *tool = (struct tool){.purpose = purpose};
    if (options_parse(&tool->options, specs, argc, argv) != 0)
        return TOOL_REFUSED;
    if (options_has(&tool->options, "help")) {
        printf("%s\n", purpose);
        options_print_help(specs, stdout);
        return TOOL_DONE;
    }
    if (options_has(&tool->options, "version")) {
        puts(TOOL_VERSION);
        return TOOL_DONE;
    }
    return parse_format(tool) == 0 ? TOOL_GO_ON : TOOL_REFUSED;
}

void tool_release(struct tool *tool)
{
    options_release(&tool->options);
}

int tool_usage(const struct tool *tool, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    options_print_help(tool->options.specs, stderr);
    return 1;
}

int tool_fail(const struct tool *tool, const struct failure *failure)
{
    if (tool->json)
        tool_print_json(tool_json_of_failure(failure));
    else
        fprintf(stderr, "%s\n", failure->text);
    return 1;
}

int tool_fail_options(const struct tool *tool)
{
    struct failure failure;
    failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST, "%s", tool->options.error);
    return tool_fail(tool, &failure);
}

bool tool_require(const struct tool *tool, const char *name)
{
    if (options_has(&tool->options, name))
        return true;
    tool_usage(tool, "Missing required argument \"[%s]\"", name);
    return false;
}

bool tool_check_bootstrap(const struct tool *tool, const char *bootstrap)
{
    struct str rest = str_of(bootstrap), one;
    if (str_trim(rest).len == 0) {
        tool_usage(tool, "Error while validating the bootstrap address\n");
        return false;
    }
    while (!str_is_null(rest)) {
        struct endpoint endpoint;
        str_split(&rest, ',', &one);
        if (endpoint_parse(str_trim(one), -1, &endpoint) == 0 && endpoint.host[0] != '\0')
            continue;
        tool_usage(tool, "Please provide valid host:port like host1:9091,host2:9092\n");
        return false;
    }
    return true;
}

bool tool_exclude(const struct tool *tool, const char *name, const char *other)
{
    if (!options_has(&tool->options, name) || !options_has(&tool->options, other))
        return true;
    tool_usage(tool, "Option \"[%s]\" can't be used with option \"[%s]\"", name, other);
    return false;
}

void tool_print_json(json_t *document)
{
    json_dumpf(document, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(document);
}

json_t *tool_json_str(struct str s)
{
    if (str_is_null(s))
        return json_null();
    json_t *text = json_stringn(s.data, (size_t)s.len);
    if (text != NULL)
        return text;
    /* One bad byte makes jansson refuse it all; then every byte above ASCII becomes U+FFFD. */
    char *clean = mem_alloc((size_t)s.len * 3 + 1);
    size_t len = 0;
    for (int32_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.data[i] < 0x80) {
            clean[len++] = s.data[i];
        } else {
            memcpy(clean + len, "\xef\xbf\xbd", 3);
            len += 3;
        }
    }
    text = json_stringn_nocheck(clean, len);
    free(clean);
    return text;
}

json_t *tool_json_of_failure(const struct failure *failure)
{
    json_t *error = json_object();
    json_object_set_new(error, "code", json_string(kafka_error_name((int16_t)failure->error)));
    json_object_set_new(error, "message", tool_json_str(str_of(failure->text)));
    json_t *document = json_object();
    json_object_set_new(document, "error", error);
    return document;
}

int tool_main(struct tool *tool, const char *purpose, const struct option_spec *specs, int habits,
              int argc, char **argv, int (*run)(struct tool *tool))
{
    int code = 0;
    switch (tool_begin(tool, purpose, specs, argc, argv)) {
    case TOOL_GO_ON:
        code = argc == 0 && (habits & TOOL_NEEDS_WORDS) ? tool_usage(tool, "%s", tool->purpose)
                                                        : run(tool);
        break;
    case TOOL_REFUSED:
        code = habits & TOOL_REFUSES_AT_LENGTH ? tool_usage(tool, "%s", tool->options.error)
                                               : tool_fail_options(tool);
        break;
    case TOOL_DONE:
        break;
    }
    tool_release(tool);
    return code;
}
