/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Times as the tools' tables have them.
 */
#ifndef TOOLS_TEXT_TIME_H
#define TOOLS_TEXT_TIME_H

struct time_unit {
	double ns;
	const char *name;
};

/* The one that a time is best told in. */
const struct time_unit *time_unit(double ns);

#define TIME_TEXT 8

/* "3.92us": in three digits, cut. @buf has TIME_TEXT bytes. */
const char *time_text(char *buf, double ns);

#endif
