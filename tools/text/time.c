/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See time.h. */
#include "text/time.h"

#include <math.h>
#include <stdio.h>

const struct time_unit *time_unit(double ns)
{
	static const struct time_unit units[] = {
		{ 1, "ns" }, { 1e3, "us" }, { 1e6, "ms" }, { 1e9, "s" }
	};
	const struct time_unit *unit = units;

	while (unit < units + 3 && ns >= unit[1].ns)
		unit++;
	return unit;
}

const char *time_text(char *buf, double ns)
{
	const struct time_unit *unit = time_unit(ns);
	double x = ns / unit->ns;

	if (unit->ns == 1 || x >= 100)
		snprintf(buf, TIME_TEXT, "%.0f%s", floor(fmin(x, 99999)),
			 unit->name);
	else if (x >= 10)
		snprintf(buf, TIME_TEXT, "%.1f%s", floor(x * 10) / 10,
			 unit->name);
	else
		snprintf(buf, TIME_TEXT, "%.2f%s", floor(x * 100) / 100,
			 unit->name);
	return buf;
}
