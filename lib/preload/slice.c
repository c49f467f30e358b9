/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Slices; see slice.h. Owns, for each thread, whether its slice is ours, and what it
 * was before.
 */
#include "preload/slice.h"

#include <errno.h>
#include <sched.h>
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
static __thread uint64_t before __attribute__((tls_model("initial-exec")));

void tl__slice_short(bool on)
{
	struct attr a;
	int saved = errno;

	if (likely(on == is_short))
		return;
	is_short = on;
	memset(&a, 0, sizeof(a));
	if (!syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) &&
	    a.policy == SCHED_OTHER) {
		if (on)
			before = a.runtime;
		a.size = sizeof(a);
		a.runtime = on ? SHORT_NS : before;
		syscall(SYS_sched_setattr, 0, &a, 0);
	}
	errno = saved;
}
