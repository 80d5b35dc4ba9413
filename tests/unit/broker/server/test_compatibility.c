#include "broker/server/request.h"
#include "metadata/config/compatibility.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PAGE TEST_DATA "/../../docs/compatibility.md"
/* What stands before this line is written by hand. */
static const char mark[] = "<!-- The rest is made from the code. -->\n";

static int served_apis(struct served_api *served)
{
    int count = 0;
    for (const struct api_handler *h = api_handlers; h->api_key >= 0; h++)
        served[count++] = (struct served_api){h->api_key, h->min_version, h->max_version};
    return count;
}

static char *read_page(void)
{
    FILE *file = fopen(PAGE, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static void the_page_is_what_the_code_says(void **state)
{
    struct served_api served[200];
    struct bytebuf made;
    bytebuf_init(&made);
    compatibility_write(&made, served, served_apis(served));
    bytebuf_append(&made, "", 1);
    char *page = read_page();
    char *rest = strstr(page, mark);
    assert_non_null(rest);
    rest += strlen(mark);
    bool same = strcmp(rest, (char *)made.data) == 0;
    if (!same && getenv("KRAFTD_UPDATE_DOCS") != NULL) {
        FILE *file = fopen(PAGE, "w");
        assert_non_null(file);
        fprintf(file, "%.*s%s", (int)(rest - page), page, (char *)made.data);
        fclose(file);
        same = true;
    }
    free(page);
    bytebuf_release(&made);
    if (!same)
        fail_msg("docs/compatibility.md is not up to date: KRAFTD_UPDATE_DOCS=1 "
                 "ctest -R test_compatibility rewrites it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_page_is_what_the_code_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
