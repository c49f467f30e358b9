/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Many threads at once: no wake-up is lost, none is made up.
 *
 * Each wait is for the next number of its thread, and those who wake say in `sent`
 * what they have sent before they do: who comes back earlier than that has been
 * woken by nobody. One who isn't woken hangs, and the test with it.
 */
#include <sched.h>
#include <sys/wait.h>

#include "device.h"

static int fd;

/* --- one thread, woken by several at once ------------------------------------------- */

enum { WAKERS = 4, WAKES = 5000 };

static _Atomic uint64_t sent;

static void take_all(struct peer *peer)
{
	uint64_t cookie;

	for (cookie = 1; cookie <= WAKES && !peer->result; cookie++) {
		peer->result = device_wait(peer->fd, peer->slot, cookie, -1);
		if (sent < cookie)
			peer->result = 1;
		peer->count = cookie;
	}
}

/* Each wakes with each number that it is the first to draw. */
static void send_some(struct peer *peer)
{
	uint64_t cookie;

	while ((cookie = ++sent) <= WAKES && !peer->result)
		peer->result = device_wake(peer->fd, peer->target, cookie);
	/* The last wake-up may have taken the slot's thread away. */
	if (peer->result == -ESRCH)
		peer->result = 0;
}

static void test_wakers(void)
{
	struct peer taker = { 0 }, wakers[WAKERS] = { { 0 } };
	int i, r = 0;

	peer_start(&taker, fd, take_all);
	for (i = 0; i < WAKERS; i++) {
		wakers[i].target = taker.slot;
		peer_start(&wakers[i], fd, send_some);
	}
	for (i = 0; i < WAKERS; i++)
		r |= peer_end(&wakers[i]);
	tap_is(r, 0, "4 threads wake one");
	tap_is(peer_end(&taker), 0, "it is woken, and never before that");
	tap_is(taker.count, WAKES, "as often as it waited");
}

/* --- a ring: each swaps to the next --------------------------------------------------- */

enum { RING = 6, ROUNDS = 2000 };

static struct peer ring[RING];
static _Atomic int ready;

static void pass_on(struct peer *peer)
{
	struct peer *next = &ring[(peer - ring + 1) % RING];
	uint64_t round;
	int r;

	ready++;
	while (ready < RING)
		sched_yield();
	r = device_wait(peer->fd, peer->slot, 1, -1);
	for (round = 1; round < ROUNDS && !r; round++) {
		peer->count++;
		r = device_swap(peer->fd, peer->slot, round + 1, next->slot,
				round + (next == ring), -1);
	}
	if (!r)
		r = device_wake(peer->fd, next->slot, round + (next == ring));
	peer->result = r == -ESRCH ? 0 : r;
}

static void test_ring(void)
{
	int i, r = 0;
	uint64_t sum = 0;

	for (i = 0; i < RING; i++)
		peer_start(&ring[i], fd, pass_on);
	device_wake(fd, ring[0].slot, 1);
	for (i = 0; i < RING; i++) {
		r |= peer_end(&ring[i]);
		sum += ring[i].count;
	}
	tap_is(r, 0, "a ring of 6 threads that swap to the next");
	tap_is(sum, RING * (ROUNDS - 1), "2000 times around");
}

/* --- all sorts of calls, with time-outs, between any two ------------------------------- */

enum { CROWD = 8, TURNS = 3000 };

static struct peer crowd[CROWD];
/* What each has been sent, and waits for. */
static _Atomic uint64_t sent_to[CROWD];

static int any_call(struct peer *peer, struct peer *other, uint64_t cookie,
		    uint64_t *random)
{
	uint64_t theirs = ++sent_to[other - crowd];
	int64_t deadline = now_ns() + (int64_t)(tap_random(random) % 200000);

	switch (other == peer ? 0 : tap_random(random) % 3) {
	case 0:
		device_wake(peer->fd, other->slot, theirs);
		return device_wait(peer->fd, peer->slot, cookie, deadline);
	case 1:
		device_wake(peer->fd, other->slot, theirs);
		return device_wait(peer->fd, peer->slot, cookie, deadline);
	default:
		return device_swap(peer->fd, peer->slot, cookie, other->slot,
				   theirs, deadline);
	}
}

static void do_anything(struct peer *peer)
{
	uint64_t random = tap_seed() + (uint64_t)(peer - crowd), cookie = 1;
	int turn, r;

	ready++;
	while (ready < CROWD)
		sched_yield();
	for (turn = 0; turn < TURNS; turn++) {
		r = any_call(peer, &crowd[tap_random(&random) % CROWD], cookie,
			     &random);
		if (r == 0 && sent_to[peer - crowd] < cookie)
			peer->result = 1;
		else if (r == 0)
			cookie++;
		else if (r != -ETIMEDOUT && r != -ESRCH)
			peer->result = r;
	}
	peer->count = cookie - 1;
	/* Those who have sent something have sent it when they are all here. */
	ready++;
	while (ready < 2 * CROWD)
		sched_yield();
	while (cookie <= sent_to[peer - crowd] &&
	       !device_wait(peer->fd, peer->slot, cookie, now_ns()))
		cookie++;
	peer->count = cookie - 1;
}

static void test_crowd(void)
{
	uint64_t got = 0, was_sent = 0;
	int i, r = 0;

	ready = 0;
	for (i = 0; i < CROWD; i++)
		peer_start(&crowd[i], fd, do_anything);
	for (i = 0; i < CROWD; i++) {
		r |= peer_end(&crowd[i]);
		got += crowd[i].count;
		was_sent += sent_to[i];
	}
	tap_is(r, 0, "8 threads, wake, wait and swap at random, with short deadlines");
	tap_is(got, was_sent, "all that was sent has been got");
	tap_diag("%llu wake-ups", (unsigned long long)got);
}

/* --- threads that come and go ------------------------------------------------------------ */

static _Atomic uint64_t somebody;
static _Atomic bool over;

static void come_and_go(struct peer *peer)
{
	uint64_t slot;
	int i, r;

	peer->result = device_unregister(peer->fd);
	for (i = 0; i < 2000 && !peer->result; i++) {
		r = device_register(peer->fd, &slot);
		somebody = slot;
		if (!r)
			r = device_wait(peer->fd, slot, 1, now_ns() + 20000);
		/* A new slot has had no wake-up but for its own number. */
		if (r && r != -ETIMEDOUT)
			peer->result = r;
		if (i % 7)
			peer->result = peer->result ? peer->result :
				       device_unregister(peer->fd);
		else if (device_register(peer->fd, NULL) != -EEXIST)
			peer->result = 1;
		else
			device_unregister(peer->fd);
	}
}

static void wake_somebody(struct peer *peer)
{
	int r = 0;

	while (!over && !peer->result) {
		r = somebody ? device_wake(peer->fd, somebody, 1) : 0;
		if (r && r != -ESRCH)
			peer->result = r;
		peer->count++;
		if (!(peer->count % 64))
			sched_yield();
	}
}

static void test_coming(void)
{
	struct peer comers[3] = { { 0 } }, waker = { 0 };
	int i, r = 0;

	peer_start(&waker, fd, wake_somebody);
	for (i = 0; i < 3; i++)
		peer_start(&comers[i], fd, come_and_go);
	for (i = 0; i < 3; i++)
		r |= peer_end(&comers[i]);
	over = true;
	tap_is(r, 0, "3 threads register, wait and unregister");
	tap_is(peer_end(&waker), 0, "while one wakes any of them, gone or not");
}

/* --- processes that are killed in the middle of it --------------------------------------- */

static int killed_child(unsigned int after_us)
{
	pid_t child = fork();
	int i, status;

	if (!child) {
		fd = open(TL_HANDOFF_DEVICE, O_RDWR);
		ready = 0;
		for (i = 0; i < RING; i++)
			peer_start(&ring[i], fd, pass_on);
		device_wake(fd, ring[0].slot, 1);
		for (;;)
			pause();
	}
	usleep(after_us);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? 0 : 1;
}

static void test_killed(void)
{
	uint64_t random = tap_seed();
	int i, r = 0;

	for (i = 0; i < 40; i++)
		r |= killed_child(tap_random(&random) % 30000);
	tap_is(r, 0, "40 processes killed while their threads swap");
}

int main(void)
{
	fd = device_open();
	tap_plan(10);
	test_wakers();
	test_ring();
	test_crowd();
	test_coming();
	test_killed();
	return tap_exit();
}
