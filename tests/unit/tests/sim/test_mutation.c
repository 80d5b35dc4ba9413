#include "common/base/disk.h"
#include "common/base/mutation.h"
#include "tests/sim/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* How many of 50 replaced files are old again after a power cut. */
static int files_gone_back(const struct mutations *mutations)
{
    int gone_back = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct sim_disk *d = sim_disk_new(seed);
        struct disk *disk = sim_disk_base(d);
        assert_int_equal(disk_replace_file(disk, "/f", "old", 3), 0);
        disk->mutations = mutations;
        assert_int_equal(disk_replace_file(disk, "/f", "new", 3), 0);
        sim_disk_power_cut(d, SIM_CUT_RANDOM);
        char *data;
        size_t len;
        assert_int_equal(disk_read_file(disk, "/f", 10, &data, &len), 0);
        assert_int_equal(len, 3);
        gone_back += data[0] == 'o';
        free(data);
        sim_disk_free(d);
    }
    return gone_back;
}

static void test_a_replaced_file_stays_but_for_the_mutation(void **state)
{
    struct mutations mutations = {{0}};
    assert_int_equal(files_gone_back(NULL), 0);
    assert_int_equal(files_gone_back(&mutations), 0);
    mutations.on[MUTATION_RENAME_WITHOUT_DIR_FSYNC] = true;
    assert_true(files_gone_back(&mutations) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replaced_file_stays_but_for_the_mutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
