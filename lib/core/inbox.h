/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How other threads reach a scheduler: a queue of messages with many producers
 * and one consumer, and the word that says whether the consumer sleeps.
 *
 * The queue is Dmitry Vyukov's intrusive MPSC queue: a push is one exchange and
 * one store and never waits for anybody.
 */
#ifndef TL_CORE_INBOX_H
#define TL_CORE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tl_sched;

struct tl__message {
	_Atomic(struct tl__message *) next;
	/* Runs on the scheduler's thread, and may free the message. */
	void (*deliver)(struct tl_sched *s, struct tl__message *message);
};

struct tl__inbox {
	_Atomic(struct tl__message *) tail;	/* producers */
	struct tl__message *head;		/* the consumer */
	struct tl__message stub;
	/*
	 * 1 while the thread sleeps or is about to. Set by the consumer before
	 * its last look at the queue, cleared by it when it is awake, or by the
	 * producer that wakes it (so that only one does).
	 */
	_Atomic uint32_t asleep;
};

void tl__inbox_init(struct tl__inbox *inbox);

/* Any thread. The scheduler must outlive the call: the message holds it up. */
void tl__inbox_push(struct tl_sched *s, struct tl__message *message);

/* The scheduler's thread. Delivers what is there; returns whether any was. */
bool tl__inbox_drain(struct tl_sched *s);

/* The scheduler's thread. Sleeps until woken or @deadline_ns. */
void tl__inbox_sleep(struct tl_sched *s, uint64_t deadline_ns);

#endif
