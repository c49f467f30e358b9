/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A link hands 64-bit values from one thread to another, over one of the
 * primitives that are compared.
 *
 * Invariant: one thread puts and one gets; values arrive once each and in their
 * order; who has nothing to get, or no room to put, sleeps, at once or after a look
 * or two, as the primitive has it. A
 * link without a capacity does not count room: whoever uses it sees to it that
 * no more than one value is under way (as in ping-pong, where nobody writes a
 * queue that can be full either).
 *
 * Ordering: what was done before put() is visible after the get() of that value.
 */
#ifndef WAKELAT_LINK_H
#define WAKELAT_LINK_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tasklet/wake.h>

#define LINK_CAPACITY_MAX 64
#define LINK_LINE 64		/* bytes: what two threads write is this far apart */

struct primitive;
struct tl_chan;

/* The values under way; which are there is the primitive's knowledge. */
struct link_slots {
	uint64_t value[LINK_CAPACITY_MAX];
	unsigned int put __attribute__((aligned(LINK_LINE)));
	unsigned int got __attribute__((aligned(LINK_LINE)));
};

struct link {
	const struct primitive *primitive;
	unsigned int capacity;		/* 0: not counted */
	struct link_slots slots;
	union {
		struct {
			_Atomic uint32_t put;
			_Atomic uint32_t getter_sleeps
				__attribute__((aligned(LINK_LINE)));
			_Atomic uint32_t got
				__attribute__((aligned(LINK_LINE)));
			_Atomic uint32_t putter_sleeps
				__attribute__((aligned(LINK_LINE)));
		} raw;
		struct {
			sem_t items, room;
		} sem;
		struct {
			pthread_mutex_t mutex;
			pthread_cond_t items, room;
			unsigned int count;
		} cond;
		struct {
			const struct tl_wake *wake;
			struct tl_wake_mutex mutex;
			struct tl_wake_cond items, room;
			unsigned int count;
		} wake;
		struct {
			int items, room;
		} eventfd;
		int pipe[2];
		struct tl_chan *chan;
	} u __attribute__((aligned(LINK_LINE)));
};

/*
 * All return 0 or -errno. After a failed open() nothing is left to close;
 * open() and close() are called while nobody else uses the link.
 */
struct primitive {
	const char *name;
	const char *what;	/* a line for --list */
	bool one_thread;	/* both ends are tasklets of one thread */
	bool after;		/* signals after the unlock */
	const char *wake;	/* which of tl_wake_find() */
	int (*open)(struct link *link);
	void (*close)(struct link *link);
	int (*put)(struct link *link, uint64_t value);
	int (*get)(struct link *link, uint64_t *value);
};

/* What ratios are against: the first one. */
#define PRIMITIVE_BASE 0
#define PRIMITIVES 13

extern const struct primitive *const primitives[PRIMITIVES];

extern const struct primitive link_raw;
extern const struct primitive link_sem, link_pthread, link_pthread_after;
extern const struct primitive link_cond, link_cond_after, link_emulated,
	link_emulated_after, link_birrell;
extern const struct primitive link_eventfd, link_pipe;
extern const struct primitive link_channel, link_channel_local;

/* The index of that name, or -1. */
int primitive_find(const char *name, size_t len);

/* Zeroes it, but for the primitive, and opens it. */
int link_open(struct link *link, const struct primitive *primitive,
	      unsigned int capacity);

static inline void link_push(struct link_slots *slots, uint64_t value)
{
	slots->value[slots->put++ % LINK_CAPACITY_MAX] = value;
}

static inline uint64_t link_pop(struct link_slots *slots)
{
	return slots->value[slots->got++ % LINK_CAPACITY_MAX];
}

#endif
