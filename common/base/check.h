/*
 * Assertions that stay on in release builds. They state what this program itself guarantees; they
 * are never applied to input of a peer or of a disk, which is validated and answered with an error.
 */
#ifndef KRAFTD_BASE_CHECK_H
#define KRAFTD_BASE_CHECK_H

/* Prints the expression and its place on standard error, then aborts. Any thread. */
__attribute__((noreturn, cold)) void check_failed(const char *expr, const char *file, int line);

#define CHECK(expr)   ((expr) ? (void)0 : check_failed(#expr, __FILE__, __LINE__))
#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

/* The struct of type `type` whose member `member` is at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
