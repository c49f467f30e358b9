/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tasklets: making, binding, and the calls that choose who runs. Each checks
 * everything first and changes state afterwards, so a call that fails has
 * changed nothing.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/probe.h"
#include "core/end.h"
#include "core/extra.h"
#include "core/kill.h"
#include "core/park.h"
#include "core/probes.h"
#include "core/remote.h"
#include "core/run.h"
#include "core/unwind.h"
#include "os/log.h"

#define KILL_ROUNDS 10	/* for one that catches the kill and pauses again */

static inline struct tl_task *stack_alloc(struct tl_sched *s, int class)
{
	struct tl_task *t = s->stacks.free[class];

	if (unlikely(!t))
		return tl__stack_alloc_slow(s, class);
	s->stacks.free[class] = t->next;
	s->stacks.nfree--;
	s->stacks.free_bytes -= t->slab->slot_size;
	t->slab->used++;
	return t;
}

static inline uint64_t new_id(struct tl_sched *s)
{
	if (unlikely(s->next_id == s->last_id))
		tl__sched_new_ids(s);
	return ++s->next_id;
}

static inline struct tl_task *task_alloc(struct tl_sched *s, int class)
{
	struct tl_task *t = stack_alloc(s, class);

	if (unlikely(!t))
		return NULL;
	t->flags = 0;
	tl__refs_set(t, 0);
	t->value = NULL;
	t->id = new_id(s);
	return t;
}

/* Makes @t alive: its function will start when it is first switched to. */
static inline void prepare(struct tl_sched *s, struct tl_task *t, void *arg)
{
	t->arg = arg;
	t->sp = tl__switch_prepare(tl__stack_start(t));
	tl__annotate_start(&t->annotation);
	s->alive++;
	if (unlikely(tl__probe_wanted(task_new)))
		tl__probe_new(t);
}

/* Runnable, with a handle in @out if that is not NULL. */
static inline void launch(struct tl_sched *s, struct tl_task *t, tl_task_fn *fn,
			  void *arg, struct tl_task **out)
{
	t->fn = fn;
	prepare(s, t, arg);
	tl__ring_append(s, t);
	if (out) {
		tl__refs_set(t, 1);
		*out = t;
	}
}

/* Whether a caller that knows more attributes than we do uses none of those. */
static bool unknown_attrs_are_zero(const struct tl_task_attr *attr)
{
	const char *byte = (const char *)attr + sizeof(*attr);
	const char *end = (const char *)attr + attr->size;

	while (byte < end)
		if (*byte++)
			return false;
	return true;
}

/* The attributes of version 0.1, before there were flags. */
#define ATTR_SIZE_MIN offsetof(struct tl_task_attr, flags)

static int flags_check(uint64_t attr_flags, uint32_t *flags)
{
	if (attr_flags & ~(uint64_t)TL_UNWIND)
		return -EINVAL;
	if (!(attr_flags & TL_UNWIND))
		return 0;
	*flags = TL__UNWIND;
	return tl__unwind_available();
}

static int attr_check(const struct tl_task_attr *attr, int *class,
		      const char **name, uint32_t *flags)
{
	*class = TL__STACK_CLASS_DEFAULT;
	*name = NULL;
	*flags = 0;
	if (!attr)
		return 0;
	if ((attr->size < sizeof(*attr) && attr->size != ATTR_SIZE_MIN) ||
	    attr->size > 4096)
		return -EINVAL;
	if (!unknown_attrs_are_zero(attr))
		return -E2BIG;
	*name = attr->name;
	*class = tl__stack_class(attr->stack_size);
	if (*class < 0)
		return *class;
	return attr->size > ATTR_SIZE_MIN ? flags_check(attr->flags, flags) : 0;
}

int tl__task_attr_check(const struct tl_task_attr *attr)
{
	const char *name;
	uint32_t flags;
	int class;

	return attr_check(attr, &class, &name, &flags);
}

static int task_make(struct tl_sched *s, struct tl_task **out,
		     const struct tl_task_attr *attr)
{
	struct tl_task *t;
	const char *name;
	uint32_t flags;
	int class, r;

	r = attr_check(attr, &class, &name, &flags);
	if (r)
		return r;
	t = task_alloc(s, class);
	if (!t)
		return -ENOMEM;
	t->flags = flags;
	r = tl_task_set_name(t, name);
	if (r) {
		tl__stack_release(s, t);
		return r;
	}
	*out = t;
	return 0;
}

int tl_task_new(struct tl_task **out, const struct tl_task_attr *attr)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *t;
	int r;

	if (!s)
		return tl__sched_error();
	if (!out)
		return -EINVAL;
	r = task_make(s, &t, attr);
	if (r)
		return r;
	tl__state_set(t, TL__UNBOUND);
	t->fn = NULL;
	tl__refs_set(t, 1);
	*out = t;
	return 0;
}

int tl_spawn(struct tl_task **out, tl_task_fn *fn, void *arg)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *t;

	if (unlikely(!s))
		return tl__sched_error();
	if (unlikely(!fn))
		return -EINVAL;
	t = task_alloc(s, TL__STACK_CLASS_DEFAULT);
	if (unlikely(!t))
		return -ENOMEM;
	launch(s, t, fn, arg, out);
	return 0;
}

int tl_spawn_attr(struct tl_task **out, const struct tl_task_attr *attr,
		  tl_task_fn *fn, void *arg)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *t;
	int r;

	if (!s)
		return tl__sched_error();
	if (!fn)
		return -EINVAL;
	r = task_make(s, &t, attr);
	if (r)
		return r;
	launch(s, t, fn, arg, out);
	return 0;
}

int tl__task_make_kept(struct tl_sched *s, struct tl_task **out,
		       const struct tl_task_attr *attr, tl_task_fn *fn)
{
	struct tl_task *t;
	int r = task_make(s, &t, attr);

	if (r)
		return r;
	t->fn = fn;
	t->flags |= TL__KEPT;
	tl__refs_set(t, 1);
	tl__annotate_start(&t->annotation);
	memset(tl__extra(t), 0, sizeof(struct tl__extra));
	tl__extra(t)->keeper.task = t;
	*out = t;
	return 0;
}

void tl__task_start(struct tl_sched *s, struct tl_task *t, void *arg)
{
	prepare(s, t, arg);
	tl__ring_append(s, t);
}

int tl_spawn_run(struct tl_task **out, tl_task_fn *fn, void *arg)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me, *t;
	int r;

	if (unlikely(!s))
		return tl__sched_error();
	me = s->head;
	r = tl__raise_check(me);
	if (likely(!r))
		r = tl__switch_check(s);
	if (likely(!r))
		r = tl_spawn(out, fn, arg);
	if (unlikely(r))
		return r;
	t = me->prev;
	s->head = t;
	return tl__settled_to(s, me, t);
}

struct tl_task *tl_task_ref(struct tl_task *task)
{
	/* relaxed: the caller has a handle, or is the tasklet's own thread */
	atomic_fetch_add_explicit(&task->refs, 1, memory_order_relaxed);
	return task;
}

/* A paused tasklet that has started lost its last handle. */
static void kill_unreachable(struct tl_sched *s, struct tl_task *t)
{
	int i;

	tl_task_ref(t);		/* for the time of the kill */
	for (i = 0; i < KILL_ROUNDS; i++) {
		if (tl_task_kill(t) == -EPERM && tl__is_alive(t))
			tl__throw_at(s, t, &tl__error_killed);
		/* Not even a shield may keep it: nobody can make it run. */
		if (tl__state(t) == TL__PAUSED && tl__refs(t) == 1 &&
		    (t->flags & (TL__SHIELDED | TL__IN_RUN)) == TL__SHIELDED)
			tl__unpause(s, t);
		/* It may take a handle meanwhile, or pause again. */
		if (tl__refs(t) > 1 || tl__state(t) != TL__PAUSED ||
		    (t->flags & TL__IN_RUN))
			break;
	}
	if (tl__refs_drop(t) && !tl__is_alive(t))
		tl__stack_release(s, t);
}

/* @t, of the calling thread, has no handle any more. */
static void unref_last(struct tl_sched *s, struct tl_task *t)
{
	switch (tl__state(t)) {
	case TL__UNBOUND:
	case TL__BOUND:
	case TL__DEAD:
		tl__stack_release(s, t);
		break;
	case TL__PAUSED:
		if (t->flags & TL__IN_RUN)
			break;	/* its tl_run() will make it runnable */
		if (t->flags & TL__STARTED) {
			kill_unreachable(s, t);
			break;
		}
		s->paused--;
		tl__probe_unrun(t);
		tl__task_buried(s, t);
		break;
	case TL__RUNNABLE:
	case TL__BLOCKED:
		break;
	}
}

void tl_task_unref(struct tl_task *task)
{
	if (!task)
		return;
	if (!tl__refs(task))
		tl__fatal("tl_task_unref() of %s, which has no handle left",
			  tl__task_label(task));
	if (!tl__is_ours(task))
		tl__unref_remote(task);
	else if (tl__refs_drop(task))
		unref_last(task->sched, task);
}

/* Whether the function of @t may change now. */
static int bind_check(const struct tl_task *t)
{
	if (!tl__is_ours(t))
		return -EXDEV;
	if ((t->flags & TL__MAIN) || t == tl__me(t->sched))
		return -EINVAL;
	if (tl__state(t) == TL__RUNNABLE || tl__state(t) == TL__BLOCKED)
		return -EBUSY;
	if (tl__state(t) == TL__PAUSED && (t->flags & TL__STARTED))
		return -EBUSY;
	return 0;
}

/* Takes a paused tasklet that has not started back to "not alive". */
static void unprepare(struct tl_task *t)
{
	if (tl__state(t) == TL__PAUSED) {
		if (t->flags & TL__KEPT)
			tl__keeper_ended(t, -ECANCELED, true);
		t->sched->paused--;
		t->sched->alive--;
		tl__probe_unrun(t);
	}
}

static void bind_function(struct tl_task *t, tl_task_fn *fn)
{
	unprepare(t);
	t->fn = fn;
	t->value = NULL;
	t->flags &= TL__LASTING_FLAGS;
	tl__state_set(t, fn ? TL__BOUND : TL__UNBOUND);
}

int tl_task_bind(struct tl_task *task, tl_task_fn *fn)
{
	int r = fn ? bind_check(task) : -EINVAL;

	if (!r)
		bind_function(task, fn);
	return r;
}

int tl_task_bind_arg(struct tl_task *task, tl_task_fn *fn, void *arg)
{
	int r = bind_check(task);

	if (r)
		return r;
	if (!fn)
		fn = task->fn;
	if (!fn)
		return -EINVAL;
	bind_function(task, fn);
	prepare(task->sched, task, arg);
	tl__state_set(task, TL__PAUSED);
	task->sched->paused++;
	return 0;
}

int tl_task_unbind(struct tl_task *task)
{
	int r = bind_check(task);

	if (!r)
		bind_function(task, NULL);
	return r;
}

int tl_task_setup(struct tl_task *task, void *arg)
{
	int r;

	if (!tl__is_ours(task))
		return -EXDEV;
	if (tl__is_alive(task))
		return -EBUSY;
	r = task->fn ? 0 : -EINVAL;
	if (r)
		return r;
	task->flags &= TL__LASTING_FLAGS;
	prepare(task->sched, task, arg);
	tl__ring_append(task->sched, task);
	return 0;
}

/* What keeps @t from being run, if anything. */
static int runnable_check(const struct tl_task *t)
{
	if (tl__state(t) == TL__BLOCKED)
		return -EBUSY;
	return tl__is_alive(t) ? 0 : -ESRCH;
}

int tl_task_insert(struct tl_task *task)
{
	int r = runnable_check(task);

	if (!tl__is_ours(task))
		return r ? r : tl__mail(task, TL__MAIL_INSERT, NULL);
	if (!r && tl__state(task) == TL__PAUSED)
		tl__unpause(task->sched, task);
	return r;
}

int tl_task_remove(struct tl_task *task)
{
	struct tl_sched *s = tl__sched_self;

	if (!tl__is_ours(task))
		return tl__is_alive(task) ? -EXDEV : 0;
	if (task == tl__me(s))
		return -EINVAL;
	if (tl__state(task) == TL__BLOCKED)
		return -EBUSY;
	if (tl__state(task) != TL__RUNNABLE)
		return 0;
	if (task == s->entering)
		return -EPERM;	/* the switch to it is under way */
	if (!tl__refs(task))
		return tl_task_kill(task);
	tl__ring_remove(s, task);
	tl__state_set(task, TL__PAUSED);
	s->paused++;
	return 0;
}

/* The checks that run and switch share; 0, -errno, or 1: nothing to do. */
static int target_check(const struct tl_sched *s, const struct tl_task *target)
{
	int r;

	if (!tl__is_ours(target))
		return -EXDEV;
	r = runnable_check(target);
	if (r)
		return r;
	if (target == s->head)
		return 1;
	return tl__switch_check(s);
}

int tl_task_run(struct tl_task *task)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	if (!tl__is_ours(task)) {
		r = runnable_check(task);
		return r ? r : tl__mail(task, TL__MAIL_RUN, NULL);
	}
	me = s->head;
	r = tl__raise_check(me);
	if (!r)
		r = target_check(s, task);
	if (r)
		return r > 0 ? 0 : r;
	if (tl__state(task) == TL__PAUSED)
		tl__unpause(s, task);
	s->head = task;
	return tl__yield_to(s, me, task);
}

int tl_task_switch(struct tl_task *task)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me;
	int r;

	if (!s)
		return tl__sched_error();
	me = s->head;
	r = tl__raise_check(me);
	if (r)
		return r;
	r = target_check(s, task);
	if (r)
		return r > 0 ? 0 : r;
	if (!tl__refs(me))
		return tl_task_kill(me);
	if (tl__state(task) == TL__PAUSED) {
		/* In the caller's place: behind it, and then it goes. */
		s->paused--;
		tl__ring_insert_after(s, me, task);
	}
	tl__ring_remove(s, me);
	s->head = task;
	tl__state_set(me, TL__PAUSED);
	s->paused++;
	return tl__yield_to(s, me, task);
}

/* Nobody else is in the ring; something outside may change that. */
static int schedule_alone(struct tl_sched *s, struct tl_task *me)
{
	int r;

	if (--s->round_left < 0)
		tl__poll(s);
	if (me->next == me)
		return tl__raise_check(me);
	r = tl__switch_check(s);
	if (r)
		return r;
	s->head = me->next;
	return tl__yield_to(s, me, s->head);
}

/*
 * The call fails, but not at the others' cost: a loop that only looks at its own
 * condition must not freeze them.
 */
static int schedule_raised(struct tl_sched *s, struct tl_task *me, int r)
{
	if (!tl__switch_check(s) && me->next != me) {
		s->head = me->next;
		(void)tl__turned_to(s, me, s->head);
	}
	return tl__unwind_return(me, r);
}

int tl_schedule(void)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me, *next;
	int r;

	if (unlikely(!s))
		return tl__sched_error();
	me = s->head;
	r = tl__raise_check(me);
	if (unlikely(r))
		return schedule_raised(s, me, r);
	next = me->next;
	if (unlikely(next == me))
		return schedule_alone(s, me);
	r = tl__switch_check(s);
	if (unlikely(r))
		return r;
	s->head = next;
	return tl__yield_to(s, me, next);
}

int tl_schedule_remove(void)
{
	struct tl_sched *s = tl__sched();
	struct tl_task *me, *next;
	int r;

	if (!s)
		return tl__sched_error();
	me = s->head;
	r = tl__block_check(s, me, true);
	if (r)
		return r;
	if (!tl__refs(me))
		return tl_task_kill(me);
	tl__ring_remove(s, me);
	tl__state_set(me, TL__PAUSED);
	s->paused++;
	next = s->head ? s->head : tl__next_runnable(s);
	if (!next) {
		s->paused--;
		tl__ring_append(s, me);
		return -EDEADLK;
	}
	return next != me ? tl__yield_to(s, me, next) : tl__raise_check(me);
}
