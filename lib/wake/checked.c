/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The checked build's tables: those of the implementations, with a look at who has
 * which mutex. Empty but for the checked build.
 *
 * Owns a list for each thread, that the thread alone touches. An unlock or a wait
 * with a mutex that is not in it is told, and not done: it would be somebody else's
 * mutex that is unlocked, or one that is free. A condition that is waited for with
 * two mutexes is found by the implementations themselves, under their locks.
 */
#ifdef TL_CHECKED

#include "wake/checked.h"

#include <string.h>

#include "core/checked.h"
#include "wake/impl.h"

#define HELD_MAX 64	/* by one thread at a time; with more there are no checks */

static __thread const void *held[HELD_MAX];
static __thread unsigned int count;	/* may be more than there is room for */
static __thread void *waits_from;	/* the place of a wait that is under way */

static void taken(const struct tl_wake_mutex *mutex)
{
	if (count < HELD_MAX)
		held[count] = mutex;
	count++;
}

/* Takes it off the list; false: it was not there. */
static bool given_up(const struct tl_wake_mutex *mutex)
{
	unsigned int i = count;

	if (count > HELD_MAX) {
		count--;
		return true;
	}
	while (i--)
		if (held[i] == mutex) {
			count--;
			memmove(&held[i], &held[i + 1],
				(count - i) * sizeof(held[0]));
			return true;
		}
	return false;
}

static void lock(const struct tl_wake *w, struct tl_wake_mutex *mutex,
		 void *place)
{
	unsigned int i;

	for (i = 0; i < count && i < HELD_MAX; i++)
		if (held[i] == mutex)
			tl__checked_report(place, "%s: a thread locks a mutex "
					   "(%p) that it has, and waits for "
					   "itself", w->name, (void *)mutex);
	w->mutex_lock(mutex);
	taken(mutex);
}

static int try_lock(const struct tl_wake *w, struct tl_wake_mutex *mutex)
{
	int r = w->mutex_try_lock(mutex);

	if (!r)
		taken(mutex);
	return r;
}

static void unlock(const struct tl_wake *w, struct tl_wake_mutex *mutex,
		   void *place)
{
	if (given_up(mutex))
		w->mutex_unlock(mutex);
	else
		tl__checked_report(place, "%s: a thread unlocks a mutex (%p) "
				   "that it does not have", w->name,
				   (void *)mutex);
}

static int wait(const struct tl_wake *w, struct tl_wake_cond *cond,
		struct tl_wake_mutex *mutex, int clock, uint64_t deadline_ns,
		void *place)
{
	int r;

	if (!given_up(mutex)) {
		tl__checked_report(place, "%s: a thread waits for a condition "
				   "(%p) with a mutex (%p) that it does not "
				   "have", w->name, (void *)cond,
				   (void *)mutex);
		return 0;
	}
	waits_from = place;
	r = w->cond_wait(cond, mutex, clock, deadline_ns);
	waits_from = NULL;
	taken(mutex);
	return r;
}

/* Not by the table: then the condition's address has to do for the place. */
void tl__wake_checked_mutex(void *cond, const void *mutex, const void *other)
{
	if (mutex != other)
		tl__checked_report(waits_from ? waits_from : cond,
				   "a condition (%p) is waited for with two "
				   "mutexes at a time (%p, %p)", cond, mutex,
				   other);
}

/* --- one table each ----------------------------------------------------------- */

#define CHECKED(NAME)							\
	static void NAME##_lock(struct tl_wake_mutex *mutex)		\
	{								\
		lock(&tl__wake_##NAME, mutex,				\
		     __builtin_return_address(0));			\
	}								\
									\
	static int NAME##_try_lock(struct tl_wake_mutex *mutex)		\
	{								\
		return try_lock(&tl__wake_##NAME, mutex);		\
	}								\
									\
	static void NAME##_unlock(struct tl_wake_mutex *mutex)		\
	{								\
		unlock(&tl__wake_##NAME, mutex,				\
		       __builtin_return_address(0));			\
	}								\
									\
	static int NAME##_wait(struct tl_wake_cond *cond,		\
			       struct tl_wake_mutex *mutex, int clock,	\
			       uint64_t deadline_ns)			\
	{								\
		return wait(&tl__wake_##NAME, cond, mutex, clock,	\
			    deadline_ns, __builtin_return_address(0));	\
	}

CHECKED(futex)
CHECKED(emulated)
CHECKED(pthread)
CHECKED(birrell)

static struct tl_wake tables[4];

static void make(int index, const struct tl_wake *w,
		 void (*lock_fn)(struct tl_wake_mutex *),
		 int (*try_fn)(struct tl_wake_mutex *),
		 void (*unlock_fn)(struct tl_wake_mutex *),
		 int (*wait_fn)(struct tl_wake_cond *, struct tl_wake_mutex *,
				int, uint64_t))
{
	tables[index] = *w;
	tables[index].mutex_lock = lock_fn;
	tables[index].mutex_try_lock = try_fn;
	tables[index].mutex_unlock = unlock_fn;
	tables[index].cond_wait = wait_fn;
}

#define MAKE(INDEX, NAME)						\
	make(INDEX, &tl__wake_##NAME, NAME##_lock, NAME##_try_lock,	\
	     NAME##_unlock, NAME##_wait)

/* Before any thread of the program's. */
__attribute__((constructor(101))) static void make_tables(void)
{
	MAKE(0, futex);
	MAKE(1, emulated);
	MAKE(2, pthread);
	MAKE(3, birrell);
}

const struct tl_wake *tl__wake_checked(unsigned int index)
{
	return &tables[index];
}

#endif
