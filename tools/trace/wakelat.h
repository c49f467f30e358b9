/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The rows of wakelat as they are read: between two moments.
 */
#ifndef TRACE_WAKELAT_H
#define TRACE_WAKELAT_H

#include <stdio.h>

#include "request.h"
#include "values.h"
#include "bpf/wakelat.h"

struct rows {
	struct wakelat_entry {
		struct wakelat_key key;
		char comm[16];
		struct tl_hist total, issue, queue, call;
		double mean_ns, issue_mean_ns, queue_mean_ns, call_mean_ns;
	} *entries;
	size_t count;
};

extern const char *const wakelat_names[WAKELAT_PRIMITIVES];

void wakelat_table(const struct rows *rows, const struct request *request,
		   bool final, FILE *f);
void wakelat_json(const struct rows *rows, bool final, uint64_t lost, FILE *f);
int wakelat_draw(const struct rows *rows, int fd);

#endif
