/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The list of schedulers; see threads.h.
 */
#include "core/threads.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/list.h"
#include "core/remote.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/tids.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tl__list all = TL__LIST_INIT(all);	/* under lock */

/*
 * Schedulers that are not dozing: asleep with no end in sight. 0: perhaps all are
 * for ever; look_around() knows.
 */
static _Atomic int awake;

#define RECHECK_MAX_NS	(1000 * UINT64_C(1000000))

static void register_fork_handler(void)
{
	if (pthread_atfork(tl__threads_before_fork,
			   tl__threads_after_fork_in_parent,
			   tl__threads_after_fork_in_child))
		tl__log_once("forked children will believe in threads that "
			     "they don't have: no memory for a fork handler");
}

void tl__threads_lock(void)
{
	pthread_mutex_lock(&lock);
}

void tl__threads_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void tl__threads_watch_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_fork_handler);
}

void tl__threads_add(struct tl_sched *s)
{
	tl__threads_watch_forks();
	s->tid = (int)syscall(SYS_gettid);
	s->pthread = pthread_self();
	s->recheck_ns = TL__RECHECK_MIN_NS;
	pthread_mutex_lock(&lock);
	tl__list_add_tail(&all, &s->in_threads);
	/* relaxed: who looks around has the lock */
	atomic_fetch_add_explicit(&awake, 1, memory_order_relaxed);
	pthread_mutex_unlock(&lock);
	/* Last: until it counts as awake it must count as unknown. */
	tl__tids_enter();
}

/* With the lock. False: a message of ours is under way to @s. */
static bool tell(struct tl_sched *s,
		 void (*deliver)(struct tl_sched *s, struct tl__message *message))
{
	if (s->deadlock_sent)
		return false;
	s->deadlock_sent = true;
	s->deadlock_message.deliver = deliver;
	tl__inbox_push(s, &s->deadlock_message);
	return true;
}

/* That it was woken is all: before it sleeps again it looks around. */
static void look_delivered(struct tl_sched *s, struct tl__message *message)
{
	(void)message;
	pthread_mutex_lock(&lock);
	s->deadlock_sent = false;
	pthread_mutex_unlock(&lock);
}

/*
 * With the lock: the last thread that was awake ends. Where somebody has been
 * woken already, he is the one.
 */
static void have_one_look(void)
{
	struct tl__list *link;

	for (link = all.next; link != &all; link = link->next) {
		struct tl_sched *s = tl__container_of(link, struct tl_sched,
						      in_threads);

		if (!tl__inbox_is_asleep(&s->inbox) ||
		    tell(s, look_delivered))
			return;
	}
}

void tl__threads_remove(struct tl_sched *s)
{
	/* First: it may come back, and must not be missed from both counts. */
	tl__tids_leave();
	pthread_mutex_lock(&lock);
	if (s->share_locals)
		s->share_locals(s);
	tl__list_del(&s->in_threads);
	/* acquire: pairs with tl__threads_doze(), whose inboxes say so */
	if (atomic_fetch_sub_explicit(&awake, 1, memory_order_acquire) == 1)
		have_one_look();
	pthread_mutex_unlock(&lock);
}

/* --- deadlock --------------------------------------------------------------- */

static void deadlock_delivered(struct tl_sched *s, struct tl__message *message)
{
	look_delivered(s, message);
	s->deadlock = true;
}

/*
 * With the lock. Whether all say that they are asleep, the caller too, and nobody
 * has woken one.
 */
static bool all_asleep(void)
{
	const struct tl__list *link;

	/* acquire: pairs with those who went to sleep after they woke one */
	if (atomic_load_explicit(&awake, memory_order_acquire))
		return false;

	for (link = all.next; link != &all; link = link->next) {
		const struct tl_sched *other = tl__container_of(
			link, struct tl_sched, in_threads);

		if (!tl__inbox_is_asleep(&other->inbox))
			return false;
	}
	return true;
}

/* relaxed: see task.h */
static bool is_bystander(const struct tl_sched *s)
{
	return atomic_load_explicit(&s->bystander, memory_order_relaxed);
}

/* With the lock. */
static void tell_others(const struct tl_sched *s)
{
	struct tl__list *link;

	for (link = all.next; link != &all; link = link->next) {
		struct tl_sched *other = tl__container_of(
			link, struct tl_sched, in_threads);

		if (other != s && !is_bystander(other))
			tell(other, deadlock_delivered);
	}
}

/* Nobody is awake. False: it is a deadlock, and the caller counts as awake. */
static bool look_around(struct tl_sched *s, uint64_t *deadline_ns)
{
	bool deadlock, goes_on;

	pthread_mutex_lock(&lock);
	deadlock = all_asleep();
	if (deadlock && tl__tids_unknown()) {
		uint64_t again = tl__now() + s->recheck_ns;

		/* One that ends without a word can't tell us: look again. */
		if (s->recheck_ns < RECHECK_MAX_NS)
			s->recheck_ns *= 2;
		if (again < *deadline_ns)
			*deadline_ns = again;
		deadlock = false;
	}
	/* Again: one that was not known may have woken somebody, and ended. */
	deadlock = deadlock && all_asleep();
	/* A bystander sleeps on: whoever is woken looks when he dozes again. */
	goes_on = deadlock && !is_bystander(s);
	/* Before the others are told: one of them may doze again at once. */
	if (goes_on)
		tl__threads_awake(s);
	if (deadlock)
		tell_others(s);
	pthread_mutex_unlock(&lock);
	return !goes_on;
}

/*
 * Why nobody is told wrongly: a scheduler counts as awake until its inbox says
 * that it is asleep. Who wakes one is awake himself, or a thread that is not
 * known; and when he dozes afterwards, whoever then finds the count at 0 finds
 * too, by the inbox, that the other one was woken. Why nobody is missed: the one
 * who takes the count to 0 looks, or has another look if he ends; and one who was
 * woken counts again, and looks if he is the last to doze.
 */
bool tl__threads_doze(struct tl_sched *s, uint64_t *deadline_ns)
{
	/*
	 * acq_rel: pairs with the others' here: whom they woke before they
	 * dozed, and that their inboxes say they are asleep
	 */
	if (atomic_fetch_sub_explicit(&awake, 1, memory_order_acq_rel) > 1)
		return true;
	return look_around(s, deadline_ns);
}

void tl__threads_awake(struct tl_sched *s)
{
	(void)s;
	/* release: pairs with tl__threads_doze() */
	atomic_fetch_add_explicit(&awake, 1, memory_order_release);
}

bool tl__threads_alone(struct tl_sched *s)
{
	bool alone;

	pthread_mutex_lock(&lock);
	alone = all.next == &s->in_threads && all.prev == &s->in_threads;
	pthread_mutex_unlock(&lock);
	return alone && !tl__tids_unknown();
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

static bool mail_after_fork(struct tl_task *t, void *arg)
{
	(void)arg;
	tl__mail_after_fork(t);
	return true;
}

void tl__threads_after_fork_in_child(void)
{
	struct tl_sched *s = tl__sched_self;

	pthread_mutex_init(&lock, NULL);
	tl__list_init(&all);
	tl__stack_after_fork();
	tl__tids_after_fork(s != NULL);
	/* relaxed: there is no other thread */
	atomic_store_explicit(&awake, s != NULL, memory_order_relaxed);
	if (!s)
		return;
	/*
	 * What other threads have to say, they say to the parent; one of them
	 * may have been about to. relaxed: as above.
	 */
	tl__inbox_init(&s->inbox);
	tl__stack_each(s, mail_after_fork, NULL);
	tl__mail_after_fork(s->main);
	atomic_store_explicit(&s->ask.queued, false, memory_order_relaxed);
	atomic_store_explicit(&s->ask.signalled, false, memory_order_relaxed);
	s->deadlock_sent = s->deadlock = false;
	s->tid = (int)syscall(SYS_gettid);
	tl__list_add_tail(&all, &s->in_threads);
}
