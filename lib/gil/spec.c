/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * "POLICY:LOCK,NAME=VALUE,...": what a global interpreter lock shall be, in words.
 * Each part may be left out. Nothing is made of words that are not understood as a
 * whole.
 */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/num.h"
#include "gil/gil.h"

#define SPEC_MAX 256
#define TICKS_MAX 1000000000u
#define NICE_MAX 20
#define TIME_MIN TL__NS_PER_US
#define TIME_MAX (3600 * TL__NS_PER_S)

static const struct tl__gil_policy *const policies[] = {
	&tl__gil_handoff, &tl__gil_priority, &tl__gil_interval, &tl__gil_ticks,
};

#define POLICIES (sizeof(policies) / sizeof(*policies))

/* What a value is. */
enum kind { IS_TIME, IS_NUMBER, IS_CLASS, IS_NICE, IS_CPUSLICE, IS_PROCESSOR, KINDS };

static const struct setting {
	const char *name;
	size_t offset;
	enum kind kind;
	uint64_t normal;
} settings[] = {
	{ "interval", offsetof(struct tl__gil_settings, interval_ns), IS_TIME,
	  5 * TL__NS_PER_MS },
	{ "least", offsetof(struct tl__gil_settings, least_ns), IS_TIME,
	  15 * TL__NS_PER_US },
	{ "ticks", offsetof(struct tl__gil_settings, ticks), IS_NUMBER, 100 },
	{ "yields", offsetof(struct tl__gil_settings, yields), IS_NUMBER, 100 },
	{ "starve", offsetof(struct tl__gil_settings, starve_ns), IS_TIME,
	  4 * TL__NS_PER_MS },
	/*
	 * On one processor a pair that blocks all the time has 72 % of its rate
	 * beside a thread that computes, and that one 19 % of the time. With 1 ms
	 * these are 63 and 28 %.
	 */
	{ "slice", offsetof(struct tl__gil_settings, slice_ns), IS_TIME,
	  600 * TL__NS_PER_US },
	{ "sched", offsetof(struct tl__gil_settings, sched), IS_CLASS,
	  TL__GIL_NORMAL },
	{ "nice", offsetof(struct tl__gil_settings, nice), IS_NICE, 0 },
	{ "cpuslice", offsetof(struct tl__gil_settings, cpuslice_ns), IS_CPUSLICE,
	  0 },
	{ "pin", offsetof(struct tl__gil_settings, pin), IS_PROCESSOR, 0 },
};

#define SETTINGS (sizeof(settings) / sizeof(*settings))

/* Words on their way into a lock. */
struct reading {
	struct tl_gil *gil;
	struct tl_error **error;	/* or NULL */
	const char *source;		/* what errors begin with */
};

const char *tl_gil_policy_at(unsigned int index)
{
	return index < POLICIES ? policies[index]->name : NULL;
}

static const char *lock_at(unsigned int index)
{
	const struct tl_wake *wake = tl_wake_at(index);

	return wake ? wake->name : NULL;
}

static const char *setting_at(unsigned int index)
{
	return index < SETTINGS ? settings[index].name : NULL;
}

/* "there is no WHAT 'WORD', but: a, b, c" */
static int unknown(const struct reading *in, const char *what, const char *word,
		   const char *(*at)(unsigned int index))
{
	char names[128] = "";
	unsigned int i;

	for (i = 0; at(i); i++) {
		strcat(names, i ? ", " : "");
		strcat(names, at(i));
	}
	if (in->error)
		(void)tl_error_new(in->error, EINVAL,
				   "%sthere is no %s '%s', but: %s", in->source,
				   what, word, names);
	return -EINVAL;
}

static int find_policy(const struct reading *in, const char *name)
{
	unsigned int i;

	in->gil->policy = policies[0];
	if (!*name)
		return 0;
	for (i = 0; i < POLICIES; i++)
		if (!strcmp(policies[i]->name, name)) {
			in->gil->policy = policies[i];
			return 0;
		}
	return unknown(in, "policy", name, tl_gil_policy_at);
}

static int find_lock(const struct reading *in, const char *name)
{
	in->gil->wake = *name ? tl_wake_find(name) : tl_wake_at(0);
	in->gil->by_futex = in->gil->wake == tl_wake_at(0);
	return in->gil->wake ? 0 : unknown(in, "lock", name, lock_at);
}

static uint64_t *field_of(struct tl_gil *gil, const struct setting *setting)
{
	return (uint64_t *)(void *)((char *)&gil->settings + setting->offset);
}

static int read_time(const char *value, uint64_t *out)
{
	return tl__parse_duration_ns(value, TL__NS_PER_MS, TIME_MIN, TIME_MAX, out);
}

static int read_number(const char *value, uint64_t *out)
{
	return tl__parse_u64(value, 1, TICKS_MAX, out);
}

static int read_class(const char *value, uint64_t *out)
{
	static const char *const names[] = {
		[TL__GIL_NORMAL] = "normal",
		[TL__GIL_EXT] = "ext",
		[TL__GIL_FIFO] = "fifo",
	};

	for (*out = 0; *out < sizeof(names) / sizeof(*names); ++*out)
		if (!strcmp(value, names[*out]))
			return 0;
	return -EINVAL;
}

static int read_nice(const char *value, uint64_t *out)
{
	return *value == '-' ? tl__parse_u64(value + 1, 1, NICE_MAX, out) : -EINVAL;
}

static int read_cpuslice(const char *value, uint64_t *out)
{
	return tl__parse_duration_ns(value, TL__NS_PER_MS, TL__SCHED_SLICE_MIN_NS,
				     TL__SCHED_SLICE_MAX_NS, out);
}

/* Gives 1 + the processor. */
static int read_processor(const char *value, uint64_t *out)
{
	cpu_set_t may;
	uint64_t n = 0;

	if (sched_getaffinity(0, sizeof(may), &may))
		return -EINVAL;
	if (!strcmp(value, "here"))
		n = (uint64_t)sched_getcpu();
	else if (!strcmp(value, "first"))
		while (!CPU_ISSET(n, &may))
			n++;
	else if (tl__parse_u64(value, 0, CPU_SETSIZE - 1, &n))
		return -EINVAL;
	*out = n + 1;
	return CPU_ISSET(n, &may) ? 0 : -EINVAL;
}

static const struct {
	int (*read)(const char *value, uint64_t *out);
	const char *not;
} kinds[KINDS] = {
	[IS_TIME] = { read_time, "not a time from 1us to 1h, as 5ms" },
	[IS_NUMBER] = { read_number, "not a number from 1 to 1000000000" },
	[IS_CLASS] = { read_class, "none of normal, ext, fifo" },
	[IS_NICE] = { read_nice, "not a number from -20 to -1" },
	[IS_CPUSLICE] = { read_cpuslice, "not a time from 100us to 100ms, as 100us" },
	[IS_PROCESSOR] = { read_processor, "neither first, here nor the number of a "
			   "processor that this thread may use" },
};

static int set(const struct reading *in, const struct setting *setting,
	       const char *value)
{
	int r = kinds[setting->kind].read(value, field_of(in->gil, setting));

	if (r && in->error)
		(void)tl_error_new(in->error, EINVAL, "%s%s=%s: %s",
				   in->source, setting->name, value,
				   kinds[setting->kind].not);
	return r ? -EINVAL : 0;
}

static int assign(const struct reading *in, char *text)
{
	char *value = strchr(text, '=');
	unsigned int i;

	if (value)
		*value++ = '\0';
	for (i = 0; i < SETTINGS; i++)
		if (value && !strcmp(settings[i].name, text))
			return set(in, &settings[i], value);
	return unknown(in, value ? "setting" : "NAME=VALUE", text, setting_at);
}

static void set_defaults(struct tl_gil *gil)
{
	unsigned int i;

	for (i = 0; i < SETTINGS; i++)
		*field_of(gil, &settings[i]) = settings[i].normal;
}

/* Takes @text to pieces. */
static int parse(const struct reading *in, char *text)
{
	char *rest = strchr(text, ','), *lock, *next;
	int r;

	if (rest)
		*rest++ = '\0';
	lock = strchr(text, ':');
	if (lock)
		*lock++ = '\0';
	r = find_policy(in, text);
	if (!r)
		r = find_lock(in, lock ? lock : "");
	for (; !r && rest; rest = next) {
		next = strchr(rest, ',');
		if (next)
			*next++ = '\0';
		r = assign(in, rest);
	}
	return r;
}

int tl__gil_parse(struct tl_gil *gil, const char *spec, struct tl_error **error)
{
	struct reading in = { .gil = gil, .error = error, .source = "" };
	char text[SPEC_MAX];
	int r;

	if (!spec || !*spec) {
		spec = getenv("TL_GIL");
		in.source = "TL_GIL: ";
	}
	if (!spec)
		spec = "";
	set_defaults(gil);
	if (strlen(spec) >= sizeof(text)) {
		if (error)
			(void)tl_error_new(error, EINVAL,
					   "%slonger than %d characters",
					   in.source, SPEC_MAX - 1);
		return -EINVAL;
	}
	strcpy(text, spec);
	r = parse(&in, text);
	if (!r)
		snprintf(gil->name, sizeof(gil->name), "%s:%s",
			 gil->policy->name, gil->wake->name);
	return r;
}
