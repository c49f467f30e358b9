/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is done when the library is loaded, when the program ends, and in the child of
 * a fork. Nothing else depends on any of it having been done.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/out.h"
#include "preload/gil-wait.h"
#include "preload/gil.h"
#include "preload/recognise.h"
#include "preload/settings.h"

/* One line of JSON on stderr, for people and for tests. */
static void say_stats(void)
{
	struct tl__recognise_stats r;
	struct tl__out out;

	tl__recognise_stats(&r);
	tl__out_init(&out, 2);
	tl__out_str(&out, "{\"preload\":");
	tl__out_u64(&out, (uint64_t)getpid());
#define SAY(name, value)				\
	(tl__out_str(&out, ",\"" name "\":"),	\
	 tl__out_u64(&out, value))
	SAY("wait_sites", r.sites);
	SAY("take_gil_sites", r.found);
	SAY("stacks", r.unwound);
	/* relaxed: statistics */
#define X(name) \
	SAY(#name, atomic_load_explicit(&tl__gil_stats.name, \
					memory_order_relaxed));
	TL__GIL_STATS(X)
#undef X
	tl__out_str(&out, "}\n");
	tl__out_flush(&out);
}

static void in_child(void)
{
	tl__recognise_in_child();
	tl__waiter_in_child();
	tl__gil_forget_all();
}

__attribute__((constructor)) static void start(void)
{
	tl__cond_kind();
	/* Without the memory for it, a child goes by what its parent knew. */
	if (tl__settings.gil_priority)
		pthread_atfork(NULL, NULL, in_child);
}

__attribute__((destructor)) static void end(void)
{
	if (tl__settings.stats)
		say_stats();
}
