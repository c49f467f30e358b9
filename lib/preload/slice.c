/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Slices; see slice.h. Owns, for each thread, whether its slice is ours, and what it
 * was before. A thread begins with the slice of the one that made it, which may have
 * been a short one: then what it had before is what the process began with.
 */
#include "preload/slice.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"

#define SHORT_NS 100000		/* the least that the kernel takes */

/* The kernel's struct sched_attr, as it was first. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static __thread bool is_short __attribute__((tls_model("initial-exec")));
static __thread bool is_known __attribute__((tls_model("initial-exec")));
static __thread uint64_t before __attribute__((tls_model("initial-exec")));

/* Of the first thread that asked, before it had a short one; 0: nobody has. */
static _Atomic uint64_t usual;

static bool get(struct attr *a)
{
	memset(a, 0, sizeof(*a));
	return !syscall(SYS_sched_getattr, 0, a, sizeof(*a), 0) &&
	       a->policy == SCHED_OTHER;
}

/* The thread's first call: whether it was born with a short one. */
tl__cold static void get_to_know(void)
{
	uint64_t none = 0;
	struct attr a;

	is_known = true;
	if (!get(&a))
		return;
	/* relaxed: a number; the first thread had no short one to hand on yet */
	if (atomic_compare_exchange_strong_explicit(&usual, &none, a.runtime,
						    memory_order_relaxed,
						    memory_order_relaxed) ||
	    a.runtime != SHORT_NS || none == SHORT_NS)
		return;
	is_short = true;
	before = none;
}

void tl__slice_short(bool on)
{
	struct attr a;
	int saved = errno;

	if (unlikely(!is_known))
		get_to_know();
	if (likely(on == is_short)) {
		errno = saved;
		return;
	}
	is_short = on;
	if (get(&a)) {
		if (on)
			before = a.runtime;
		a.size = sizeof(a);
		a.runtime = on ? SHORT_NS : before;
		syscall(SYS_sched_setattr, 0, &a, 0);
	}
	errno = saved;
}
