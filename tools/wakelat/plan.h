/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What shall be measured, and the measuring of all of it in rounds.
 *
 * Invariant: within a round each setting is measured with all of its primitives,
 * one after the other, before the next one; the next round begins with another
 * primitive. So whatever comes over the machine comes over all of them.
 */
#ifndef WAKELAT_PLAN_H
#define WAKELAT_PLAN_H

#include "results.h"

struct plan {
	bool primitive[PRIMITIVES];
	bool work[WORKS], pin[PINS], burner[BURNERS];
	int cpu[2];		/* cpu[1] is -1 if there is only one */
	uint64_t duration_ns, rounds;
};

/*
 * The names of a list: "a,b" or "all". Returns 0, or -EINVAL and *@wrong, of
 * *@len bytes, is what is none.
 */
int plan_choose(const char *list, const char *const *names, size_t count,
		bool *chosen, const char **wrong, size_t *len);

/* The first two processors that this process may use. 0 or -errno. */
int plan_find_cpus(struct plan *plan);

/* What one processor can't do; needs cpu. */
bool plan_needs_two(unsigned int s);

/* Whether it is to be, and can be, measured. */
bool plan_has(const struct plan *plan, unsigned int s, unsigned int primitive);

size_t plan_count(const struct plan *plan);

/*
 * plan_run - measures; says on stderr how far it is, if that is a terminal
 *
 * What fails is named on stderr and not tried again. Returns 0, -EINTR (*@sig
 * came; what was complete by then is in @results) or the last -errno.
 */
int plan_run(const struct plan *plan, struct results *results, int *sig);

#endif
