/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * TL_DEADLOCK=report (9: the deadlock error must say which tasklets wait for what): each thread that is told of a deadlock
 * writes its report to standard error; without the word nobody does; tl_deadlock_report() is the thread's last one.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "threads.h"

static struct tl_chan *never;
static _Atomic int told;

static int fn_waits(UNUSED void *arg)
{
	long v;

	tl_chan_recv(never, &v);
	return 0;
}

static void *waits(void *arg)
{
	long v;

	tl_task_set_name(tl_current(), arg);
	if (tl_chan_recv(never, &v) == -EDEADLK && strstr(tl_deadlock_report(), arg))
		atomic_fetch_add(&told, 1);
	return NULL;
}

/* Two threads and a tasklet; what went to standard error meanwhile. */
static const char *deadlock(void)
{
	static char text[65536];
	int was = dup(STDERR_FILENO), fd = memfd_create("stderr", MFD_CLOEXEC);
	struct tl_task *t = spawn(fn_waits, NULL);
	pthread_t other;
	ssize_t n;
	long v;

	/* To append, for two threads that write to one place at once need not come one behind the other otherwise. */
	if (was < 0 || fd < 0 || fcntl(fd, F_SETFL, O_APPEND) || dup2(fd, STDERR_FILENO) < 0)
		tap_bail("no stderr");
	tl_task_set_name(t, "third");
	atomic_store(&told, 0);
	other = start(waits, "second");
	/* Main blocks after the tasklet, or the tasklet after main: one of them is told. */
	tl_schedule();
	tl_task_set_name(tl_current(), "first");
	if (tl_chan_recv(never, &v) == -EDEADLK)
		atomic_fetch_add(&told, 1);
	pthread_join(other, NULL);
	dup2(was, STDERR_FILENO);
	close(was);
	tl_task_kill(t);
	tl_task_unref(t);
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int count(const char *text, const char *word)
{
	int n = 0;

	while ((text = strstr(text, word))) {
		n++;
		text++;
	}
	return n;
}

int main(void)
{
	const char *text, *last;

	tap_plan(10);
	never = new_chan(sizeof(long), 0);
	tap_is(*tl_deadlock_report(), 0, "dump.h: no report before there is a deadlock");
	unsetenv("TL_DEADLOCK");
	text = deadlock();
	if (told != 2 || *text)
		tap_diag("told %d: %s", told, text);
	tap_ok(told == 2 && !*text, "9: both threads are told, and nothing is written without TL_DEADLOCK");
	setenv("TL_DEADLOCK", "report", 1);
	text = deadlock();
	tap_is(told, 2, "9: both threads are told with it");
	tap_is(count(text, "(second) "), 1, "9: one report is that of the other thread");
	tap_is(count(text, "(first) "), 1, "9: one is ours");
	tap_is(count(text, "(third) "), 1, "9: with the tasklet that waits too");
	if (!tap_ok(count(text, "receives from") == 3, "9: each says what it waits for"))
		tap_diag("%s", text);
	last = tl_deadlock_report();
	tap_ok(strstr(last, "(first)") && strstr(last, "(third)") && !strstr(last, "(second)"),
	       "dump.h: a thread's report has its own tasklets");
	setenv("TL_DEADLOCK", "nonsense", 1);
	tap_is(*deadlock(), 0, "dump.h: another word is no wish for reports");
	tl_chan_unref(never);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
