/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Any call with anything in it, by several threads at once: each gives a result that
 * the uapi header knows, and the thread that watches over them is woken all the
 * same. What the kernel says of it is for who started this to see.
 *
 * TL_SEED says which calls; TL_FUZZ_CALLS how many.
 */
#include <signal.h>
#include <sys/mman.h>

#include "device.h"

enum { THREADS = 4 };

static int fd;
static char *page;		/* what comes after it is not mapped */
static _Atomic uint64_t slots[THREADS];
static long calls = 20000;

static void ignore(int signal)
{
	(void)signal;
}

/* Numbers that mean something more often than others. */
static uint64_t any_number(uint64_t *random)
{
	uint64_t r = tap_random(random);

	switch (tap_random(random) % 6) {
	case 0:
		return r % 8;
	case 1:
		return atomic_load(&slots[r % THREADS]);
	case 2:
		return atomic_load(&slots[r % THREADS]) ^ UINT64_C(1) << r % 64;
	case 3:
		return UINT64_C(1) << r % 64;
	case 4:
		return -(r % 8);
	default:
		return r;
	}
}

static uint32_t any_size(uint64_t *random)
{
	static const uint32_t sizes[] = { 0, 23, 24, 47, 48, 49, 56, 4096, 4097, UINT32_MAX };

	return tap_random(random) % 2 ? sizeof(struct tl_handoff_op) :
	       sizes[tap_random(random) % (sizeof(sizes) / sizeof(sizes[0]))];
}

static int64_t any_deadline(uint64_t *random)
{
	int64_t soon = now_ns() + (int64_t)(tap_random(random) % 50000);

	return tap_random(random) % 4 ? soon : (int64_t)(tap_random(random) >> 1) % soon;
}

static unsigned long any_command(uint64_t *random)
{
	uint64_t r = tap_random(random);

	return r % 16 ? _IO(TL_HANDOFF_MAGIC, r / 16 % 5 + 1) : r >> 32;
}

/* Where the structure is: all of it there, or ending beyond the page, or nowhere. */
static void *place(struct tl_handoff_op *op, uint64_t *random)
{
	uint64_t r = tap_random(random);
	size_t part = r / 32 % sizeof(*op);

	if (r % 32 == 0)
		return NULL;
	if (r % 32 > 2)
		return op;
	memcpy(page + 4096 - part, op, part);
	return page + 4096 - part;
}

static bool is_known(int r)
{
	static const int known[] = { 0, -EINVAL, -E2BIG, -EFAULT, -EPERM, -ENOENT, -ESRCH,
				     -EEXIST, -EDEADLK, -ETIMEDOUT, -EINTR, -ENOTTY };
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (r == known[i])
			return true;
	return false;
}

static void call_anything(struct peer *peer)
{
	uint64_t random = tap_seed() + peer->target;
	struct tl_handoff_op op[86];	/* room for any size that is taken */
	long i;
	int r;

	memset(op, 0, sizeof(op));
	for (i = 0; i < calls; i++) {
		op[0] = (struct tl_handoff_op){
			.size = any_size(&random),
			.flags = tap_random(&random) % 4 ? 0 : (uint32_t)any_number(&random),
			.self = tap_random(&random) % 4 ? slots[peer->target] : any_number(&random),
			.self_cookie = any_number(&random),
			.target = tap_random(&random) % 2 ? 0 : any_number(&random),
			.target_cookie = tap_random(&random) % 2 ? 0 : any_number(&random),
			.deadline_ns = any_deadline(&random),
		};
		r = device_call(peer->fd, any_command(&random), place(op, &random));
		peer->count += !r;
		if (!is_known(r))
			peer->result = r;
		device_register(peer->fd, &peer->slot);
		slots[peer->target] = peer->slot;
	}
}

/* Is woken regularly, by a thread that does nothing else. */
static void watch(struct peer *peer)
{
	uint64_t cookie;

	for (cookie = 1; cookie <= 200 && !peer->result; cookie++) {
		peer->result = device_wait(peer->fd, peer->slot, cookie, -1);
		peer->count = cookie;
	}
}

int main(void)
{
	struct peer peers[THREADS] = { { 0 } }, watcher = { 0 };
	struct sigaction action = { .sa_handler = ignore };
	const char *limit = getenv("TL_FUZZ_CALLS");
	int i, j, r = 0, own = device_open();
	uint64_t done = 0;

	fd = device_open();
	if (limit)
		calls = atol(limit);
	tap_plan(4);
	sigaction(SIGUSR1, &action, NULL);
	page = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(page + 4096, 4096);
	tap_seed();
	peer_start(&watcher, own, watch);
	for (i = 0; i < THREADS; i++) {
		peers[i].target = (uint64_t)i;
		peer_start(&peers[i], fd, call_anything);
	}
	for (i = 0; i < 200; i++) {
		for (j = 0; j < THREADS; j++)
			pthread_kill(peers[j].thread, SIGUSR1);
		r |= device_wake(own, watcher.slot, (uint64_t)i + 1);
		sleep_ms(2);
	}
	tap_is(r, 0, "wake-ups in another domain, meanwhile");
	tap_is(peer_end(&watcher), 0, "have come");
	for (i = 0, r = 0; i < THREADS; i++) {
		r |= peer_end(&peers[i]);
		done += peers[i].count;
	}
	tap_is(r, 0, "no result that isn't known");
	tap_ok(done, "some calls have done something (%llu)", (unsigned long long)done);
	return tap_exit();
}
