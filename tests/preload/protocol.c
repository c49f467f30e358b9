/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * CPython's way with its GIL, played by threads of both classes on what the preload
 * library makes of the mutex and the conditions: one has it at a time, and no wake-up
 * is lost. The interval is so long that whoever is left to his timer is seen to be.
 */
#include <tap.h>

#include <pthread.h>

#include "cpython-gil.h"

#define INTERVAL_NS (4 * TL__NS_PER_SEC)
#define NEVER_NS (600 * TL__NS_PER_SEC)
#define THREADS_MAX 8

static _Atomic int io_left;

/* Where waits had their waiters on the stack: nobody writes there any more. */
static __attribute__((noinline)) void compute(uint64_t ns)
{
	uint64_t end = tl__now() + ns;
	volatile unsigned char there[512];
	unsigned int i;

	for (i = 0; i < sizeof(there); i++)
		there[i] = 0x55;
	while (tl__now() < end)
		;
	for (i = 0; i < sizeof(there); i++)
		if (there[i] != 0x55)
			tap_bail("a waiter that is gone was written to");
}

static int turns = 3000;

static void *io_thread(void *arg)
{
	int me = (int)(intptr_t)arg, i;

	gil_take(me);
	for (i = 0; i < turns; i++) {
		compute(1000 * (1 + (unsigned int)(i * me) % 7));
		gil_drop(me);
		if (i % 3 == 0)
			compute(2000);		/* a call that does not wait */
		else if (i % 16 == 1)
			usleep(20);
		gil_take(me);
	}
	io_left--;
	gil_leave(me);
	return NULL;
}

/* Drops it when it is asked to and not before; goes on while there is IO. */
static void *cpu_thread(void *arg)
{
	int me = (int)(intptr_t)arg, i;

	gil_become_cpu_thread();
	gil_take(me);
	for (i = 0; io_left; i++) {
		compute(i % 64 ? 500 : 100000);	/* several may ask until it looks */
		if (gil.drop_request) {
			gil_drop(me);
			gil_take(me);
		}
	}
	gil_leave(me);
	return NULL;
}

static void play(int io, int cpu, unsigned int floor)
{
	uint64_t late = tl__gil_stats.late, turned = tl__gil_stats.turned;
	pthread_t t[THREADS_MAX];
	int i;

	tl__cpu_floor = floor;
	gil_init(INTERVAL_NS);
	io_left = io;
	for (i = 0; i < io + cpu; i++)
		if (pthread_create(&t[i], NULL, i < io ? io_thread : cpu_thread,
				   (void *)(intptr_t)(i + 1)))
			tap_bail("no thread");
	for (i = 0; i < io + cpu; i++)
		pthread_join(t[i], NULL);
	tap_is(gil.collisions, 0, "%d IO and %d CPU threads, floor %u%%: one at a time, and "
	       "all come to their end", io, cpu, floor);
	tap_is(gil.forgotten, 0, "... nobody waits for a free one");
	/*
	 * Who asks one thread is not told that the next keeps it longer than it seemed
	 * to; nothing else may be left to the timers.
	 */
	late = tl__gil_stats.late - late;
	turned = tl__gil_stats.turned - turned;
	tap_ok(late <= turned * (uint64_t)io, "... no request was lost: %llu late, "
	       "%llu IO threads had become CPU threads", (unsigned long long)late,
	       (unsigned long long)turned);
	tl__gil_forget(&gil.cond);
	tap_ok(!tl__gil_of_mutex(&gil.mutex), "... forgotten");
}

/* --- asked, and then comes the time of the others ---------------------------------- */

static void *once(void *arg)
{
	gil_take((int)(intptr_t)arg);
	gil_leave((int)(intptr_t)arg);
	return NULL;
}

static void *until_asked(void *arg)
{
	gil_become_cpu_thread();
	gil_take((int)(intptr_t)arg);
	while (!gil.drop_request)
		compute(500);
	gil_leave((int)(intptr_t)arg);
	return NULL;
}

static void await_waiter(struct tl__list *queue)
{
	bool there = false;

	while (!there) {
		usleep(100);
		tl__base_mutex_lock(&gil.mutex);
		there = tl__list_first(queue);
		tl__base_mutex_unlock(&gil.mutex);
	}
}

/*
 * An IO thread has asked the holder; but what is owed to CPU threads comes first, and the
 * one that gets it then has not been asked.
 */
static void asked_before_phase(void)
{
	uint64_t late = tl__gil_stats.late;
	struct tl__gil *g;
	pthread_t io, cpu;

	tl__cpu_floor = 30;
	gil_init(NEVER_NS);
	g = tl__gil_of_mutex(&gil.mutex);
	gil_become_cpu_thread();
	gil_take(1);
	if (pthread_create(&io, NULL, once, (void *)2))
		tap_bail("no thread");
	await_waiter(&g->io);
	if (pthread_create(&cpu, NULL, until_asked, (void *)3))
		tap_bail("no thread");
	await_waiter(&g->cpu);
	tl__base_mutex_lock(&gil.mutex);
	g->owed_ns = 20000000;
	g->cpu_phase = true;
	tl__base_mutex_unlock(&gil.mutex);
	gil_leave(1);
	pthread_join(io, NULL);
	pthread_join(cpu, NULL);
	tap_is((long)(tl__gil_stats.late - late), 0,
	       "one that has asked asks again when a phase of CPU threads is over");
	tl__gil_forget(&gil.cond);
}

/* --- one that comes when another has been woken for it ------------------------------ */

static void *once_computing(void *arg)
{
	gil_become_cpu_thread();
	return once(arg);
}

/* It is free, and told to somebody who is about to come: an IO thread, or a CPU thread. */
static void come_before(bool heir_is_io, void *(*fn)(void *), const char *words)
{
	uint64_t before = tl__gil_stats.held_off;
	struct tl__gil *g;
	pthread_t t;

	gil_init(INTERVAL_NS);
	g = tl__gil_of_mutex(&gil.mutex);
	g->held = false;
	g->heir = &gil;
	g->heir_is_io = heir_is_io;
	g->cpu_phase = !heir_is_io;
	g->owed_ns = heir_is_io ? 0 : 1000000;
	if (pthread_create(&t, NULL, fn, (void *)1))
		tap_bail("no thread");
	pthread_join(t, NULL);
	tap_is((long)(tl__gil_stats.held_off - before), 1, "%s", words);
	tl__gil_forget(&gil.cond);
}

/* --- a time-out that is over before the wait begins ---------------------------------- */

struct late {
	clockid_t clock;
	bool is_cpu;		/* else an IO thread that has asked */
	int result;
	_Atomic bool done;
};

static void *wait_late(void *arg)
{
	struct tl__gil *g = tl__gil_of_mutex(&gil.mutex);
	struct late *late = arg;
	struct timespec until;

	if (late->is_cpu)
		gil_become_cpu_thread();
	clock_gettime(late->clock, &until);
	until.tv_sec--;
	tl__gil_lock(g);
	tl__gil_me.asked = !late->is_cpu;
	late->result = tl__gil_wait(g, &gil.cond, &gil.mutex, late->clock, &until);
	tl__base_mutex_unlock(&gil.mutex);
	tl__gil_me.in = NULL;
	late->done = true;
	return NULL;
}

/* An interval is the time left; less than none would be one of 500 years. */
static void test_late(struct late late, const char *words)
{
	uint64_t end = tl__now() + 5 * TL__NS_PER_SEC;
	struct tl__gil *g;
	pthread_t t;
	bool at_once;

	gil_init(INTERVAL_NS);
	g = tl__gil_of_mutex(&gil.mutex);
	gil_take(1);
	/* As the wait of an IO thread would leave it. */
	g->interval_ns = INTERVAL_NS;
	if (pthread_create(&t, NULL, wait_late, &late))
		tap_bail("no thread");
	while (!late.done && tl__now() < end)
		usleep(100);
	at_once = late.done;
	gil_leave(1);		/* which ends the wait of one that sleeps */
	pthread_join(t, NULL);
	tap_ok(at_once, "%s does not sleep", words);
	tap_is(late.result, late.is_cpu ? ETIMEDOUT : 0, "... and is told %s",
	       late.is_cpu ? "so" : "to look again");
	tap_is((long)g->interval_ns, late.is_cpu ? 0 : (long)INTERVAL_NS,
	       "... the interval is %s", late.is_cpu ? "nothing" : "left alone");
	tl__gil_forget(&gil.cond);
}

int main(int argc, char **argv)
{
	/* Ours, so that checkers see what is locked. */
	setenv("TL_PRELOAD_COND", argc > 1 ? argv[1] : "futex", 1);
	setenv("TL_PRELOAD_GIL", "priority", 1);
	tap_plan(39);
	play(1, 1, 30);
	play(1, 2, 30);
	play(3, 1, 30);
	play(4, 3, 90);
	play(4, 0, 30);
	play(2, 2, 0);
	asked_before_phase();
	come_before(true, once_computing, "a CPU thread does not come before an IO thread "
		    "that was woken");
	come_before(false, once, "nor an IO thread before a CPU thread whose turn it is");
	test_late((struct late){ .clock = CLOCK_MONOTONIC, .is_cpu = true },
		  "a CPU thread whose time is over");
	test_late((struct late){ .clock = CLOCK_REALTIME, .is_cpu = true },
		  "... by another clock");
	test_late((struct late){ .clock = CLOCK_MONOTONIC }, "an IO thread that has asked");
	test_late((struct late){ .clock = CLOCK_REALTIME }, "... by another clock");
	return tap_exit();
}
