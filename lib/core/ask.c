/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Questions to other threads; see ask.h.
 *
 * The question's state is one word, its number and a phase:
 *
 *	FREE		nobody asks
 *	ASKED		the thread may answer in full, or by signal
 *	ASKED_SIGNAL	by signal only
 *	TAKEN		it is answering; the one who asks waits
 *	ANSWERED	the answer may be read
 *
 * The asker moves it to ASKED and back to FREE, the thread that is asked from
 * ASKED to TAKEN to ANSWERED. A signal or a message that comes late finds another
 * number or another thread's name there, and does nothing. A message is part of
 * the scheduler that it is for, and a scheduler takes the last messages out before
 * it ends, so none is ever left over.
 */
#include "core/ask.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/probe.h"
#include "core/task.h"
#include "core/threads.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/log.h"

#define INBOX_NS (100 * UINT64_C(1000000))	/* patience with the inbox */
#define SIGNAL_NS (500 * UINT64_C(1000000))	/* and with the signal */

enum phase { FREE, ASKED, ASKED_SIGNAL, TAKEN, ANSWERED };

#define PHASE_BITS 3
#define PHASE_MASK ((1u << PHASE_BITS) - 1)
#define PHASE(word) ((word) & PHASE_MASK)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t question;	/* number << PHASE_BITS | phase */
static _Atomic(struct tl_sched *) target; /* published by question */
/* Published by question as well; the answer the other way round. */
static tl__ask_fn *full_fn;
static void *full_arg;
static struct tl__answer answer;

static int claimed_signal;	/* under lock; 0: none */
static bool signal_chosen;

/* --- the thread that is asked ---------------------------------------------- */

/* Takes the question if it is for @s. Async-signal-safe. */
static bool take(struct tl_sched *s, bool in_signal, uint32_t *word)
{
	/* acquire: pairs with tl__ask():release, the target and the question */
	*word = atomic_load_explicit(&question, memory_order_acquire);
	if (PHASE(*word) != ASKED &&
	    !(in_signal && PHASE(*word) == ASKED_SIGNAL))
		return false;
	/* relaxed: ordered by the load; if it is newer, the exchange fails */
	if (atomic_load_explicit(&target, memory_order_relaxed) != s)
		return false;
	/* acquire: as above; relaxed: withdrawn, or a signal was faster */
	return atomic_compare_exchange_strong_explicit(
		&question, word, (*word & ~PHASE_MASK) | TAKEN,
		memory_order_acquire, memory_order_relaxed);
}

static void answered(uint32_t word)
{
	/* release: pairs with wait_answer():acquire, the answer */
	atomic_store_explicit(&question, (word & ~PHASE_MASK) | ANSWERED,
			      memory_order_release);
	tl__probe_wake(TL_PROBE_WAKE_OTHER, &question, 1);
	tl__futex_wake(&question, 1);
}

static void answer_in_full(struct tl_sched *s, const void *below)
{
	uint32_t word;

	if (!take(s, false, &word))
		return;
	answer.by_signal = false;
	full_fn(s, full_arg, below);
	answered(word);
}

static tl__cold void delivered(struct tl_sched *s, struct tl__message *message)
{
	(void)message;
	/*
	 * acq_rel, against the exchange in send_message(): if that one came
	 * before and found the message still queued, we see what it asks.
	 */
	atomic_exchange_explicit(&s->ask.queued, false, memory_order_acq_rel);
	answer_in_full(s, __builtin_frame_address(0));
}

static void copy_name(char *to, size_t size, const char *from)
{
	size_t i;

	for (i = 0; from && from[i] && i < size - 1; i++)
		to[i] = from[i];
	to[i] = '\0';
}

/* In the handler, at any instruction of this thread: only looks at words. */
static void answer_by_signal(struct tl_sched *s, const void *context)
{
	const struct tl_task *t = tl__me(s);

	answer.by_signal = true;
	/* relaxed: our own */
	answer.progress = atomic_load_explicit(&s->ask.progress,
					       memory_order_relaxed);
	answer.round_left = s->round_left;
	answer.running = s->head && s->runcount;
	answer.alive = s->alive;
	answer.runnable = s->runcount;
	answer.paused = s->paused;
	answer.id = t ? t->id : 0;
	copy_name(answer.name, sizeof(answer.name), t ? t->name : NULL);
	tl__backtrace_interrupted(&answer.trace, context);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct tl_sched *s = tl__sched_self;
	int saved = errno;
	uint32_t word;

	(void)sig, (void)info;
	if (s) {
		/* relaxed: only keeps signals from piling up */
		atomic_store_explicit(&s->ask.signalled, false,
				      memory_order_relaxed);
		if (take(s, true, &word)) {
			answer_by_signal(s, context);
			answered(word);
		}
	}
	errno = saved;
}

/* --- the signal ------------------------------------------------------------ */

static bool has_our_handler(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) &&
	       action->sa_sigaction == on_signal;
}

static int claim(int sig)
{
	struct sigaction old, ours = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};

	if (sigaction(sig, NULL, &old))
		return -EINVAL;
	if (has_our_handler(&old))
		return 0;
	if ((old.sa_flags & SA_SIGINFO) || old.sa_handler != SIG_DFL)
		return -EBUSY;
	tl__backtrace_warm();
	/* What came in between would run on the alternate stack as well. */
	sigfillset(&ours.sa_mask);
	return sigaction(sig, &ours, NULL) ? -EINVAL : 0;
}

/* Emulators of other processors have not all of them, and don't say so before. */
static bool can_be_sent(int sig)
{
	return !syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), sig);
}

int tl__ask_signal(void)
{
	struct sigaction now;
	int sig;

	if (!signal_chosen) {
		signal_chosen = true;
		for (sig = SIGRTMAX - 1; sig > SIGRTMIN; sig--)
			if (!claim(sig) && can_be_sent(sig)) {
				claimed_signal = sig;
				break;
			}
	}
	/* Somebody may have put a handler of his own there, or the default. */
	if (!claimed_signal || sigaction(claimed_signal, NULL, &now) ||
	    !has_our_handler(&now))
		return 0;
	return claimed_signal;
}

int tl__ask_set_signal(int sig)
{
	int saved = errno;
	int r = 0;

	if (sig < 0 || sig > SIGRTMAX || sig == SIGKILL || sig == SIGSTOP)
		return -EINVAL;
	if (sig)
		r = claim(sig);
	if (!r) {
		/*
		 * The former one keeps its handler, which does nothing then: a
		 * signal may be under way, and the default would be to die.
		 */
		claimed_signal = sig;
		signal_chosen = true;
	}
	errno = saved;
	return r;
}

/* --- the one who asks ------------------------------------------------------ */

static void in_forked_child(void)
{
	pthread_mutex_init(&lock, NULL);
	/* relaxed: there is one thread */
	atomic_store_explicit(&question, FREE, memory_order_relaxed);
}

static void register_fork_handler(void)
{
	if (pthread_atfork(NULL, NULL, in_forked_child))
		tl__log_once("tl_dump() may wait for ever in forked children: "
			     "no memory for a fork handler");
}

void tl__ask_lock(void)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tl_sched *s = tl__sched_self;

	pthread_once(&once, register_fork_handler);
	if (!s) {
		pthread_mutex_lock(&lock);
		return;
	}
	while (pthread_mutex_trylock(&lock)) {
		answer_in_full(s, __builtin_frame_address(0));
		nanosleep(&pause, NULL);
	}
}

bool tl__ask_trylock(void)
{
	return !pthread_mutex_trylock(&lock);
}

void tl__ask_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

struct tl__asked tl__ask_identity(struct tl_sched *s)
{
	return (struct tl__asked){ s, s->main->id, s->tid };
}

struct sending {
	const struct tl__asked *asked;
	int sig;
	bool sent;
};

static bool is_asked(struct tl_sched *s, const struct sending *sending)
{
	return s == sending->asked->sched &&
	       s->main->id == sending->asked->main_id;
}

static bool send_message(struct tl_sched *s, void *arg)
{
	struct sending *sending = arg;

	if (!is_asked(s, sending))
		return true;
	sending->sent = true;
	/* acq_rel: see delivered() */
	if (!atomic_exchange_explicit(&s->ask.queued, true,
				      memory_order_acq_rel)) {
		s->ask.message.deliver = delivered;
		tl__inbox_push(s, &s->ask.message);
	}
	return false;
}

static bool send_signal(struct tl_sched *s, void *arg)
{
	struct sending *sending = arg;

	if (!is_asked(s, sending))
		return true;
	sending->sent = true;
	/* relaxed: as in the handler; one may be under way still */
	if (atomic_exchange_explicit(&s->ask.signalled, true,
				     memory_order_relaxed))
		return false;
	if (syscall(SYS_tgkill, getpid(), s->tid, sending->sig)) {
		sending->sent = false;
		atomic_store_explicit(&s->ask.signalled, false,
				      memory_order_relaxed);
	}
	return false;
}

/* Whether the answer is there; what was taken is waited for in any case. */
static bool wait_answer(uint64_t deadline_ns)
{
	for (;;) {
		/* acquire: pairs with answered():release */
		uint32_t word = atomic_load_explicit(&question,
						     memory_order_acquire);

		if (PHASE(word) == ANSWERED)
			return true;
		if (PHASE(word) == TAKEN)
			tl__futex_wait(&question, word, TL_FOREVER);
		else if (tl__now() >= deadline_ns)
			return false;
		else
			tl__futex_wait(&question, word, deadline_ns);
	}
}

/* Nobody shall answer any more. Returns true if somebody just did. */
static bool withdraw(uint32_t word)
{
	/* relaxed, both: nothing is read; else wait_answer() looks again */
	if (atomic_compare_exchange_strong_explicit(&question, &word,
						    word & ~PHASE_MASK,
						    memory_order_relaxed,
						    memory_order_relaxed))
		return false;
	return wait_answer(TL_FOREVER);
}

/* Makes the question the one that stands; returns its word. */
static uint32_t put_question(const struct tl__asked *asked,
			     tl__ask_fn *full, void *arg)
{
	/* relaxed: nobody asks, so nobody else writes */
	uint32_t last = atomic_load_explicit(&question, memory_order_relaxed);
	uint32_t word = ((last >> PHASE_BITS) + 1) << PHASE_BITS |
			(full ? ASKED : ASKED_SIGNAL);

	full_fn = full;
	full_arg = arg;
	/* relaxed: published by the next store */
	atomic_store_explicit(&target, asked->sched, memory_order_relaxed);
	/* release: pairs with take():acquire */
	atomic_store_explicit(&question, word, memory_order_release);
	return word;
}

const struct tl__answer *tl__ask(const struct tl__asked *asked,
				 tl__ask_fn *full, void *arg)
{
	struct sending sending = { .asked = asked };
	int saved = errno;
	bool done = false;
	uint32_t word;

	sending.sig = tl__ask_signal();
	word = put_question(asked, full, arg);
	if (full) {
		tl__threads_each(send_message, &sending);
		if (sending.sent)
			done = wait_answer(tl__now() + INBOX_NS);
	}
	if (!done && sending.sig) {
		sending.sent = false;
		tl__threads_each(send_signal, &sending);
		if (sending.sent)
			done = wait_answer(tl__now() + SIGNAL_NS);
	}
	if (!done)
		done = withdraw(word);
	errno = saved;
	return done ? &answer : NULL;
}
