/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Loading, attaching, and what that needs; see object.h.
 *
 * Owns what libbpf says: it is kept, and shown where it explains a failure.
 */
#include "object.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tasklet/time.h>

#define SAID_MAX 4096

static char said[SAID_MAX];	/* the last that libbpf warned of */
static bool verbose;

static int listen(enum libbpf_print_level level, const char *format,
		  va_list args)
{
	size_t len = strlen(said);

	if (verbose)
		return vfprintf(stderr, format, args);
	if (level == LIBBPF_WARN && len < SAID_MAX - 1)
		vsnprintf(said + len, SAID_MAX - len, format, args);
	return 0;
}

static int fail(const char *what, int error)
{
	complain(what, error);
	if (*said)
		fputs(said, stderr);
	return EXIT_FAILURE;
}

int object_check_kernel(const struct request *request)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int fd;

	verbose = request->verbose;
	libbpf_set_print(listen);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "tl_trace", 4, 4, 1, &opts);
	if (fd < 0 && errno == EPERM)
		return complain("this needs root (CAP_BPF and CAP_PERFMON)",
				-errno);
	if (fd < 0)
		return complain("this kernel has no BPF", -errno);
	close(fd);
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return complain("this kernel does not describe its types "
				"(/sys/kernel/btf/vmlinux; CONFIG_DEBUG_INFO_BTF)",
				-errno);
	return EXIT_SUCCESS;
}

static struct bpf_object *open_one(const struct object_source *source, bool raw)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = source->name);
	const void *bytes;
	size_t size;

	if (raw && !source->raw)
		return NULL;
	bytes = raw ? source->raw(&size) : source->typed(&size);
	return bpf_object__open_mem(bytes, size, &opts);
}

/* Loads one of the two variants; -errno. */
static int load_one(struct object *o, const struct object_source *source,
		    bool raw)
{
	int r;

	o->bpf = open_one(source, raw);
	if (!o->bpf)
		return raw && !source->raw ? -ENOTSUP : -errno;
	r = source->prepare ? source->prepare(o->bpf) : 0;
	if (!r)
		r = bpf_object__load(o->bpf);
	if (r) {
		bpf_object__close(o->bpf);
		o->bpf = NULL;
	}
	o->is_raw = raw;
	return r;
}

int object_load(struct object *o, const struct object_source *source,
		const struct request *request)
{
	int r;

	memset(o, 0, sizeof(*o));
	r = load_one(o, source, request->raw);
	if (r && !request->raw && source->raw && r != -EPERM) {
		complain("typed tracepoints can't be had, only raw ones", r);
		*said = '\0';
		r = load_one(o, source, true);
	}
	if (r)
		return fail("can't load the programs", r);
	return EXIT_SUCCESS;
}

int object_load_part(struct object *part, const struct object_source *source,
		     const struct object *o)
{
	struct bpf_map *map, *other;
	int r = 0;

	memset(part, 0, sizeof(*part));
	part->bpf = open_one(source, o->is_raw);
	if (!part->bpf)
		return fail(source->name, o->is_raw ? -ENOTSUP : -errno);
	bpf_object__for_each_map(map, part->bpf) {
		other = bpf_object__find_map_by_name(o->bpf, bpf_map__name(map));
		if (other && !bpf_map__is_internal(map))
			r = bpf_map__reuse_fd(map, bpf_map__fd(other));
		if (r)
			return fail(bpf_map__name(map), r);
	}
	r = bpf_object__load(part->bpf);
	return r ? fail(source->name, r) : EXIT_SUCCESS;
}

static int set_up(struct object *o, const struct tl_trace_settings *settings)
{
	__u32 zero = 0;

	if (bpf_map_update_elem(object_map(o, "tl_settings"), &zero, settings,
				BPF_ANY))
		return fail("can't set the tracer up", -errno);
	return EXIT_SUCCESS;
}

int object_begin(struct object *o, const struct request *request, pid_t pid)
{
	struct tl_trace_settings settings = {
		.tgid = (__u32)pid,
		.by_thread = request->threads,
		.after_exec = request->command != NULL,
		.says = request->probes && pid && !o->is_raw,
	};

	return set_up(o, &settings);
}

int object_pause(struct object *o)
{
	struct tl_trace_settings settings = { .off = 1 };

	return set_up(o, &settings);
}

int object_keep(struct object *o, struct bpf_link *link)
{
	if (!link)
		return -errno;
	if (o->links_count == OBJECT_LINKS) {
		bpf_link__destroy(link);
		return -E2BIG;
	}
	o->links[o->links_count++] = link;
	return 0;
}

int object_attach(struct object *o)
{
	struct bpf_program *program;
	const char *section;
	int r;

	bpf_object__for_each_program(program, o->bpf) {
		section = bpf_program__section_name(program);
		if (strncmp(section, "tp_btf/", 7) &&
		    strncmp(section, "raw_tp/", 7))
			continue;
		r = object_keep(o, bpf_program__attach(program));
		if (r)
			return fail(section, r);
	}
	return EXIT_SUCCESS;
}

struct bpf_program *object_program(const struct object *o, const char *name)
{
	return bpf_object__find_program_by_name(o->bpf, name);
}

int object_map(const struct object *o, const char *name)
{
	return bpf_object__find_map_fd_by_name(o->bpf, name);
}

/* Of all processors. */
static uint64_t sum_of(const struct object *o, enum tl_trace_counter counter)
{
	int i, cpus = libbpf_num_possible_cpus();
	uint64_t *values, sum = 0;
	__u32 key = counter;

	values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	if (values && !bpf_map_lookup_elem(object_map(o, "tl_counters"), &key,
					   values))
		for (i = 0; i < cpus; i++)
			sum += values[i];
	free(values);
	return sum;
}

uint64_t object_counted(const struct object *o)
{
	return o->bpf ? sum_of(o, TL_TRACE_EVENTS) : 0;
}

uint64_t object_lost(const struct object *o)
{
	uint64_t sum = 0;
	int i;

	for (i = TL_TRACE_EVENTS + 1; o->bpf && i < TL_TRACE_COUNTERS; i++)
		sum += sum_of(o, (enum tl_trace_counter)i);
	return sum;
}

static int stats_fd = -1;	/* while it is open they are counted */
static uint64_t counted_since_ns, counted_ns;

void object_count_cost(bool on)
{
	if (on && stats_fd < 0) {
		stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		counted_since_ns = tl_now();
	} else if (!on && stats_fd >= 0) {
		close(stats_fd);
		stats_fd = -1;
		counted_ns += tl_now() - counted_since_ns;
	}
}

uint64_t object_cost_counted_ns(void)
{
	return counted_ns;
}

struct object_cost object_cost(const struct object *o)
{
	struct object_cost cost = { 0, 0 };
	struct bpf_program *program;
	struct bpf_prog_info info;
	__u32 size;

	if (!o->bpf)
		return cost;
	bpf_object__for_each_program(program, o->bpf) {
		memset(&info, 0, sizeof(info));
		size = sizeof(info);
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info,
					   &size))
			continue;
		cost.runs += info.run_cnt;
		cost.ns += info.run_time_ns;
	}
	return cost;
}

void object_free(struct object *o)
{
	while (o->links_count)
		bpf_link__destroy(o->links[--o->links_count]);
	bpf_object__close(o->bpf);
	o->bpf = NULL;
}
