/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Messages from other threads; see inbox.h.
 *
 * No wake-up is lost: the sleeper sets `asleep` and then looks at the queue; the
 * producer links its message and then looks at `asleep`. All four accesses are
 * sequentially consistent, so at least one of the two sees the other.
 */
#include "core/inbox.h"

#include "core/task.h"
#include "os/futex.h"

void tl__inbox_init(struct tl__inbox *inbox)
{
	atomic_store_explicit(&inbox->stub.next, NULL, memory_order_relaxed);
	atomic_store_explicit(&inbox->tail, &inbox->stub, memory_order_relaxed);
	atomic_store_explicit(&inbox->asleep, 0, memory_order_relaxed);
	inbox->head = &inbox->stub;
}

static void link_message(struct tl__inbox *inbox, struct tl__message *message)
{
	struct tl__message *prev;

	/* relaxed: nobody sees the message before the exchange below */
	atomic_store_explicit(&message->next, NULL, memory_order_relaxed);
	/*
	 * seq_cst: orders this push against the look at `asleep` in
	 * tl__inbox_push(); release part pairs with the next producer's acquire,
	 * which will write to our `next`.
	 */
	prev = atomic_exchange_explicit(&inbox->tail, message,
					memory_order_seq_cst);
	/* pairs with pop():acquire, publishes what the message holds */
	atomic_store_explicit(&prev->next, message, memory_order_release);
}

void tl__inbox_push(struct tl_sched *s, struct tl__message *message)
{
	struct tl__inbox *inbox = &s->inbox;
	const struct tl__reactor_ops *ops = s->reactor_ops;
	void *reactor = s->reactor;

	link_message(inbox, message);
	/*
	 * From here on the scheduler may have taken the message and be gone, if
	 * it was awake. It is not gone while it says that it sleeps: only we
	 * will wake it then.
	 *
	 * seq_cst: the load half of the Dekker pair with tl__inbox_sleep().
	 */
	if (atomic_load_explicit(&inbox->asleep, memory_order_seq_cst) &&
	    atomic_exchange_explicit(&inbox->asleep, 0, memory_order_seq_cst)) {
		if (ops)
			ops->wake(reactor);
		else
			tl__futex_wake(&inbox->asleep, 1);
	}
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
	if (atomic_load_explicit(&inbox->tail, memory_order_acquire) != head)
		return NULL;
	/* The last message: put the stub behind it so that it can be taken. */
	link_message(inbox, &inbox->stub);
	next = atomic_load_explicit(&head->next, memory_order_acquire);
	if (!next)
		return NULL;
	inbox->head = next;
	return head;
}

static bool is_empty(struct tl__inbox *inbox)
{
	/* seq_cst: the look at the queue in the Dekker pair */
	return inbox->head == &inbox->stub &&
	       atomic_load_explicit(&inbox->tail, memory_order_seq_cst) ==
		       &inbox->stub;
}

bool tl__inbox_drain(struct tl_sched *s)
{
	struct tl__message *message;
	bool any = false;

	while ((message = pop(&s->inbox))) {
		message->deliver(s, message);
		any = true;
	}
	return any;
}

void tl__inbox_sleep(struct tl_sched *s, uint64_t deadline_ns)
{
	struct tl__inbox *inbox = &s->inbox;

	/* seq_cst: the store half of the Dekker pair with tl__inbox_push() */
	atomic_store_explicit(&inbox->asleep, 1, memory_order_seq_cst);
	if (is_empty(inbox)) {
		if (s->reactor_ops)
			s->reactor_ops->wait(s->reactor, deadline_ns);
		else
			tl__futex_wait(&inbox->asleep, 1, deadline_ns);
	}
	/* relaxed: a producer that still sees 1 wakes a thread that is awake */
	atomic_store_explicit(&inbox->asleep, 0, memory_order_relaxed);
}
