/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * See stack.h. Owns the list of what was mapped when it was last looked at. What can't
 * be read any more leaves it as it was.
 */
#include "stack.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbol.h"

struct mapping {
	uint64_t low, high, offset;
	char *path;
};

struct mappings {
	struct mapping *all;
	size_t count;
};

static struct mappings known;
static pid_t known_pid;

static void mappings_free(struct mappings *m)
{
	while (m->count)
		free(m->all[--m->count].path);
	free(m->all);
	m->all = NULL;
}

static bool add(struct mappings *m, const struct mapping *new)
{
	struct mapping *more = realloc(m->all, (m->count + 1) * sizeof(*more));

	if (!more)
		return false;
	m->all = more;
	m->all[m->count] = *new;
	m->all[m->count].path = strdup(new->path);
	if (!m->all[m->count].path)
		return false;
	m->count++;
	return true;
}

static bool parse(char *line, struct mapping *m)
{
	char flags[5];
	int at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64
		   " %*s %*u %n", &m->low, &m->high, flags, &m->offset, &at) < 4)
		return false;
	m->path = line + at;
	return at && flags[2] == 'x' && *m->path == '/';
}

void stack_learn(pid_t pid)
{
	struct mappings now = { NULL, 0 };
	char line[PATH_MAX + 128];
	struct mapping one;
	FILE *maps;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	maps = fopen(line, "re");
	while (maps && fgets(line, sizeof(line), maps))
		if (parse(line, &one) && !add(&now, &one))
			break;
	if (maps)
		fclose(maps);
	if (!now.count) {	/* it has ended */
		mappings_free(&now);
		return;
	}
	mappings_free(&known);
	known = now;
	known_pid = pid;
}

void stack_forget(void)
{
	mappings_free(&known);
}

/* As the process sees it, whatever it has for its root, as long as it is there. */
static bool name_in(const struct mapping *m, uint64_t offset, char *name,
		    size_t size)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "/proc/%d/root%s", known_pid, m->path);
	return symbol_name(access(path, R_OK) ? m->path : path, offset, name,
			   size);
}

void stack_name(uint64_t address, char *name, size_t size)
{
	const struct mapping *m = known.all, *end = m + known.count;
	uint64_t offset;

	while (m < end && (address < m->low || address >= m->high))
		m++;
	if (m == end) {
		snprintf(name, size, "?");
		return;
	}
	offset = address - m->low + m->offset;
	/* The call, not where it returns to: that may be the next function's. */
	if (!name_in(m, offset - 1, name, size))
		snprintf(name, size, "%s+0x%" PRIx64, strrchr(m->path, '/') + 1,
			 offset);
}
