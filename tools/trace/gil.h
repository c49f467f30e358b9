/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The rows of gilhandoff as they are read: between two moments.
 */
#ifndef TRACE_GIL_H
#define TRACE_GIL_H

#include <stdio.h>

#include "bpf/gil.h"
#include "request.h"
#include "values.h"

struct gil_entry {
	struct gil_key key;
	char comm[16];
	struct tl_hist wait, hold, handoff, part[GIL_PARTS];
	uint64_t forced, convoy;
};

/* Who kept IO threads waiting, and where; the worst first. */
struct gil_holder {
	struct gil_stack_key key;
	struct gil_stack value;
	char where[160];	/* the innermost functions of its stack */
};

struct gil_results {
	struct gil_entry *entries;
	size_t count;
	struct gil_holder *holders;	/* of all the time */
	size_t holders_count;
	uint64_t elapsed_ns, lost;
};

extern const char *const gil_class_names[GIL_CLASSES];
extern const char *const gil_part_names[GIL_PARTS];

void gil_table(const struct gil_results *r, const struct request *request,
	       bool final, FILE *f);
void gil_json(const struct gil_results *r, bool final, FILE *f);
int gil_draw(const struct gil_results *r, int fd);

#endif
