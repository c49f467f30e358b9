/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * CPython's way with its GIL, played by threads of both classes on what the preload
 * library makes of the mutex and the conditions: one has it at a time, and no wake-up
 * is lost. The interval is so long that whoever is left to his timer is seen to be.
 */
#include <tap.h>

#include <pthread.h>
#include <sched.h>

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
	tl__gil_lock(g, &gil.mutex);
	tl__gil_me.asked = !late->is_cpu;
	late->result = tl__gil_wait(g, &gil.cond, &gil.mutex, late->clock, &until);
	tl__base_mutex_unlock(&gil.mutex);	/* not a take */
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

/* --- a condition that is destroyed, and who still uses the entry --------------------- */

static pthread_mutex_t other_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t other_cond = PTHREAD_COND_INITIALIZER;
static pthread_cond_t unrelated = PTHREAD_COND_INITIALIZER;

/* As the hook does it. */
static void hook_unlock(pthread_mutex_t *m)
{
	struct tl__gil *g = tl__gil_of_mutex(m);

	if (g || tl__gil_was_mine(m))
		tl__gil_unlock(g, m);
	else
		tl__base_mutex_unlock(m);
}

static void *wait_as_cpu_thread(void *arg)
{
	struct tl__gil *g = tl__gil_of_mutex(&gil.mutex);
	struct timespec until = tl__timespec(tl__now() + NEVER_NS);

	gil_become_cpu_thread();
	tl__gil_lock(g, &gil.mutex);
	*(int *)arg = tl__gil_wait(g, &gil.cond, &gil.mutex, CLOCK_MONOTONIC, &until);
	hook_unlock(&gil.mutex);
	if (tl__gil_me.in || tl__gil_me.mutex)
		*(int *)arg = -2;
	return NULL;
}

static struct tl__gil *learn_other(void)
{
	struct timespec ts = { 0 };

	return tl__gil_learn(&other_cond, &other_mutex, &ts);
}

/* Signalled for the last time and destroyed, while the one that was woken is to come. */
static void test_outlives(void)
{
	struct timespec end;
	struct tl__gil *g, *other;
	int result = -1;
	pthread_t t;

	gil_init(NEVER_NS);
	g = tl__gil_of_mutex(&gil.mutex);
	if (pthread_create(&t, NULL, wait_as_cpu_thread, &result))
		tap_bail("no thread");
	await_waiter(&g->cpu);
	tl__gil_lock(g, &gil.mutex);
	gil_signal(&gil.cond);
	tl__gil_forget(&gil.cond);
	other = learn_other();
	gil_signal(&unrelated);
	tap_ok(other && other != g, "the entry of a condition that is gone is no other's while "
	       "one that was woken is to come back");
	tap_ok(!tl__gil_of_cond(&unrelated), "... a condition that is signalled then is none "
	       "of its");
	hook_unlock(&gil.mutex);
	tap_ok(!tl__gil_me.in && !tl__gil_me.mutex, "... nor one after the unlock");
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	if (pthread_timedjoin_np(t, NULL, &end))
		tap_bail("the one that was woken does not come back");
	tap_is(result, 0, "... which it does, and is in no section then");
	tap_is(other ? (int)other->cpu_waiters : -1, 0, "... and counts for no other");
	tl__gil_forget(&other_cond);
	tap_ok(learn_other() == g, "... then it is used again");
	tl__gil_forget(&other_cond);
}

/* --- both conditions are destroyed at a time --------------------------------------------- */

#define RACES 30000

static _Atomic int race, raced;

static void await(_Atomic int *what, int value)
{
	int looks = 0;

	while (*what != value)
		if (++looks % 1024 == 0)
			sched_yield();
}

static void *forget_switched(void *arg)
{
	int i;

	for (i = 1; i <= RACES; i++) {
		await(&race, i);
		tl__gil_forget(&gil.switch_cond);
		raced = i;
	}
	return arg;
}

/* The second must not free what is in the entry by then. */
static void test_both(void)
{
	struct timespec ts = { 0 };
	struct tl__gil *g;
	int i, n, lost = 0;
	pthread_t t;

	if (pthread_create(&t, NULL, forget_switched, NULL))
		tap_bail("no thread");
	for (i = 1; i <= RACES; i++) {
		g = tl__gil_learn(&gil.cond, &gil.mutex, &ts);
		atomic_store(&g->switched, &gil.switch_cond);
		race = i;
		/* At a time: the other one has to see it first. */
		for (n = i % 256; n; n--)
			tl__gil_of_cond(&unrelated);
		tl__gil_forget(&gil.cond);
		g = learn_other();
		await(&raced, i);
		lost += tl__gil_of_cond(&other_cond) != g;
		tl__gil_forget(&other_cond);
	}
	pthread_join(t, NULL);
	tap_is(lost, 0, "a GIL is not forgotten with the one that was there before");
}

int main(int argc, char **argv)
{
	/* Ours, so that checkers see what is locked. */
	setenv("TL_PRELOAD_COND", argc > 1 ? argv[1] : "futex", 1);
	setenv("TL_PRELOAD_GIL", "priority", 1);
	tap_plan(46);
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
	test_outlives();
	test_both();
	return tap_exit();
}
