/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-trace gil: loads bpf/gilhandoff.bpf.c, attaches it to the target's lock, and
 * reads its rows.
 *
 * Owns what was read last: what comes between two reads is their difference.
 */
#include "gil.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/time.h>

#include "gilhandoff.skel.h"
#include "gilhandoff_raw.skel.h"
#include "gilhandoff_usdt.skel.h"
#include "lock.h"
#include "reads.h"
#include "stack.h"
#include "tracer.h"

#define HOLDERS_MAX 10
#define FRAMES 3		/* of a holder's stack, are named */

static struct lock_tracer lock = {
	.source = {
		.name = "gilhandoff",
		.typed = gilhandoff_bpf__elf_bytes,
		.raw = gilhandoff_raw_bpf__elf_bytes,
	},
	.usdt_source = {
		.name = "gilhandoff_usdt",
		.typed = gilhandoff_usdt_bpf__elf_bytes,
	},
};
static struct reads last;
static uint64_t began_ns, last_ns;

static int open_all(const struct request *request, const struct target *target)
{
	(void)target;
	return lock_open(&lock, request);
}

static int attach_to(const struct request *request, pid_t pid)
{
	(void)request;
	stack_learn(pid);
	return lock_attach(&lock, pid);
}

static int begin_all(const struct request *request, pid_t pid)
{
	began_ns = last_ns = tl_now();
	return lock_begin(&lock, request, pid);
}

/* --- reading ------------------------------------------------------------------------ */

static void entry_between(struct gil_entry *e, const struct gil_row *now,
			  const struct gil_row *before)
{
	int i;

	values_between(&e->wait, &now->wait, before ? &before->wait : NULL);
	values_between(&e->hold, &now->hold, before ? &before->hold : NULL);
	values_between(&e->handoff, &now->handoff,
		       before ? &before->handoff : NULL);
	for (i = 0; i < GIL_PARTS; i++)
		values_between(&e->part[i], &now->part[i],
			       before ? &before->part[i] : NULL);
	e->forced = now->forced - (before ? before->forced : 0);
	e->convoy = now->convoy - (before ? before->convoy : 0);
	values_comm(e->comm, now->comm);
}

static int entries_between(struct gil_results *r, const struct reads *now,
			   const struct reads *before)
{
	size_t i;

	r->entries = calloc(now->count + 1, sizeof(*r->entries));
	if (!r->entries)
		return -ENOMEM;
	for (i = 0; i < now->count; i++) {
		struct gil_entry *e = &r->entries[r->count];

		entry_between(e, reads_value(now, i),
			      reads_find(before, reads_key(now, i)));
		memcpy(&e->key, reads_key(now, i), sizeof(e->key));
		if (tl_hist_count(&e->wait) || tl_hist_count(&e->hold))
			r->count++;
	}
	return 0;
}

static void add_frame(struct gil_holder *h, uint64_t address)
{
	size_t len = strlen(h->where);
	char name[48];

	stack_name(address, name, sizeof(name));
	if (strcmp(name, "?"))
		snprintf(h->where + len, sizeof(h->where) - len, "%s%s",
			 len ? " < " : "", name);
}

/* The innermost frame, its caller, and what the stack has besides. */
static void name_stack(struct gil_holder *h)
{
	uint64_t addresses[GIL_STACK_DEPTH] = { 0 };
	__u32 id = (__u32)h->key.stack;
	int i;

	if (h->key.stack >= 0)
		bpf_map_lookup_elem(object_map(&lock.object, "gil_stacks"), &id,
				    addresses);
	if (addresses[0])
		add_frame(h, addresses[0] + 1);
	add_frame(h, h->key.caller);
	for (i = 1; i < FRAMES && addresses[i]; i++)
		if (addresses[i] != h->key.caller)
			add_frame(h, addresses[i]);
	if (!*h->where)
		snprintf(h->where, sizeof(h->where), "?");
}

static int worse(const void *a, const void *b)
{
	const struct gil_holder *x = a, *y = b;

	return (x->value.ns < y->value.ns) - (x->value.ns > y->value.ns);
}

static int read_holders(struct gil_results *r)
{
	struct reads reads;
	size_t i;
	int error = reads_take(&reads, object_map(&lock.object, "gil_holders"),
			       sizeof(struct gil_stack_key),
			       sizeof(struct gil_stack));

	if (error)
		return error;
	r->holders = calloc(reads.count + 1, sizeof(*r->holders));
	for (i = 0; r->holders && i < reads.count; i++) {
		memcpy(&r->holders[i].key, reads_key(&reads, i),
		       sizeof(r->holders[i].key));
		memcpy(&r->holders[i].value, reads_value(&reads, i),
		       sizeof(r->holders[i].value));
	}
	r->holders_count = reads.count;
	reads_free(&reads);
	if (!r->holders)
		return -ENOMEM;
	qsort(r->holders, r->holders_count, sizeof(*r->holders), worse);
	if (r->holders_count > HOLDERS_MAX)
		r->holders_count = HOLDERS_MAX;
	for (i = 0; i < r->holders_count; i++) {
		char comm[16];

		memcpy(comm, r->holders[i].value.comm, sizeof(comm));
		values_comm(r->holders[i].value.comm, comm);
		name_stack(&r->holders[i]);
	}
	return 0;
}

static uint64_t counted(void)
{
	return lock_counted(&lock);
}

static uint64_t lost(void)
{
	return lock_lost(&lock);
}

static void results_free(struct gil_results *r)
{
	free(r->entries);
	free(r->holders);
}

static int show(const struct request *request, bool final, FILE *f)
{
	static const struct reads none;
	struct gil_results r = { 0 };
	uint64_t now_ns = tl_now();
	struct reads now;
	int error;

	error = reads_take(&now, object_map(&lock.object, "gil_rows"),
			   sizeof(struct gil_key), sizeof(struct gil_row));
	if (!error)
		error = entries_between(&r, &now, final ? &none : &last);
	if (!error && final)
		error = read_holders(&r);
	if (error) {
		reads_free(&now);
		results_free(&r);
		return error;
	}
	r.elapsed_ns = now_ns - (final ? began_ns : last_ns);
	r.lost = lock_lost(&lock);
	if (request->json)
		gil_json(&r, final, f);
	else
		gil_table(&r, request, final, f);
	results_free(&r);
	reads_free(&last);
	last = now;
	last_ns = now_ns;
	return 0;
}

static int draw(int fd)
{
	static const struct reads none;
	struct gil_results r = { 0 };
	int error = entries_between(&r, &last, &none);

	if (!error)
		error = gil_draw(&r, fd);
	results_free(&r);
	return error;
}

static struct object_cost cost(void)
{
	return lock_cost(&lock);
}

static void close_all(void)
{
	lock_close(&lock);
	reads_free(&last);
	stack_forget();
}

const struct tracer tracer_gil = {
	.name = "gil",
	.what = LOCK_WHAT,
	.open = open_all,
	.attach_to = attach_to,
	.begin = begin_all,
	.look = stack_learn,
	.show = show,
	.draw = draw,
	.counted = counted,
	.lost = lost,
	.cost = cost,
	.close = close_all,
};
