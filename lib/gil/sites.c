/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Which calls a lock is kept through; see sites.h. A counter stands for some of all
 * places: two up for each who was back soon, one down for each who was not, for to
 * give the lock away in vain costs more than to keep it in vain; down to nothing if
 * somebody had to find out that its holder was away. The more experiments fail, the
 * rarer they become.
 */
#include "gil/sites.h"

#include "os/clock.h"

/* About what it takes to hand it to one who sleeps, and back. */
#define SOON_NS 15000u
#define COUNTER_MAX 7
#define COUNTER_KEEPS 4
/* The first experiment comes after so many calls, the later ones after up to 2^6
 * times as many. */
#define EXPERIMENT 16u
#define PATIENCE_MAX 6

static struct tl__gil_site *site_of(struct tl__gil_sites *sites, uintptr_t place)
{
	return &sites->sites[(place ^ place >> 6 ^ place >> 12) % TL__GIL_SITES];
}

bool tl__gil_sites_keep(struct tl__gil_sites *sites, const void *place)
{
	struct tl__gil_site *site = site_of(sites, (uintptr_t)place);
	unsigned int turns, wanted;

	if (atomic_load_explicit(&site->counter, memory_order_relaxed) >=
	    COUNTER_KEEPS)
		return true;
	turns = atomic_load_explicit(&site->turns, memory_order_relaxed) + 1u;
	wanted = EXPERIMENT << atomic_load_explicit(&site->patience,
						    memory_order_relaxed);
	if (turns >= wanted)
		turns = 0;
	atomic_store_explicit(&site->turns, (unsigned short)turns,
			      memory_order_relaxed);
	return !turns;
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

/* What the one who let go last is about. */
static struct tl__gil_site *last_site(struct tl__gil_sites *sites)
{
	atomic_store_explicit(&sites->left_ns, 0, memory_order_relaxed);
	return site_of(sites, atomic_load_explicit(&sites->site,
						   memory_order_relaxed));
}

static void was_soon(struct tl__gil_site *site)
{
	unsigned char n = atomic_load_explicit(&site->counter,
					       memory_order_relaxed);

	n = n + 2 < COUNTER_MAX ? n + 2 : COUNTER_MAX;
	atomic_store_explicit(&site->counter, n, memory_order_relaxed);
	atomic_store_explicit(&site->patience, 0, memory_order_relaxed);
}

static void was_late(struct tl__gil_site *site, bool very)
{
	unsigned char n = atomic_load_explicit(&site->counter,
					       memory_order_relaxed);
	unsigned char patience = atomic_load_explicit(&site->patience,
						      memory_order_relaxed);

	if (patience < PATIENCE_MAX)
		atomic_store_explicit(&site->patience, patience + 1,
				      memory_order_relaxed);
	if (n)
		atomic_store_explicit(&site->counter, very ? 0 : n - 1,
				      memory_order_relaxed);
}

void tl__gil_sites_back(struct tl__gil_sites *sites)
{
	uint64_t left = atomic_load_explicit(&sites->left_ns,
					     memory_order_relaxed);

	if (!left)
		return;
	if (tl__now() - left < SOON_NS)
		was_soon(last_site(sites));
	else
		was_late(last_site(sites), false);
}

void tl__gil_sites_idle(struct tl__gil_sites *sites)
{
	if (atomic_load_explicit(&sites->left_ns, memory_order_relaxed))
		was_late(last_site(sites), true);
}
