/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What every public header needs: export and declaration macros, and the words
 * that deadlines and results are made of.
 *
 * Results are 0 or positive on success and -errno on failure; errno itself is
 * never set by this library. Times are nanoseconds of CLOCK_MONOTONIC. A
 * function that ends in _until takes an absolute deadline; one with "try" in
 * its name never blocks and never switches.
 *
 * "Contexts: tasklets and plain threads" means any thread of the process: its
 * first call makes it a scheduler, and its own flow the main tasklet, which may
 * block as others do. What is done to a tasklet of another thread, or ends its
 * wait, takes effect in that thread, which is woken for it if it sleeps.
 * tasklet_memory_model(7) has what is ordered before what.
 */
#ifndef TASKLET_BASE_H
#define TASKLET_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define TL_BEGIN_DECLS extern "C" {
#define TL_END_DECLS }
#else
#define TL_BEGIN_DECLS
#define TL_END_DECLS
#endif

#define TL_API __attribute__((visibility("default")))
#define TL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* A deadline that never comes. */
#define TL_FOREVER UINT64_MAX

#define TL_VERSION_MAJOR 0
#define TL_VERSION_MINOR 1
#define TL_VERSION_PATCH 0

TL_BEGIN_DECLS

/*
 * tl_version - the version of the library that runs, as "0.1.0"
 *
 * Contexts: any, signal handlers too.
 */
TL_API const char *tl_version(void);

TL_END_DECLS

#endif
