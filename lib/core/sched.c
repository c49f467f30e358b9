/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A thread's scheduler: made with the first call on the thread, ended with
 * tl_sched_end() or with the thread. Also callbacks, traps and counters.
 *
 * The scheduler's memory is one mapping, which holds the main tasklet too. A
 * thread-specific key's destructor ends it where the program doesn't.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <tasklet/time.h>

#include "base/alloc.h"
#include "base/list.h"
#include "core/end.h"
#include "core/extra.h"
#include "core/overflow.h"
#include "core/park.h"
#include "core/probes.h"
#include "core/stall.h"
#include "core/remote.h"
#include "core/threads.h"
#include "core/tick.h"
#include "os/clock.h"
#include "os/log.h"

/* How hard to try to end what swallows its kill: in all at most ten seconds. */
#define KILL_ROUNDS 10
#define END_TURNS 1000
#define END_WAITS 1000
#define END_WAIT_NS 1000000
#define ID_RANGE 4096

struct thread_memory {
	struct tl_sched sched;
	struct tl_task main __attribute__((aligned(64)));
};

__thread struct tl_sched *tl__sched_self
	__attribute__((tls_model("initial-exec")));
static __thread int create_error;

static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;
static int thread_key_error;

/*
 * Nobody may find @t in a queue and hand it something: waits that nothing else can
 * end are given up as in a deadlock. Who has claimed it is about to send a message.
 */
static void strand_wait(struct tl_sched *s, struct tl_task *t)
{
	static const struct timespec pause = { .tv_nsec = 50000 };

	s->head = NULL;
	t->wait_ops->abandon(t, -EDEADLK);
	while (t->flags & TL__AWAITED)
		if (!tl__inbox_drain(s))
			nanosleep(&pause, NULL);
}

/* One that has survived everything will never run again: it is dead. */
static bool strand_task(struct tl_task *t, void *arg)
{
	struct tl_sched *s = arg;

	if (tl__is_alive(t) && t != s->main) {
		if (tl__state(t) == TL__BLOCKED)
			strand_wait(s, t);
		if (t->flags & TL__KEPT)
			tl__keeper_ended(t, -ECANCELED, true);
		tl__probe_unrun(t);
		tl__state_set(t, TL__DEAD);
	}
	tl__mail_close(t);
	return true;
}

/*
 * The thread goes and its scheduler stays: the kernel may still write to its
 * stacks. Nobody sends it anything any more, nor writes to its thread-local word
 * (who still does has a tasklet's lock, see tl__mail()), waits for it or asks it.
 */
static void strand(struct tl_sched *s)
{
	static unsigned int nobodys_ticks;

	tl__monitor_disarm(&s->watch.alarm);
	tl__stack_keep(s);
	tl__stack_each(s, strand_task, s);
	strand_task(s->main, s);
	tl__state_set(s->main, TL__DEAD);
	/* relaxed: the locks of the tasklets order it */
	__atomic_store_n(&s->tick_word, &nobodys_ticks, __ATOMIC_RELAXED);
	tl__threads_remove(s);
	tl__sched_self = NULL;
}

static void thread_ends(void *arg)
{
	struct tl_sched *s = arg;
	int left;

	if (tl__sched_self != s)
		return;		/* ended already */
	left = tl_sched_end();
	if (left > 0)
		tl__log("a thread ends with %d tasklets that can't be killed",
			left);
	else if (left < 0)
		tl__log("a thread ends in a tasklet, not in its main one: "
			"its tasklets are lost");
	if (left)
		strand(s);
}

static void thread_key_make(void)
{
	thread_key_error = pthread_key_create(&thread_key, thread_ends);
}

/* Lets a test see the refusal on a machine without shadow stacks. */
bool tl__test_shadow_stack;

/*
 * A live shadow stack (CET) is not switched along with the stack: the first
 * return after a switch would kill the process. Better to say so here. rdssp is
 * a no-op, leaving the zero, where shadow stacks are off.
 */
static bool shadow_stack_live(void)
{
	unsigned long ssp = 0;

#if defined(__x86_64__)
	__asm__ volatile("rdsspq %0" : "+r"(ssp));
#endif
	return ssp || tl__test_shadow_stack;
}

int tl__sched_error(void)
{
	return create_error;
}

static void annotate_main(struct tl__annotation *annotation)
{
	void *low = NULL;
	size_t size = 0;
#ifdef TL__ASAN
	pthread_attr_t attr;

	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstack(&attr, &low, &size);
		pthread_attr_destroy(&attr);
	}
#endif
	tl__annotate_thread(annotation, low, size);
}

static void main_init(struct tl_sched *s, struct tl_task *main)
{
	main->sched = s;
	main->flags = TL__MAIN | TL__STARTED;
	tl__refs_set(main, 1);
	main->waiter.task = main;
	tl__sched_new_ids(s);
	main->id = ++s->next_id;
	tl__overflow_thread_start(s);
	annotate_main(&main->annotation);
	s->main = main;
	s->alive = 1;
	tl__ring_append(s, main);
}

struct tl_sched *tl__sched_create(void)
{
	struct thread_memory *memory;
	int saved = errno;
	struct tl_sched *s;

	if (shadow_stack_live()) {
		tl__log_once("this thread has a shadow stack (CET), which "
			     "stack switches can't keep in step: run with "
			     "GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK");
		create_error = -ENOTSUP;
		return NULL;
	}
	create_error = -ENOMEM;
	pthread_once(&thread_key_once, thread_key_make);
	if (thread_key_error)
		return NULL;
	memory = tl__fault() ? MAP_FAILED :
		mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		errno = saved;
		return NULL;
	}
	s = &memory->sched;
	if (pthread_setspecific(thread_key, s)) {
		munmap(memory, sizeof(*memory));
		errno = saved;
		return NULL;
	}
	tl__heap_init(&s->timers);
	tl__inbox_init(&s->inbox);
	tl__list_init(&s->locals);
	s->tick_word = &tl__tick_word;
	tl__fpenv_save(&s->fpenv);
	s->random = tl__now() | 1;
	main_init(s, &memory->main);
	tl__sched_self = s;
	tl__threads_add(s);
	tl__stall_thread_starts();
	errno = saved;
	return s;
}

void tl__sched_new_ids(struct tl_sched *s)
{
	/* relaxed: only that no two get the same matters */
	static _Atomic uint64_t last;

	s->next_id = atomic_fetch_add_explicit(&last, ID_RANGE,
					       memory_order_relaxed);
	s->last_id = s->next_id + ID_RANGE;
}

/*
 * Marks and wakes one; it unwinds when main runs the others. Nobody's destructor
 * may run here: it could give the stacks back that we walk over.
 */
static bool kill_each(struct tl_task *t, void *arg)
{
	struct tl_sched *s = arg;

	if (tl__is_alive(t) && t != s->main)
		tl__kill_quietly(s, t);
	return true;
}

/* What a victim may have left on, and nobody else turns off any more. */
static void clear_traps(struct tl_sched *s)
{
	s->trap_level = 0;
	s->slow &= ~TL__SLOW_TRAP;
	s->main->flags &= ~(TL__BLOCKTRAP | TL__SHIELDED);
}

/* Whether it is to be left alone: in a handler of its end, or by its own wish. */
static bool is_shielded(struct tl_task *t, void *arg)
{
	bool *found = arg;

	*found = tl__is_alive(t) && t != t->sched->main &&
		 (t->flags & TL__SHIELDED);
	return !*found;
}

/*
 * Whether somebody's wait may come to its end by itself: the kernel or the pool
 * holds him, or his clean-up waits for a time, or for another thread.
 */
static bool wait_may_end(struct tl_sched *s)
{
	bool shielded = false;

	if (s->io_pending || s->inbox.awaited)
		return true;
	tl__stack_each(s, is_shielded, &shielded);
	return shielded && (tl__outside_wakers(s) || !tl__threads_alone(s));
}

/*
 * Lets those that were killed unwind, for a bounded number of turns: one that
 * swallows its kill and goes on must not keep us. Where all that are left wait
 * for what is outside, waits for that, but not for ever either.
 */
static void let_them_end(struct tl_sched *s)
{
	int turns = END_TURNS, waits = END_WAITS;

	while (s->alive > 1) {
		clear_traps(s);
		if (s->runcount > 1 && turns-- > 0)
			tl_schedule();
		else if (s->runcount == 1 && waits-- > 0 && wait_may_end(s))
			tl_sleep(END_WAIT_NS);
		else
			break;
		/* An error out of one of them must not stop the others. */
		tl_error_free(tl_catch());
	}
}

static unsigned int kill_all(struct tl_sched *s)
{
	int i;

	for (i = 0; i < KILL_ROUNDS && s->alive > 1; i++) {
		tl__stack_each(s, kill_each, s);
		tl__caught_drop(s->main);	/* what they had been thrown */
		let_them_end(s);
	}
	return (unsigned int)(s->alive - 1);
}

/* The last handle of a main tasklet that has outlived its scheduler. */
static void free_memory(struct tl_task *main)
{
	struct thread_memory *memory = tl__container_of(
		main, struct thread_memory, main);

	munmap(memory, sizeof(*memory));
}

void tl__orphan_release(struct tl_task *task)
{
	if (task->flags & TL__MAIN)
		free_memory(task);
	else
		tl__stack_orphan_release(task);
}

static void main_fini(struct tl_task *main)
{
	tl__free(main->name);
	main->name = NULL;
	if (tl__refs_drop(main))
		free_memory(main);
}

/* No other thread can reach @s afterwards. */
static void close_doors(struct tl_sched *s)
{
	tl__inbox_settle(s);
	tl__threads_remove(s);
	tl__stack_orphan(s);
	/* What is still thrown at it is freed as what comes late to any other. */
	tl__state_set(s->main, TL__DEAD);
	tl__mail_close(s->main);
	while (tl__inbox_drain(s))
		;	/* what came before */
	tl__inbox_settle(s);
}

#define NAMED 4

/* Who is still alive after all rounds. */
static bool name_survivor(struct tl_task *t, void *arg)
{
	unsigned int *named = arg;

	if (!tl_task_is_alive(t) || t == t->sched->main)
		return true;
	if ((*named)++ < NAMED)
		tl__log("%s %s", tl__task_label(t),
			(t->flags & (TL__KILLED | TL__RAISED)) == TL__KILLED ?
				"has swallowed its kill" :
				"was killed and can't end yet");
	return *named <= NAMED;
}

static void report_survivors(struct tl_sched *s, unsigned int left)
{
	unsigned int named = 0;

	tl__stack_each(s, name_survivor, &named);
	if (left > NAMED)
		tl__log("... and %u more", left - NAMED);
}

int tl_sched_end(void)
{
	struct tl_sched *s = tl__sched_self;
	struct tl_error *late, *thrown;
	unsigned int left;
	int saved = errno;

	if (!s)
		return 0;
	if (s->head != s->main)
		return -EINVAL;
	if (s->slow & TL__SLOW_IN_CALLBACK)
		return -EPERM;
	clear_traps(s);
	tl_error_free(tl_catch());
	left = kill_all(s);
	if (left) {
		report_survivors(s, left);
		return (int)left;
	}

	/* While all is still in place: destructors of users run here. */
	tl__caught_drop(s->main);
	if (s->alive > 1)
		return (int)(s->alive - 1);
	close_doors(s);
	late = s->main->stale;
	thrown = s->main->thrown;
	tl__free(s->deadlock_text);
	if (s->reactor_ops)
		s->reactor_ops->destroy(s->reactor);
	tl__heap_fini(&s->timers);
	tl__stack_fini(s);
	tl__overflow_thread_end(s);
	pthread_setspecific(thread_key, NULL);
	tl__sched_self = NULL;
	main_fini(s->main);
	/* Last: users' destructors, of what came late from elsewhere. */
	tl__error_free_all(late);
	tl_error_free(thrown);
	errno = saved;
	return 0;
}
