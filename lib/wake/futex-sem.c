/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The futex semaphore: tokens and those who may sleep in one word of 64 bits, so
 * that a post learns in one step whether it has to wake somebody, and does not
 * touch the semaphore after that. A newcomer may take the token of one that was
 * woken, who then sleeps on.
 */
#include "wake/futex-list.h"

/* What the kernel looks at: the half that counts tokens. */
static _Atomic uint32_t *tokens_of(struct tl__wake_sem *s)
{
	return (_Atomic uint32_t *)&s->value +
	       (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* One that has said that he may sleep: takes a token, and that back. */
static bool take(struct tl__wake_sem *s)
{
	/* relaxed: a guess that the exchange checks */
	uint64_t old = atomic_load_explicit(&s->value, memory_order_relaxed);

	while ((uint32_t)old)
		/* acquire: pairs with tl__wake_sem_post() */
		if (atomic_compare_exchange_weak_explicit(
			    &s->value, &old, old - 1 - TL__WAKE_SEM_WAITER,
			    memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

tl__cold int tl__wake_sem_wait_slow(struct tl__wake_sem *s, int clock,
				    uint64_t deadline_ns, bool interruptible)
{
	int r;

	if (!tl__wake_clock_ok(clock))
		return -EINVAL;
	/*
	 * relaxed: in the order of this one word, either the post comes later
	 * and sees that we may sleep, or we see its token
	 */
	atomic_fetch_add_explicit(&s->value, TL__WAKE_SEM_WAITER,
				  memory_order_relaxed);
	while (!take(s)) {
		r = tl__futex_wait_by(tokens_of(s), 0, clock, deadline_ns);
		if (r != -ETIMEDOUT && !(r == -EINTR && interruptible))
			continue;
		/* No wake-up was for us: these are told as 0. */
		if (take(s))
			return 0;
		/* relaxed: see above */
		atomic_fetch_sub_explicit(&s->value, TL__WAKE_SEM_WAITER,
					  memory_order_relaxed);
		return r;
	}
	return 0;
}

int tl__wake_sem_post(struct tl__wake_sem *s, uint32_t count)
{
	/* relaxed: a guess that the exchange checks */
	uint64_t old = atomic_load_explicit(&s->value, memory_order_relaxed);

	do
		if (count > TL__WAKE_SEM_MAX - (uint32_t)old)
			return -EOVERFLOW;
	/* release: pairs with tl__wake_sem_try_wait(); relaxed: another look */
	while (!atomic_compare_exchange_weak_explicit(
		       &s->value, &old, old + count, memory_order_release,
		       memory_order_relaxed));
	if (old >> 32)
		tl__wake_word(TL_PROBE_WAKE_SEM, tokens_of(s), (int)count);
	return 0;
}
