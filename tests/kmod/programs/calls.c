/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What each call of the device does, and refuses: one thread and a partner.
 */
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "device.h"

static int fd;
static uint64_t me;

/* A slot number that was never given: an index far off. */
#define NO_SUCH_SLOT ((UINT64_C(1) << 32) | 60000)

static void wait_forever_for_1(struct peer *peer)
{
	peer->result = device_wait(peer->fd, peer->slot, 1, -1);
}

static void do_nothing(struct peer *peer)
{
	(void)peer;
}

/* --- registering ---------------------------------------------------------------- */

static void test_register(void)
{
	uint64_t again = 0, first;
	struct tl_handoff_register reg = { .size = sizeof(reg) };

	tap_is(device_unregister(fd), -ENOENT, "unregister: there is nothing to give back");
	tap_is(device_register(fd, &me), 0, "register");
	tap_ok(me, "a slot's number is not 0");
	tap_is(device_register(fd, &again), -EEXIST, "once more: it has one");
	tap_is(again, me, "and is told which");
	first = me;
	tap_is(device_unregister(fd), 0, "unregister");
	tap_is(device_wake(fd, first, 1), -ESRCH, "the slot that was given back can't be woken");
	tap_is(device_wait(fd, first, 0, 0), -EPERM, "nor waited on");
	tap_is(device_call(fd, TL_HANDOFF_REGISTER, &reg), 0, "register again");
	me = reg.slot;
	tap_ok(me != first, "the number is another");
	tap_is(device_wake(fd, first, 1), -ESRCH, "and the old one still nobody's");
	tap_is(reg.features & ~TL_HANDOFF_F_HERE, 0, "no feature that isn't known");
}

/* --- what is taken, and what isn't ----------------------------------------------- */

static void test_sizes(void)
{
	struct {
		struct tl_handoff_op op;
		uint64_t more;
	} longer = { .op = { .size = sizeof(longer), .self = me } };
	struct tl_handoff_op op = { .size = sizeof(op) - 1, .self = me };
	struct tl_handoff_register reg = { .size = 0 };
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	tap_is(device_call(fd, TL_HANDOFF_WAIT, &longer), 0, "a longer structure, the rest 0");
	longer.more = 1;
	tap_is(device_call(fd, TL_HANDOFF_WAIT, &longer), -E2BIG, "... the rest not 0");
	tap_is(device_call(fd, TL_HANDOFF_WAIT, &op), -EINVAL, "one byte too short");
	tap_is(device_call(fd, TL_HANDOFF_REGISTER, &reg), -EINVAL, "of no size");
	op.size = UINT32_MAX;
	tap_is(device_call(fd, TL_HANDOFF_WAIT, &op), -E2BIG, "of 4 GiB");
	tap_is(device_call(fd, TL_HANDOFF_WAIT, NULL), -EFAULT, "no structure");
	op.size = sizeof(op);
	memcpy(page + 4096 - 40, &op, 40);
	munmap(page + 4096, 4096);
	tap_is(device_call(fd, TL_HANDOFF_WAIT, page + 4096 - 40), -EFAULT, "one that ends beyond its page");
}

static void test_arguments(void)
{
	struct tl_handoff_register reg = { .size = sizeof(reg), .flags = 1 };
	struct tl_handoff_op op = { .size = sizeof(op), .self = me, .flags = 2 };
	struct tl_handoff_op plain = { .size = sizeof(op), .self = me };

	tap_is(device_call(fd, TL_HANDOFF_REGISTER, &reg), -EINVAL, "register: an unknown flag");
	reg = (struct tl_handoff_register){ .size = sizeof(reg), .reserved = 1 };
	tap_is(device_call(fd, TL_HANDOFF_UNREGISTER, &reg), -EINVAL, "unregister: a reserved field");
	tap_is(device_call(fd, TL_HANDOFF_SWAP, &op), -EINVAL, "swap: an unknown flag");
	op = plain;
	op.target = 1;
	tap_is(device_call(fd, TL_HANDOFF_WAIT, &op), -EINVAL, "wait: for a target");
	op = plain;
	op.flags = TL_HANDOFF_ANYWHERE;
	tap_is(device_call(fd, TL_HANDOFF_WAIT, &op), -EINVAL, "wait: with a flag of the others");
	op = plain;
	op.target = me;
	tap_is(device_call(fd, TL_HANDOFF_WAKE, &op), -EINVAL, "wake: with a wait");
	tap_is(device_call(fd, _IO(TL_HANDOFF_MAGIC, 0), &plain), -ENOTTY, "call 0");
	tap_is(device_call(fd, _IO(TL_HANDOFF_MAGIC, 6), &plain), -ENOTTY, "call 6");
	tap_is(device_call(fd, _IO('T', 1), &plain), -ENOTTY, "a call of others");
	tap_ok(read(fd, &op, sizeof(op)) < 0 && errno == EINVAL, "it can't be read");
	tap_ok(write(fd, &op, sizeof(op)) < 0 && errno == EINVAL, "nor written");
}

static void test_slots(void)
{
	struct peer peer = { 0 };

	tap_is(device_wake(fd, 0, 1), -ENOENT, "wake: slot 0");
	tap_is(device_wake(fd, NO_SUCH_SLOT, 1), -ENOENT, "wake: a slot that never was");
	tap_is(device_wait(fd, NO_SUCH_SLOT, 1, 0), -ENOENT, "wait: the same");
	tap_is(device_swap(fd, me, 1, NO_SUCH_SLOT, 1, 0), -ENOENT, "swap: the same");
	tap_is(device_swap(fd, NO_SUCH_SLOT, 1, me, 1, 0), -ENOENT, "swap: oneself the same");
	tap_is(device_swap(fd, me, 1, me, 1, 0), -EDEADLK, "swap: with oneself");
	tap_is(device_wake(fd, me + (UINT64_C(1) << 32), 1), -ESRCH, "wake: a life that is to come");
	tap_is(device_wait(fd, me + (UINT64_C(1) << 32), 1, 0), -EPERM, "wait: the same");
	peer_start(&peer, fd, wait_forever_for_1);
	tap_is(device_wait(fd, peer.slot, 1, 0), -EPERM, "wait: another one's slot");
	tap_is(device_swap(fd, peer.slot, 1, me, 1, 0), -EPERM, "swap: another one's slot");
	tap_is(device_wake(fd, peer.slot, 1), 0, "wake it");
	tap_is(peer_end(&peer), 0, "it has been woken");
	tap_is(device_wake(fd, peer.slot, 2), -ESRCH, "its thread has ended: it can't be woken");
	tap_is(device_swap(fd, me, 1, peer.slot, 2, -1), -ESRCH, "nor swapped to, and nobody sleeps for that");
}

/* --- cookies ------------------------------------------------------------------------ */

static void test_cookies(void)
{
	const uint64_t half = UINT64_C(1) << 63;

	tap_is(device_wait(fd, me, 0, 0), 0, "a new slot has been woken with 0");
	tap_is(device_wait(fd, me, 1, 0), -ETIMEDOUT, "and not with 1");
	tap_is(device_wake(fd, me, 1), 0, "wake with 1");
	tap_is(device_wait(fd, me, 1, -1), 0, "the wait that comes later has been woken");
	tap_is(device_wait(fd, me, 1, -1), 0, "and so has that wait if it is made again");
	tap_is(device_wait(fd, me, 2, 0), -ETIMEDOUT, "the next one has not");
	device_wake(fd, me, 5);
	tap_is(device_wait(fd, me, 4, -1), 0, "a later cookie serves for an earlier wait");
	device_wake(fd, me, 3);
	tap_is(device_wait(fd, me, 5, -1), 0, "a late one takes nothing back");
	tap_is(device_wait(fd, me, 6, 0), -ETIMEDOUT, "and is not taken for a new one");
	device_wake(fd, me, 5 + half - 1);
	device_wake(fd, me, 5 + half + 10);
	tap_is(device_wait(fd, me, 5 + half + 10, -1), 0, "they are compared as sequence numbers");
	device_wake(fd, me, UINT64_MAX);
	device_wake(fd, me, 7);
	tap_is(device_wait(fd, me, 7, -1), 0, "across 2^64");
	tap_is(device_wait(fd, me, 8, 0), -ETIMEDOUT, "... and no further");
	device_unregister(fd);
	device_register(fd, &me);
	tap_is(device_wait(fd, me, 1, 0), -ETIMEDOUT, "who registers again begins with 0");
}

static void test_deadlines(void)
{
	int64_t before = now_ns(), after;

	tap_is(device_wait(fd, me, 1, before + 20 * (int64_t)MS), -ETIMEDOUT, "wait for 20 ms");
	after = now_ns();
	tap_ok(after - before >= 20 * (int64_t)MS, "it took as long");
	tap_is(device_wait(fd, me, 1, before), -ETIMEDOUT, "a deadline that is over");
	tap_is(device_wait(fd, me, 1, 0), -ETIMEDOUT, "... since the system began");
	device_wake(fd, me, 1);
	tap_is(device_wait(fd, me, 1, before), 0, "but what has come is taken");
	tap_is(device_wait(fd, me, 1, INT64_MAX), 0, "the last deadline that there is");
	tap_is(device_wait(fd, me, 1, INT64_MIN), 0, "the least one: none");
}

/* --- swapping ------------------------------------------------------------------------- */

static void echo(struct peer *peer)
{
	uint64_t i;

	peer->result = device_wait(peer->fd, peer->slot, 1, -1);
	for (i = 1; i < 1000 && !peer->result; i++)
		peer->result = device_swap(peer->fd, peer->slot, i + 1, me, i, -1);
	if (!peer->result)
		peer->result = device_wake(peer->fd, me, 1000);
}

static void test_swap(void)
{
	struct peer peer = { 0 };
	uint64_t i;
	int r = 0;

	device_unregister(fd);
	device_register(fd, &me);
	peer_start(&peer, fd, echo);
	for (i = 1; i <= 1000 && !r; i++)
		r = device_swap(fd, me, i, peer.slot, i, -1);
	tap_is(r, 0, "1000 swaps to and fro");
	tap_is(peer_end(&peer), 0, "the partner's, too");
	peer_start(&peer, fd, wait_forever_for_1);
	tap_is(device_swap(fd, me, 1001, peer.slot, 1, now_ns() + 10 * (int64_t)MS),
	       -ETIMEDOUT, "a swap that nobody answers ends with its time");
	tap_is(peer_end(&peer), 0, "its partner has been woken though");
	device_wake(fd, me, 1001);
	peer_start(&peer, fd, wait_forever_for_1);
	tap_is(device_swap(fd, me, 1001, peer.slot, 1, -1), 0, "a swap of one that has been woken already");
	tap_is(peer_end(&peer), 0, "its partner has been woken, too");
}

/* --- who may call --------------------------------------------------------------------- */

/* The exit status of a child that does @work: what it returned, negated. */
static int in_child(int (*work)(void))
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(-work() & 0xff);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : 1;
}

static int child_wakes(void)
{
	return device_wake(fd, me, 1000000);
}

static int child_registers(void)
{
	return device_register(fd, NULL);
}

static int child_opens(void)
{
	int mine = open(TL_HANDOFF_DEVICE, O_RDWR);
	uint64_t slot;
	int r = device_register(mine, &slot);

	device_wake(mine, slot, 1);
	return r ? r : device_wait(mine, slot, 1, -1);
}

static int stranger_opens(void)
{
	if (setgid(65534) || setuid(65534))
		return -ENOSYS;
	return open(TL_HANDOFF_DEVICE, O_RDWR) < 0 ? -errno : 0;
}

static int child_execs(void)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	fcntl(fd, F_SETFD, 0);
	execl("/proc/self/exe", "calls", number, NULL);
	return -ENOSYS;
}

/* A process of another address space that has got the descriptor by a socket. */
static int receiver_wakes(void)
{
	int pair[2], got = -1, mine = open(TL_HANDOFF_DEVICE, O_RDWR);
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -ENOSYS;
	if (!fork()) {
		*header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS,
					    .cmsg_len = CMSG_LEN(sizeof(int)) };
		mine = open(TL_HANDOFF_DEVICE, O_RDWR);
		device_register(mine, NULL);
		memcpy(CMSG_DATA(header), &mine, sizeof(mine));
		sendmsg(pair[1], &message, 0);
		_exit(0);
	}
	if (recvmsg(pair[0], &message, 0) != 1)
		return -ENOSYS;
	memcpy(&got, CMSG_DATA(header), sizeof(got));
	wait(NULL);
	return device_register(got, NULL);
}

/* --- clocks ----------------------------------------------------------------------------- */

static const char *offset;

static int waits_20_ms(void)
{
	int mine = open(TL_HANDOFF_DEVICE, O_RDWR), r;
	int64_t before = now_ns();
	uint64_t slot;

	device_register(mine, &slot);
	r = device_wait(mine, slot, 1, before + 20 * (int64_t)MS);
	return r == -ETIMEDOUT && now_ns() - before < 20 * (int64_t)MS ? -EAGAIN : r;
}

/* A process whose CLOCK_MONOTONIC is another. */
static int in_time_namespace(void)
{
	int f = open("/proc/self/timens_offsets", O_WRONLY), r;

	if (f < 0 || unshare(CLONE_NEWTIME))
		return -ENOSYS;
	close(f);
	f = open("/proc/self/timens_offsets", O_WRONLY);
	r = dprintf(f, "monotonic %s 0\n", offset);
	close(f);
	return r < 0 ? -ENOSYS : in_child(waits_20_ms);
}

static void test_clocks(void)
{
	offset = "100000";
	tap_is(in_child(in_time_namespace), -ETIMEDOUT, "a deadline of a clock that is ahead");
	offset = "-1";
	tap_is(in_child(in_time_namespace), -ETIMEDOUT, "... or behind");
}

static void test_strangers(void)
{
	struct stat st = { 0 };
	int other = open(TL_HANDOFF_DEVICE, O_RDWR | O_CLOEXEC);
	uint64_t there;

	tap_is(in_child(child_wakes), -EPERM, "a forked child may not wake");
	tap_is(in_child(child_registers), -EPERM, "nor register");
	tap_is(in_child(child_opens), 0, "but open it itself");
	tap_is(in_child(child_execs), -EPERM, "another program may not, in the same process");
	tap_is(in_child(receiver_wakes), -EPERM, "nor one that was given the descriptor");
	tap_is(in_child(stranger_opens), -EACCES, "nobody may not open it");
	tap_ok(!stat(TL_HANDOFF_DEVICE, &st) && (st.st_mode & 0777) == 0660, "its mode is 0660");
	tap_is(device_register(other, &there), 0, "a thread may be in two domains");
	tap_is(device_wait(other, there, 1, 0), -ETIMEDOUT, "whose slots are not the same");
	close(other);
	tap_is(device_register(other, NULL), -EBADF, "one is closed");
	tap_is(device_wake(fd, me, 2000), 0, "the other is as it was");
}

/* --- slots of threads that are gone ------------------------------------------------------ */

static void test_many(void)
{
	enum { THREADS = 2000 };
	struct peer peer = { 0 };
	uint32_t highest = 0;
	int i;

	for (i = 0; i < THREADS; i++) {
		peer_start(&peer, fd, do_nothing);
		peer_end(&peer);
		if ((uint32_t)peer.slot > highest)
			highest = (uint32_t)peer.slot;
	}
	tap_ok(highest < 256, "2000 threads that ended without a word: their slots were used again (%u)", highest);
	tap_is(device_wake(fd, peer.slot, 1), -ESRCH, "the last one is gone");
}

/* --- callers of 32 bits ------------------------------------------------------------------- */

#ifdef __x86_64__
static int call_32(unsigned int command, void *arg)
{
	long r;

	asm volatile("int $0x80" : "=a"(r) : "a"(54l), "b"((long)fd),
		     "c"((long)command), "d"(arg) : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

static void test_32(void)
{
	struct tl_handoff_op *op = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	*op = (struct tl_handoff_op){ .size = sizeof(*op), .target = me, .target_cookie = 3000 };
	tap_is(call_32(TL_HANDOFF_WAKE, op), 0, "a call of 32 bits wakes");
	*op = (struct tl_handoff_op){ .size = sizeof(*op), .self = me, .self_cookie = 3000,
				      .deadline_ns = -1 };
	tap_is(call_32(TL_HANDOFF_WAIT, op), 0, "and has been woken");
	op->self_cookie++;
	op->deadline_ns = now_ns() + (int64_t)MS;
	tap_is(call_32(TL_HANDOFF_WAIT, op), -ETIMEDOUT, "its deadline has 64 bits");
}
#else
static void test_32(void)
{
	int i;

	for (i = 0; i < 3; i++)
		tap_skip("callers of 32 bits: only on x86-64");
}
#endif

int main(int argc, char **argv)
{
	if (argc > 1)	/* child_execs() */
		return -device_register(atoi(argv[1]), NULL);
	fd = device_open();
	tap_plan(88);
	test_register();
	test_sizes();
	test_arguments();
	test_slots();
	test_cookies();
	test_deadlines();
	test_swap();
	test_strangers();
	test_clocks();
	test_many();
	test_32();
	return tap_exit();
}
