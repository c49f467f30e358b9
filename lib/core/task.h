/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a tasklet and a thread's scheduler are made of, for lib/core and the
 * floors above it.
 *
 * Invariants:
 *  - A tasklet is linked in its thread's ring if and only if its state is
 *    RUNNABLE. The ring's head is the tasklet that runs; it is NULL only while
 *    a thread that has nothing to run waits (park.c).
 *  - BLOCKED means that wait_ops is set and that exactly one call of
 *    tl__wake() will end it.
 *  - Everything here belongs to the thread of `sched` and is touched by it
 *    alone, but for what says otherwise; other threads reach a scheduler only
 *    through its inbox (inbox.h, remote.h).
 */
#ifndef TL_CORE_TASK_H
#define TL_CORE_TASK_H

#include <pthread.h>

#include <tasklet/channel.h>
#include <tasklet/sched.h>
#include <tasklet/task.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/heap.h"
#include "base/list.h"
#include "core/annotate.h"
#include "core/ask.h"
#include "core/fpenv.h"
#include "core/inbox.h"
#include "core/monitor.h"
#include "core/stack.h"
#include "core/switch.h"
#include "os/lock.h"

enum tl__state {
	TL__UNBOUND,
	TL__BOUND,
	TL__PAUSED,
	TL__RUNNABLE,
	TL__BLOCKED,
	TL__DEAD,
};

/* Flags of a tasklet. */
#define TL__STARTED	(1u << 0)  /* its function is on its stack */
#define TL__MAIN	(1u << 1)
#define TL__RAISED	(1u << 2)  /* `thrown` fails every blocking call */
#define TL__SHIELDED	(1u << 3)  /* ... but not yet */
#define TL__BLOCKTRAP	(1u << 4)
#define TL__FPENV	(1u << 5)  /* has control words of its own */
#define TL__IN_RUN	(1u << 6)  /* paused because it is inside tl_run() */
#define TL__DELIVERED	(1u << 7)  /* the next call reports `caught` once */
#define TL__IN_END	(1u << 8)  /* its function has returned */
#define TL__STALE	(1u << 9)  /* errors wait to be freed by it */
#define TL__KILLED	(1u << 10) /* was killed, though it may have caught that */
#define TL__AWAITED	(1u << 11) /* its wake-up is counted in inbox.awaited */

/* Of core/unwind.c and core/extra.h. */
#define TL__UNWIND	(1u << 12) /* ends by forced unwinding */
#define TL__HOLD	(1u << 13) /* ... but not now: our frames hold something */
#define TL__KEPT	(1u << 14) /* somebody wants to know of its end */

/* What a tasklet keeps when it is bound anew. */
#define TL__LASTING_FLAGS (TL__BLOCKTRAP | TL__UNWIND)

/* Of run()'s budget and what holds its interrupts off: watchdog.h. */
#define TL__ATOMIC	(1u << 17)
#define TL__INTERRUPTED	(1u << 18) /* an interrupt waits for it */
#define TL__IGNORE_NESTING (1u << 19)
/* How many activations of the C stack's users there are: the upper bits. */
#define TL__NESTING_SHIFT 20
#define TL__NESTING_MAX	((1 << (32 - TL__NESTING_SHIFT)) - 1)

/* The flags that make a blocking call look twice before it begins. */
#define TL__ENTRY_FLAGS \
	(TL__RAISED | TL__BLOCKTRAP | TL__DELIVERED | TL__STALE)

struct tl_sched;

/*
 * A place in a queue of waiters. One is part of each tasklet; tl_select() brings
 * as many as it has cases.
 */
struct tl__waiter {
	struct tl__waiter *next, *prev;	/* NULL, both: off its queue */
	struct tl_task *task;
	void *value;	/* where the element is, or shall go */
	struct tl_error *error; /* sent in place of a value */
	struct tl__select *select; /* that it is a case of; NULL */
};

/* How what a tasklet waits for is undone. */
struct tl__wait_ops {
	const char *verb;	/* "receives on", for reports */
	/*
	 * Takes the tasklet off the queues it is in; then its call returns
	 * `result`. Returns false if that can't be done at once: whoever holds
	 * the tasklet will wake it, as soon as possible.
	 */
	bool (*abandon)(struct tl_task *task, int result);
	/* The next (+1) or previous (-1) in the queue; NULL: there is none. */
	struct tl_task *(*neighbour)(const struct tl_task *task, int side);
	int direction;		/* of a channel: +1 send, -1 receive; else 0 */
	bool until_deadline;	/* its deadline is what it waits for */
	/*
	 * What it waits for, in words for a report; as snprintf(). May be NULL:
	 * the verb has to do.
	 */
	int (*describe)(const struct tl_task *task, char *text, size_t size);
	bool unwinds;		/* nothing follows it: see core/unwind.h */
};

/* What C++ calls struct __cxa_eh_globals. */
struct tl__cxx {
	void *caught;
	unsigned int uncaught;
};

struct tl_task {
	/* What a switch, a block and a wake-up touch: the first two lines. */
	void *sp;			/* offset 0: switch.S */
	int result;			/* offset 8: what its call returns */
	uint32_t flags;
	struct tl_task *next, *prev;	/* in the ring */
	_Atomic uint8_t state;		/* enum tl__state; others may look */
	uint8_t stack_class;
	struct tl_sched *sched;
	const struct tl__wait_ops *wait_ops;
	void *wait_object;

	struct tl__waiter waiter;
	struct tl__message wake_message; /* from another thread: remote.h */
	int remote_result;
	/* What other threads want of it, under the lock: remote.c. */
	struct tl__lock mail_lock;
	uint8_t mail;			/* TL__MAIL_; not 0: under way */
	struct tl__message mail_message;
	struct tl_error *mail_error;	/* with TL__MAIL_THROW */
	_Atomic uint32_t refs;		/* handles; main counts itself as one */
	struct tl__heap_node timer;
	tl_task_fn *fn;
	void *arg;

	/* The rest. */
	uint64_t id;
	struct tl_error *thrown;	/* with TL__RAISED or TL__DELIVERED */
	struct tl_error *caught;	/* what the last call reported once */
	struct tl_error *stale;		/* with TL__STALE: hidden by `caught` */
	struct tl__defer *defers;
	char *name;
	void *value;
	struct tl__slab *slab;
	struct tl__fpenv fpenv;
	struct tl__annotation annotation;
};

_Static_assert(offsetof(struct tl_task, sp) == 0 &&
	       offsetof(struct tl_task, result) == 8,
	       "switch.S knows these offsets");

/* One tl_run() under way; lives in its frame. */
struct tl__run {
	struct tl__run *outer;
	struct tl_task *task;
	int verdict;
	uint32_t flags;			/* TL_RUN_ */
	uint64_t ticks, ns;		/* its budget; 0, both: it has none */
	struct tl_task *victim;		/* with TL_RUN_INTERRUPTED; a handle */
};

/* The budget in force, if any: watchdog.h. */
struct tl__watch {
	struct tl__run *run;		/* whose it is */
	uint64_t ticks_left;
	uint64_t end_ns;		/* of the time slice */
	struct tl__alarm alarm;
	bool alarmed;			/* the alarm is armed, or has gone off */
};

/* What waits for the kernel on behalf of a scheduler; lib/io provides it. */
struct tl__reactor_ops {
	/*
	 * Hands over what was queued, and collects what is complete. With
	 * @idle nothing can run: a wait follows if there is nothing to collect,
	 * so a system call would be one too many.
	 */
	void (*poll)(void *reactor, bool idle);
	/* The same, and sleeps until there is something or @deadline_ns. */
	void (*wait)(void *reactor, uint64_t deadline_ns);
	/* Ends that sleep. Called by any thread. */
	void (*wake)(void *reactor);
	/* The scheduler ends; nothing is under way any more. */
	void (*destroy)(void *reactor);
};

/* Reasons to look twice at each switch. */
#define TL__SLOW_TRAP		(1u << 0)
#define TL__SLOW_CALLBACK	(1u << 1)  /* a schedule callback is set */
#define TL__SLOW_CHANNEL	(1u << 2)  /* a channel callback is set */
#define TL__SLOW_IN_CALLBACK	(1u << 3)
#define TL__SLOW_FPENV		(1u << 4)  /* the current one has its own */
#define TL__SLOW_IN_CHANNEL	(1u << 5)  /* a channel callback runs */
#define TL__SLOW_WATCHDOG	(1u << 8)  /* a budget is in force */

#define TL__SLOW_UNWIND		(1u << 9)  /* the current one has TL__UNWIND */

struct tl_sched {
	/* What each switch touches. */
	struct tl_task *head;		/* the ring; its first one runs */
	unsigned int runcount;
	unsigned int slow;		/* TL__SLOW_ */
	int round_left;			/* switches until the next poll */
	unsigned int paused;
	uint64_t next_id, last_id;	/* numbers that are ours to give out */
	uint64_t alive;
	struct tl__stack_cache stacks;

	struct tl_task *main;
	struct tl__run *runs;		/* innermost first */
	struct tl__heap timers;
	/*
	 * The thread works on channels of its own (core/local.h). Other threads
	 * read the one and write the other.
	 */
	_Atomic uint32_t in_local, local_stopped;
	unsigned int io_pending;	/* what only the kernel or a pool ends */
	bool polled_idle;		/* nobody was to run when it began */
	unsigned int externals;		/* tl_external() */
	unsigned int pool_waits;	/* for futures that the pool completes */
	void *reactor;
	const struct tl__reactor_ops *reactor_ops;
	struct tl__inbox inbox;
	/* Of sync/word.c: how many waits go without a spin, and after the next in vain. */
	unsigned int lock_spin_skip, lock_spin_failures;

	int trap_level;
	tl_schedule_fn *schedule_fn;
	void *schedule_arg;
	struct tl_task *leaving, *entering; /* of its switch, while it runs */
	tl_channel_fn *channel_fn;
	void *channel_arg;
	tl_error_fn *error_fn;
	void *error_arg;
	struct tl__fpenv fpenv;		/* of all that have none of their own */
	struct tl__cxx cxx;		/* the same, while one with its own runs */
	uint64_t random;		/* state of select's choice */
	void *signal_stack;		/* ours, if the thread had none */

	/* Objects of this thread alone, under the lock of threads.c. */
	struct tl__list locals;
	void (*share_locals)(struct tl_sched *s);
	unsigned int locals_made, locals_shared;

	unsigned int *tick_word;	/* the thread's tl__tick_word: tick.h */
	struct tl__watch watch;

	struct tl__ask ask;		/* what other threads ask of this one */

	/* Of threads.c. */
	struct tl__message deadlock_message;
	bool deadlock_sent;		/* under its lock */
	bool deadlock;			/* has come, and was not reported yet */
	char *deadlock_text;		/* of deadlock.c; NULL: none */
	uint64_t recheck_ns;		/* until the next look for unknown threads */
	/*
	 * A thread of a pool (lib/pool). idle_fn is told that nothing can run and
	 * the thread is about to sleep (true), perhaps several times, and that
	 * something can again (false); it returns whether it has made something
	 * runnable. A bystander waits for jobs and for nothing else: it takes no
	 * part in a deadlock. relaxed: published by the inbox that says "asleep".
	 */
	bool (*idle_fn)(struct tl_sched *s, bool begins);
	_Atomic bool bystander;
	struct tl__list in_threads;
	pthread_t pthread;
	int tid;
};

/*
 * The calling thread's scheduler. The initial-exec model makes this one load in
 * a shared library too; the few words fit the static TLS reserve of dlopen().
 */
extern __thread struct tl_sched *tl__sched_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Makes the scheduler of a thread's first call. NULL: see tl__sched_error(). */
struct tl_sched *tl__sched_create(void);

extern bool tl__test_shadow_stack;

/* Takes a fresh range of numbers for tasklets. */
void tl__sched_new_ids(struct tl_sched *s);

/* What the last failed creation on this thread failed with (-ENOMEM, -ENOTSUP). */
int tl__sched_error(void);

/*
 * The state of a tasklet is its own thread's to change. relaxed, both: another
 * thread that looks wants to know, as well as can be, and relies on nothing.
 */
static inline enum tl__state tl__state(const struct tl_task *t)
{
	return (enum tl__state)atomic_load_explicit(&t->state,
						    memory_order_relaxed);
}

static inline void tl__state_set(struct tl_task *t, enum tl__state state)
{
	atomic_store_explicit(&t->state, (uint8_t)state, memory_order_relaxed);
}

/* Whether it has begun to live and has not ended. */
static inline bool tl__is_alive(const struct tl_task *t)
{
	enum tl__state state = tl__state(t);

	return state == TL__PAUSED || state == TL__RUNNABLE ||
	       state == TL__BLOCKED;
}

/*
 * Handles. Only the tasklet's own thread takes the last one away; a thread that
 * has the last one of another's tasklet sends it there (remote.c). relaxed where
 * nothing is handed over by it.
 */
static inline uint32_t tl__refs(const struct tl_task *t)
{
	return atomic_load_explicit(&t->refs, memory_order_relaxed);
}

/* Gives one up; true: it was the last. */
static inline bool tl__refs_drop(struct tl_task *t)
{
	/*
	 * acquire: pairs with the release of the handles that went before; with
	 * ours alone left nobody can make another
	 */
	if (likely(atomic_load_explicit(&t->refs, memory_order_acquire) == 1)) {
		atomic_store_explicit(&t->refs, 0, memory_order_relaxed);
		return true;
	}
	/* release: what we did with the tasklet; acquire: as above */
	return atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) ==
	       1;
}

static inline void tl__refs_set(struct tl_task *t, uint32_t refs)
{
	atomic_store_explicit(&t->refs, refs, memory_order_relaxed);
}

static inline struct tl_sched *tl__sched(void)
{
	struct tl_sched *s = tl__sched_self;

	return likely(s) ? s : tl__sched_create();
}

/*
 * The tasklet whose code runs. That is the head, except in a schedule callback:
 * it runs in the tasklet that is left, which may be out of the ring already.
 */
static inline struct tl_task *tl__me(const struct tl_sched *s)
{
	return unlikely(s->leaving) ? s->leaving : s->head;
}

/*
 * Whether @t is the one that @s, another thread's scheduler, runs. A guess as
 * good as any: it may be over when the caller hears of it.
 */
__attribute__((no_sanitize("thread"))) static inline bool
tl__sched_runs(const struct tl_sched *s, const struct tl_task *t)
{
	/* not seen by the checker, for the owner's stores are plain ones */
	return __atomic_load_n(&s->head, __ATOMIC_RELAXED) == t;
}

/*
 * Whether @t belongs to the calling thread. A dead tasklet with handles can
 * outlive its scheduler; it belongs to none then, and `sched` is NULL.
 */
static inline bool tl__is_ours(const struct tl_task *t)
{
	/*
	 * relaxed: our own scheduler stays there as long as we run; what else
	 * may be there must be looked at under mail_lock
	 */
	struct tl_sched *s = __atomic_load_n(&t->sched, __ATOMIC_RELAXED);

	return s && s == tl__sched_self;
}

#endif
