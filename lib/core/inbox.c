/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Messages from other threads; see inbox.h.
 *
 * No wake-up is lost: the last link and the bit that says "asleep" share one
 * word. A sleeper sets the bit only if nothing is queued; a push that comes
 * before makes that fail, and one that comes after finds the bit, and wakes.
 *
 * Nothing here touches a scheduler that has ended, although a push comes from
 * another thread and the consumer may end as soon as it has the message:
 *
 *  - A push that does not have to wake touches the scheduler no more once its
 *    message is linked, and before that the message can't be taken: whoever
 *    sent it is still owed it (inbox->awaited), so the scheduler is there.
 *  - A push that has to wake does so after linking. The consumer may be up
 *    already, because its deadline came or the kernel had something for it, and
 *    may have taken the message. But it finds that the bit was taken away from
 *    it and counts that; before it ends, it waits until as many producers have
 *    said, as their last access, that they are done.
 */
#include "core/inbox.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "base/probe.h"
#include "core/task.h"
#include "os/futex.h"
#include "os/handoff.h"

void tl__inbox_init(struct tl__inbox *inbox)
{
	/* relaxed, all: no other thread knows the scheduler */
	atomic_store_explicit(&inbox->stub.next, NULL, memory_order_relaxed);
	atomic_store_explicit(&inbox->tail, (uintptr_t)&inbox->stub,
			      memory_order_relaxed);
	atomic_store_explicit(&inbox->asleep, 0, memory_order_relaxed);
	atomic_store_explicit(&inbox->seat_slot, 0, memory_order_relaxed);
	atomic_store_explicit(&inbox->seat_cookie, 0, memory_order_relaxed);
	atomic_store_explicit(&inbox->ops, NULL, memory_order_relaxed);
	atomic_store_explicit(&inbox->reactor, NULL, memory_order_relaxed);
	atomic_store_explicit(&inbox->released, 0, memory_order_relaxed);
	inbox->head = &inbox->stub;
	inbox->claimed = 0;
	inbox->awaited = 0;
	atomic_store_explicit(&inbox->waker_cpu, -1, memory_order_relaxed);
	inbox->spin_ns = inbox->spin_again = inbox->spin_failures = 0;
}

/* Returns whether the consumer sleeps, and it is our turn to wake it. */
static bool link_message(struct tl__inbox *inbox, struct tl__message *message)
{
	struct tl__message *prev;
	uintptr_t tail;

	/* relaxed: nobody sees the message before the exchange below */
	atomic_store_explicit(&message->next, NULL, memory_order_relaxed);
	/*
	 * release: pairs with the next producer's acquire here, which will
	 * write to our `next`, and with pop():tail; acquire: with the producer
	 * before us, and with tl__inbox_sleep(): what it sleeps in.
	 */
	tail = atomic_exchange_explicit(&inbox->tail, (uintptr_t)message,
					memory_order_acq_rel);
	prev = (struct tl__message *)(tail & ~TL__INBOX_ASLEEP);
	/* pairs with pop():next, publishes what the message holds */
	atomic_store_explicit(&prev->next, message, memory_order_release);
	return tail & TL__INBOX_ASLEEP;
}

/* It sleeps in its seat, or on the word. */
static void wake_thread(struct tl__inbox *inbox)
{
	/* relaxed, both: ordered by the acquire of `ops` */
	struct tl__seat seat = {
		atomic_load_explicit(&inbox->seat_slot, memory_order_relaxed),
		atomic_load_explicit(&inbox->seat_cookie, memory_order_relaxed),
	};

	tl__probe_wake(TL_PROBE_WAKE_INBOX, &inbox->asleep, 1);
	/* relaxed: the system call orders it before the wake-up */
	atomic_store_explicit(&inbox->asleep, 0, memory_order_relaxed);
	if (seat.slot)
		tl__handoff_wake(seat);
	else
		tl__futex_wake(&inbox->asleep, 1);
}

static void wake(struct tl__inbox *inbox)
{
	/*
	 * acquire: pairs with tl__inbox_sleep(); the reactor is there if its
	 * operations are. Both come to stay, so that it does no harm to find
	 * those of a later sleep: it is woken for nothing.
	 */
	const struct tl__reactor_ops *ops =
		atomic_load_explicit(&inbox->ops, memory_order_acquire);

	/* relaxed: a hint for tl__inbox_slept() */
	atomic_store_explicit(&inbox->waker_cpu, sched_getcpu(),
			      memory_order_relaxed);
	if (ops) {
		/* relaxed: ordered by the load above */
		ops->wake(atomic_load_explicit(&inbox->reactor,
					       memory_order_relaxed));
	} else {
		wake_thread(inbox);
	}
	/*
	 * release: pairs with tl__inbox_settle(); all that we did with the
	 * scheduler is done. It may be gone when this returns.
	 */
	atomic_fetch_add_explicit(&inbox->released, 1, memory_order_release);
}

void tl__inbox_push(struct tl_sched *s, struct tl__message *message)
{
	if (link_message(&s->inbox, message))
		wake(&s->inbox);
}

/* NULL: empty, or a producer is between its two steps. */
static struct tl__message *pop(struct tl__inbox *inbox)
{
	struct tl__message *head = inbox->head;
	/* pairs with link_message():release */
	struct tl__message *next = atomic_load_explicit(&head->next,
							memory_order_acquire);

	if (head == &inbox->stub) {
		if (!next)
			return NULL;
		inbox->head = head = next;
		next = atomic_load_explicit(&head->next, memory_order_acquire);
	}
	if (next) {
		inbox->head = next;
		return head;
	}
	/* acquire: pairs with the exchange of the producer that came last */
	if (atomic_load_explicit(&inbox->tail, memory_order_acquire) !=
	    (uintptr_t)head)
		return NULL;
	/* The last message: put the stub behind it so that it can be taken. */
	link_message(inbox, &inbox->stub);
	next = atomic_load_explicit(&head->next, memory_order_acquire);
	if (!next)
		return NULL;
	inbox->head = next;
	return head;
}

/*
 * How many are delivered before somebody else's turn comes. They cost some 20 ns
 * each, and other threads may well send them faster than that.
 */
#define DRAIN_MAX 1024

bool tl__inbox_drain(struct tl_sched *s)
{
	struct tl__message *message;
	int n;

	for (n = 0; n < DRAIN_MAX && (message = pop(&s->inbox)); n++)
		message->deliver(s, message);
	return n;
}

/* Sets the bit if nothing is queued. */
static bool fall_asleep(struct tl__inbox *inbox)
{
	uintptr_t stub = (uintptr_t)&inbox->stub;

	if (inbox->head == &inbox->stub &&
	    /* release: pairs with link_message():acquire; what we sleep in */
	    atomic_compare_exchange_strong_explicit(
		    &inbox->tail, &stub, stub | TL__INBOX_ASLEEP,
		    memory_order_release, memory_order_relaxed))
		return true;
	/*
	 * A producer that was interrupted between its two steps needs the
	 * processor, perhaps this one. relaxed: only a guess.
	 */
	if (!atomic_load_explicit(&inbox->head->next, memory_order_relaxed))
		sched_yield();
	return false;
}

/* Whether the thread has to sleep where the kernel completes its IO. */
static bool sleeps_in_reactor(const struct tl_sched *s)
{
	return s->reactor_ops && s->io_pending;
}

static void take_seat(struct tl__inbox *inbox)
{
	struct tl__seat seat = tl__handoff_seat();

	/* relaxed, both: published by the next store of tl__inbox_doze() */
	atomic_store_explicit(&inbox->seat_slot, seat.slot, memory_order_relaxed);
	atomic_store_explicit(&inbox->seat_cookie, seat.cookie,
			      memory_order_relaxed);
}

bool tl__inbox_doze(struct tl_sched *s)
{
	struct tl__inbox *inbox = &s->inbox;
	bool reactor = sleeps_in_reactor(s);

	/* relaxed: published by the next stores and by the bit */
	if (reactor)
		atomic_store_explicit(&inbox->reactor, s->reactor,
				      memory_order_relaxed);
	else
		take_seat(inbox);
	/* release: pairs with wake(), which may belong to an earlier sleep */
	atomic_store_explicit(&inbox->ops, reactor ? s->reactor_ops : NULL,
			      memory_order_release);
	/* relaxed: published by the bit */
	atomic_store_explicit(&inbox->asleep, 1, memory_order_relaxed);
	return fall_asleep(inbox);
}

void tl__inbox_rouse(struct tl_sched *s)
{
	struct tl__inbox *inbox = &s->inbox;
	uintptr_t asleep = (uintptr_t)&inbox->stub | TL__INBOX_ASLEEP;

	/* relaxed: what a producer has to say is in its message */
	if (!atomic_compare_exchange_strong_explicit(
		    &inbox->tail, &asleep, (uintptr_t)&inbox->stub,
		    memory_order_relaxed, memory_order_relaxed))
		inbox->claimed++;
}

static void sleep_until(struct tl__inbox *inbox, uint64_t deadline_ns)
{
	static const struct tl__seat nobody;
	/* relaxed, both: our own */
	struct tl__seat seat = {
		atomic_load_explicit(&inbox->seat_slot, memory_order_relaxed),
		atomic_load_explicit(&inbox->seat_cookie, memory_order_relaxed),
	};

	if (seat.slot)
		(void)tl__handoff_wait(seat, nobody, deadline_ns);
	else
		tl__futex_wait(&inbox->asleep, 1, deadline_ns);
}

void tl__inbox_wait(struct tl_sched *s, uint64_t deadline_ns)
{
	int saved = errno;

	tl__ask_progress(&s->ask, 1);
	if (sleeps_in_reactor(s))
		s->reactor_ops->wait(s->reactor, deadline_ns);
	else
		sleep_until(&s->inbox, deadline_ns);
	tl__ask_progress(&s->ask, 1);
	errno = saved;
	tl__inbox_rouse(s);
}

void tl__inbox_sleep(struct tl_sched *s, uint64_t deadline_ns)
{
	if (tl__inbox_doze(s))
		tl__inbox_wait(s, deadline_ns);
}

bool tl__inbox_is_asleep(const struct tl__inbox *inbox)
{
	/* acquire: pairs with the exchange of whoever has woken it */
	return atomic_load_explicit(&inbox->tail, memory_order_acquire) ==
	       ((uintptr_t)&inbox->stub | TL__INBOX_ASLEEP);
}

void tl__inbox_settle(struct tl_sched *s)
{
	static const struct timespec pause = { .tv_nsec = 50000 };
	struct tl__inbox *inbox = &s->inbox;

	while (inbox->awaited)
		if (!tl__inbox_drain(s))
			tl__inbox_sleep(s, TL_FOREVER);
	/*
	 * acquire: pairs with wake():release. These producers are on their way
	 * out; to sleep lets them go on even if they have a lower priority.
	 */
	while (atomic_load_explicit(&inbox->released, memory_order_acquire) !=
	       inbox->claimed)
		nanosleep(&pause, NULL);
}
