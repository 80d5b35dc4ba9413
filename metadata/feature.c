#include "metadata/feature.h"

#include "common/base/check.h"

static const struct metadata_version metadata_versions[] = {
    {7, true, "3.3-IV3"},   {8, true, "3.4-IV0"},   {9, false, "3.5-IV0"},  {10, false, "3.5-IV1"},
    {11, true, "3.5-IV2"},  {12, false, "3.6-IV0"}, {13, true, "3.6-IV1"},  {14, true, "3.6-IV2"},
    {15, true, "3.7-IV0"},  {16, false, "3.7-IV1"}, {17, true, "3.7-IV2"},  {18, false, "3.7-IV3"},
    {19, false, "3.7-IV4"}, {20, false, "3.8-IV0"}, {21, false, "3.9-IV0"}, {22, false, "4.0-IV0"},
    {23, true, "4.0-IV1"},  {24, false, "4.0-IV2"}, {25, false, "4.0-IV3"}, {26, false, "4.1-IV0"},
    {27, false, "4.1-IV1"}, {28, false, "4.2-IV0"}, {29, false, "4.2-IV1"}, {30, true, "4.3-IV0"},
    {31, false, "4.4-IV0"}, {32, true, "4.4-IV1"},  {33, true, "4.4-IV2"},
};

const struct metadata_version *metadata_version_find(int16_t level)
{
    int at = level - METADATA_VERSION_MIN;
    if (at < 0 || at >= (int)ARRAY_LEN(metadata_versions))
        return NULL;
    CHECK(metadata_versions[at].level == level);
    return &metadata_versions[at];
}

/* "4.0.1" without what is behind its second dot, which says nothing about the metadata. */
static struct str without_patch(struct str name)
{
    struct str rest = name, major, minor;
    if (!str_split(&rest, '.', &major) || !str_split(&rest, '.', &minor))
        return name;
    for (int32_t i = 0; i < rest.len; i++) {
        if (rest.data[i] != '.')
            return str_from(name.data, (size_t)(major.len + 1 + minor.len));
    }
    return name;
}

const struct metadata_version *metadata_version_find_name(struct str name)
{
    name = without_patch(name);
    for (size_t i = ARRAY_LEN(metadata_versions); i-- > 0;) {
        struct str full = str_of(metadata_versions[i].name), release = full;
        release.len = 3;
        if (str_eq(name, full) || str_eq(name, release))
            return &metadata_versions[i];
    }
    return NULL;
}

int16_t metadata_version_register_broker_record(int16_t level)
{
    if (level >= METADATA_VERSION_CORDONED_DIRS)
        return 4;
    if (level >= METADATA_VERSION_DIRECTORIES)
        return 3;
    return level >= METADATA_VERSION_ZK_MIGRATION ? 2 : 1;
}

int16_t metadata_version_broker_change_record(int16_t level)
{
    if (level >= METADATA_VERSION_CORDONED_DIRS)
        return 3;
    return level >= METADATA_VERSION_DIRECTORIES ? 2 : 1;
}

int16_t metadata_version_partition_record(int16_t level)
{
    if (level >= METADATA_VERSION_ELR)
        return 2;
    return level >= METADATA_VERSION_DIRECTORIES ? 1 : 0;
}

static const struct feature_level elr_levels[] = {{0, 7, 0}, {1, 26, 23}};
static const struct feature_level group_levels[] = {{0, 7, 0}, {1, 22, 0}};
static const struct feature_level kraft_levels[] = {{0, 7, 0}, {1, 21, 0}};
static const struct feature_level share_levels[] = {{0, 7, 0}, {1, 28, 0}, {2, 31, 0}};
static const struct feature_level streams_levels[] = {{0, 7, 0}, {1, 29, 0}};
static const struct feature_level transaction_levels[] = {{0, 7, 0}, {1, 24, 0}, {2, 24, 0}};

const struct feature feature_table[] = {
    {FEATURE_METADATA_VERSION, NULL, METADATA_VERSION_MIN, METADATA_VERSION_LATEST},
    {FEATURE_ELIGIBLE_LEADER_REPLICAS, elr_levels, 0, 1},
    {FEATURE_GROUP_VERSION, group_levels, 0, 1},
    {FEATURE_KRAFT_VERSION, kraft_levels, 0, 1},
    {FEATURE_SHARE_VERSION, share_levels, 0, 2},
    {FEATURE_STREAMS_VERSION, streams_levels, 0, 1},
    {FEATURE_TRANSACTION_VERSION, transaction_levels, 0, 2},
};
const size_t feature_table_size = ARRAY_LEN(feature_table);

const struct feature *feature_find(struct str name)
{
    for (size_t i = 0; i < feature_table_size; i++) {
        if (str_eq_z(name, feature_table[i].name))
            return &feature_table[i];
    }
    return NULL;
}

int16_t feature_default_level(const struct feature *feature, int16_t metadata_version)
{
    if (!feature->levels)
        return metadata_version;
    for (int16_t level = feature->max_level; level > 0; level--) {
        if (feature->levels[level].bootstrap <= metadata_version)
            return level;
    }
    return 0;
}
