#include "common/base/uuid.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void text_and_back(void **state)
{
    char text[UUID_TEXT_LEN + 1];
    uuid_format(UUID_ZERO, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA");
    uuid_format(UUID_METADATA_TOPIC, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    struct uuid u;
    assert_int_equal(uuid_parse(STR("4Tu6y-M2S_2RS0cyyBEXiA"), &u), 0);
    uuid_format(u, text);
    assert_string_equal(text, "4Tu6y-M2S_2RS0cyyBEXiA");
}

static void bad_text_is_refused(void **state)
{
    struct uuid u = UUID_METADATA_TOPIC;
    assert_int_equal(uuid_parse(STR("short"), &u), -EINVAL);
    assert_int_equal(uuid_parse(STR("4Tu6y+M2S_2RS0cyyBEXiA"), &u), -EINVAL);
    assert_true(uuid_eq(u, UUID_METADATA_TOPIC));
}

static void random_ids_have_type_four(void **state)
{
    uint8_t random[16];
    memset(random, 0xff, sizeof(random));
    struct uuid u;
    assert_true(uuid_from_random(random, &u));
    assert_int_equal(u.b[6] >> 4, 4);
    assert_int_equal(u.b[8] >> 6, 2);
    random[0] = 0xfb; /* the text would start with '-' */
    assert_false(uuid_from_random(random, &u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_back),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(random_ids_have_type_four),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
