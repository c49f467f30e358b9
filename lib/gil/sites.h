/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Guesses whether to keep a lock through a call that may block, for the handoff
 * policy: by the place in the program that makes the call, as branch predictors do
 * by that of the branch.
 *
 * To keep it while others wait is right if somebody comes back from blocking so
 * soon (the caller itself, or a partner that it has woken) that to wake a waiter
 * meanwhile would have been in vain. So what is learnt from is the time between
 * letting go and the next one who comes back, whoever had the lock in between; and
 * once in a while a place that gives the lock away keeps it, for it may have
 * changed.
 *
 * All of it is hints: everything is relaxed, and an update may be lost.
 */
#ifndef TL_GIL_SITES_H
#define TL_GIL_SITES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TL__GIL_SITES 64

struct tl__gil_site {
	_Atomic unsigned char counter;	/* up: somebody is back soon */
	_Atomic unsigned char patience;	/* the next experiment is 2^n times as far */
	_Atomic unsigned short turns;	/* without one */
};

struct tl__gil_sites {
	struct tl__gil_site sites[TL__GIL_SITES];
	/* The last one who let go of it while others waited; 0: nobody. */
	_Atomic uintptr_t site;
	_Atomic uint64_t left_ns;
};

/* Whether to keep it through the call at @site, as far as that goes. */
bool tl__gil_sites_keep(struct tl__gil_sites *sites, const void *site);

/* The call at @site begins, and others wait, or not. */
void tl__gil_sites_left(struct tl__gil_sites *sites, const void *site,
			bool others_wait);

/* Somebody comes back from blocking. */
void tl__gil_sites_back(struct tl__gil_sites *sites);

/* Somebody else has found it kept by one who is away. */
void tl__gil_sites_idle(struct tl__gil_sites *sites);

#endif
