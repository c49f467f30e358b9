/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The library's rare words to a human, on stderr: what it had to do without,
 * and misuse that it can't survive.
 */
#ifndef TL_OS_LOG_H
#define TL_OS_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include <tasklet/base.h>

void tl__log(const char *fmt, ...) TL_PRINTF(1, 2);

/* Misuse that would corrupt: prints and aborts. */
void tl__fatal(const char *fmt, ...) TL_PRINTF(1, 2)
	__attribute__((noreturn, cold));

/* Says it once a process. Relaxed: two threads may race to say it twice. */
#define tl__log_once(...)						\
	do {								\
		static _Atomic bool tl__said;				\
		if (!atomic_exchange_explicit(&tl__said, true,		\
					      memory_order_relaxed))	\
			tl__log(__VA_ARGS__);				\
	} while (0)

#endif
