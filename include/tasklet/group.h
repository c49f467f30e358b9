/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Groups: tasklets that belong together, to be killed and waited for as one.
 *
 * A service is torn down by killing its group and waiting for it:
 *
 *	tl_group_kill(group);
 *	if (tl_group_wait_until(group, tl_after(second)) == -ETIMEDOUT)
 *		complain(tl_group_count(group), tl_group_swallowed(group));
 *
 * A tasklet is born into a group and stays until its end; it is in one group at
 * most, and what it spawns itself is in none unless it says so. The group has a
 * handle of each member, so that a paused one stays alive. Members may belong to
 * several threads. A group lives as long as it has handles, members, or somebody
 * who waits for it.
 *
 * A member's uncaught error stays with the group, if that has a handle still, and
 * does not come out of tl_run(): whoever waits for the group asks for it. The
 * thread's error handler sees it first.
 *
 * Contexts, unless said otherwise: tasklets and plain threads; not signal
 * handlers. Groups may be used by several threads at once. What a member did
 * before its end is visible to whoever waited for it.
 */
#ifndef TASKLET_GROUP_H
#define TASKLET_GROUP_H

#include <tasklet/base.h>
#include <tasklet/task.h>

TL_BEGIN_DECLS

struct tl_group;
struct tl_error;

/* tl_group_new - make a group. Returns 0, -EINVAL (@out is NULL), -ENOMEM. */
TL_API int tl_group_new(struct tl_group **out);

/* tl_group_ref - one more handle. Returns @group. */
TL_API struct tl_group *tl_group_ref(struct tl_group *group);

/*
 * tl_group_unref - give a handle up. NULL is allowed
 *
 * Members go on, and their errors are everybody's again. An error that nobody
 * asked for is freed.
 */
TL_API void tl_group_unref(struct tl_group *group);

/*
 * tl_group_spawn - make a tasklet of this thread, in the group
 *
 * As tl_spawn_attr(); @out and @attr may be NULL. -EPIPE: the group was killed.
 */
TL_API int tl_group_spawn(struct tl_group *group, struct tl_task **out,
			  const struct tl_task_attr *attr, tl_task_fn *fn,
			  void *arg);

/*
 * tl_group_kill - kill every member, and let nobody in any more
 *
 * From now on, and for ever, tl_group_spawn() returns -EPIPE; so the kill reaches
 * whatever members have spawned into it. Each is killed as by
 * tl_task_kill_later(); nobody is waited for. A caller who is a member is killed
 * last. Killing again kills once more those that have swallowed it.
 *
 * Returns 0; -ECANCELED if the caller is a member and has no shield; -EPERM in a
 * schedule callback, if a member is just being switched to.
 */
TL_API int tl_group_kill(struct tl_group *group);

/*
 * tl_group_wait - wait until no member is left
 *
 * Returns 0; -EDEADLK (the caller is a member, or none that is left can ever run
 * again); -ETIMEDOUT (_until); -EPERM (a trap
 * forbids to block); -ENOMEM; -ECANCELED, or what was thrown at the caller.
 */
TL_API int tl_group_wait(struct tl_group *group);
TL_API int tl_group_wait_until(struct tl_group *group, uint64_t deadline_ns);

/* How many members are left. Any thread; does not switch. */
TL_API int tl_group_count(struct tl_group *group);

/* How many of them were killed, and have taken that with tl_catch(). */
TL_API int tl_group_swallowed(struct tl_group *group);

/*
 * tl_group_first_error - the first uncaught error of a member
 *
 * The caller owns it. NULL if there is none, or it was handed over already; later
 * errors are freed when they arise, until then.
 */
TL_API struct tl_error *tl_group_first_error(struct tl_group *group);

TL_END_DECLS

#endif
