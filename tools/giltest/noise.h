/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What else went on meanwhile: how much of the machine's time others had, so that a
 * run that was disturbed says so itself.
 */
#ifndef TL_GILTEST_NOISE_H
#define TL_GILTEST_NOISE_H

#include <stdint.h>
#include <sys/types.h>

struct noise {
	uint64_t at_ns, busy_ns, stolen_ns, own_ns;
	double others, stolen;	/* of all processors' time; NAN: not known */
};

/* @child is a process of ours, whose time is ours as well. */
void noise_begin(struct noise *n, pid_t child);
void noise_end(struct noise *n, pid_t child);

#endif
