/* What the shell says has changed between two images, and that shared parts are not looked at. */
#include "metadata/shell/shell_diff.h"

#include "tests/unit/metadata/shell/snapshot_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct noted {
    struct bytebuf text;
    size_t count;
};

static void note(void *ctx, struct str path, const struct shell_node *before,
                 const struct shell_node *after)
{
    struct noted *noted = ctx;
    noted->count++;
    bytebuf_printf(&noted->text, "%c %.*s",
                   before && after ? '~'
                   : before        ? '-'
                                   : '+',
                   STR_FMT(path));
    if (after != NULL) {
        bytebuf_printf(&noted->text, " = ");
        shell_text(after, &noted->text);
    }
    bytebuf_printf(&noted->text, "\n");
}

static struct noted diff(const struct shell_view *before, const struct shell_view *after,
                         const char *path)
{
    struct shell_node old, new;
    struct noted noted = {0};
    bool had = node_at(before, path, &old), has = node_at(after, path, &new);
    shell_diff(had ? &old : NULL, has ? &new : NULL, str_of(path), note, &noted);
    bytebuf_append(&noted.text, "", 1);
    return noted;
}

struct fixture {
    struct metadata_dir dir;
    struct image_chain *chain;
    struct loader loader;
    struct image_reader reader;
    struct shell_view before, after;
};

/* The log up to one offset, held, and up to another one. */
static void replay(struct fixture *f, int64_t from, int64_t to)
{
    const struct image_delta *delta;
    assert_true(metadata_dir_read(&f->dir, TEST_DATA "/metadata/single-clean"));
    f->chain = image_chain_new(false);
    loader_init(&f->loader, f->chain);
    assert_int_equal(loader_commit(&f->loader, metadata_dir_batches(&f->dir, 0, from), &delta), 0);
    f->before = (struct shell_view){.image = image_reader_add(f->chain, &f->reader)};
    int64_t next = f->loader.next_offset;
    assert_int_equal(loader_commit(&f->loader, metadata_dir_batches(&f->dir, next, to), &delta), 0);
    f->after = (struct shell_view){.image = image_chain_published(f->chain)};
}

static void fixture_release(struct fixture *f)
{
    image_reader_remove(f->chain, &f->reader);
    loader_release(&f->loader);
    image_chain_free(f->chain);
    metadata_dir_release(&f->dir);
}

/* Walking both trees whole, without what images of one chain share, says the same. */
static void shared_parts_are_skipped_rightly(void **state)
{
    for (int64_t from = 30; from < 600; from += 57) {
        struct fixture f, g;
        replay(&f, from, from + 23);
        replay(&g, from, from + 23);
        struct noted one = diff(&f.before, &f.after, "/image");
        struct noted two = diff(&f.before, &g.after, "/image");
        assert_string_equal((const char *)one.text.data, (const char *)two.text.data);
        bytebuf_release(&one.text);
        bytebuf_release(&two.text);
        fixture_release(&f);
        fixture_release(&g);
    }
}

static void equal_images_do_not_differ(void **state)
{
    struct snapshot_view a, b;
    assert_true(snapshot_view_init(&a, TEST_DATA "/metadata/single-clean"));
    assert_true(snapshot_view_init(&b, TEST_DATA "/metadata/single-clean"));
    b.view.offset++; /* where it came from is no difference */
    struct noted noted = diff(&a.view, &b.view, "/image");
    assert_int_equal(noted.count, 0);
    bytebuf_release(&noted.text);
    noted = diff(&a.view, &b.view, "/image/provenance");
    assert_int_equal(noted.count, 1);
    bytebuf_release(&noted.text);
    snapshot_view_release(&a);
    snapshot_view_release(&b);
}

static void everything_is_new_to_an_empty_image(void **state)
{
    struct snapshot_view v;
    struct image_chain *chain = image_chain_new(false);
    struct shell_view empty = {.image = image_chain_published(chain)};
    assert_true(snapshot_view_init(&v, TEST_DATA "/metadata/single-clean"));
    struct noted noted = diff(&empty, &v.view, "/image/topics/byName/txn");
    assert_int_equal(noted.count, 4);
    assert_int_equal(strncmp((char *)noted.text.data, "+ /image/topics/byName/txn/0 = Part", 35),
                     0);
    bytebuf_release(&noted.text);
    noted = diff(&v.view, &empty, "/image/features");
    assert_string_equal((char *)noted.text.data,
                        "- /image/features/finalized_eligible.leader.replicas.version\n"
                        "- /image/features/finalized_group.version\n"
                        "- /image/features/finalized_share.version\n"
                        "- /image/features/finalized_streams.version\n"
                        "- /image/features/finalized_transaction.version\n"
                        "~ /image/features/metadataVersion = Optional.empty\n");
    bytebuf_release(&noted.text);
    snapshot_view_release(&v);
    image_chain_free(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_parts_are_skipped_rightly),
        cmocka_unit_test(equal_images_do_not_differ),
        cmocka_unit_test(everything_is_new_to_an_empty_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
