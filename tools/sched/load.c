/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tl-sched load: has the scheduler in the kernel, attaches it to the probes of those
 * that it is to know, and says what it does.
 *
 * The kernel may end the scheduler by itself: that is looked for each LOOK_NS.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tasklet/time.h>

#include "output/output.h"
#include "policy.h"
#include "probes.h"
#include "show.h"
#include "trace/target.h"

#define LOOK_NS UINT64_C(50000000)

static struct policy policy;
static struct gilsched_stats before;
static uint64_t began_ns, shown_ns;

/* --- the probes ----------------------------------------------------------------------- */

static int attach_pids(const struct sched_request *request)
{
	char what[60];
	size_t i;
	int r;

	for (i = 0; i < request->pids_count; i++) {
		r = sched_probes_of(&policy.object, request->pids[i]);
		if (r > 0)
			continue;
		snprintf(what, sizeof(what), "process %d has no probes of "
			 "libtasklet", request->pids[i]);
		return complain(what, r ? r : -ENOENT);
	}
	return EXIT_SUCCESS;
}

static int attach_file(const struct sched_request *request)
{
	int r = request->file ? sched_probes_in(&policy.object, request->file) : 1;

	if (r > 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "tl-sched: %s: ", request->file);
	return complain("it has no probes of libtasklet", r ? r : -ENOENT);
}

/* A command has its program's files some time after it was let go, if it has any. */
static int attach_command(const struct target *target)
{
	static bool attached;
	int r;

	if (!target->is_ours || attached || !target_is_running(target))
		return EXIT_SUCCESS;
	r = sched_probes_of(&policy.object, target->pid);
	attached = r > 0;
	return r < 0 && r != -ESRCH ? complain("the command's probes", r) :
	       EXIT_SUCCESS;
}

/* --- what it does ------------------------------------------------------------------------ */

static int show(const struct request *request, bool final)
{
	struct gilsched_stats now;
	struct stdout_text out;
	int r = policy_stats(&policy, &now), written;

	if (!r)
		r = stdout_begin(&out);
	if (r)
		return r;
	show_stats(request, &now, final ? NULL : &before,
		   tl_now() - (final ? began_ns : shown_ns), out.f);
	written = stdout_end(&out);
	before = now;
	shown_ns = tl_now();
	return written;
}

static int show_end(const struct request *request,
		    const struct gilsched_exit *e)
{
	struct stdout_text out;
	int r = show(request, true);

	if (!r)
		r = stdout_begin(&out);
	if (r)
		return complain("output", r);
	show_exit(request, e, out.f);
	r = stdout_end(&out);
	if (r)
		return complain("output", r);
	if (e->kind == GILSCHED_EXIT_UNREG)
		return EXIT_SUCCESS;
	fprintf(stderr, "tl-sched: the kernel has ended the scheduler: %s\n",
		e->reason);
	return EXIT_FAILURE;
}

static bool has_ended(void)
{
	struct gilsched_exit e;

	policy_exit(&policy, &e);
	return e.kind;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Until it is over; a line at each interval. EXIT_FAILURE as above. */
static int watch(const struct request *request, struct target *target)
{
	uint64_t end = request->duration_ns ? tl_after(request->duration_ns) :
		       TL_FOREVER;
	uint64_t next = request->interval_ns ? tl_after(request->interval_ns) :
			TL_FOREVER;
	int r = 0;

	while (!r && tl_now() < end && !has_ended()) {
		if (attach_command(target))
			return EXIT_FAILURE;
		if (target_wait(target, earlier(tl_after(LOOK_NS),
						earlier(next, end))) != TARGET_TIME)
			break;
		if (tl_now() < next)
			continue;
		next += request->interval_ns;
		r = show(request, false);
	}
	return r ? complain("output", r) : target_check(target, request);
}

/* --- from begin to end ---------------------------------------------------------------------- */

static int begin(const struct sched_request *request, struct target *target)
{
	int r;

	if (policy_open(&policy, request) || attach_pids(request) ||
	    attach_file(request))
		return EXIT_FAILURE;
	r = target->is_ours ? sched_ask(target->pid) : 0;
	if (r)
		return complain("can't have the command scheduled", r);
	fprintf(stderr, "tl-sched: loaded; Ctrl-C to end it\n");
	began_ns = shown_ns = tl_now();
	target_go(target);
	return EXIT_SUCCESS;
}

int sched_load(const struct sched_request *request)
{
	struct gilsched_exit e;
	struct target target;
	int r;

	if (target_open(&target, &request->common))
		return EXIT_FAILURE;
	r = begin(request, &target);
	if (!r) {
		r = watch(&request->common, &target);
		policy_stop(&policy);
		policy_exit(&policy, &e);
		r = show_end(&request->common, &e) || r;
	}
	policy_close(&policy);
	target_close(&target);
	return r;
}
