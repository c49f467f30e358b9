/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The choice of what to measure; plan.h says what comes out.
 */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/error.h>

#include "base/num.h"

static const char *const column_names[COLUMNS + 1] = {
	[COLUMN_E] = "e",
	[COLUMN_PAIRS] = "pairs",
	[COLUMN_COND] = "cond",
	[COLUMN_ECHO] = "echo",
	[COLUMN_PACED] = "paced",
};

typedef const char *(*name_at_fn)(unsigned int index);

static const char *column_at(unsigned int i)
{
	return column_names[i];
}

static const char *lock_at(unsigned int i)
{
	const struct tl_wake *wake = tl_wake_at(i);

	return wake ? wake->name : NULL;
}

/* Those that there is room for: more are not in the library. */
static unsigned int count_names(name_at_fn name_at)
{
	unsigned int n = 0;

	while (n < PLAN_NAMES_MAX && name_at(n))
		n++;
	return n;
}

static void write_names(FILE *f, name_at_fn name_at)
{
	unsigned int n = count_names(name_at), i;

	for (i = 0; i < n; i++)
		fprintf(f, "%s%s", !i ? "" : i + 1 < n ? ", " : " and ",
			name_at(i));
}

void plan_write_policies(FILE *f)
{
	write_names(f, tl_gil_policy_at);
}

void plan_write_locks(FILE *f)
{
	write_names(f, lock_at);
}

void plan_write_columns(FILE *f)
{
	write_names(f, column_at);
}

/* --- choices -------------------------------------------------------------- */

typedef int (*choose_fn)(struct plan *p, const char *word);

/* Calls @choose for each word. An empty one is a word too, and none that exists. */
static int each_word(struct plan *p, const char *list, choose_fn choose,
		     char **wrong)
{
	const char *end;
	char *word;
	int r;

	for (;; list = end + 1) {
		end = strchrnul(list, ',');
		word = strndup(list, (size_t)(end - list));
		if (!word)
			return -ENOMEM;
		r = choose(p, word);
		if (r) {
			*wrong = word;
			return r;
		}
		free(word);
		if (!*end)
			return 0;
	}
}

static int choose_name(bool *chosen, name_at_fn name_at, const char *word)
{
	unsigned int n = count_names(name_at), i;

	for (i = 0; i < n; i++)
		if (!strcmp(name_at(i), word)) {
			chosen[i] = true;
			return 0;
		}
	return -EINVAL;
}

static int choose_policy(struct plan *p, const char *word)
{
	return choose_name(p->policies, tl_gil_policy_at, word);
}

static int choose_lock(struct plan *p, const char *word)
{
	return choose_name(p->locks, lock_at, word);
}

static int choose_column(struct plan *p, const char *word)
{
	return choose_name(p->columns, column_at, word);
}

static int choose_pin(struct plan *p, const char *word)
{
	uint64_t n;

	if (p->pin_count == PLAN_PINS_MAX ||
	    tl__parse_u64(word, 1, CPU_SETSIZE, &n))
		return -EINVAL;
	p->pins[p->pin_count++] = (unsigned int)n;
	return 0;
}

int plan_choose_policies(struct plan *p, const char *list, char **wrong)
{
	memset(p->policies, 0, sizeof(p->policies));
	return each_word(p, list, choose_policy, wrong);
}

int plan_choose_locks(struct plan *p, const char *list, char **wrong)
{
	memset(p->locks, 0, sizeof(p->locks));
	return each_word(p, list, choose_lock, wrong);
}

int plan_choose_columns(struct plan *p, const char *list, char **wrong)
{
	memset(p->columns, 0, sizeof(p->columns));
	return each_word(p, list, choose_column, wrong);
}

int plan_choose_pins(struct plan *p, const char *list, char **wrong)
{
	p->pin_count = 0;
	return each_word(p, list, choose_pin, wrong);
}

int plan_add_settings(struct plan *p, const char *settings)
{
	if (p->settings_count == PLAN_SETTINGS_MAX)
		return -E2BIG;
	p->settings[p->settings_count++] = settings;
	return 0;
}

/* --- the list ------------------------------------------------------------- */

void plan_init(struct plan *p)
{
	memset(p, 0, sizeof(*p));
	memset(p->policies, true, sizeof(p->policies));
	memset(p->locks, true, sizeof(p->locks));
	memset(p->columns, true, sizeof(p->columns));
	if (sched_getaffinity(0, sizeof(p->allowed), &p->allowed))
		CPU_SET(0, &p->allowed);
	p->pins[p->pin_count++] = 1;
	if (CPU_COUNT(&p->allowed) > 1)
		p->pins[p->pin_count++] = 2;
}

static int add_contender(struct plan *p, const char *policy,
			 const struct tl_wake *wake, const char *settings,
			 struct tl_error **error)
{
	struct contender *c = &p->contenders[p->contender_count];
	struct tl_gil *gil;
	int r;

	if (asprintf(&c->spec, "%s:%s%s%s", policy, wake->name,
		     *settings ? "," : "", settings) < 0)
		return -ENOMEM;
	p->contender_count++;
	c->policy = policy;
	c->wake = wake;
	c->settings = settings;
	r = tl_gil_new(&gil, c->spec, error);
	if (!r)
		tl_gil_free(gil);
	return r;
}

/* Every policy on every lock, with these settings. */
static int add_contenders(struct plan *p, const char *settings,
			  struct tl_error **error)
{
	unsigned int policies = count_names(tl_gil_policy_at), i, k;
	unsigned int locks = count_names(lock_at);
	int r = 0;

	for (i = 0; !r && i < policies; i++)
		for (k = 0; !r && p->policies[i] && k < locks; k++)
			if (p->locks[k])
				r = add_contender(p, tl_gil_policy_at(i),
						  tl_wake_at(k), settings, error);
	return r;
}

int plan_make(struct plan *p, struct tl_error **error)
{
	unsigned int each = count_names(tl_gil_policy_at) * count_names(lock_at);
	unsigned int i;
	int r = 0;

	for (i = 0; i < p->pin_count; i++)
		if (p->pins[i] > (unsigned int)CPU_COUNT(&p->allowed))
			return -ENODEV;
	if (!p->settings_count)
		plan_add_settings(p, "");
	p->contenders = calloc((size_t)each * p->settings_count + 1,
			       sizeof(*p->contenders));
	if (!p->contenders)
		return -ENOMEM;
	for (i = 0; !r && i < p->settings_count; i++)
		r = add_contenders(p, p->settings[i], error);
	if (r)
		plan_free(p);
	return r;
}

void plan_free(struct plan *p)
{
	unsigned int i;

	for (i = 0; i < p->contender_count; i++)
		free(p->contenders[i].spec);
	free(p->contenders);
	p->contenders = NULL;
	p->contender_count = 0;
}

bool plan_wants(const struct plan *p, enum load load, unsigned int cpu_threads)
{
	static const enum column column_of[LOADS] = {
		[LOAD_NONE] = COLUMN_E,
		[LOAD_PAIRS] = COLUMN_PAIRS,
		[LOAD_COND] = COLUMN_COND,
		[LOAD_ECHO] = COLUMN_ECHO,
		[LOAD_PACED] = COLUMN_PACED,
	};

	/* Each share is one of what a thread does that has it all. */
	if (load == LOAD_NONE && cpu_threads < 2)
		return cpu_threads == 1;
	return p->columns[column_of[load]];
}

void plan_processors(const struct plan *p, unsigned int pin, cpu_set_t *set)
{
	unsigned int n = 0;
	int i;

	CPU_ZERO(set);
	for (i = 0; i < CPU_SETSIZE && n < pin; i++)
		if (CPU_ISSET(i, &p->allowed)) {
			CPU_SET(i, set);
			n++;
		}
}
