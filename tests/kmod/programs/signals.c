/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Signals, stops and ends at any point of a wait.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "device.h"

static int fd;
static uint64_t me;
static _Atomic int handled;

static void count(int signal)
{
	(void)signal;
	handled++;
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_handler = count, .sa_flags = flags };

	sigaction(signal, &action, NULL);
}

static void wait_for_1(struct peer *peer)
{
	peer->result = device_wait(peer->fd, peer->slot, 1, -1);
}

static void swap_for_1(struct peer *peer)
{
	peer->result = device_swap(peer->fd, peer->slot, 1, me, peer->target, -1);
}

static void wait_20_ms(struct peer *peer)
{
	peer->result = device_wait(peer->fd, peer->slot, 1,
				   now_ns() + 20 * (int64_t)MS);
}

/* A peer that does @work has a signal while it sleeps; it has been handled after that. */
static void interrupt(struct peer *peer, void (*work)(struct peer *peer), int signal)
{
	int before = handled;

	peer_start(peer, fd, work);
	await_sleep(peer->tid);
	pthread_kill(peer->thread, signal);
	while (handled == before)
		sched_yield();
}

static void test_interrupted(void)
{
	struct peer peer = { 0 };

	interrupt(&peer, wait_for_1, SIGUSR1);
	tap_is(peer_end(&peer), -EINTR, "a wait: interrupted by a handler");
	peer.target = 1;
	interrupt(&peer, swap_for_1, SIGUSR1);
	tap_is(peer_end(&peer), -EINTR, "a swap: interrupted");
	tap_is(device_wait(fd, me, 1, 0), 0, "and its partner has been woken");
}

static void test_restarted(void)
{
	struct peer peer = { 0 };
	int before;

	interrupt(&peer, wait_for_1, SIGUSR2);
	await_sleep(peer.tid);
	tap_is(device_wake(fd, peer.slot, 1), 0, "a wait goes on after a handler with SA_RESTART");
	tap_is(peer_end(&peer), 0, "until it is woken");
	peer.target = 2;
	before = handled;
	interrupt(&peer, swap_for_1, SIGUSR2);
	await_sleep(peer.tid);
	tap_is(device_wait(fd, me, 2, 0), 0, "a swap has woken its partner");
	tap_is(device_wait(fd, me, 3, 0), -ETIMEDOUT, "... whose next wait it is nothing to, when it is made again");
	tap_is(device_wake(fd, peer.slot, 1), 0, "it waits");
	tap_is(peer_end(&peer), 0, "until it is woken");
	tap_is(handled - before, 1, "one signal was handled");
	interrupt(&peer, wait_20_ms, SIGUSR2);
	tap_is(peer_end(&peer), -ETIMEDOUT, "a deadline is the same after a handler");
}

/* Woken, and signalled: that it was woken is not lost, whichever comes first. */
static void test_both(void)
{
	struct peer peer = { 0 };
	int i, r, woken = 0, interrupted = 0;

	for (i = 0; i < 500; i++) {
		peer_start(&peer, fd, wait_for_1);
		if (i & 1)
			await_sleep(peer.tid);
		pthread_kill(peer.thread, SIGUSR1);
		r = device_wake(fd, peer.slot, 1);
		peer_end(&peer);
		woken += peer.result == 0;
		interrupted += peer.result == -EINTR && (r == 0 || r == -ESRCH);
	}
	tap_is(woken + interrupted, 500, "woken and signalled at once: woken or interrupted, nothing else");
	tap_diag("woken %d, interrupted %d", woken, interrupted);
}

/* The one that was interrupted waits again: what came meanwhile is there. */
static void wait_until_woken(struct peer *peer)
{
	uint64_t cookie = 0;

	while (cookie < 2000) {
		peer->result = device_wait(peer->fd, peer->slot, cookie + 1, -1);
		if (!peer->result)
			peer->count = ++cookie;
		else if (peer->result != -EINTR)
			return;
	}
}

static void test_shower(void)
{
	struct peer peer = { 0 };
	uint64_t cookie;

	peer_start(&peer, fd, wait_until_woken);
	for (cookie = 1; cookie <= 2000; cookie++) {
		pthread_kill(peer.thread, SIGUSR1);
		device_wake(fd, peer.slot, cookie);
		while (cookie % 16 == 0 && peer.count < cookie)
			sched_yield();
	}
	tap_is(peer_end(&peer), 0, "2000 wake-ups in a shower of signals");
	tap_is(peer.count, 2000, "have all come");
}

/* --- stops and ends: a child, whose threads wait ----------------------------------- */

static void start_waiters(int mine, struct peer *peers, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		peer_start(&peers[i], mine, wait_for_1);
		await_sleep(peers[i].tid);
	}
}

/* Tells by a pipe that its threads sleep; then @end. */
static pid_t child_that_waits(void (*end)(void), int *told)
{
	struct peer peers[8] = { 0 };
	int ends[2], mine;
	pid_t child;

	if (pipe(ends))
		tap_bail("no pipe");
	child = fork();
	*told = ends[0];
	if (child) {
		close(ends[1]);
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mine = open(TL_HANDOFF_DEVICE, O_RDWR);
	start_waiters(mine, peers, 8);
	if (write(ends[1], "", 1) != 1)
		_exit(1);
	end();
	for (;;)
		pause();
}

static void pass(void)
{
}

static void leave(void)
{
	_exit(7);
}

static void exec_another(void)
{
	execl("/proc/self/exe", "signals", "exit", NULL);
}

static void close_it(void)
{
	int i;

	for (i = 3; i < 64; i++)
		close(i);
	_exit(8);
}

static int end_of_child(void (*end)(void), int signal)
{
	int status, told;
	char byte;
	pid_t child = child_that_waits(end, &told);

	if (read(told, &byte, 1) != 1)
		tap_bail("the child did not get so far");
	close(told);
	if (signal)
		kill(child, signal);
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_ends(void)
{
	tap_is(end_of_child(pass, SIGKILL), -SIGKILL, "a process whose threads wait is killed");
	tap_is(end_of_child(leave, 0), 7, "... ends by itself");
	tap_is(end_of_child(exec_another, 0), 9, "... becomes another program");
	tap_is(end_of_child(close_it, 0), 8, "... closes the device under them");
}

static void test_stop(void)
{
	int status, told;
	char byte;
	pid_t child = child_that_waits(pass, &told);

	if (read(told, &byte, 1) != 1)
		tap_bail("the child did not get so far");
	kill(child, SIGSTOP);
	tap_ok(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status), "a process whose threads wait stops");
	kill(child, SIGCONT);
	tap_ok(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status), "goes on");
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "and ends");
	close(told);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)	/* exec_another() */
		return 9;
	fd = device_open();
	tap_plan(21);
	device_register(fd, &me);
	handle(SIGUSR1, 0);
	handle(SIGUSR2, SA_RESTART);
	test_interrupted();
	test_restarted();
	test_both();
	test_shower();
	test_ends();
	test_stop();
	return tap_exit();
}
