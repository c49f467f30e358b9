/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A stack overflow ends in a guard page: SIGSEGV. The handler, on an alternate
 * stack as there is no other left, finds out whose guard it was, says so, and
 * lets the signal do what it would have done (die, with a core file).
 *
 * A program that has a handler of its own keeps it, and a handler that it
 * installs later replaces ours.
 */
#include "core/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/end.h"
#include "os/log.h"

static void on_segv(int sig, siginfo_t *info, void *context)
{
	const struct tl_sched *s = tl__sched_self;
	const struct tl_task *t = NULL;

	(void)context;
	if (s)
		t = tl__stack_guard_hit(s, info->si_addr);
	/*
	 * snprintf() inside is not on the list of signal-safe functions, but
	 * with %d and %s it takes no lock; and the process is dying.
	 */
	if (t)
		tl__log("%s ran over its stack of %zu KiB (address %p)",
			tl__task_label(t),
			((size_t)1 << (TL__STACK_SHIFT_MIN + t->stack_class)) /
				1024,
			info->si_addr);
	/* Back to the instruction that failed, this time with the default. */
	signal(sig, SIG_DFL);
	/* Sent by somebody: no instruction will fail again. */
	if (info->si_code <= 0)
		raise(sig);
}

static void install_handler(void)
{
	struct sigaction old, ours = {
		.sa_sigaction = on_segv,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	if (sigaction(SIGSEGV, NULL, &old) || (old.sa_flags & SA_SIGINFO) ||
	    old.sa_handler != SIG_DFL)
		return;
	sigemptyset(&ours.sa_mask);
	sigaction(SIGSEGV, &ours, NULL);
}

static size_t signal_stack_size(void)
{
	long min = sysconf(_SC_MINSIGSTKSZ);

	/* The kernel's frame, and room for formatting a line. */
	return (size_t)(min > 0 ? min : MINSIGSTKSZ) + 16384;
}

void tl__overflow_thread_start(struct tl_sched *s)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	stack_t old, ours = { .ss_size = signal_stack_size() };

	pthread_once(&once, install_handler);
	if (sigaltstack(NULL, &old) || !(old.ss_flags & SS_DISABLE))
		return;
	ours.ss_sp = mmap(NULL, ours.ss_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ours.ss_sp == MAP_FAILED)
		return;
	if (sigaltstack(&ours, NULL)) {
		munmap(ours.ss_sp, ours.ss_size);
		return;
	}
	s->signal_stack = ours.ss_sp;
}

void tl__overflow_thread_end(struct tl_sched *s)
{
	stack_t old, off = { .ss_flags = SS_DISABLE };

	if (!s->signal_stack)
		return;
	/* Somebody may have put another one in its place. */
	if (sigaltstack(NULL, &old) == 0 && old.ss_sp == s->signal_stack)
		sigaltstack(&off, NULL);
	munmap(s->signal_stack, signal_stack_size());
	s->signal_stack = NULL;
}
