/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is to be measured: the choice of policies, locks, processors and columns,
 * and from it the list of all GILs.
 */
#ifndef TL_GILTEST_PLAN_H
#define TL_GILTEST_PLAN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cell.h"

#define PLAN_NAMES_MAX 16	/* of one kind */
#define PLAN_PINS_MAX 8
#define PLAN_SETTINGS_MAX 16

enum column { COLUMN_E, COLUMN_PAIRS, COLUMN_COND, COLUMN_ECHO, COLUMN_PACED,
	      COLUMNS };

/* One GIL. */
struct contender {
	const char *policy;
	const struct tl_wake *wake;
	const char *settings;	/* or "" */
	char *spec;
};

struct plan {
	/* As chosen, in the order in which the library has them. */
	bool policies[PLAN_NAMES_MAX], locks[PLAN_NAMES_MAX], columns[COLUMNS];
	unsigned int pins[PLAN_PINS_MAX], pin_count;
	/* Each is added to each specification; none: that is one too. */
	const char *settings[PLAN_SETTINGS_MAX];
	unsigned int settings_count;
	uint64_t duration_ns, rate, think_ns;
	unsigned int rounds;

	/* By plan_make(). */
	struct contender *contenders;
	unsigned int contender_count;
	cpu_set_t allowed;
};

/* All of it, but the numbers. */
void plan_init(struct plan *p);

/*
 * Each chooses by a list of names, with commas, and forgets what was chosen before.
 * Returns 0, or -EINVAL with the word that is none in @wrong.
 */
int plan_choose_policies(struct plan *p, const char *list, char **wrong);
int plan_choose_locks(struct plan *p, const char *list, char **wrong);
int plan_choose_columns(struct plan *p, const char *list, char **wrong);

/* The same with numbers; those that there are not the processors for: plan_make(). */
int plan_choose_pins(struct plan *p, const char *list, char **wrong);

/* One more list of settings. Returns 0, or -E2BIG. */
int plan_add_settings(struct plan *p, const char *settings);

/* All names of a kind, as "a, b and c". */
void plan_write_policies(FILE *f);
void plan_write_locks(FILE *f);
void plan_write_columns(FILE *f);

/*
 * Makes the list of GILs, and tries each of them. Returns 0; -ENOMEM; -EINVAL with
 * what the library says in *@error; or -ENODEV: there are not so many processors.
 */
int plan_make(struct plan *p, struct tl_error **error);
void plan_free(struct plan *p);

/* Whether the load is wanted, with so many CPU threads. */
bool plan_wants(const struct plan *p, enum load load, unsigned int cpu_threads);

/* The first @pin of the processors that there are. */
void plan_processors(const struct plan *p, unsigned int pin, cpu_set_t *set);

#endif
