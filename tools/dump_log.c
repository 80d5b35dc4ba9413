/* kafka-dump-log: what the files of a partition's directory hold. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/dump_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option_spec specs[] = {
    {"cluster-metadata-decoder", OPTION_FLAG, NULL,
     "Show values as records of the metadata log. Prints the data."},
    {"deep-iteration", OPTION_FLAG, NULL, "Show every record, not only the batches."},
    {"files", OPTION_VALUE, "file1, file2, ...",
     "Required: the files to read, separated by commas."},
    {"index-sanity-check", OPTION_FLAG, NULL,
     "Check an index as it is checked at start, without its entries."},
    {"key-decoder-class", OPTION_MAYBE, NULL,
     "How to show keys: org.apache.kafka.tools.api.StringDecoder, DefaultDecoder, IntegerDecoder "
     "or LongDecoder. Prints the data.",
     .fallback = "org.apache.kafka.tools.api.StringDecoder"},
    {"max-bytes", OPTION_VALUE, "size", "How much of a log to read.", .fallback = "2147483647"},
    {"max-message-size", OPTION_VALUE, "size", "The largest batch that an index may point to.",
     .fallback = "5242880"},
    {"offsets-decoder", OPTION_FLAG, NULL,
     "Show records of __consumer_offsets as JSON. Prints the data."},
    {"print-data-log", OPTION_FLAG, NULL, "Show keys and values too."},
    {"remote-log-metadata-decoder", OPTION_FLAG, NULL,
     "Refused: there is no tiered storage whose records it could show."},
    {"share-group-state-decoder", OPTION_FLAG, NULL,
     "Show records of __share_group_state as JSON. Prints the data."},
    {"skip-record-metadata", OPTION_FLAG, NULL, "Show of a record only its key and value."},
    {"transaction-log-decoder", OPTION_FLAG, NULL,
     "Show records of __transaction_state as JSON. Prints the data."},
    {"value-decoder-class", OPTION_MAYBE, NULL, "The same for values.",
     .fallback = "org.apache.kafka.tools.api.StringDecoder"},
    {"verify-index-only", OPTION_FLAG, NULL,
     "Compare an index with its log without printing its entries."},
    TOOL_COMMON_OPTIONS,
};

void dump_note(struct dump *dump, enum dump_problem kind, const char *path, int64_t first,
               int64_t second)
{
    VEC_PUSH(dump->notes, dump->notes_count, dump->notes_capacity) =
        (struct dump_note){kind, path, first, second};
}

void dump_print_text(struct dump *dump)
{
    if (dump->line.len > 0)
        fwrite(dump->line.data, 1, dump->line.len, stdout);
    dump->line.len = 0;
}

void dump_print_json(struct dump *dump, const char *path, json_t *object)
{
    json_object_set_new(object, "file", tool_json_str(str_of(path)));
    tool_print_json(object);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool dump_base_offset(const char *path, int64_t *ret_offset, struct failure *failure)
{
    struct str name = str_of(file_name(path)), number;
    str_split(&name, '.', &number);
    if (str_to_i64(number, ret_offset) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "%s: the name must begin with an offset, but \"%.*s\" is no number",
                           path, STR_FMT(number));
    return true;
}

bool dump_open(const char *path, struct dump_file *ret_file, struct failure *failure)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        int error = fd >= 0 && S_ISDIR(info.st_mode) ? EISDIR : errno;
        if (fd >= 0)
            close(fd);
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Cannot read %s: %s", path,
                           strerror(error));
    }
    *ret_file = (struct dump_file){path, fd, info.st_size};
    return true;
}

void dump_close(struct dump_file *file)
{
    close(file->fd);
}

bool dump_read_all(const char *path, struct bytes *ret_data, struct failure *failure)
{
    struct dump_file file;
    if (!dump_open(path, &file, failure))
        return false;
    uint8_t *data = file.size_bytes < INT32_MAX ? mem_try_alloc((size_t)file.size_bytes + 1) : NULL;
    ssize_t len = data ? pread(file.fd, data, (size_t)file.size_bytes, 0) : -1;
    int error = data ? errno : EFBIG;
    dump_close(&file);
    if (len < 0) {
        free(data);
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Cannot read %s: %s", path,
                           strerror(error));
    }
    *ret_data = (struct bytes){data, (int32_t)len};
    return true;
}

static bool dump_any(struct dump *dump, const char *path, struct failure *failure)
{
    static const struct {
        const char *suffix;
        bool (*run)(struct dump *dump, const char *path, struct failure *failure);
    } kinds[] = {
        {".log", dump_log},
        {".checkpoint", dump_log},
        {".index", dump_index},
        {".timeindex", dump_time_index},
        {".snapshot", dump_producer_snapshot},
        {".txnindex", dump_txn_index},
    };
    if (!dump->tool.json)
        printf("Dumping %s\n", path);
    if (dump->class_name != NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Failed to load decoder class\n%s",
                           dump->class_name);
    const char *dot = strrchr(file_name(path), '.');
    for (size_t i = 0; i < ARRAY_LEN(kinds) && dot != NULL; i++)
        if (strcmp(dot, kinds[i].suffix) == 0)
            return kinds[i].run(dump, path, failure);
    fprintf(stderr, "Ignoring unknown file %s\n", path);
    return true;
}

/* Of one kind, file by file. */
static void print_notes(const struct dump *dump, enum dump_problem kind)
{
    static const struct {
        const char *title, *line;
    } texts[DUMP_PROBLEM_KINDS] = {
        {"Mismatches in :", "  Index offset: %lld, log offset: %lld\n"},
        {"Found timestamp mismatch in :", "  Index timestamp: %lld, log timestamp: %lld\n"},
        {"Found out of order timestamp in :",
         "  Index timestamp: %lld, Previously indexed timestamp: %lld\n"},
        {"The following indexed offsets are not found in :",
         "Indexed offset: %lld, found log offset: %lld\n"},
        {"Non-consecutive offsets in ", "  %lld is followed by %lld\n"},
    };
    const char *last = NULL;
    for (size_t i = 0; i < dump->notes_count; i++) {
        const struct dump_note *note = &dump->notes[i];
        if (note->kind != kind)
            continue;
        if (last == NULL || strcmp(last, note->path) != 0) {
            char *full = realpath(note->path, NULL);
            fprintf(stderr, "%s%s\n", texts[kind].title, full ? full : note->path);
            free(full);
        }
        last = note->path;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(stderr, texts[kind].line, (long long)note->first, (long long)note->second);
#pragma GCC diagnostic pop
    }
}

static enum dump_class find_class(const char *name)
{
    static const char package[] = "org.apache.kafka.tools.api.";
    static const char *const names[] = {"StringDecoder", "DefaultDecoder", "IntegerDecoder",
                                        "LongDecoder"};
    if (strncmp(name, package, sizeof(package) - 1) == 0)
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (strcmp(name + sizeof(package) - 1, names[i]) == 0)
                return (enum dump_class)i;
    return DUMP_CLASS_UNKNOWN;
}

static int read_class(struct dump *dump, const char *option, enum dump_class *ret_class)
{
    const char *name;
    if (options_value(&dump->tool.options, option, &name) != 0)
        return -1;
    *ret_class = find_class(name);
    if (*ret_class == DUMP_CLASS_UNKNOWN)
        dump->class_name = name;
    return 0;
}

static int read_options(struct dump *dump)
{
    static const struct {
        const char *option;
        enum dump_decoder decoder;
    } decoders[] = {
        {"offsets-decoder", DUMP_DECODE_OFFSETS},
        {"transaction-log-decoder", DUMP_DECODE_TRANSACTIONS},
        {"cluster-metadata-decoder", DUMP_DECODE_METADATA},
        {"share-group-state-decoder", DUMP_DECODE_SHARE_STATE},
    };
    struct options *options = &dump->tool.options;
    dump->print_data = options_has(options, "print-data-log") ||
                       options_has(options, "key-decoder-class") ||
                       options_has(options, "value-decoder-class");
    for (size_t i = ARRAY_LEN(decoders); i-- > 0;) {
        if (options_has(options, decoders[i].option)) {
            dump->decoder = decoders[i].decoder;
            dump->print_data = true;
        }
    }
    dump->deep = dump->print_data || options_has(options, "deep-iteration");
    dump->verify_only = options_has(options, "verify-index-only");
    dump->sanity_only = options_has(options, "index-sanity-check");
    dump->skip_metadata = options_has(options, "skip-record-metadata");
    if (options_int(options, "max-bytes", &dump->max_bytes) != 0 ||
        options_int(options, "max-message-size", &dump->max_message_size) != 0 ||
        read_class(dump, "value-decoder-class", &dump->value_class) != 0)
        return -1;
    return read_class(dump, "key-decoder-class", &dump->key_class);
}

static int run(struct tool *tool)
{
    struct dump *dump = CONTAINER_OF(tool, struct dump, tool);
    struct options *options = &dump->tool.options;
    const char *files;
    struct failure failure;
    if (!tool_require(&dump->tool, "files"))
        return 1;
    if (options_has(options, "remote-log-metadata-decoder")) {
        failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST,
                    "--remote-log-metadata-decoder cannot be used: there is no tiered storage "
                    "whose records it could show");
        return tool_fail(&dump->tool, &failure);
    }
    if (read_options(dump) != 0 || options_value(options, "files", &files) != 0)
        return tool_fail_options(&dump->tool);
    struct str rest = str_of(files), one;
    struct arena paths;
    arena_init(&paths, 0);
    int code = 0;
    while (!str_is_null(rest) && code == 0) {
        str_split(&rest, ',', &one);
        if (one.len > 0 && !dump_any(dump, arena_str_z(&paths, one), &failure)) {
            fflush(stdout);
            code = tool_fail(&dump->tool, &failure);
        }
    }
    for (int kind = 0; kind < DUMP_PROBLEM_KINDS && code == 0; kind++)
        print_notes(dump, (enum dump_problem)kind);
    arena_release(&paths);
    return code;
}

int dump_log_main(int argc, char **argv)
{
    struct dump dump = {0};
    arena_init(&dump.arena, 0);
    bytebuf_init(&dump.line);
    record_scratch_init(&dump.scratch);
    int code = tool_main(&dump.tool, "Shows what the files of a partition hold.", specs,
                         TOOL_NEEDS_WORDS, argc, argv, run);
    record_scratch_release(&dump.scratch);
    bytebuf_release(&dump.line);
    arena_release(&dump.arena);
    free(dump.notes);
    return code;
}
