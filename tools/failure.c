#include "tools/failure.h"

#include <stdarg.h>
#include <stdio.h>

bool failure_set(struct failure *failure, enum kafka_error error, const char *format, ...)
{
    /* The old text may be an argument of the new one. */
    char text[sizeof(failure->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    failure->error = error;
    memcpy(failure->text, text, sizeof(text));
    return false;
}

bool failure_set_error(struct failure *failure, int16_t code, struct str message)
{
    if (message.len <= 0)
        message = str_of(kafka_error_message(code));
    return failure_set(failure, kafka_error_of(code), "%.*s", STR_FMT(message));
}
