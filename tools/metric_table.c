#include "tools/metric_table.h"

#include "common/base/check.h"

#include <math.h>

void metric_table_print(const char *group, struct str client_id, const struct metric *metrics,
                        size_t count)
{
    size_t widest = 0;
    for (size_t i = 0; i < count; i++)
        widest = MAX(widest, strlen(metrics[i].name));
    int all = (int)(strlen(group) + widest + strlen("::{client-id=}")) + client_id.len;
    printf("\n%-*s   %s\n", all, "Metric Name", "Value");
    for (size_t i = 0; i < count; i++) {
        printf("%s:%s:{client-id=%.*s}%*s : ", group, metrics[i].name, STR_FMT(client_id),
               (int)(widest - strlen(metrics[i].name)), "");
        if (isnan(metrics[i].value))
            puts("NaN");
        else
            printf("%.3f\n", metrics[i].value);
    }
}

json_t *metric_table_json(const struct metric *metrics, size_t count)
{
    json_t *out = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(out, metrics[i].name,
                            isnan(metrics[i].value) ? json_null() : json_real(metrics[i].value));
    return out;
}
