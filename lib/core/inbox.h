/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * How other threads reach a scheduler: a queue of messages with many producers
 * and one consumer, whose last link also says whether the consumer sleeps.
 *
 * The queue is Dmitry Vyukov's intrusive MPSC queue: a push is one exchange and
 * one store and never waits for anybody.
 *
 * Invariant: a scheduler's memory outlives every access of a producer to it.
 * inbox.c says why.
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

/* In `tail`: the consumer sleeps, or is about to. Only ever with the stub. */
#define TL__INBOX_ASLEEP ((uintptr_t)1)

struct tl__reactor_ops;

struct tl__inbox {
	/*
	 * The address of the last message, and TL__INBOX_ASLEEP: the producer
	 * whose exchange takes that bit away is the one that has to wake.
	 */
	_Atomic(uintptr_t) tail;
	struct tl__message *head;		/* the consumer's */
	struct tl__message stub;
	/*
	 * What the consumer sleeps in, set before it sleeps. Without a reactor
	 * it sleeps on the word, while that is 1.
	 */
	_Atomic(const struct tl__reactor_ops *) ops;
	_Atomic(void *) reactor;
	_Atomic uint32_t asleep;
	/* If it has a seat (os/handoff.h), that is where it sleeps then. */
	_Atomic uint64_t seat_slot, seat_cookie;
	/*
	 * Sleeps that a producer has ended (the consumer's count), and how many
	 * of these producers have let go of the scheduler since.
	 */
	uint32_t claimed;
	_Atomic uint32_t released;
	/* Messages that are sure to come: the consumer's count. */
	unsigned int awaited;
	/* Where the producer that woke us last ran; -1: unknown. */
	_Atomic int waker_cpu;
	/* How long to spin before a sleep, and sleeps until it is tried again. */
	uint32_t spin_ns, spin_again, spin_failures;
};

void tl__inbox_init(struct tl__inbox *inbox);

/* Any thread. The scheduler must outlive the call: the message holds it up. */
void tl__inbox_push(struct tl_sched *s, struct tl__message *message);

/*
 * The scheduler's thread. Delivers what is there, but not for ever, if it is being
 * flooded; returns whether any was.
 */
bool tl__inbox_drain(struct tl_sched *s);

/* The scheduler's thread: whether there is something to drain, as it seems. */
static inline bool tl__inbox_has_mail(const struct tl__inbox *inbox)
{
	/* relaxed: only a hint; tl__inbox_drain() takes it, and a sleep asks */
	return inbox->head != &inbox->stub ||
	       atomic_load_explicit(&inbox->tail, memory_order_relaxed) !=
		       (uintptr_t)&inbox->stub;
}

/* The scheduler's thread. Sleeps until woken or @deadline_ns. */
void tl__inbox_sleep(struct tl_sched *s, uint64_t deadline_ns);

/*
 * The same in steps, for one who wants to look around in between: says that it
 * is asleep, so that whoever pushes will wake it; false: something came. Then
 * either sleeps, or takes it back.
 */
bool tl__inbox_doze(struct tl_sched *s);
void tl__inbox_wait(struct tl_sched *s, uint64_t deadline_ns);
void tl__inbox_rouse(struct tl_sched *s);

/* Any thread: whether it is asleep, and nobody has woken it. */
bool tl__inbox_is_asleep(const struct tl__inbox *inbox);

/*
 * The scheduler's thread, before it sleeps: spins a while if that has been worth
 * it. Returns whether something came.
 */
bool tl__inbox_spin(struct tl_sched *s, uint64_t deadline_ns);

/* The same thread, back from a sleep that began then: shall the next one spin? */
void tl__inbox_slept(struct tl_sched *s, uint64_t began_ns);

/*
 * The scheduler's thread, before its end. Delivers the messages that are
 * awaited, and waits until no producer will touch the scheduler any more.
 */
void tl__inbox_settle(struct tl_sched *s);

#endif
