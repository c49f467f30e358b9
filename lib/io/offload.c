/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Calls on the pool's threads: tl_offload() and tl_getaddrinfo().
 *
 * Who owns what is passed along: an offloaded call lies in the frame of its
 * tasklet, which stays blocked until the call has been taken back or is done. A
 * name look-up is an object of its own with copies of all that it needs. It is
 * its tasklet's as long as that waits; one that gives up leaves the object to
 * whoever ends the look-up.
 */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include <tasklet/io.h>

#include "base/alloc.h"
#include "io/io.h"

/* Queues @job on behalf of @me, which then waits for it. */
static int submit(struct tl_sched *s, struct tl_task *me, struct tl__job *job,
		  uint64_t deadline_ns)
{
	int r;

	r = tl__deadline_arm(s, me, deadline_ns);
	if (r)
		return r;
	r = tl__pool_submit(s, job);
	if (r)
		tl__deadline_disarm(s, me);
	else
		tl__poll_soon(s);
	return r;
}

/* --- tl_offload() --------------------------------------------------------- */

struct call {
	struct tl__job job;
	struct tl_task *task;
	long (*fn)(void *arg);
	void *arg;
	long result;
};

static void call_run(struct tl__job *job)
{
	struct call *call = tl__container_of(job, struct call, job);

	call->result = call->fn(call->arg);
}

static void call_done(struct tl__job *job)
{
	struct call *call = tl__container_of(job, struct call, job);

	tl__wake(job->sched, call->task, 0);
}

static bool call_abandon(struct tl_task *t, int result)
{
	if (!tl__pool_cancel(t->wait_object))
		return false;	/* it runs: call_done() will end the wait */
	tl__wake(t->sched, t, result);
	return true;
}

static const struct tl__wait_ops call_ops = {
	.verb = "waits for an offloaded call",
	.abandon = call_abandon,
	.unwinds = true,
};

int tl_offload_until(long (*fn)(void *arg), void *arg, long *result,
		     uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct call call = { .fn = fn, .arg = arg };
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	if (!fn)
		return -EINVAL;
	me = tl__me(s);
	r = tl__block_check(s, me, true);
	if (r)
		return r;
	call.job.run = call_run;
	call.job.done = call_done;
	call.task = me;
	r = submit(s, me, &call.job, deadline_ns);
	if (!r)
		r = tl__park(s, me, &call_ops, &call.job);
	if (!r && result)
		*result = call.result;
	return r;
}

int tl_offload(long (*fn)(void *arg), void *arg, long *result)
{
	return tl_offload_until(fn, arg, result, TL_FOREVER);
}

/* --- tl_getaddrinfo() ----------------------------------------------------- */

struct lookup {
	struct tl__job job;
	struct tl_task *task;	/* NULL: it has given up */
	char *node, *service;	/* in `text`, or NULL */
	struct addrinfo hints;
	bool hinted;
	struct addrinfo *list;
	int code;		/* EAI_ */
	int error;		/* errno, with EAI_SYSTEM */
	char text[];
};

static struct lookup *lookup_of(struct tl__job *job)
{
	return tl__container_of(job, struct lookup, job);
}

static void lookup_free(struct lookup *l)
{
	if (l->list)
		freeaddrinfo(l->list);
	tl__free(l);
}

static void lookup_run(struct tl__job *job)
{
	struct lookup *l = lookup_of(job);

	errno = 0;
	l->code = getaddrinfo(l->node, l->service,
			      l->hinted ? &l->hints : NULL, &l->list);
	l->error = errno;
	if (l->code)
		l->list = NULL;
}

static void lookup_discard(struct tl__job *job)
{
	lookup_free(lookup_of(job));
}

static void lookup_done(struct tl__job *job)
{
	struct lookup *l = lookup_of(job);

	if (l->task)
		tl__wake(job->sched, l->task, 0);
	else
		lookup_free(l);
}

/* The tasklet goes on at once, and the object is not its own any more. */
static bool lookup_abandon(struct tl_task *t, int result)
{
	struct lookup *l = lookup_of(t->wait_object);

	if (tl__pool_cancel(&l->job)) {
		lookup_free(l);
	} else {
		l->task = NULL;
		/* If that is too late, lookup_done() frees. */
		tl__pool_let_go(&l->job);
	}
	tl__wake(t->sched, t, result);
	return true;
}

static const struct tl__wait_ops lookup_ops = {
	.verb = "looks up a name",
	.abandon = lookup_abandon,
	.unwinds = true,
};

static struct lookup *lookup_new(const char *node, const char *service,
				 const struct addrinfo *hints)
{
	size_t node_size = node ? strlen(node) + 1 : 0;
	size_t service_size = service ? strlen(service) + 1 : 0;
	struct lookup *l = tl__calloc(1, sizeof(*l) + node_size + service_size);

	if (!l)
		return NULL;
	l->job.run = lookup_run;
	l->job.done = lookup_done;
	l->job.discard = lookup_discard;
	if (node)
		l->node = memcpy(l->text, node, node_size);
	if (service)
		l->service = memcpy(l->text + node_size, service, service_size);
	if (hints) {
		l->hints = *hints;
		l->hinted = true;
	}
	return l;
}

static int lookup_result(const struct lookup *l)
{
	if (l->code != EAI_SYSTEM)
		return -l->code;
	return l->error > 0 ? -l->error : -EIO;
}

int tl_getaddrinfo_until(const char *node, const char *service,
			 const struct addrinfo *hints, struct addrinfo **out,
			 uint64_t deadline_ns)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	struct lookup *l;
	int r;

	if (!s)
		return tl__sched_error();
	if (!out)
		return -EINVAL;
	me = tl__me(s);
	r = tl__block_check(s, me, true);
	if (r)
		return r;
	l = lookup_new(node, service, hints);
	if (!l)
		return -ENOMEM;
	l->task = me;
	r = submit(s, me, &l->job, deadline_ns);
	if (r) {
		lookup_free(l);
		return r;
	}
	r = tl__park(s, me, &lookup_ops, &l->job);
	if (r)
		return r;	/* whoever ended the wait has taken it */
	r = lookup_result(l);
	if (!r) {
		*out = l->list;
		l->list = NULL;
	}
	lookup_free(l);
	return r;
}

int tl_getaddrinfo(const char *node, const char *service,
		   const struct addrinfo *hints, struct addrinfo **out)
{
	return tl_getaddrinfo_until(node, service, hints, out, TL_FOREVER);
}
