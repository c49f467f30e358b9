/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The few words that we add to C.
 */
#ifndef TL_BASE_COMPILER_H
#define TL_BASE_COMPILER_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Kept out of line so that a hot caller needs no frame for it. */
#define tl__cold __attribute__((cold, noinline))
#define tl__hidden __attribute__((visibility("hidden")))

#endif
