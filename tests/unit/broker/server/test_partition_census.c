#include "broker/server/partition_census.h"

#include "metadata/delta.h"
#include "tests/unit/metadata/image_builder.h"

static const int32_t replicas[] = {1, 2, 3};

static struct partition_census by_looking(const struct image *image)
{
    struct partition_census census = {0};
    struct pmap_iter topics, partitions;
    pmap_iter_first(&topics, image->topics.by_name);
    for (const struct topic_image *topic; (topic = pmap_iter_next(&topics)) != NULL;) {
        pmap_iter_first(&partitions, topic->partitions);
        for (const struct partition_image *p; (p = pmap_iter_next(&partitions)) != NULL;) {
            census.offline += p->leader < 0;
            census.imbalance += p->leader != partition_replicas(p).ids[0];
        }
    }
    return census;
}

/* Publishes the draft's image and tells the census. */
static void publish(struct image_chain *chain, struct partition_census *census, int64_t offset,
                    int64_t offline, int64_t imbalance)
{
    image_chain_seal(chain, offset, 1, 0);
    const struct image_delta *delta = image_chain_publish(chain, offset);
    assert_non_null(delta);
    partition_census_apply(census, delta);
    struct partition_census expected = by_looking(image_chain_published(chain));
    assert_int_equal(expected.offline, offline);
    assert_int_equal(expected.imbalance, imbalance);
    assert_int_equal(census->offline, offline);
    assert_int_equal(census->imbalance, imbalance);
}

static void test_counts_follow_the_image(void **state)
{
    struct image_chain *chain = image_chain_new(false);
    struct partition_census census = {0};
    struct image_draft *draft = image_chain_draft(chain);
    for (uint32_t topic = 1; topic <= 2; topic++) {
        const char *name = topic == 1 ? "a" : "b";
        assert_int_equal(apply_topic(draft, name, topic), 0);
        for (int32_t i = 0; i < 4; i++)
            assert_int_equal(apply_partition(draft, topic, i, replicas, 3), 0);
    }
    publish(chain, &census, 1, 0, 0);

    draft = image_chain_draft(chain);
    assert_int_equal(apply_leader(draft, 1, 0, -1), 0); /* nobody leads */
    assert_int_equal(apply_leader(draft, 1, 1, 2), 0);  /* not the first replica */
    assert_int_equal(apply_leader(draft, 2, 3, 3), 0);
    publish(chain, &census, 2, 1, 3);

    draft = image_chain_draft(chain);
    assert_int_equal(apply_leader(draft, 1, 0, 1), 0);
    assert_int_equal(apply_leader(draft, 1, 1, -1), 0);
    publish(chain, &census, 3, 1, 2);

    /* A topic that goes, and one that comes back under its name within one delta. */
    draft = image_chain_draft(chain);
    assert_int_equal(apply_remove_topic(draft, 1), 0);
    assert_int_equal(apply_remove_topic(draft, 2), 0);
    assert_int_equal(apply_topic(draft, "b", 3), 0);
    assert_int_equal(apply_partition(draft, 3, 0, replicas, 3), 0);
    assert_int_equal(apply_leader(draft, 3, 0, -1), 0);
    publish(chain, &census, 4, 1, 1);
    image_chain_free(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_follow_the_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
