/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Which calls a lock is kept through; see sites.h. A counter stands for some of all
 * places: two up for each who was back soon, one down for each who was not, for to
 * give the lock away in vain costs more than to keep it in vain.
 */
#include "gil/sites.h"

#include "os/clock.h"

/* About what it takes to hand it to one who sleeps, and back. */
#define SOON_NS 15000u
#define COUNTER_MAX 7
#define COUNTER_KEEPS 4
/* One in so many is an experiment. */
#define EXPERIMENT 16

static _Atomic unsigned char *counter_of(struct tl__gil_sites *sites,
					 uintptr_t place)
{
	return &sites->counters[(place ^ place >> 6 ^ place >> 12) %
				TL__GIL_SITES];
}

bool tl__gil_sites_keep(struct tl__gil_sites *sites, const void *site)
{
	if (atomic_load_explicit(counter_of(sites, (uintptr_t)site),
				 memory_order_relaxed) >= COUNTER_KEEPS)
		return true;
	return atomic_fetch_add_explicit(&sites->turns, 1,
					 memory_order_relaxed) %
	       EXPERIMENT == EXPERIMENT - 1;
}

void tl__gil_sites_left(struct tl__gil_sites *sites, const void *site,
			bool others_wait)
{
	if (!others_wait) {
		atomic_store_explicit(&sites->left_ns, 0, memory_order_relaxed);
		return;
	}
	atomic_store_explicit(&sites->site, (uintptr_t)site,
			      memory_order_relaxed);
	atomic_store_explicit(&sites->left_ns, tl__now(), memory_order_relaxed);
}

static void learn(struct tl__gil_sites *sites, bool soon)
{
	_Atomic unsigned char *counter = counter_of(
		sites, atomic_load_explicit(&sites->site, memory_order_relaxed));
	unsigned char n = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(&sites->left_ns, 0, memory_order_relaxed);
	if (soon)
		n = n + 2 < COUNTER_MAX ? n + 2 : COUNTER_MAX;
	else if (n)
		n--;
	atomic_store_explicit(counter, n, memory_order_relaxed);
}

void tl__gil_sites_back(struct tl__gil_sites *sites)
{
	uint64_t left = atomic_load_explicit(&sites->left_ns,
					     memory_order_relaxed);

	if (left)
		learn(sites, tl__now() - left < SOON_NS);
}

void tl__gil_sites_idle(struct tl__gil_sites *sites)
{
	if (atomic_load_explicit(&sites->left_ns, memory_order_relaxed))
		learn(sites, false);
}
