/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The checked build reports a lock that is used after it was freed, once a place, and refuses it; of one that is there it
 * says nothing. In other builds this test is skipped.
 */
#include "gil.h"
#include "reports.h"

#ifndef TL_CHECKED
int main(void)
{
	tap_skip_all("this is no checked build (make CHECKED=yes)");
}
#else

static int calls;

static bool count(UNUSED const struct tl_gil_stats *stats, UNUSED void *arg)
{
	calls++;
	return false;
}

static bool one(const char *text)
{
	tap_diag("%s", text);
	return count_lines(text) == 1 && strstr(text, "was freed");
}

int main(void)
{
	struct tl_gil *gil, *gone;
	volatile int i;		/* one place, not two */
	int refused = 0;

	tap_plan(8);
	reports_begin();
	if (tl_gil_new(&gil, NULL, NULL) || tl_gil_new(&gone, NULL, NULL) || tl_gil_attach(gone) || tl_gil_detach())
		tap_bail("no lock");
	tap_ok(!strcmp(tl_gil_name(gone), "handoff:futex") && !tl_gil_free(gone) && !tl_gil_free(NULL),
	       "a lock that is there");
	tap_is(count_lines(reported()), 0, "is not reported");
	for (i = 0; i < 2; i++)
		refused += tl_gil_free(gone) == -EINVAL;
	tap_ok(refused == 2 && one(reported()), "one that is freed twice is, once a place");
	tap_ok(tl_gil_attach(gone) == -EINVAL && one(reported()), "one that a thread attaches to");
	tap_ok(!*tl_gil_name(gone) && one(reported()), "its name");
	tl_gil_stats(gone, count, NULL);
	tap_ok(!calls && one(reported()), "its statistics");
	tl_gil_stats(gil, count, NULL);
	tap_ok(calls == 1 && !tl_gil_attach(gil) && !tl_gil_detach(), "another one can still be used");
	tap_ok(!tl_gil_free(gil) && !count_lines(reported()), "and is not reported");
	reports_end();
	return tap_exit();
}
#endif
