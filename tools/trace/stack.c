/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See stack.h. */
#include "stack.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "symbol.h"

struct place {
	char path[PATH_MAX];
	uint64_t offset;
};

static bool find(pid_t pid, uint64_t address, struct place *place)
{
	char line[PATH_MAX + 128];
	uint64_t low, high, offset;
	bool found = false;
	FILE *maps;
	int at;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	maps = fopen(line, "re");
	if (!maps)
		return false;
	while (!found && fgets(line, sizeof(line), maps)) {
		at = 0;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64
			   " %*s %*u %n", &low, &high, &offset, &at) < 3 ||
		    !at || line[at] != '/' || address < low || address >= high)
			continue;
		found = true;
		place->offset = address - low + offset;
		snprintf(place->path, sizeof(place->path), "%s", line + at);
	}
	fclose(maps);
	return found;
}

void stack_name(pid_t pid, uint64_t address, char *name, size_t size)
{
	char path[PATH_MAX + 32];
	struct place place;

	if (!find(pid, address, &place)) {
		snprintf(name, size, "?");
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/root%s", pid, place.path);
	/* The call, not where it returns to: that may be the next function's. */
	if (!symbol_name(path, place.offset - 1, name, size))
		snprintf(name, size, "%s+0x%" PRIx64,
			 strrchr(place.path, '/') + 1, place.offset);
}
