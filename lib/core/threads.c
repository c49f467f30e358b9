/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The list of schedulers; see threads.h.
 */
#include "core/threads.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/list.h"
#include "os/log.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tl__list all = TL__LIST_INIT(all);	/* under lock */

static void register_fork_handler(void)
{
	if (pthread_atfork(tl__threads_before_fork,
			   tl__threads_after_fork_in_parent,
			   tl__threads_after_fork_in_child))
		tl__log_once("forked children will believe in threads that "
			     "they don't have: no memory for a fork handler");
}

void tl__threads_add(struct tl_sched *s)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_fork_handler);
	s->tid = (int)syscall(SYS_gettid);
	s->pthread = pthread_self();
	pthread_mutex_lock(&lock);
	tl__list_add_tail(&all, &s->in_threads);
	pthread_mutex_unlock(&lock);
}

void tl__threads_remove(struct tl_sched *s)
{
	pthread_mutex_lock(&lock);
	tl__list_del(&s->in_threads);
	pthread_mutex_unlock(&lock);
}

void tl__threads_each(bool (*fn)(struct tl_sched *s, void *arg), void *arg)
{
	struct tl__list *link;

	pthread_mutex_lock(&lock);
	for (link = all.next; link != &all; link = link->next)
		if (!fn(tl__container_of(link, struct tl_sched, in_threads),
			arg))
			break;
	pthread_mutex_unlock(&lock);
}

void tl__threads_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void tl__threads_after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

void tl__threads_after_fork_in_child(void)
{
	struct tl_sched *s = tl__sched_self;

	pthread_mutex_init(&lock, NULL);
	tl__list_init(&all);
	if (!s)
		return;
	s->tid = (int)syscall(SYS_gettid);
	tl__list_add_tail(&all, &s->in_threads);
}
