/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Which pthread locks the calling thread holds, and which of its tasklets took
 * them. Empty but for the checked build.
 *
 * Owns a list for each thread, that the thread alone touches, and the places that
 * were reported. The library defines pthread's functions that take and give up
 * mutexes and rwlocks; they call the next definition of the same name, which is
 * the C library's, and keep the list. So whatever the program and its libraries
 * lock is known, but for what the C library locks itself. pthread_cond_wait() need
 * not be among them: it comes back with the mutex held, and no tasklet of the
 * thread is left meanwhile.
 */
#ifdef TL_CHECKED

#include "core/checked.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/end.h"
#include "core/task.h"
#include "os/log.h"

#define HELD_MAX 64	/* more at a time are not seen */
#define PLACES_MAX 64	/* more are reported each time */

/* By whom: NULL for the main tasklet, which may be a plain thread still. */
struct held {
	const void *lock;
	const struct tl_task *task;
	void *place;
};

static __thread struct held held[HELD_MAX];
static __thread unsigned int count;

static const struct tl_task *by_whom(const struct tl_task *t)
{
	return t && !(t->flags & TL__MAIN) ? t : NULL;
}

static void taken(const void *lock, void *place)
{
	const struct tl_sched *s = tl__sched_self;

	if (count < HELD_MAX)
		held[count++] = (struct held){
			lock, by_whom(s ? tl__me(s) : NULL), place
		};
}

/* The one that was taken last: recursive mutexes are in the list several times. */
static void given_up(const void *lock)
{
	unsigned int i = count;

	while (i--)
		if (held[i].lock == lock) {
			count--;
			memmove(&held[i], &held[i + 1],
				(count - i) * sizeof(held[0]));
			return;
		}
}

/* --- reports ---------------------------------------------------------------- */

static bool is_new(void *place)
{
	static _Atomic(void *) said[PLACES_MAX];
	int i;

	for (i = 0; i < PLACES_MAX; i++) {
		void *other = NULL;

		/* relaxed: only the address itself matters */
		if (atomic_compare_exchange_strong_explicit(
			    &said[i], &other, place, memory_order_relaxed,
			    memory_order_relaxed))
			return true;
		if (other == place)
			return false;
	}
	return true;
}

static const char *place_name(void *place, char *text, size_t size)
{
	Dl_info info = { 0 };

	if (dladdr(place, &info) && info.dli_sname)
		snprintf(text, size, "%s+%#lx", info.dli_sname,
			 (unsigned long)((char *)place -
					 (char *)info.dli_saddr));
	else if (info.dli_fname)
		snprintf(text, size, "%s(+%#lx)", info.dli_fname,
			 (unsigned long)((char *)place -
					 (char *)info.dli_fbase));
	else
		snprintf(text, size, "%p", place);
	return text;
}

void tl__checked_report(void *place, const char *fmt, ...)
{
	char text[256], where[256];
	int saved = errno;
	const char *mode;
	va_list args;

	if (!is_new(place))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	tl__log("%s, in %s", text, place_name(place, where, sizeof(where)));
	mode = getenv("TL_CHECKED");
	if (mode && !strcmp(mode, "abort"))
		abort();
	errno = saved;
}

void tl__checked_leave(const struct tl_task *me, const char *does)
{
	const struct tl_task *task = by_whom(me);
	int saved = errno;
	unsigned int i;
	char text[256];
	const char *mode;

	for (i = 0; i < count; i++) {
		if (held[i].task != task || !is_new(held[i].place))
			continue;
		tl__log("%s%s %s while it holds a pthread lock (%p), which it "
			"took in %s: its thread stops in the next tasklet that "
			"wants that lock", tl__task_label(me),
			task ? "" : ", its thread's main one,", does,
			held[i].lock,
			place_name(held[i].place, text, sizeof(text)));
		mode = getenv("TL_CHECKED");
		if (mode && !strcmp(mode, "abort"))
			abort();
	}
	errno = saved;
}

/* --- pthread's functions ---------------------------------------------------- */

/*
 * The next definition of @name, looked up once: the same for all that look.
 * relaxed: what it points to was there before the process began.
 */
static void *next_of(_Atomic(void *) *where, const char *name)
{
	void *fn = atomic_load_explicit(where, memory_order_relaxed);

	if (unlikely(!fn)) {
		fn = dlsym(RTLD_NEXT, name);
		if (!fn)
			tl__fatal("there is no %s()", name);
		atomic_store_explicit(where, fn, memory_order_relaxed);
	}
	return fn;
}

/* A function that takes its lock, L. */
#define TAKES(NAME, PARAMS, ARGS)					\
	TL_API int NAME PARAMS;						\
	int NAME PARAMS							\
	{								\
		static _Atomic(void *) next;				\
		int (*fn) PARAMS = (int (*) PARAMS)next_of(&next, #NAME);\
		int r = fn ARGS;					\
									\
		if (!r || r == EOWNERDEAD)				\
			taken(l, __builtin_return_address(0));	\
		return r;						\
	}

/* One after which its lock, L, is not held. */
#define GIVES_UP(NAME, PARAMS, ARGS)					\
	TL_API int NAME PARAMS;						\
	int NAME PARAMS							\
	{								\
		static _Atomic(void *) next;				\
		int (*fn) PARAMS = (int (*) PARAMS)next_of(&next, #NAME);\
									\
		given_up(l);						\
		return fn ARGS;						\
	}

#define TIME const struct timespec *time

TAKES(pthread_mutex_lock, (pthread_mutex_t *l), (l))
TAKES(pthread_mutex_trylock, (pthread_mutex_t *l), (l))
TAKES(pthread_mutex_timedlock, (pthread_mutex_t *l, TIME), (l, time))
TAKES(pthread_mutex_clocklock, (pthread_mutex_t *l, clockid_t clock, TIME),
      (l, clock, time))
GIVES_UP(pthread_mutex_unlock, (pthread_mutex_t *l), (l))
/* In the child of a fork what was held is made anew. */
GIVES_UP(pthread_mutex_init,
	 (pthread_mutex_t *l, const pthread_mutexattr_t *attr), (l, attr))

TAKES(pthread_rwlock_rdlock, (pthread_rwlock_t *l), (l))
TAKES(pthread_rwlock_tryrdlock, (pthread_rwlock_t *l), (l))
TAKES(pthread_rwlock_timedrdlock, (pthread_rwlock_t *l, TIME), (l, time))
TAKES(pthread_rwlock_clockrdlock, (pthread_rwlock_t *l, clockid_t clock, TIME),
      (l, clock, time))
TAKES(pthread_rwlock_wrlock, (pthread_rwlock_t *l), (l))
TAKES(pthread_rwlock_trywrlock, (pthread_rwlock_t *l), (l))
TAKES(pthread_rwlock_timedwrlock, (pthread_rwlock_t *l, TIME), (l, time))
TAKES(pthread_rwlock_clockwrlock, (pthread_rwlock_t *l, clockid_t clock, TIME),
      (l, clock, time))
GIVES_UP(pthread_rwlock_unlock, (pthread_rwlock_t *l), (l))
GIVES_UP(pthread_rwlock_init,
	 (pthread_rwlock_t *l, const pthread_rwlockattr_t *attr), (l, attr))

#endif
