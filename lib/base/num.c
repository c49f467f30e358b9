/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Checked numbers; num.h says which forms there are.
 *
 * Owns nothing. The invariant: a value that does not fit is carried as "too
 * large" to the end of the string, so that -ERANGE means a number of the right
 * form and -EINVAL everything else. Not strtoull(), which takes blanks and
 * signs, wraps "-1" around and reports by errno.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/num.h"

/* A value of 64 bits that knows when it does not fit. */
struct wide {
	uint64_t v;
	bool over;
};

static void wide_mul(struct wide *w, uint64_t by)
{
	w->over |= __builtin_mul_overflow(w->v, by, &w->v);
}

static void wide_add(struct wide *w, uint64_t n)
{
	w->over |= __builtin_add_overflow(w->v, n, &w->v);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Takes digits off *s; false if there are none. */
static bool take_digits(const char **s, struct wide *w)
{
	const char *p = *s;

	*w = (struct wide){ 0 };
	for (; is_digit(*p); p++) {
		wide_mul(w, 10);
		wide_add(w, (uint64_t)(*p - '0'));
	}
	if (p == *s)
		return false;
	*s = p;
	return true;
}

static int check(const struct wide *w, uint64_t min, uint64_t max,
		 uint64_t *out)
{
	if (w->over || w->v < min || w->v > max)
		return -ERANGE;
	*out = w->v;
	return 0;
}

int tl__parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	struct wide w;

	if (!s || !take_digits(&s, &w) || *s)
		return -EINVAL;
	return check(&w, min, max, out);
}

/* The length of the unit that s is, or 0. */
static uint64_t duration_unit(const char *s, uint64_t unit_ns)
{
	static const struct {
		char name[3];
		uint64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", TL__NS_PER_US },
		{ "ms", TL__NS_PER_MS },
		{ "s", TL__NS_PER_S },
		{ "m", 60 * TL__NS_PER_S },
		{ "h", 3600 * TL__NS_PER_S },
	};
	unsigned i;

	if (!*s)
		return unit_ns;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(s, units[i].name))
			return units[i].ns;
	return 0;
}

/*
 * Adds the part of a unit that the digits from s to end are, if it is whole.
 * More than 18 digits can't be: all units together have fewer factors of 10.
 */
static bool add_fraction(struct wide *w, const char *s, const char *end,
			 uint64_t unit)
{
	__extension__ unsigned __int128 part = 0;
	uint64_t scale = 1;

	while (end > s && end[-1] == '0')
		end--;
	if (end - s > 18)
		return false;
	for (; s < end; s++) {
		part = part * 10 + (unsigned)(*s - '0');
		scale *= 10;
	}
	part *= unit;
	if (part % scale)
		return false;
	wide_add(w, (uint64_t)(part / scale));
	return true;
}

int tl__parse_duration_ns(const char *s, uint64_t unit_ns, uint64_t min,
			  uint64_t max, uint64_t *out)
{
	const char *frac = NULL, *end = NULL;
	uint64_t unit;
	struct wide w;

	if (!s || !take_digits(&s, &w))
		return -EINVAL;
	if (*s == '.') {
		struct wide ignored;

		frac = ++s;
		if (!take_digits(&s, &ignored))
			return -EINVAL;
		end = s;
	}
	unit = duration_unit(s, unit_ns);
	if (!unit)
		return -EINVAL;
	wide_mul(&w, unit);
	if (frac && !add_fraction(&w, frac, end, unit))
		return -EINVAL;
	return check(&w, min, max, out);
}

int tl__parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	static const char units[] = "kKmMgGtT";
	const char *unit;
	struct wide w;

	if (!s || !take_digits(&s, &w))
		return -EINVAL;
	if (*s) {
		unit = strchr(units, *s);
		if (!unit || s[1])
			return -EINVAL;
		wide_mul(&w, UINT64_C(1) << ((unit - units) / 2 + 1) * 10);
	}
	return check(&w, min, max, out);
}
