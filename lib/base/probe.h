/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The library's probes: places where a tracer can listen, in the format of
 * <sys/sdt.h>. tasklet_tracing(7) says what each of them means.
 *
 * Each has a semaphore, a counter of those who listen, which the kernel raises
 * in the process that is traced. As long as it is 0, a probe is a load and a
 * branch that is not taken, and its arguments are not evaluated. They are 64
 * bits wide, all of them, so that no tracer has to know how a shorter one is
 * extended.
 *
 * Where the code is hot and a probe would need a frame, its semaphore is one
 * more reason for the slow way, which is there anyhow and has the probe in it:
 * tl__probe_wanted(). The probes themselves stand in as few places as can be,
 * for each place is one more that a tracer has to attach to.
 *
 * Without <sys/sdt.h>, or with TL_NO_PROBES, there are none.
 */
#ifndef TL_BASE_PROBE_H
#define TL_BASE_PROBE_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/probe-kinds.h"

#if !defined(TL_NO_PROBES) && __has_include(<sys/sdt.h>)
#define TL__PROBES 1
#else
#define TL__PROBES 0
#endif

/*
 * All there are, each with the number of its arguments. The first two lie in
 * one word (tl__probe_switch_word).
 */
#define TL__EACH_PROBE(X)	\
	X(task_switch, 2)	\
	X(unpark, 2)		\
	X(park, 3)		\
	X(task_new, 2)		\
	X(task_end, 2)		\
	X(chan_send, 3)		\
	X(chan_recv, 3)		\
	X(gil_wait, 2)		\
	X(gil_acquire, 3)	\
	X(gil_release, 3)	\
	X(gil_yield, 4)		\
	X(gil_keep, 1)		\
	X(gil_regain, 2)	\
	X(wake, 3)

#if TL__PROBES

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

#define TL__DECLARE(name, args) \
	tl__hidden extern unsigned short tasklet_##name##_semaphore;
TL__EACH_PROBE(TL__DECLARE)
#undef TL__DECLARE

/*
 * Whether anybody listens; 0 if not. A plain load: the kernel writes to it, and
 * an event more or less at either end of a trace is nobody's loss.
 */
#define tl__probe_wanted(name) (tasklet_##name##_semaphore)

/* The same for both that a switch may have to do with, in one load. */
tl__hidden extern uint32_t tl__probe_switch_word;
#define tl__probe_wanted_of_switch() tl__probe_switch_word

#define TL__IS_WIDE(x) \
	_Static_assert(sizeof(x) == 8, "a probe's argument has 64 bits")
#define TL__PROBE(name, fire, checks)					\
	do {								\
		checks;							\
		if (unlikely(tl__probe_wanted(name)))			\
			fire;						\
	} while (0)

#define TL__PROBE1(name, a)						\
	TL__PROBE(name, STAP_PROBE1(tasklet, name, a), TL__IS_WIDE(a))
#define TL__PROBE2(name, a, b)						\
	TL__PROBE(name, STAP_PROBE2(tasklet, name, a, b),		\
		  TL__IS_WIDE(a); TL__IS_WIDE(b))
#define TL__PROBE3(name, a, b, c)					\
	TL__PROBE(name, STAP_PROBE3(tasklet, name, a, b, c),		\
		  TL__IS_WIDE(a); TL__IS_WIDE(b); TL__IS_WIDE(c))
#define TL__PROBE4(name, a, b, c, d)					\
	TL__PROBE(name, STAP_PROBE4(tasklet, name, a, b, c, d),		\
		  TL__IS_WIDE(a); TL__IS_WIDE(b); TL__IS_WIDE(c);	\
		  TL__IS_WIDE(d))

/* Out of line: a system call follows, and so it stands in one place alone. */
void tl__probe_wake_fire(uint64_t kind, const volatile void *address,
			 int64_t count);

#else /* !TL__PROBES */

#define tl__probe_wanted(name) 0
#define tl__probe_wanted_of_switch() 0

/* Used, but not evaluated. */
#define TL__PROBE1(name, a) \
	do { (void)sizeof(a); } while (0)
#define TL__PROBE2(name, a, b) \
	do { (void)sizeof(a); (void)sizeof(b); } while (0)
#define TL__PROBE3(name, a, b, c) \
	do { TL__PROBE2(name, a, b); (void)sizeof(c); } while (0)
#define TL__PROBE4(name, a, b, c, d) \
	do { TL__PROBE3(name, a, b, c); (void)sizeof(d); } while (0)

static inline void tl__probe_wake_fire(uint64_t kind,
				       const volatile void *address,
				       int64_t count)
{
	(void)kind;
	(void)address;
	(void)count;
}

#endif

/*
 * A system call that wakes up to @count threads, which sleep at @address, is
 * about to be made. @kind: TL_PROBE_WAKE_. Does not look at what is there.
 */
static inline void tl__probe_wake(uint64_t kind, const volatile void *address,
				  int64_t count)
{
	if (unlikely(tl__probe_wanted(wake)))
		tl__probe_wake_fire(kind, address, count);
}

#endif
