#include "common/base/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void check_parse(const char *text, int default_port, int rv, const char *host, int port)
{
    struct endpoint e = {.host = "untouched", .port = 1};
    assert_int_equal(endpoint_parse(str_of(text), default_port, &e), rv);
    assert_string_equal(e.host, rv == 0 ? host : "untouched");
    assert_int_equal(e.port, rv == 0 ? port : 1);
}

static void endpoints_parse(void **state)
{
    check_parse("localhost:9092", 0, 0, "localhost", 9092);
    check_parse(":9092", 0, 0, "", 9092);
    check_parse("[::1]:9092", 0, 0, "::1", 9092);
    check_parse("[fe80::1%eth0]:1", 0, 0, "fe80::1%eth0", 1);
    check_parse("0.0.0.0:0", 0, 0, "0.0.0.0", 0);
    check_parse("kafka", 9092, 0, "kafka", 9092);
    check_parse("[::1]", 9092, 0, "::1", 9092);
    check_parse("kafka:-1", 9092, 0, "kafka", 9092);
    check_parse("kafka:-1", -1, -EINVAL, "", 0);
    check_parse("kafka", 0, -EINVAL, "", 0);
    check_parse("kafka:", 9092, -EINVAL, "", 0);
    check_parse("kafka:65536", 0, -EINVAL, "", 0);
    check_parse("kafka:+1", 0, -EINVAL, "", 0);
    check_parse("kafka:90x", 0, -EINVAL, "", 0);
    check_parse("::1:9092", 0, -EINVAL, "", 0);
    check_parse("[::1:9092", 0, -EINVAL, "", 0);
    check_parse("[]:9092", 0, -EINVAL, "", 0);
    check_parse("[::1]9092", 0, -EINVAL, "", 0);
    check_parse("PLAINTEXT://a:9092", 0, -EINVAL, "", 0);
    check_parse("a b:1", 0, -EINVAL, "", 0);
    char host[300];
    memset(host, 'h', sizeof(host));
    memcpy(host + HOST_MAX, ":1", 3);
    struct endpoint e;
    assert_int_equal(endpoint_parse(str_of(host), 0, &e), 0);
    assert_int_equal(strlen(e.host), HOST_MAX);
    memcpy(host + HOST_MAX, "h:1", 4);
    assert_int_equal(endpoint_parse(str_of(host), 0, &e), -EINVAL);
}

static void endpoints_format_back(void **state)
{
    char text[HOST_MAX + 9];
    struct endpoint e = {.host = "::1", .port = 65535};
    endpoint_format(&e, text);
    assert_string_equal(text, "[::1]:65535");
    assert_int_equal(endpoint_parse(STR("host:1"), 0, &e), 0);
    endpoint_format(&e, text);
    assert_string_equal(text, "host:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_parse),
        cmocka_unit_test(endpoints_format_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
