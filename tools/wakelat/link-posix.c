/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Links over what the C library has: sem_t, and a mutex with two conditions that
 * are signalled under the mutex or after the unlock.
 *
 * Invariant: the slots belong to whoever holds a token of the semaphore for
 * them; with conditions, to who has locked the mutex.
 */
#include <errno.h>

#include "link.h"

/* --- semaphores ------------------------------------------------------------- */

static int sem_open_link(struct link *link)
{
	if (sem_init(&link->u.sem.items, 0, 0))
		return -errno;
	if (sem_init(&link->u.sem.room, 0, link->capacity)) {
		int error = errno;

		sem_destroy(&link->u.sem.items);
		return -error;
	}
	return 0;
}

static void sem_close_link(struct link *link)
{
	sem_destroy(&link->u.sem.items);
	sem_destroy(&link->u.sem.room);
}

static int take(sem_t *sem)
{
	while (sem_wait(sem))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int sem_put(struct link *link, uint64_t value)
{
	if (link->capacity) {
		int r = take(&link->u.sem.room);

		if (r)
			return r;
	}
	link_push(&link->slots, value);
	return sem_post(&link->u.sem.items) ? -errno : 0;
}

static int sem_get(struct link *link, uint64_t *value)
{
	int r = take(&link->u.sem.items);

	if (r)
		return r;
	*value = link_pop(&link->slots);
	if (link->capacity && sem_post(&link->u.sem.room))
		return -errno;
	return 0;
}

const struct primitive link_sem = {
	.name = "sem",
	.what = "sem_t",
	.open = sem_open_link,
	.close = sem_close_link,
	.put = sem_put,
	.get = sem_get,
};

/* --- conditions ------------------------------------------------------------- */

static int cond_open(struct link *link)
{
	int r = pthread_mutex_init(&link->u.cond.mutex, NULL);

	if (r)
		return -r;
	r = pthread_cond_init(&link->u.cond.items, NULL);
	if (!r) {
		r = pthread_cond_init(&link->u.cond.room, NULL);
		if (!r)
			return 0;
		pthread_cond_destroy(&link->u.cond.items);
	}
	pthread_mutex_destroy(&link->u.cond.mutex);
	return -r;
}

static void cond_close(struct link *link)
{
	pthread_cond_destroy(&link->u.cond.items);
	pthread_cond_destroy(&link->u.cond.room);
	pthread_mutex_destroy(&link->u.cond.mutex);
}

static void unlock_and_signal(struct link *link, pthread_cond_t *cond)
{
	if (!link->primitive->after)
		pthread_cond_signal(cond);
	pthread_mutex_unlock(&link->u.cond.mutex);
	if (link->primitive->after)
		pthread_cond_signal(cond);
}

static int cond_put(struct link *link, uint64_t value)
{
	pthread_mutex_lock(&link->u.cond.mutex);
	while (link->capacity && link->u.cond.count == link->capacity)
		pthread_cond_wait(&link->u.cond.room, &link->u.cond.mutex);
	link_push(&link->slots, value);
	link->u.cond.count++;
	unlock_and_signal(link, &link->u.cond.items);
	return 0;
}

static int cond_get(struct link *link, uint64_t *value)
{
	pthread_mutex_lock(&link->u.cond.mutex);
	while (!link->u.cond.count)
		pthread_cond_wait(&link->u.cond.items, &link->u.cond.mutex);
	*value = link_pop(&link->slots);
	link->u.cond.count--;
	if (link->capacity)
		unlock_and_signal(link, &link->u.cond.room);
	else
		pthread_mutex_unlock(&link->u.cond.mutex);
	return 0;
}

#define COND_FUNCTIONS .open = cond_open, .close = cond_close, \
		       .put = cond_put, .get = cond_get

const struct primitive link_pthread = {
	.name = "pthread",
	.what = "pthread's mutex and condition, signalled under the mutex",
	COND_FUNCTIONS,
};

const struct primitive link_pthread_after = {
	.name = "pthread-after",
	.what = "... signalled after the unlock",
	.after = true,
	COND_FUNCTIONS,
};
