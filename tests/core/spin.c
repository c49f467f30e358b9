/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Whether a scheduler spins before it sleeps (inbox-spin.c), from inside and by what it would do next, not by time: not at
 * first, not for a partner on its own processor, nor while the kernel may complete something; in vain for a bounded and
 * falling time, and then not before a growing number of sleeps.
 */
#include <sched.h>
#include <unistd.h>

#include "check.h"
#include "core/task.h"
#include "os/clock.h"

static struct tl_sched *s;

static void deliver(UNUSED struct tl_sched *to, UNUSED struct tl__message *message)
{
}

static bool spins(void)
{
	return s->inbox.spin_ns;
}

/* A sleep is over that has just begun; @cpu: where the one ran that ended it. Again, if we were kept from saying so. */
static void slept(int cpu)
{
	bool waits = s->inbox.spin_again;
	uint64_t began;

	do {
		began = tl__now();
		atomic_store(&s->inbox.waker_cpu, cpu);
		tl__inbox_slept(s, began);
	} while (!waits && !spins() && tl__now() - began > 100000);
}

static void test_begin(void)
{
	tap_ok(!spins() && !tl__inbox_spin(s, TL_FOREVER), "a thread begins without");
	slept(-1);
	tap_ok(!spins(), "one that no thread has woken does not spin next time");
	slept(sched_getcpu());
	tap_ok(!spins(), "nor one that was woken from its own processor");
	atomic_store(&s->inbox.waker_cpu, sched_getcpu() + 1);
	tl__inbox_slept(s, tl__now() - 1000000000);
	tap_ok(!spins(), "nor one that slept for long");
	slept(sched_getcpu() + 1);
	tap_is(spins(), sysconf(_SC_NPROCESSORS_ONLN) > 1, "one that another processor woke soon does, if there are several");
}

static void test_bounded(void)
{
	uint32_t before, most;
	int in_vain = 0, sleeps = 0;

	most = before = s->inbox.spin_ns;
	while (spins() && in_vain < 100) {
		if (tl__inbox_spin(s, TL_FOREVER) || s->inbox.spin_ns > before / 2)
			break;
		before = s->inbox.spin_ns;
		in_vain++;
	}
	tap_ok(!spins() && in_vain > 1 && in_vain < 10, "each spin in vain is half as long as the last one, and then there is none");
	slept(sched_getcpu() + 1);
	tap_ok(!spins(), "the next attempt has to wait");
	while (!spins() && sleeps++ < 100)
		slept(sched_getcpu() + 1);
	tap_ok(s->inbox.spin_ns == most && sleeps == 1, "... for one sleep");
	while (tl__inbox_spin(s, TL_FOREVER), spins())
		;
	for (sleeps = 0; !spins() && sleeps < 100; sleeps++)
		slept(sched_getcpu() + 1);
	tap_is(sleeps, 4, "... and after another failure for three");
}

static void test_in_time(void)
{
	struct tl__message message = { .deliver = deliver };

	tl__inbox_spin(s, TL_FOREVER);
	tap_ok(!tl__inbox_spin(s, 0) && s->inbox.spin_failures, "no spin goes beyond a deadline");
	s->inbox.spin_ns = 10000;
	tl__inbox_push(s, &message);
	s->io_pending++;
	tap_ok(!tl__inbox_spin(s, TL_FOREVER) && s->inbox.spin_ns == 10000, "none while the kernel may have something to say");
	s->io_pending--;
	tap_ok(tl__inbox_spin(s, TL_FOREVER), "a message ends it");
	tap_ok(s->inbox.spin_ns > 10000 && !s->inbox.spin_failures, "... and what had failed is forgotten");
	tl__inbox_drain(s);
}

int main(void)
{
	cpu_set_t here;
	int i;

	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here);
	tap_plan(13);
	tl_schedule();
	s = tl__sched_self;
	test_begin();
	/* On one processor it is never on: here as if there were more. */
	if (!spins())
		s->inbox.spin_ns = 40000;
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		test_bounded();
	else
		for (i = 0; i < 4; i++)
			tap_skip("one processor: it never spins");
	test_in_time();
	tl_sched_end();
	return tap_exit();
}
