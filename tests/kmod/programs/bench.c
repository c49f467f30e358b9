/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * bench [ROUNDS [TRIPS]]: a token goes to and fro between two threads: by a futex
 * (wake, then wait), by the device's swap, and by its wake and wait. The threads are
 * free to run anywhere, both on processor 0, or on one each. All ways take turns in
 * each round; a line is a placement and a way, with the least, the median and the
 * greatest time of a round trip, and the median of its ratios to the futex of the
 * same round.
 */
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

#include "device.h"

enum way { FUTEX, SWAP, WAKE_WAIT, WAKE_WAIT_ANYWHERE, WAYS };
enum place { FREE, SAME, CROSS, PLACES };
enum { ROUNDS_MAX = 101 };

static const char *const way_names[WAYS] = { "futex", "swap", "wake+wait", "anywhere" };
static const char *const place_names[PLACES] = { "free", "same", "cross" };

static int fd;
static long trips = 2000;
static struct side {
	enum way way;
	enum place place;
	int number;
	uint64_t slot;
	_Atomic uint32_t word;	/* its turn: how often it has come */
} sides[2] __attribute__((aligned(64)));
static pthread_barrier_t barrier;

static void pin(enum place place, int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (place == FREE || (place == CROSS && number == 0) || place == SAME)
		CPU_SET(0, &set);
	if (place == FREE || (place == CROSS && number == 1))
		CPU_SET(1, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void futex_await(_Atomic uint32_t *word, uint32_t turn)
{
	uint32_t now;

	while ((now = *word) != turn)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
}

/* The turn is the other's, and then this one's again. */
static void pass(struct side *me, struct side *other, uint32_t turn, bool await)
{
	struct tl_handoff_op op = { .size = sizeof(op), .target = other->slot,
				    .target_cookie = turn };
	uint32_t mine = turn + (me->number == 0 ? 0 : 1);

	switch (me->way) {
	case FUTEX:
		other->word = turn;
		syscall(SYS_futex, &other->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
		if (await)
			futex_await(&me->word, mine);
		return;
	case SWAP:
		if (await) {
			device_swap(fd, me->slot, mine, other->slot, turn, -1);
			return;
		}
		device_call(fd, TL_HANDOFF_WAKE, &op);
		return;
	case WAKE_WAIT_ANYWHERE:
		op.flags = TL_HANDOFF_ANYWHERE;
		/* fall through */
	default:
		device_call(fd, TL_HANDOFF_WAKE, &op);
		if (await)
			device_wait(fd, me->slot, mine, -1);
	}
}

static void *run_side(void *arg)
{
	struct side *me = arg, *other = &sides[!me->number];
	uint32_t turn;

	pin(me->place, me->number);
	device_register(fd, &me->slot);
	pthread_barrier_wait(&barrier);
	if (me->number == 1) {
		if (me->way == FUTEX)
			futex_await(&me->word, 1);
		else
			device_wait(fd, me->slot, 1, -1);
	}
	for (turn = 1; turn <= trips; turn++)
		pass(me, other, turn, me->number == 0 || turn < trips);
	device_unregister(fd);
	return NULL;
}

static double trip_us(enum place place, enum way way)
{
	pthread_t thread;
	int64_t start;
	int i;

	for (i = 0; i < 2; i++)
		sides[i] = (struct side){ .way = way, .place = place, .number = i };
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, run_side, &sides[1]);
	start = now_ns();
	run_side(&sides[0]);
	start = now_ns() - start;
	pthread_join(thread, NULL);
	return (double)start / 1e3 / (double)trips;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double us[PLACES][WAYS][ROUNDS_MAX];

static void show(enum place place, enum way way, int rounds)
{
	double sorted[ROUNDS_MAX], ratio[ROUNDS_MAX];
	int i;

	for (i = 0; i < rounds; i++) {
		sorted[i] = us[place][way][i];
		ratio[i] = us[place][way][i] / us[place][FUTEX][i];
	}
	qsort(sorted, (size_t)rounds, sizeof(double), by_value);
	qsort(ratio, (size_t)rounds, sizeof(double), by_value);
	printf("%-6s %-10s %8.1f %8.1f %8.1f us  %5.2f  (%.2f-%.2f)\n", place_names[place],
	       way_names[way], sorted[0], sorted[rounds / 2], sorted[rounds - 1],
	       ratio[rounds / 2], ratio[0], ratio[rounds - 1]);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 7, i;
	enum place place;
	enum way way;

	if (argc > 2)
		trips = atol(argv[2]);
	if (rounds < 1 || rounds > ROUNDS_MAX || trips < 1) {
		fprintf(stderr, "Usage: bench [ROUNDS [TRIPS]]\n");
		return 2;
	}
	fd = device_open();
	for (i = 0; i < rounds; i++)
		for (place = 0; place < PLACES; place++)
			for (way = 0; way < WAYS; way++)
				us[place][way][i] = trip_us(place, way);
	printf("%-6s %-10s %8s %8s %8s     ratio to futex\n", "place", "way", "min", "median", "max");
	for (place = 0; place < PLACES; place++)
		for (way = 0; way < WAYS; way++)
			show(place, way, rounds);
	return 0;
}
