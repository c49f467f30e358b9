/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The child of a fork has nothing to expect of its parent's other threads: a message that one of them was just about to
 * link, or one that is there already, does not keep the child's thread from sleeping, from being woken, and from seeing
 * its own deadlock. The other thread is played by hand: what it does in one go is done here in two halves.
 */
#include <sys/wait.h>

#include "core/remote.h"

#include "threads.h"

static struct tl_chan *c;
static long delivered;

static void count(UNUSED struct tl_sched *s, UNUSED struct tl__message *message)
{
	delivered++;
}

/* The two halves of a push; see inbox.c. */
static struct tl__message *exchange(struct tl_sched *s, struct tl__message *message)
{
	atomic_store(&message->next, NULL);
	return (struct tl__message *)atomic_exchange(&s->inbox.tail, (uintptr_t)message);
}

static void link_behind(struct tl__message *prev, struct tl__message *message)
{
	atomic_store(&prev->next, message);
}

static int fn_send(UNUSED void *arg)
{
	long v = 5;

	tl_sleep(MS);
	return tl_chan_send(c, &v);
}

/* What a child may still do with its own. */
static int uses_its_own(void)
{
	long v = 0;

	if (tl_chan_recv(c, &v) != -EDEADLK)
		return 1;
	tl_spawn(NULL, fn_send, NULL);
	if (tl_chan_recv(c, &v) || v != 5)
		return 2;
	return delivered ? 3 : tl_sched_end() ? 4 : 0;
}

static int fn_waits(UNUSED void *arg)
{
	long v;

	return tl_chan_recv(c, &v);
}

static int ends(void)
{
	return tl_sched_end();
}

static int in_child(int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		alarm(20);	/* it would wait for ever */
		_exit(fn());
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		tap_bail("fork");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int main(void)
{
	static struct tl__message a = { .deliver = count }, b = { .deliver = count };
	struct tl_sched *s = tl__sched();
	struct tl__message *prev;
	struct tl_task *t;

	tap_plan(5);
	c = new_chan(sizeof(long), 0);
	prev = exchange(s, &a);
	tap_is(in_child(uses_its_own), 0, "3.6: a fork while another thread is about to link a message");
	link_behind(prev, &a);
	tl__inbox_push(s, &b);
	s->inbox.awaited++;
	tap_is(in_child(uses_its_own), 0, "3.6: and while messages have come, and one is to come");
	s->inbox.awaited--;
	tl_schedule();
	tl_schedule();
	tap_is(delivered, 2, "3.6: the parent gets them");
	delivered = 0;
	t = spawn(fn_waits, NULL);
	tl_schedule();
	tl__lock(&t->mail_lock);
	t->mail = TL__MAIL_KILL;
	tap_is(in_child(ends), 0, "3.6: and while another thread kills one of the tasklets");
	t->mail = 0;
	tl__unlock(&t->mail_lock);
	tl_task_kill(t);
	tl_task_unref(t);
	tl_chan_unref(c);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
