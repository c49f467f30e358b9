/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-trace wakelat: loads bpf/wakelat.bpf.c, attaches it, and reads its rows.
 *
 * Owns the rows as they were read last, sorted: what comes between two reads is
 * their difference. The kernel's rows only grow.
 */
#include "wakelat.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probes.h"
#include "symbol.h"
#include "tracer.h"
#include "wakelat.skel.h"
#include "wakelat_raw.skel.h"
#include "wakelat_usdt.skel.h"

static const struct object_source source = {
	.name = "wakelat",
	.typed = wakelat_bpf__elf_bytes,
	.raw = wakelat_raw_bpf__elf_bytes,
};

static const struct object_source usdt_source = {
	.name = "wakelat_usdt",
	.typed = wakelat_usdt_bpf__elf_bytes,
};

/* Its entry, in whatever the C library calls it. */
static const struct probe libc_probes[] = {
	{ "wakelat_sem", "sem_wait", false },
	{ "wakelat_sem", "sem_timedwait", false },
	{ "wakelat_sem", "sem_clockwait", false },
	{ "wakelat_pthread_cond", "pthread_cond_wait", false },
	{ "wakelat_pthread_cond", "pthread_cond_timedwait", false },
	{ "wakelat_pthread_cond", "pthread_cond_clockwait", false },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct read {
	struct wakelat_key key;
	struct wakelat_row row;
};

struct reads {
	struct read *all;
	size_t count;
};

static struct object object = { .stats_fd = -1 }, usdt = { .stats_fd = -1 };
static struct reads last;

/* --- attaching -------------------------------------------------------------------- */

static int attach_libc(const struct target *target)
{
	char path[4200];
	int r;

	/* A command has no C library yet: it will have ours. */
	if (!probes_find_file(target->is_ours ? 0 : target->pid, "libc.so.6",
			      path, sizeof(path)))
		return 0;
	r = probes_attach(&object, libc_probes, COUNT(libc_probes), path,
			  target->pid);
	return r < 0 ? r : 0;
}

struct usdt_search {
	pid_t pid;
	int error;
};

static bool attach_usdt(const char *path, void *arg)
{
	struct usdt_search *search = arg;

	if (!symbol_has_probes(path, "tasklet"))
		return false;
	if (!usdt.bpf && object_load_part(&usdt, &usdt_source, &object)) {
		search->error = -ENOTSUP;
		return true;
	}
	search->error = object_keep(&object, bpf_program__attach_usdt(
		object_program(&usdt, "wakelat_wake"), search->pid, path,
		"tasklet", "wake", NULL));
	return search->error;
}

/* The files that have our probes: the library, or a program that has it inside. */
static int attach_ours(const struct target *target)
{
	struct usdt_search search = { .pid = target->pid };

	if (!target->is_ours)
		symbol_each_file(target->pid, attach_usdt, &search);
	return search.error;
}

static int open_all(const struct request *request, const struct target *target)
{
	int r;

	if (object_load(&object, &source, request))
		return EXIT_FAILURE;
	if (target->pid && request->probes && !object.is_raw) {
		r = attach_libc(target);
		if (!r)
			r = attach_ours(target);
		if (r)
			return complain("can't attach to the target's "
					"functions (--no-probes goes without)",
					r);
	}
	if (object_begin(&object, request, target->pid))
		return EXIT_FAILURE;
	return object_attach(&object);
}

/* --- reading ----------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return memcmp(&((const struct read *)a)->key,
		      &((const struct read *)b)->key,
		      sizeof(struct wakelat_key));
}

static int read_rows(struct reads *reads)
{
	struct wakelat_key *previous = NULL, key;
	int map = object_map(&object, "wakelat_rows");
	size_t room = 0;
	struct read *more;

	*reads = (struct reads){ NULL, 0 };
	while (!bpf_map_get_next_key(map, previous, &key)) {
		if (reads->count == room) {
			room = room ? 2 * room : 16;
			more = realloc(reads->all, room * sizeof(*more));
			if (!more)
				return -ENOMEM;
			reads->all = more;
		}
		reads->all[reads->count].key = key;
		if (!bpf_map_lookup_elem(map, &key,
					 &reads->all[reads->count].row))
			reads->count++;
		previous = &key;
	}
	if (errno != ENOENT)
		return -errno;
	if (reads->count)
		qsort(reads->all, reads->count, sizeof(*reads->all), compare);
	return 0;
}

static int rows_between(struct rows *rows, const struct reads *now,
			const struct reads *before)
{
	const struct read *old;
	size_t i;

	*rows = (struct rows){ NULL, 0 };
	if (!now->count)
		return 0;
	rows->entries = calloc(now->count, sizeof(*rows->entries));
	if (!rows->entries)
		return -ENOMEM;
	for (i = 0; i < now->count; i++) {
		const struct read *new = &now->all[i];
		struct wakelat_entry *e = &rows->entries[rows->count];

		old = before->count ? bsearch(new, before->all, before->count,
					      sizeof(*new), compare) : NULL;
		values_between(&e->total, &new->row.total,
			       old ? &old->row.total : NULL);
		if (!tl_hist_count(&e->total))
			continue;
		values_between(&e->issue, &new->row.issue,
			       old ? &old->row.issue : NULL);
		values_between(&e->queue, &new->row.queue,
			       old ? &old->row.queue : NULL);
		e->key = new->key;
		memcpy(e->comm, new->row.comm, sizeof(e->comm));
		rows->count++;
	}
	return 0;
}

static uint64_t counter(enum tl_trace_counter which)
{
	return object.bpf ? object_counter(&object, which) : 0;
}

static int show(const struct request *request, bool final, FILE *f)
{
	static const struct reads none;
	struct reads now;
	struct rows rows;
	int r = read_rows(&now);

	if (!r)
		r = rows_between(&rows, &now, final ? &none : &last);
	if (r) {
		free(now.all);
		return r;
	}
	if (request->json)
		wakelat_json(&rows, final, counter(TL_TRACE_LOST_STATE) +
			     counter(TL_TRACE_LOST_ROWS), f);
	else
		wakelat_table(&rows, request, final, f);
	free(rows.entries);
	free(last.all);
	last = now;
	return 0;
}

static int draw(int fd)
{
	static const struct reads none;
	struct rows rows;
	int r = rows_between(&rows, &last, &none);

	if (!r)
		r = wakelat_draw(&rows, fd);
	free(rows.entries);
	return r;
}

static struct object_cost cost(void)
{
	struct object_cost a = object_cost(&object), b = object_cost(&usdt);

	return (struct object_cost){ a.runs + b.runs, a.ns + b.ns };
}

static void close_all(void)
{
	object_free(&object);
	object_free(&usdt);
	free(last.all);
	last = (struct reads){ NULL, 0 };
}

const struct tracer tracer_wakelat = {
	.name = "wakelat",
	.open = open_all,
	.show = show,
	.draw = draw,
	.counter = counter,
	.cost = cost,
	.close = close_all,
};
