/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The child of a fork: those that waited for a condition or were on their way to a mutex are not there, and nobody misses
 * them. The thread that forks has the mutex, and others are in the middle of whatever can be in the middle.
 */
#include <sys/wait.h>

#include "../harness/emulated.h"
#include "waketest.h"

#include "wake/futex-list.h"

#define GUESTS 4

static struct room room;

static void *fn_partner(UNUSED void *arg)
{
	int i;

	for (i = 0; i < 200; i++) {
		room.w->mutex_lock(&room.m);
		while (room.orders % 2)
			room.w->cond_wait(&room.c, &room.m, CLOCK_MONOTONIC, TL_FOREVER);
		room.orders++;
		room.w->cond_signal(&room.c);
		room.w->mutex_unlock(&room.m);
	}
	return NULL;
}

/* Two threads of the child, turn by turn. */
static bool plays(void)
{
	pthread_t thread = start(fn_partner, NULL);
	int i;

	for (i = 0; i < 200; i++) {
		room.w->mutex_lock(&room.m);
		while (!(room.orders % 2))
			room.w->cond_wait(&room.c, &room.m, CLOCK_MONOTONIC, TL_FOREVER);
		room.orders++;
		room.w->cond_broadcast(&room.c);
		room.w->mutex_unlock(&room.m);
	}
	pthread_join(thread, NULL);
	return room.orders == 400;
}

static int in_child(void)
{
	const struct tl_wake *w = room.w;

	alarm(30);
	/* With the mutex that was locked before the fork. */
	w->cond_signal(&room.c);
	w->mutex_unlock(&room.m);
	if (w->mutex_try_lock(&room.m))
		return 2;
	if (w->cond_wait(&room.c, &room.m, CLOCK_MONOTONIC, in_ns(MS)) != -ETIMEDOUT)
		return 3;
	w->cond_broadcast(&room.c);
	w->mutex_unlock(&room.m);
	if (tl__wake_self() != (uint32_t)gettid())
		return 5;
	room.orders = 0;
	if (!no_threads_in_child() && !plays())
		return 4;
	return 0;
}

/* A child that is forked while everything is in use, also the lock that guards the condition's queue. */
static int child_of(const struct tl_wake *w, bool claimed)
{
	struct tl__lock *lock = &tl__wake_lock_of(&room.c)->lock;
	struct guest g[GUESTS];
	int i, status;
	pid_t pid;

	memset(&room, 0, sizeof(room));
	room.w = w;
	for (i = 0; i < GUESTS; i++)
		let_in(&room, &g[i], i, TL_FOREVER);
	w->mutex_lock(&room.m);
	for (i = 0; claimed && i < GUESTS / 2; i++)
		w->cond_signal(&room.c);
	tl__lock(lock);
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		_exit(in_child());
	tl__unlock(lock);
	w->cond_broadcast(&room.c);
	w->mutex_unlock(&room.m);
	see_out(g, GUESTS);
	waitpid(pid, &status, 0);
	return status;
}

/* A mutex that somebody else had, or was about to get: the child has to say that it is its own now. */
static void *fn_hold(UNUSED void *arg)
{
	room.w->mutex_lock(&room.m);
	atomic_fetch_add(&room.entered, 1);
	reaches(&room.over, 1);
	room.w->mutex_unlock(&room.m);
	return NULL;
}

static int child_resets(void)
{
	struct tl__wake_mutex *m = (struct tl__wake_mutex *)&room.m;

	alarm(30);
	if (room.w->mutex_try_lock(&room.m) != -EAGAIN)
		return 1;
	tl__wake_mutex_reset(m);
	tl__wake_cond_reset((struct tl__wake_cond *)&room.c);
	if (room.w->mutex_try_lock(&room.m) || !tl__wake_mutex_is_mine(m))
		return 2;
	room.w->mutex_unlock(&room.m);
	return 0;
}

static void test_reset(void)
{
	pthread_t thread;
	int status;
	pid_t pid;

	memset(&room, 0, sizeof(room));
	room.w = tl_wake_find("futex");
	thread = start(fn_hold, NULL);
	reaches(&room.entered, 1);
	pid = fork();
	if (!pid)
		_exit(child_resets());
	atomic_store(&room.over, 1);
	pthread_join(thread, NULL);
	waitpid(pid, &status, 0);
	tap_is(status, 0, "futex: what another thread had is the child's after a reset");
}

int main(void)
{
	tap_plan(5);
	if (no_threads_in_child())
		tap_diag("the child starts no threads: %s", no_threads_in_child());
	tap_is(child_of(tl_wake_find("futex"), false), 0, "futex: those that waited in the parent are not there");
	tap_is(child_of(tl_wake_find("futex"), true), 0, "futex: nor those in the mutex' list");
	tap_is(child_of(tl_wake_find("emulated"), false), 0, "emulated: those that waited in the parent are not there");
	tap_is(child_of(tl_wake_find("emulated"), true), 0, "emulated: nor those that had tokens");
	test_reset();
	return tap_exit();
}
