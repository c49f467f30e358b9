/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tasklets: making, binding, and the calls that choose who runs. Each checks
 * everything first and changes state afterwards, so a call that fails has
 * changed nothing.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "core/end.h"
#include "core/kill.h"
#include "core/park.h"
#include "core/run.h"
#include "os/log.h"

#define KILL_ROUNDS 10	/* for one that catches the kill and pauses again */

static inline bool is_alive(const struct tl_task *t)
{
	return t->state == TL__PAUSED || t->state == TL__RUNNABLE ||
	       t->state == TL__BLOCKED;
}

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
	t->refs = 0;
	t->value = NULL;
	t->id = new_id(s);
	return t;
}

/* Makes @t alive: its function will start when it is first switched to. */
static inline void prepare(struct tl_sched *s, struct tl_task *t, void *arg)
{
	t->arg = arg;
	t->sp = tl__switch_prepare(tl__stack_top(t));
	tl__annotate_start(&t->annotation);
	s->alive++;
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

static int attr_check(const struct tl_task_attr *attr, int *class,
		      const char **name)
{
	*class = TL__STACK_CLASS_DEFAULT;
	*name = NULL;
	if (!attr)
		return 0;
	if (attr->size < sizeof(*attr) || attr->size > 4096)
		return -EINVAL;
	if (!unknown_attrs_are_zero(attr))
		return -E2BIG;
	*name = attr->name;
	*class = tl__stack_class(attr->stack_size);
	return *class < 0 ? *class : 0;
}

static int task_make(struct tl_sched *s, struct tl_task **out,
		     const struct tl_task_attr *attr)
{
	struct tl_task *t;
	const char *name;
	int class, r;

	r = attr_check(attr, &class, &name);
	if (r)
		return r;
	t = task_alloc(s, class);
	if (!t)
		return -ENOMEM;
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
	t->state = TL__UNBOUND;
	t->fn = NULL;
	t->refs = 1;
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
	t->fn = fn;
	prepare(s, t, arg);
	tl__ring_append(s, t);
	if (out) {
		t->refs = 1;
		*out = t;
	}
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
	t->fn = fn;
	prepare(s, t, arg);
	tl__ring_append(s, t);
	if (out) {
		t->refs = 1;
		*out = t;
	}
	return 0;
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
	task->refs++;
	return task;
}

/* A paused tasklet that has started lost its last handle. */
static void kill_unreachable(struct tl_sched *s, struct tl_task *t)
{
	int i;

	t->refs++;	/* for the time of the kill */
	for (i = 0; i < KILL_ROUNDS; i++) {
		if (tl_task_kill(t) == -EPERM && is_alive(t))
			tl__throw_at(s, t, &tl__error_killed);
		/* Not even a shield may keep it: nobody can make it run. */
		if (t->state == TL__PAUSED && t->refs == 1 &&
		    (t->flags & (TL__SHIELDED | TL__IN_RUN)) == TL__SHIELDED)
			tl__unpause(s, t);
		/* It may take a handle meanwhile, or pause again. */
		if (t->refs > 1 || t->state != TL__PAUSED ||
		    (t->flags & TL__IN_RUN))
			break;
	}
	if (!--t->refs && !is_alive(t))
		tl__stack_release(s, t);
}

void tl_task_unref(struct tl_task *task)
{
	struct tl_sched *s;

	if (!task)
		return;
	s = task->sched;
	if (s && s != tl__sched_self)
		tl__fatal("tl_task_unref() of %s, another thread's",
			  tl__task_label(task));
	if (!task->refs)
		tl__fatal("tl_task_unref() of %s, which has no handle left",
			  tl__task_label(task));
	if (--task->refs)
		return;
	if (!s) {
		tl__orphan_release(task);
		return;
	}
	switch (task->state) {
	case TL__UNBOUND:
	case TL__BOUND:
	case TL__DEAD:
		tl__stack_release(s, task);
		break;
	case TL__PAUSED:
		if (task->flags & TL__IN_RUN)
			break;	/* its tl_run() will make it runnable */
		if (task->flags & TL__STARTED) {
			kill_unreachable(s, task);
			break;
		}
		s->paused--;
		tl__task_buried(s, task);
		break;
	}
}

/* Whether the function of @t may change now. */
static int bind_check(const struct tl_task *t)
{
	if (!tl__is_ours(t))
		return -EXDEV;
	if ((t->flags & TL__MAIN) || t == tl__me(t->sched))
		return -EINVAL;
	if (t->state == TL__RUNNABLE || t->state == TL__BLOCKED)
		return -EBUSY;
	if (t->state == TL__PAUSED && (t->flags & TL__STARTED))
		return -EBUSY;
	return 0;
}

/* Takes a paused tasklet that has not started back to "not alive". */
static void unprepare(struct tl_task *t)
{
	if (t->state == TL__PAUSED) {
		t->sched->paused--;
		t->sched->alive--;
	}
}

static void bind_function(struct tl_task *t, tl_task_fn *fn)
{
	unprepare(t);
	t->fn = fn;
	t->value = NULL;
	t->flags &= TL__BLOCKTRAP;
	t->state = fn ? TL__BOUND : TL__UNBOUND;
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
	task->state = TL__PAUSED;
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
	if (is_alive(task))
		return -EBUSY;
	r = task->fn ? 0 : -EINVAL;
	if (r)
		return r;
	task->flags &= TL__BLOCKTRAP;
	prepare(task->sched, task, arg);
	tl__ring_append(task->sched, task);
	return 0;
}

/* What keeps @t from being run, if anything. */
static int runnable_check(const struct tl_task *t)
{
	if (t->state == TL__BLOCKED)
		return -EBUSY;
	return is_alive(t) ? 0 : -ESRCH;
}

int tl_task_insert(struct tl_task *task)
{
	int r;

	if (!tl__is_ours(task))
		return -EXDEV;
	r = runnable_check(task);
	if (!r && task->state == TL__PAUSED)
		tl__unpause(task->sched, task);
	return r;
}

int tl_task_remove(struct tl_task *task)
{
	struct tl_sched *s = task->sched;

	if (!tl__is_ours(task))
		return -EXDEV;
	if (task == tl__me(s))
		return -EINVAL;
	if (task->state == TL__BLOCKED)
		return -EBUSY;
	if (task->state != TL__RUNNABLE)
		return 0;
	if (task == s->entering)
		return -EPERM;	/* the switch to it is under way */
	if (!task->refs)
		return tl_task_kill(task);
	tl__ring_remove(s, task);
	task->state = TL__PAUSED;
	s->paused++;
	return 0;
}

/* The checks that run and switch share; 0, -errno, or 1: nothing to do. */
static int target_check(const struct tl_sched *s, const struct tl_task *target)
{
	int r;

	if (target->sched != s)
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
	me = s->head;
	r = tl__raise_check(me);
	if (!r)
		r = target_check(s, task);
	if (r)
		return r > 0 ? 0 : r;
	if (task->state == TL__PAUSED)
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
	if (!me->refs)
		return tl_task_kill(me);
	if (task->state == TL__PAUSED) {
		/* In the caller's place: behind it, and then it goes. */
		s->paused--;
		tl__ring_insert_after(s, me, task);
	}
	tl__ring_remove(s, me);
	s->head = task;
	me->state = TL__PAUSED;
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
		(void)tl__settled_to(s, me, s->head);
	}
	return r;
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
	if (!me->refs)
		return tl_task_kill(me);
	tl__ring_remove(s, me);
	me->state = TL__PAUSED;
	s->paused++;
	next = s->head ? s->head : tl__next_runnable(s);
	if (!next) {
		s->paused--;
		tl__ring_append(s, me);
		return -EDEADLK;
	}
	return next != me ? tl__yield_to(s, me, next) : tl__raise_check(me);
}
