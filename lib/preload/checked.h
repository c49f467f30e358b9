/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the checked build looks at in each call; nothing in others. To be used in the
 * functions that the program calls.
 */
#ifndef TL_PRELOAD_CHECKED_H
#define TL_PRELOAD_CHECKED_H

#include "preload/objects.h"

#ifdef TL_CHECKED

#define TL__DEAD_KIND (-1)
#define TL__DEAD_COND 2u		/* in the last word; 1 is BY_PROXY */
#define TL__DEAD_SEM 0x64656164		/* in the word after __private */

/* @what is used in @ret after it was destroyed. Says so, and goes on. */
void tl__preload_dead(const char *what, const void *object, const void *ret);

#define tl__check_mutex(m)						\
	((m)->__data.__kind == TL__DEAD_KIND ?				\
	 tl__preload_dead("mutex", m, __builtin_return_address(0)) : (void)0)
#define tl__check_cond(c)						\
	(!tl__cond_not_ours(c) &&					\
	 ((c)->__data.__g_signals[1] & TL__DEAD_COND) ?			\
	 tl__preload_dead("condition", c, __builtin_return_address(0)) : (void)0)
#define tl__check_sem(s)						\
	(((const int *)(const void *)(s))[3] == TL__DEAD_SEM ?		\
	 tl__preload_dead("semaphore", s, __builtin_return_address(0)) : (void)0)
#define tl__dead_cond(c)						\
	(tl__cond_not_ours(c) ? (void)0 :				\
	 (void)((c)->__data.__g_signals[1] |= TL__DEAD_COND))

#else

#define tl__check_mutex(m) ((void)(m))
#define tl__check_cond(c) ((void)(c))
#define tl__check_sem(s) ((void)(s))
#define tl__dead_cond(c) ((void)(c))

#endif

#endif
