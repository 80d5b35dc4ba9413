#include "metadata/controller/controller.h"

#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "metadata/controller/brokers.h"
#include "metadata/controller/controller_internal.h"
#include "metadata/controller/effective_configs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct controller *controller_new(const struct controller_config *config, struct loader *loader)
{
    struct controller *c = mem_calloc(1, sizeof(*c));
    c->config = *config;
    c->loader = loader;
    c->chain = loader->chain;
    c->epoch = -1;
    heartbeats_init(&c->heartbeats, config->session_timeout_ms);
    return c;
}

void controller_free(struct controller *c)
{
    if (!c)
        return;
    heartbeats_release(&c->heartbeats);
    free(c);
}

bool controller_is_active(const struct controller *c)
{
    return c->active;
}

const struct image *controller_image(const struct controller *c)
{
    return image_chain_newest(c->chain);
}

int64_t controller_pending_offset(const struct controller *c)
{
    const struct image *newest = image_chain_newest(c->chain);
    return newest == image_chain_published(c->chain) ? -1 : newest->offset;
}

bool controller_elr_enabled(const struct controller *c)
{
    return features_image_level(&controller_image(c)->features,
                                STR(FEATURE_ELIGIBLE_LEADER_REPLICAS)) > 0;
}

struct uuid controller_random_uuid(const struct controller *c)
{
    uint8_t bytes[16];
    struct uuid id;
    do
        c->config.random.fill(c->config.random.ctx, bytes, sizeof(bytes));
    while (!uuid_from_random(bytes, &id));
    return id;
}

struct api_error api_error(struct arena *arena, enum kafka_error code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    va_end(args);
    CHECK(len >= 0);
    struct api_error error = {code, arena_str(arena, str_from(text, (size_t)len))};
    free(text);
    return error;
}

struct api_error api_error_plain(enum kafka_error code)
{
    return (struct api_error){code, str_of(kafka_error_message((int16_t)code))};
}

/* --- leadership --------------------------------------------------------------------------- */

void controller_deactivate(struct controller *c)
{
    if (!c->active)
        return;
    c->active = false;
    image_chain_rollback(c->chain);
    loader_resume(c->loader);
}

static bool log_is_empty(const struct controller *c)
{
    return features_image_level(&controller_image(c)->features, STR(FEATURE_METADATA_VERSION)) == 0;
}

/* With ELR the cluster-wide min.insync.replicas stands in the log, so that every controller
 * computes with the same one. */
static void add_min_isr(const struct controller *c, struct arena *arena,
                        struct metadata_records *records)
{
    struct str name = config_defs[CONFIG_BROKER_MIN_INSYNC_REPLICAS].name;
    struct config_record *record = METADATA_RECORD_ADD(records, arena, config_record, CONFIG, 0);
    record->resource_type = CONFIG_RESOURCE_BROKER;
    record->resource_name = STR_EMPTY;
    record->name = name;
    record->value = arena_printf(
        arena, "%lld", (long long)effective_broker_number(c, CONFIG_BROKER_MIN_INSYNC_REPLICAS));
}

static void add_bootstrap(const struct controller *c, const struct metadata_records *bootstrap,
                          struct arena *arena, struct metadata_records *records)
{
    int16_t metadata_version = 0;
    bool elr = false;
    for (size_t i = 0; i < bootstrap->count; i++) {
        const struct feature_level_record *level = bootstrap->items[i].data;
        if (bootstrap->items[i].key != METADATA_FEATURE_LEVEL_RECORD)
            continue;
        if (str_eq_z(level->name, FEATURE_METADATA_VERSION))
            metadata_version = level->feature_level;
        if (str_eq_z(level->name, FEATURE_ELIGIBLE_LEADER_REPLICAS))
            elr = level->feature_level > 0;
    }
    CHECK(metadata_version_find(metadata_version) != NULL);
    bool framed = metadata_version >= METADATA_VERSION_TRANSACTIONS;
    if (framed) {
        struct begin_transaction_record *begin =
            METADATA_RECORD_ADD(records, arena, begin_transaction_record, BEGIN_TRANSACTION, 0);
        begin->name = STR("Bootstrap records");
    }
    for (size_t i = 0; i < bootstrap->count; i++) {
        const struct metadata_record *from = &bootstrap->items[i];
        const struct message_desc *desc = metadata_record_find(from->key);
        void *data = metadata_records_add(records, arena, from->key, from->version);
        message_copy(desc, from->data, arena, data);
    }
    if (elr)
        add_min_isr(c, arena, records);
    if (framed)
        METADATA_RECORD_ADD(records, arena, end_transaction_record, END_TRANSACTION, 0);
}

static int add_abort(const struct controller *c, const char *reason, int16_t metadata_version,
                     struct arena *arena, struct metadata_records *records, const char **ret_reason)
{
    if (metadata_version < METADATA_VERSION_TRANSACTIONS) {
        *ret_reason = "the metadata log ends inside a transaction, but its metadata.version has no "
                      "transactions";
        return -EBADMSG;
    }
    struct abort_transaction_record *abort_record =
        METADATA_RECORD_ADD(records, arena, abort_transaction_record, ABORT_TRANSACTION, 0);
    abort_record->reason = str_of(reason);
    return 0;
}

int controller_activate(struct controller *c, const struct controller_context *ctx, int32_t epoch,
                        const struct metadata_records *bootstrap, struct arena *arena,
                        struct controller_result *ret_result, const char **ret_reason)
{
    CHECK(!c->active);
    *ret_result = (struct controller_result){.atomic = true};
    struct metadata_records *records = &ret_result->records;
    bool in_transaction = loader_drop_transaction(c->loader);
    bool empty = log_is_empty(c);
    if (in_transaction) {
        int rv = add_abort(c, empty ? "Partial bootstrap" : "Controller failover",
                           empty ? METADATA_VERSION_LATEST : controller_metadata_version(c), arena,
                           records, ret_reason);
        if (rv != 0)
            return rv;
    }
    struct str min_isr = config_defs[CONFIG_BROKER_MIN_INSYNC_REPLICAS].name;
    if (empty)
        add_bootstrap(c, bootstrap, arena, records);
    else if (controller_elr_enabled(c) &&
             str_is_null(configs_image_get(&controller_image(c)->configs, CONFIG_RESOURCE_BROKER,
                                           STR_EMPTY, min_isr)))
        add_min_isr(c, arena, records);
    c->active = true;
    c->epoch = epoch;
    c->next_noop_ms = ctx->now_ms + c->config.max_idle_interval_ms;
    heartbeats_reset(&c->heartbeats, controller_image(c), ctx->now_ms);
    const struct controller_config *config = &c->config;
    int64_t never = INT64_MAX, now_ms = ctx->now_ms;
    election_sweep_begin_at(&c->balance, config->imbalance_check_interval_ms > 0
                                             ? now_ms + config->imbalance_check_interval_ms
                                             : never);
    election_sweep_begin_at(&c->leaderless, config->unclean_interval_ms > 0 ? now_ms : never);
    return 0;
}

void controller_bootstrap_records(int16_t metadata_version, const struct feature_choice *choices,
                                  size_t choice_count, struct arena *arena,
                                  struct metadata_records *records)
{
    for (size_t i = 0; i < feature_table_size; i++) {
        const struct feature *feature = &feature_table[i];
        int16_t level = feature_default_level(feature, metadata_version);
        for (size_t k = 0; k < choice_count; k++) {
            if (str_eq_z(choices[k].name, feature->name) && choices[k].level >= 0)
                level = choices[k].level;
        }
        /* The quorum keeps its own version, in a control record. */
        if (level == 0 || str_eq(str_of(feature->name), STR(FEATURE_KRAFT_VERSION)))
            continue;
        struct feature_level_record *record =
            METADATA_RECORD_ADD(records, arena, feature_level_record, FEATURE_LEVEL, 0);
        record->name = str_of(feature->name);
        record->feature_level = level;
    }
}

/* --- proposals ---------------------------------------------------------------------------- */

void controller_frame(const struct controller *c, struct arena *arena,
                      struct controller_result *result)
{
    if (!result->atomic || result->records.count <= CONTROLLER_BATCH_RECORDS ||
        result->records.items[0].key == METADATA_BEGIN_TRANSACTION_RECORD ||
        controller_metadata_version(c) < METADATA_VERSION_TRANSACTIONS)
        return;
    struct metadata_records framed = {0};
    METADATA_RECORD_ADD(&framed, arena, begin_transaction_record, BEGIN_TRANSACTION, 0);
    size_t count = result->records.count + 2;
    struct metadata_record *items = ARENA_ARRAY(arena, struct metadata_record, count);
    items[0] = framed.items[0];
    memcpy(items + 1, result->records.items, result->records.count * sizeof(*items));
    METADATA_RECORD_ADD(&framed, arena, end_transaction_record, END_TRANSACTION, 0);
    items[count - 1] = framed.items[1];
    result->records = (struct metadata_records){items, count, count};
}

/* Who may lead uncleanly from now on need not wait for the next look at the leaderless. */
static bool allows_elections(const struct metadata_record *record)
{
    const struct config_record *config = record->data;
    return record->key == METADATA_CONFIG_RECORD &&
           str_eq(config->name, config_defs[CONFIG_TOPIC_UNCLEAN_LEADER_ELECTION_ENABLE].name);
}

void controller_propose(struct controller *c, const struct controller_result *result,
                        int64_t first_offset, int64_t timestamp_ms)
{
    CHECK(c->active && result->records.count > 0);
    struct image_draft *draft = image_chain_draft(c->chain);
    CHECK(first_offset > draft->image->offset);
    for (size_t i = 0; i < result->records.count; i++) {
        /* The controller's own records always fit the image that they were decided on. */
        int rv = image_apply(draft->image, &draft->edit, &result->records.items[i]);
        CHECK(rv == 0);
        if (allows_elections(&result->records.items[i]))
            election_sweep_begin_at(&c->leaderless, 0);
    }
    image_chain_seal(c->chain, first_offset + (int64_t)result->records.count - 1, c->epoch,
                     timestamp_ms);
}

void controller_last_heard(struct controller *c, int64_t now_ms, int32_t broker, int64_t heard_ms)
{
    if (c->active)
        heartbeats_last_heard(&c->heartbeats, broker, heard_ms, now_ms);
}

bool controller_broker_gone(struct controller *c, int64_t now_ms, int32_t broker, int64_t epoch)
{
    return c->active && heartbeats_end_session(&c->heartbeats, broker, epoch, now_ms);
}

static void tick_noop(struct controller *c, int64_t now_ms, struct arena *arena,
                      struct metadata_records *records, int64_t *in_out_next_ms)
{
    if (c->config.max_idle_interval_ms <= 0)
        return;
    if (now_ms >= c->next_noop_ms) {
        c->next_noop_ms = now_ms + c->config.max_idle_interval_ms;
        METADATA_RECORD_ADD(records, arena, no_op_record, NO_OP, 0);
    }
    *in_out_next_ms = MIN(*in_out_next_ms, c->next_noop_ms);
}

void controller_tick(struct controller *c, const struct controller_context *ctx,
                     struct arena *arena, struct controller_result *ret_result,
                     int64_t *ret_next_ms)
{
    struct metadata_records *records = &ret_result->records;
    *ret_result = (struct controller_result){0};
    *ret_next_ms = INT64_MAX;
    if (!c->active)
        return;
    const struct broker_image *expired =
        heartbeats_expired(&c->heartbeats, controller_image(c), ctx->now_ms, ret_next_ms);
    if (expired)
        brokers_fence(c, expired, arena, records);
    else
        elections_leaderless(c, ctx->now_ms, arena, records);
    if (records->count == 0)
        elections_balance(c, ctx->now_ms, arena, records);
    *ret_next_ms = MIN(*ret_next_ms, MIN(c->leaderless.due_ms, c->balance.due_ms));
    if (records->count == 0)
        tick_noop(c, ctx->now_ms, arena, records, ret_next_ms);
    else
        *ret_next_ms = ctx->now_ms;
}
