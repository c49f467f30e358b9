/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Slices; see slice.h. Owns, for each thread, whether its slice is ours, and what it
 * was before. A thread begins with the slice of the one that made it, which may have
 * been a short one: then what it had before is what the process began with.
 */
#include "preload/slice.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"
#include "os/sched.h"

#define SHORT_NS TL__SCHED_SLICE_MIN_NS

static __thread bool is_short __attribute__((tls_model("initial-exec")));
static __thread bool is_known __attribute__((tls_model("initial-exec")));
static __thread uint64_t before __attribute__((tls_model("initial-exec")));

/* Of the first thread that asked, before it had a short one; 0: nobody has. */
static _Atomic uint64_t usual;

static bool get(struct tl__sched *s)
{
	return !tl__sched_get(s) && s->policy == SCHED_OTHER;
}

/* The thread's first call: whether it was born with a short one. */
tl__cold static void get_to_know(void)
{
	uint64_t none = 0;
	struct tl__sched s;

	is_known = true;
	if (!get(&s))
		return;
	/* relaxed: a number; the first thread had no short one to hand on yet */
	if (atomic_compare_exchange_strong_explicit(&usual, &none, s.slice_ns,
						    memory_order_relaxed,
						    memory_order_relaxed) ||
	    s.slice_ns != SHORT_NS || none == SHORT_NS)
		return;
	is_short = true;
	before = none;
}

void tl__slice_short(bool on)
{
	struct tl__sched s;

	if (unlikely(!is_known))
		get_to_know();
	if (likely(on == is_short))
		return;
	is_short = on;
	if (!get(&s))
		return;
	if (on)
		before = s.slice_ns;
	s.slice_ns = on ? SHORT_NS : before;
	(void)tl__sched_set(&s);
}
