/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A tracer's programs and maps in the kernel, from load to unload.
 */
#ifndef TRACE_OBJECT_H
#define TRACE_OBJECT_H

#include <bpf/libbpf.h>
#include <linux/types.h>

#include "request.h"
#include "bpf/settings.h"

#define OBJECT_LINKS 64

/* An object that is part of the program: its typed variant, and the raw one. */
struct object_source {
	const char *name;
	const void *(*typed)(size_t *size);
	const void *(*raw)(size_t *size);	/* NULL: there is none */
	int (*prepare)(struct bpf_object *bpf);	/* before it is loaded; or NULL */
};

struct object {
	struct bpf_object *bpf;
	struct bpf_link *links[OBJECT_LINKS];
	size_t links_count;
	bool is_raw;
};

/*
 * What the kernel or the caller lacks, in one line on stderr: EXIT_FAILURE. Else
 * EXIT_SUCCESS.
 */
int object_check_kernel(const struct request *request);

/*
 * Loads it and tells it what @request says of processes and threads. EXIT_FAILURE
 * after a line on stderr.
 */
int object_load(struct object *o, const struct object_source *source,
		const struct request *request);

/*
 * Loads a second one that works on the maps of @o that have the same names; its
 * programs are attached with @o's.
 */
int object_load_part(struct object *part, const struct object_source *source,
		     const struct object *o);

/* Counts nothing before object_begin(). */
int object_pause(struct object *o);

/* Sets whose process's events count; 0: all. Begins to count. */
int object_begin(struct object *o, const struct request *request, pid_t pid);

/* Attaches what has to do with tracepoints. */
int object_attach(struct object *o);

/* Keeps @link until the end; NULL with errno set: it could not be attached. */
int object_keep(struct object *o, struct bpf_link *link);

struct bpf_program *object_program(const struct object *o, const char *name);
int object_map(const struct object *o, const char *name);

/* The events that its programs counted, and those that they lost; 0 if it is not loaded. */
uint64_t object_counted(const struct object *o);
uint64_t object_lost(const struct object *o);

/* How often its programs ran, and for how long, while that was counted. */
struct object_cost {
	uint64_t runs, ns;
};

/*
 * Whether the kernel counts that, of all programs; it costs more than some of them. How
 * long it has done so, in all.
 */
void object_count_cost(bool on);
uint64_t object_cost_counted_ns(void);

struct object_cost object_cost(const struct object *o);

/* Detaches and unloads everything. */
void object_free(struct object *o);

#endif
