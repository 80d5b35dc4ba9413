#include "tests/unit/metadata/image_builder.h"

#include "metadata/delta.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static const int32_t replicas[] = {1, 2, 3};

static void publishing_skips_what_lies_between(void **state)
{
    struct image_chain *chain = image_chain_new(false);
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        struct image_draft *draft = image_chain_draft(chain);
        assert_int_equal(apply_topic(draft, name, (uint32_t)i), 0);
        assert_int_equal(apply_partition(draft, (uint32_t)i, 0, replicas, 3), 0);
        image_chain_seal(chain, 10 + i, 1, 1000 + i);
    }
    assert_int_equal(image_chain_published(chain)->offset, -1);
    assert_int_equal(image_chain_newest(chain)->offset, 13);
    assert_null(image_chain_publish(chain, 9));
    const struct image_delta *delta = image_chain_publish(chain, 12);
    assert_int_equal(delta->topics.count, 3);
    assert_int_equal(delta->partitions.count, 3);
    assert_ptr_equal(delta->after, image_chain_published(chain));
    assert_int_equal(image_chain_published(chain)->offset, 12);
    assert_null(topics_image_find(&image_chain_published(chain)->topics, STR("t3")));
    delta = image_chain_publish(chain, 13);
    assert_int_equal(delta->topics.count, 1);
    assert_null(image_chain_publish(chain, 100));
    image_chain_free(chain);
}

static void rollback_brings_back_the_published_image(void **state)
{
    struct image_chain *chain = image_chain_new(true);
    struct image_draft *draft = image_chain_draft(chain);
    assert_int_equal(apply_topic(draft, "kept", 1), 0);
    for (int32_t i = 0; i < 50; i++)
        assert_int_equal(apply_partition(draft, 1, i, replicas, 3), 0);
    assert_int_equal(apply_config(draft, CONFIG_RESOURCE_TOPIC, "kept", "a", "1"), 0);
    image_chain_seal(chain, 1, 1, 0);
    image_chain_publish(chain, 1);

    draft = image_chain_draft(chain);
    assert_int_equal(apply_leader(draft, 1, 7, 2), 0);
    image_chain_seal(chain, 2, 1, 0);
    draft = image_chain_draft(chain);
    assert_int_equal(apply_remove_topic(draft, 1), 0);
    assert_int_equal(apply_topic(draft, "kept", 2), 0);
    image_chain_seal(chain, 3, 1, 0);
    draft = image_chain_draft(chain);
    assert_int_equal(apply_partition(draft, 2, 0, replicas, 1), 0);
    image_chain_rollback(chain);

    const struct image *image = image_chain_newest(chain);
    assert_ptr_equal(image, image_chain_published(chain));
    assert_int_equal(image->topics.partition_count, 50);
    assert_int_equal(partition_of(image, 1, 7)->leader, 1);
    assert_null(topics_image_find_id(&image->topics, test_id(2)));
    assert_true(
        str_eq(configs_image_get(&image->configs, CONFIG_RESOURCE_TOPIC, STR("kept"), STR("a")),
               STR("1")));
    draft = image_chain_draft(chain);
    assert_int_equal(apply_leader(draft, 1, 49, 3), 0);
    image_chain_seal(chain, 2, 2, 0);
    const struct image_delta *delta = image_chain_publish(chain, 2);
    assert_int_equal(delta->partitions.count, 1);
    assert_int_equal(delta->partitions.items[0].before->leader, 1);
    assert_int_equal(delta->partitions.items[0].after->leader, 3);
    assert_int_equal(delta->partitions.items[0].after->leader_epoch, 1);
    image_chain_free(chain);
}

static void readers_keep_what_they_hold(void **state)
{
    struct image_chain *chain = image_chain_new(false);
    struct image_reader reader;
    const struct image *held = image_reader_add(chain, &reader);
    for (int i = 0; i < 10; i++) {
        struct image_draft *draft = image_chain_draft(chain);
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        assert_int_equal(apply_topic(draft, name, (uint32_t)i), 0);
        image_chain_seal(chain, i, 1, 0);
        image_chain_publish(chain, i);
    }
    assert_int_equal(image_chain_waiting(chain), 10);
    assert_int_equal(held->topics.by_name.count, 0);
    assert_int_equal(held->offset, -1);
    image_reader_advance(&reader, image_chain_published(chain));
    image_chain_reclaim(chain);
    assert_int_equal(image_chain_waiting(chain), 0);
    image_reader_remove(chain, &reader);
    /* Nobody is behind: publishing keeps no more than the last delta. */
    for (int i = 10; i < 20; i++) {
        image_chain_draft(chain);
        image_chain_seal(chain, i, 1, 0);
        image_chain_publish(chain, i);
        assert_int_equal(image_chain_waiting(chain), 1);
    }
    image_chain_free(chain);
}

/* --- readers on threads of their own -------------------------------------------------------- */

#define READERS    3
#define VERSIONS   400
#define PARTITIONS 64

struct mailbox {
    struct image_chain *chain;
    struct image_reader reader;
    pthread_t thread;
    _Atomic(const struct image *) newest; /* stands for the message with a published image */
    const struct image *first;
    int64_t checked;
};

/* The writer gives every partition the same leader in one version. */
static void *read_images(void *arg)
{
    struct mailbox *box = arg;
    const struct image *image = box->first;
    while (image->offset < VERSIONS) {
        const struct image *next = atomic_load_explicit(&box->newest, memory_order_acquire);
        if (next == image) {
            sched_yield();
            continue;
        }
        image = next;
        const struct topic_image *topic = topics_image_find(&image->topics, STR("shared"));
        struct pmap_iter iter;
        pmap_iter_first(&iter, topic->partitions);
        int32_t count = 0;
        for (const struct partition_image *p; (p = pmap_iter_next(&iter)) != NULL; count++) {
            if (p->leader != (int32_t)image->offset || p->leader_epoch != (int32_t)image->offset)
                return NULL;
        }
        if (count != PARTITIONS)
            return NULL;
        box->checked++;
        image_reader_advance(&box->reader, image);
    }
    return box;
}

static void readers_on_other_threads_see_whole_images(void **state)
{
    struct image_chain *chain = image_chain_new(true);
    struct mailbox boxes[READERS] = {0};
    struct image_draft *draft = image_chain_draft(chain);
    assert_int_equal(apply_topic(draft, "shared", 1), 0);
    for (int32_t i = 0; i < PARTITIONS; i++)
        assert_int_equal(apply_partition(draft, 1, i, (const int32_t[]){0}, 1), 0);
    image_chain_seal(chain, 0, 1, 0);
    image_chain_publish(chain, 0);
    for (int i = 0; i < READERS; i++) {
        boxes[i].chain = chain;
        boxes[i].first = image_reader_add(chain, &boxes[i].reader);
        atomic_init(&boxes[i].newest, boxes[i].first);
        assert_int_equal(pthread_create(&boxes[i].thread, NULL, read_images, &boxes[i]), 0);
    }
    for (int32_t v = 1; v <= VERSIONS; v++) {
        draft = image_chain_draft(chain);
        for (int32_t i = 0; i < PARTITIONS; i++)
            assert_int_equal(apply_leader(draft, 1, i, v), 0);
        if (v % 10 == 5) { /* what is given up was never seen */
            image_chain_abandon(chain);
            v--;
            draft = image_chain_draft(chain);
            for (int32_t i = 0; i < PARTITIONS; i++)
                assert_int_equal(apply_leader(draft, 1, i, v + 1), 0);
            v++;
        }
        image_chain_seal(chain, v, 1, 0);
        image_chain_publish(chain, v);
        for (int i = 0; i < READERS; i++)
            atomic_store_explicit(&boxes[i].newest, image_chain_published(chain),
                                  memory_order_release);
    }
    for (int i = 0; i < READERS; i++) {
        void *done;
        pthread_join(boxes[i].thread, &done);
        assert_ptr_equal(done, &boxes[i]);
        assert_true(boxes[i].checked > 0);
    }
    image_chain_reclaim(chain);
    assert_int_equal(image_chain_waiting(chain), 0);
    for (int i = 0; i < READERS; i++)
        image_reader_remove(chain, &boxes[i].reader);
    image_chain_free(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishing_skips_what_lies_between),
        cmocka_unit_test(rollback_brings_back_the_published_image),
        cmocka_unit_test(readers_keep_what_they_hold),
        cmocka_unit_test(readers_on_other_threads_see_whole_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
