/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See state.h. */
#include "state.h"

#include <stdio.h>
#include <string.h>

#include "bpf/gilsched.h"

bool state_name(char *name, size_t size)
{
	FILE *f = fopen("/sys/kernel/sched_ext/root/ops", "re");
	bool ok;

	if (!f)
		return false;
	ok = fgets(name, (int)size, f);
	fclose(f);
	if (ok)
		name[strcspn(name, "\n")] = '\0';
	return ok;
}

/* The kernel may put more behind it. */
bool state_is_ours(void)
{
	char name[160];

	return state_name(name, sizeof(name)) &&
	       !strncmp(name, GILSCHED_NAME, strlen(GILSCHED_NAME));
}
