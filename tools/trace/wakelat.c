/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-trace wakelat: loads bpf/wakelat.bpf.c, attaches it, and reads its rows.
 *
 * Owns the rows as they were read last, sorted: what comes between two reads is
 * their difference. The kernel's rows only grow.
 */
#include "wakelat.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes.h"
#include "reads.h"
#include "symbol.h"
#include "tracer.h"
#include "wakelat.skel.h"
#include "wakelat_calls.skel.h"
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

static const struct object_source calls_source = {
	.name = "wakelat_calls",
	.typed = wakelat_calls_bpf__elf_bytes,
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

static struct object object, usdt, calls;
static struct reads last;

/* --- attaching -------------------------------------------------------------------- */

static int attach_libc(pid_t pid)
{
	char path[4200];

	if (!probes_find_file(pid, "libc.so.6", path, sizeof(path)))
		return 0;
	return probes_attach(&object, libc_probes, COUNT(libc_probes), path, pid);
}

struct usdt_search {
	pid_t pid;
	int error;
};

static bool attach_usdt(const char *path, void *arg)
{
	struct usdt_search *search = arg;

	if (!symbol_has_probe(path, "tasklet", "wake"))
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

/* The program that it was when its probes were attached. */
static char attached_to[PATH_MAX];

static void read_program(pid_t pid, char *program)
{
	char path[40];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, program, PATH_MAX - 1);
	program[n > 0 ? n : 0] = '\0';
}

/* A command may become another program: env, sh, tl-run. */
static void look(pid_t pid)
{
	struct usdt_search search = { .pid = pid };
	char program[PATH_MAX];

	if (!*attached_to)
		return;
	read_program(pid, program);
	if (!*program || !strcmp(program, attached_to))
		return;
	strcpy(attached_to, program);
	symbol_each_file(pid, attach_usdt, &search);
}

/* Not for all processes: each would pay for each call of these functions. */
static int attach_to(const struct request *request, pid_t pid)
{
	struct usdt_search search = { .pid = pid };
	int r;

	if (!request->probes || object.is_raw)
		return 1;
	r = attach_libc(pid);
	if (r < 0)
		return r;
	/* The files that have our probes: the library, or who has it inside. */
	symbol_each_file(pid, attach_usdt, &search);
	read_program(pid, attached_to);
	return search.error ? search.error : r || usdt.bpf;
}

static int open_all(const struct request *request, const struct target *target)
{
	if (object_load(&object, &source, request) || object_pause(&object))
		return EXIT_FAILURE;
	/* Not for all processes, as above. */
	if (target->pid && request->probes && !object.is_raw &&
	    (object_load_part(&calls, &calls_source, &object) ||
	     object_attach(&calls)))
		return EXIT_FAILURE;
	if (object_attach(&object))
		return EXIT_FAILURE;
	/* Not before: a waking that is seen before switches are would be a loss. */
	return object_begin(&object, request, target->pid);
}

/* --- reading ----------------------------------------------------------------------- */

static void entry_between(struct wakelat_entry *e, const struct wakelat_row *now,
			  const struct wakelat_row *before)
{
	static const struct wakelat_row none;
	const struct wakelat_row *old = before ? before : &none;

	values_between(&e->total, &now->total, &old->total);
	values_between(&e->issue, &now->issue, &old->issue);
	values_between(&e->queue, &now->queue, &old->queue);
	values_between(&e->call, &now->call, &old->call);
	e->mean_ns = values_mean(&now->total, &old->total);
	e->issue_mean_ns = values_mean(&now->issue, &old->issue);
	e->queue_mean_ns = values_mean(&now->queue, &old->queue);
	e->call_mean_ns = values_mean(&now->call, &old->call);
	values_comm(e->comm, now->comm);
}

static int rows_between(struct rows *rows, const struct reads *now,
			const struct reads *before)
{
	size_t i;

	*rows = (struct rows){ NULL, 0 };
	rows->entries = calloc(now->count + 1, sizeof(*rows->entries));
	if (!rows->entries)
		return -ENOMEM;
	for (i = 0; i < now->count; i++) {
		struct wakelat_entry *e = &rows->entries[rows->count];

		entry_between(e, reads_value(now, i),
			      reads_find(before, reads_key(now, i)));
		memcpy(&e->key, reads_key(now, i), sizeof(e->key));
		if (tl_hist_count(&e->total))
			rows->count++;
	}
	return 0;
}

static int show(const struct request *request, bool final, FILE *f)
{
	static const struct reads none;
	struct reads now;
	struct rows rows;
	int r = reads_take(&now, object_map(&object, "wakelat_rows"),
			   sizeof(struct wakelat_key),
			   sizeof(struct wakelat_row));

	if (!r)
		r = rows_between(&rows, &now, final ? &none : &last);
	if (r) {
		reads_free(&now);
		return r;
	}
	if (request->json)
		wakelat_json(&rows, final, object_lost(&object), f);
	else
		wakelat_table(&rows, request, final, f);
	free(rows.entries);
	reads_free(&last);
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
	struct object_cost sum = { 0, 0 }, one;
	const struct object *all[] = { &object, &usdt, &calls };
	size_t i;

	for (i = 0; i < COUNT(all); i++) {
		one = object_cost(all[i]);
		sum.runs += one.runs;
		sum.ns += one.ns;
	}
	return sum;
}

static uint64_t counted(void)
{
	return object_counted(&object);
}

static uint64_t lost(void)
{
	return object_lost(&object);
}

static void close_all(void)
{
	object_free(&object);
	object_free(&usdt);
	object_free(&calls);
	reads_free(&last);
}

const struct tracer tracer_wakelat = {
	.name = "wakelat",
	.open = open_all,
	.attach_to = attach_to,
	.look = look,
	.show = show,
	.draw = draw,
	.counted = counted,
	.lost = lost,
	.cost = cost,
	.close = close_all,
};
