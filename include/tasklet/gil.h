/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A global interpreter lock: of all threads that are attached to it one runs, and
 * the others wait, block or are somewhere else. It is for a language's runtime
 * that many threads enter, or for a program whose tasklets of several threads
 * share data without locks. Who runs next, and when, is the policy's:
 *
 *	handoff		the default. Somebody who comes back from blocking is
 *			seen by the holder's next tick and is handed the lock,
 *			first come, first served; a thread that computes is owed a
 *			slice now and then all the same
 *	priority	as PythonPlus: somebody who comes back from blocking always
 *			gets the yield; another one that computes, one time in 100
 *	interval	as CPython since 3.2: a waiter asks for it after 5 ms
 *	ticks		as Python 2: it is let go of every 100 ticks, for whoever
 *			gets it
 *
 * each on each implementation of <tasklet/wake.h>. By name, "POLICY:LOCK", and
 * settings after commas:
 *
 *	handoff:futex,interval=5ms,slice=600us,starve=4ms
 *
 *	interval=TIME	how long a thread that computes may have it while others
 *			of its kind wait (handoff, interval; 5ms)
 *	ticks=N		how many ticks it is kept (ticks, priority; 100)
 *	yields=N	out of how many yields that no IO thread waits for one is for
 *			another thread that computes (priority; 100)
 *	least=TIME	a thread that computes has it for so long before it is asked to
 *			give way to one that comes back from blocking (handoff, 15us)
 *	starve=TIME	so long a thread that computes may wait at the most while
 *			others block and come back (handoff, 4ms): then it is the
 *			next to have it,
 *	slice=TIME	and keeps it so long, whoever comes (600us)
 *	nice=N		a thread that comes back from blocking is *favoured*: has this
 *			nice value (-20 to -1), until it computes; and cpuslice=TIME,
 *			this slice (100us to 100ms, Linux 6.12)
 *	sched=fifo	or it is favoured by real time, SCHED_FIFO at priority 1
 *	sched=ext	its threads ask the kernel for the scheduler that tl-sched(8) has
 *			loaded, or will, as long as they are attached; no effect where the
 *			kernel has no sched_ext, or on a thread whose scheduling policy
 *			is not the normal one (normal)
 *	pin=WHERE	its threads run on one processor as long as they are attached:
 *			a number, `first` of those that whoever makes the lock may use,
 *			or `here`, where it runs
 *
 * These last ones are off by default; see tl_gil(3), and tasklet_priority(7) for when
 * they are worth it.
 *
 * A part that is left out is the default; TL_GIL in the environment is the default
 * of the whole. It needs no tasklets. With them: a thread lets go of the lock when
 * all of its tasklets wait, and has it again before any of them runs; tl_tick() is
 * where it may be taken away, but not while the tasklet that runs there is atomic
 * (tl_atomic()). What tl_call_async() runs does not hold it.
 *
 * Contexts, unless said otherwise: any thread, tasklets or not; not signal
 * handlers. A thread is attached to one lock at a time.
 *
 * Memory ordering: what its holder did is visible to the next one.
 */
#ifndef TASKLET_GIL_H
#define TASKLET_GIL_H

#include <tasklet/base.h>
#include <tasklet/error.h>
#include <tasklet/watchdog.h>

TL_BEGIN_DECLS

struct tl_gil;

/*
 * tl_gil_new - make one
 *
 * @spec is as above; NULL or "": what TL_GIL says, or the default. Returns 0;
 * -EINVAL (@spec, or TL_GIL; *@error then says what is wrong and what there is,
 * if @error is not NULL; the caller frees it), or -ENOMEM. On failure *@gil is
 * NULL.
 */
TL_API int tl_gil_new(struct tl_gil **gil, const char *spec,
		      struct tl_error **error);

/*
 * tl_gil_free - and free it
 *
 * Returns 0, or -EBUSY while threads are attached: then it is as it was. NULL is
 * allowed.
 */
TL_API int tl_gil_free(struct tl_gil *gil);

/* What it is, as "handoff:futex"; valid as long as the lock. */
TL_API const char *tl_gil_name(const struct tl_gil *gil);

/*
 * tl_gil_attach - the calling thread comes in
 *
 * Waits until it holds the lock. A thread that ends is detached. Returns 0,
 * -EBUSY (attached to one already), -ENOMEM; or why it can't have what the settings
 * say: -EPERM (nice, sched=fifo), -EOPNOTSUPP (cpuslice), -ENOSYS (the kernel denies
 * them all), -ENODEV (pin: the processor is gone). Then nothing has changed.
 */
TL_API int tl_gil_attach(struct tl_gil *gil);

/* tl_gil_detach - and leaves. Returns 0, or -EINVAL if it is not attached. */
TL_API int tl_gil_detach(void);

/*
 * tl_gil_block_begin, tl_gil_block_end - around a call that may block
 *
 * In between others may have the lock, and the caller touches nothing that it
 * protects; nor do other tasklets of its thread hold it, if any run. end() waits until
 * the caller has it again: as one that comes back from blocking, which most policies
 * let run first.
 *
 * With `handoff`, a call that does not block costs two atomic operations and little
 * else: nobody is woken before it is clear that it does. Calls are told apart by the
 * place in the program that calls begin(), and each is expected to do what it did the
 * last times.
 *
 * No effect on a thread that is not attached. errno is kept. They don't nest: a
 * second begin() has no effect, nor has the end() of it.
 */
TL_API void tl_gil_block_begin(void);
TL_API void tl_gil_block_end(void);

/*
 * tl_gil_yield - let others have it, if somebody waits
 *
 * What tl_tick() does when it is time. Returns whether it let go of it; it has it again
 * when it returns.
 */
TL_API bool tl_gil_yield(void);

/* The lock that the calling thread is attached to, or NULL; whether it holds it. */
TL_API struct tl_gil *tl_gil_current(void);
TL_API bool tl_gil_is_held(void);

/* What a thread comes for the lock as. */
enum tl_gil_class {
	TL_GIL_CPU = 0,		/* it had to let go while it computed, or is new */
	TL_GIL_IO = 1,		/* it comes back from blocking */
};

/* Counts since the thread was attached; sums and maxima of nanoseconds. */
struct tl_gil_times {
	uint64_t count, sum_ns, max_ns;
};

struct tl_gil_stats {
	size_t size;		/* of this structure, as the caller knows it */
	int tid;		/* 0: sums over all threads, also detached ones */
	bool holds;		/* this very moment */
	/* By class: times that it had to wait, and what it held it for then. */
	struct tl_gil_times waits[2], holds_as[2];
	uint64_t forced;	/* times that it was made to let go at a tick */
	uint64_t kept;		/* blocking calls that cost no handoff */
	uint64_t stolen;	/* of those expected to, calls that blocked after all */
};

/*
 * tl_gil_stats - what it came to
 *
 * Calls @fn for the sum, and then for each thread that is attached; stops when that
 * returns false. Each number is right at some moment of the call; they need not be
 * of the same moment. Nobody waits for it meanwhile; @fn may call anything but
 * tl_gil_free().
 */
TL_API void tl_gil_stats(struct tl_gil *gil,
			 bool (*fn)(const struct tl_gil_stats *stats, void *arg),
			 void *arg);

/* The names of all policies, by index from 0; NULL after the last. */
TL_API const char *tl_gil_policy_at(unsigned int index);

TL_END_DECLS

#endif
