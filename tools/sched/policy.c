/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * See policy.h.
 *
 * The scheduler is there as long as a link is open, and that is closed when we end
 * however we end. libbpf 1.1 knows nothing of such links: it would register the
 * scheduler for good. So it is told that the map is meant for one, and then has the
 * map prepared only; the link is made here.
 */
#include "policy.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gilsched.skel.h"
#include "state.h"

#define MAP_FOR_LINK (1u << 13)		/* BPF_F_LINK, */
#define ATTACH_STRUCT_OPS 44		/* BPF_STRUCT_OPS: newer than the headers */
#define PROGRAM_SLEEPS (1u << 4)	/* BPF_F_SLEEPABLE */

static int prepare(struct bpf_object *bpf)
{
	struct bpf_map *ops = bpf_object__find_map_by_name(bpf, "gilsched");
	struct bpf_map *cpus = bpf_object__find_map_by_name(bpf, "cpus");
	struct bpf_program *init =
		bpf_object__find_program_by_name(bpf, "gilsched_init");
	int r = bpf_map__set_map_flags(ops, MAP_FOR_LINK);

	if (!r)
		r = bpf_program__set_flags(init, PROGRAM_SLEEPS);
	if (!r)
		r = bpf_map__set_max_entries(cpus, (__u32)libbpf_num_possible_cpus());
	return r;
}

static const struct object_source source = {
	.name = "gilsched",
	.typed = gilsched_bpf__elf_bytes,
	.prepare = prepare,
};

static int check_kernel(const struct sched_request *request)
{
	struct btf *btf;
	bool has_it;

	if (object_check_kernel(&request->common))
		return EXIT_FAILURE;
	btf = btf__load_vmlinux_btf();
	has_it = btf && btf__find_by_name_kind(btf, "sched_ext_ops",
					       BTF_KIND_STRUCT) > 0;
	btf__free(btf);
	if (has_it)
		return EXIT_SUCCESS;
	fprintf(stderr, "tl-sched: this kernel has no sched_ext "
		"(CONFIG_SCHED_CLASS_EXT; Linux 6.12 or later)\n");
	return EXIT_FAILURE;
}

static int set_up(struct policy *p, const struct sched_request *request)
{
	struct gilsched_settings settings = {
		.slice_ns = request->slice_ns,
		.starve_ns = request->starve_ns,
		.hold = request->hold,
		.cpus = (__u32)libbpf_num_possible_cpus(),
	};
	__u32 zero = 0;

	if (bpf_map_update_elem(object_map(&p->object, "settings"), &zero,
				&settings, BPF_ANY))
		return complain("can't set the scheduler up", -errno);
	return EXIT_SUCCESS;
}

/* Only root may open it: a bpffs makes files with mode 0600. */
static void pin(struct policy *p)
{
	unlink(SCHED_PIN);	/* of one that was killed */
	p->pinned = !bpf_obj_pin(object_map(&p->object, "tl_marks"), SCHED_PIN);
	if (!p->pinned)
		fprintf(stderr, "tl-sched: no threads can be marked: %s: %s\n",
			SCHED_PIN, strerror(errno));
}

static int put_in_charge(struct policy *p)
{
	struct bpf_map *ops =
		bpf_object__find_map_by_name(p->object.bpf, "gilsched");
	char what[200], name[160];
	int r = object_keep(&p->object, bpf_map__attach_struct_ops(ops));

	if (r)
		return complain("can't prepare the scheduler", r);
	p->link = bpf_link_create(bpf_map__fd(ops), 0, ATTACH_STRUCT_OPS, NULL);
	if (p->link >= 0)
		return EXIT_SUCCESS;
	r = -errno;
	if (r != -EBUSY || !state_name(name, sizeof(name)))
		return complain("the kernel does not take the scheduler", r);
	snprintf(what, sizeof(what), "another scheduler is loaded, %s", name);
	return complain(what, r);
}

int policy_open(struct policy *p, const struct sched_request *request)
{
	*p = (struct policy){ .link = -1 };
	if (check_kernel(request) ||
	    object_load(&p->object, &source, &request->common) ||
	    set_up(p, request) || put_in_charge(p))
		return EXIT_FAILURE;
	pin(p);
	return EXIT_SUCCESS;
}

int policy_stats(const struct policy *p, struct gilsched_stats *stats)
{
	const size_t words = sizeof(*stats) / sizeof(__u64);
	int cpu, cpus = libbpf_num_possible_cpus();
	__u64 *all, *sum = (__u64 *)stats;
	__u32 zero = 0;
	size_t i;
	int r = 0;

	memset(stats, 0, sizeof(*stats));
	all = cpus > 0 ? calloc((size_t)cpus, sizeof(*stats)) : NULL;
	if (!all)
		return -ENOMEM;
	if (bpf_map_lookup_elem(object_map(&p->object, "stats"), &zero, all))
		r = -errno;
	for (cpu = 0; !r && cpu < cpus; cpu++)
		for (i = 0; i < words; i++)
			sum[i] += all[(size_t)cpu * words + i];
	free(all);
	return r;
}

void policy_exit(const struct policy *p, struct gilsched_exit *e)
{
	__u32 zero = 0;

	memset(e, 0, sizeof(*e));
	bpf_map_lookup_elem(object_map(&p->object, "exits"), &zero, e);
}

void policy_stop(struct policy *p)
{
	if (p->link >= 0)
		close(p->link);
	p->link = -1;
}

void policy_close(struct policy *p)
{
	policy_stop(p);
	if (p->pinned)
		unlink(SCHED_PIN);
	object_free(&p->object);
}
