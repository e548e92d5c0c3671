/* Assertions stay on in release builds: a broken invariant stops the process before it spreads to disk. */
#ifndef KL_BASE_ASSERT_H
#define KL_BASE_ASSERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Noreturn void kl_panic(const char *file, int line, const char *what);

#define KL_ASSERT(cond) ((cond) ? (void)0 : kl_panic(__FILE__, __LINE__, #cond))
#define KL_UNREACHABLE() kl_panic(__FILE__, __LINE__, "unreachable")
#define KL_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define KL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define KL_MAX(a, b) ((a) > (b) ? (a) : (b))
#define KL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define KL_MUST_CHECK __attribute__((warn_unused_result))
#define KL_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#endif
