/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Included before everything else where a source is compiled for the explorer: each atomic operation and each call that
 * waits becomes a point where another thread may go on; see explore.h.
 *
 * The real headers come first, so that their own definitions are left alone.
 */
#ifndef EXPLORE_YIELD_H
#define EXPLORE_YIELD_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "explore.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/pause.h"
#include "os/tids.h"

/*
 * Flags for failure injection, what a thread reads of its own scheduler, and what the global interpreter lock counts and
 * guesses are no points: that would be most of them.
 */
#define explore__is_file(name) (!__builtin_strcmp(__FILE__, name))
#define explore__quiet							\
	(explore__is_file("lib/base/alloc.h") || explore__is_file("lib/core/task.h") || \
	 explore__is_file("lib/gil/gil.h") || explore__is_file("lib/gil/gil.c") || \
	 explore__is_file("lib/gil/sites.c") || explore__is_file("lib/preload/gil.h"))

#define explore__at(p, what)						\
	(explore__quiet ? (void)0 : explore_point((p), what, __FILE__, __LINE__))

/* All orders become the strongest: only one thread runs, so that costs no behaviour. */
#define __atomic_load_n(p, order)					\
	__extension__({							\
		__auto_type explore_p = (p);				\
		explore__at(explore_p, "load " #p);			\
		__atomic_load_n(explore_p, __ATOMIC_SEQ_CST);		\
	})

#define __atomic_store_n(p, v, order)					\
	__extension__({							\
		__auto_type explore_p = (p);				\
		__auto_type explore_v = (v);				\
		explore__at(explore_p, "store " #p);			\
		__atomic_store_n(explore_p, explore_v, __ATOMIC_SEQ_CST); \
	})

#define __atomic_exchange_n(p, v, order)				\
	__extension__({							\
		__auto_type explore_p = (p);				\
		__auto_type explore_v = (v);				\
		explore__at(explore_p, "exchange " #p);			\
		__atomic_exchange_n(explore_p, explore_v, __ATOMIC_SEQ_CST); \
	})

/* The weak one may fail for no reason, but then it is in a loop: never here. */
#define __atomic_compare_exchange_n(p, e, v, weak, yes, no)		\
	__extension__({							\
		__auto_type explore_p = (p);				\
		__auto_type explore_v = (v);				\
		explore__at(explore_p, "compare-exchange " #p);		\
		__atomic_compare_exchange_n(explore_p, (e), explore_v, 0, \
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	})

/* The name of the builtin is not looked up again inside its own macro. */
#define explore__do(name, p, v)						\
	__extension__({							\
		__auto_type explore_p = (p);				\
		__auto_type explore_v = (v);				\
		explore__at(explore_p, #name " " #p);			\
		__atomic_##name(explore_p, explore_v, __ATOMIC_SEQ_CST); \
	})
#define __atomic_fetch_add(p, v, order) explore__do(fetch_add, p, v)
#define __atomic_fetch_sub(p, v, order) explore__do(fetch_sub, p, v)
#define __atomic_fetch_or(p, v, order) explore__do(fetch_or, p, v)
#define __atomic_fetch_and(p, v, order) explore__do(fetch_and, p, v)
#define __atomic_fetch_xor(p, v, order) explore__do(fetch_xor, p, v)
#define __atomic_add_fetch(p, v, order) explore__do(add_fetch, p, v)
#define __atomic_sub_fetch(p, v, order) explore__do(sub_fetch, p, v)

/* <stdatomic.h>'s: the types of _Atomic objects are taken without that word, as there. */
#define explore__type(p) __typeof__((void)0, *(p))

#undef atomic_load_explicit
#define atomic_load_explicit(p, order)					\
	__extension__({							\
		__auto_type explore_p = (p);				\
		explore__type(explore_p) explore_v;			\
		explore__at(explore_p, "load " #p);			\
		__atomic_load(explore_p, &explore_v, __ATOMIC_SEQ_CST);	\
		explore_v;						\
	})

#undef atomic_store_explicit
#define atomic_store_explicit(p, v, order)				\
	__extension__({							\
		__auto_type explore_p = (p);				\
		explore__type(explore_p) explore_v = (v);		\
		explore__at(explore_p, "store " #p);			\
		__atomic_store(explore_p, &explore_v, __ATOMIC_SEQ_CST); \
	})

#undef atomic_exchange_explicit
#define atomic_exchange_explicit(p, v, order)				\
	__extension__({							\
		__auto_type explore_p = (p);				\
		explore__type(explore_p) explore_v = (v), explore_old;	\
		explore__at(explore_p, "exchange " #p);			\
		__atomic_exchange(explore_p, &explore_v, &explore_old,	\
				  __ATOMIC_SEQ_CST);			\
		explore_old;						\
	})

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(p, e, v, yes, no)	\
	__extension__({							\
		__auto_type explore_p = (p);				\
		explore__type(explore_p) explore_v = (v);		\
		explore__at(explore_p, "compare-exchange " #p);		\
		__atomic_compare_exchange(explore_p, (e), &explore_v, 0, \
					  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	})
#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit(p, e, v, yes, no)	\
	atomic_compare_exchange_strong_explicit(p, e, v, yes, no)

#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(p, v, order) __atomic_fetch_add(p, v, order)
#undef atomic_fetch_sub_explicit
#define atomic_fetch_sub_explicit(p, v, order) __atomic_fetch_sub(p, v, order)
#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit(p, v, order) __atomic_fetch_or(p, v, order)
#undef atomic_fetch_and_explicit
#define atomic_fetch_and_explicit(p, v, order) __atomic_fetch_and(p, v, order)
#undef atomic_fetch_xor_explicit
#define atomic_fetch_xor_explicit(p, v, order) __atomic_fetch_xor(p, v, order)

/* Those without an order are not used by the library; a use must not go by unseen. */
#undef atomic_load
#define atomic_load(p) atomic_load_explicit(p, memory_order_seq_cst)
#undef atomic_store
#define atomic_store(p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#undef atomic_exchange
#define atomic_exchange(p, v) atomic_exchange_explicit(p, v, memory_order_seq_cst)
#undef atomic_fetch_add
#define atomic_fetch_add(p, v) __atomic_fetch_add(p, v, 0)
#undef atomic_fetch_sub
#define atomic_fetch_sub(p, v) __atomic_fetch_sub(p, v, 0)

/* In the midst of a section: whoever does not respect it is seen. */
#define memcpy(to, from, size)						\
	(explore_point(NULL, "memcpy", __FILE__, __LINE__), memcpy(to, from, size))

#define tl__futex_wait(word, value, deadline) \
	explore_futex_wait(word, value, deadline, __FILE__, __LINE__)
#define tl__futex_wait_by(word, value, clock, deadline) \
	((void)(clock), explore_futex_wait_by(word, value, deadline, __FILE__, __LINE__))
#define tl__futex_wake(word, count) \
	explore_futex_wake(word, count, __FILE__, __LINE__)
#define tl__pause() explore_pause(__FILE__, __LINE__)
#define sched_yield() explore_yield(__FILE__, __LINE__)
#define nanosleep(time, left) ((void)(time), explore_yield(__FILE__, __LINE__))
#define tl__now() explore_now()
/* Only the threads of the scenario count. */
#define tl__tids_unknown() false
#define pthread_mutex_lock(m) explore_mutex_lock(m, __FILE__, __LINE__)
#define pthread_mutex_unlock(m) explore_mutex_unlock(m)

#endif
