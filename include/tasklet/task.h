/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Tasklets: functions with a stack of their own, which the thread that created
 * them runs in turn.
 *
 * A tasklet is in one of these states:
 *
 *	unbound		has no function
 *	bound		has a function, but was not told to run it
 *	paused		alive, in no queue: only its handle can make it run
 *	runnable	in its thread's ring (the current one is its head)
 *	blocked		waits for a channel, a timer or IO
 *	dead		its function has ended; may be bound again
 *
 * The ring is first in, first out. Who runs next is defined to the last detail,
 * as in Stackless Python: see tl_schedule(), tl_task_run(), tl_chan_send().
 *
 * Handles are counted. A runnable or blocked tasklet needs no handle; a paused
 * one that loses its last handle is killed.
 *
 * Contexts, unless said otherwise: tasklets and plain threads (a thread becomes
 * a scheduler, and its own flow the main tasklet, with its first call); not
 * signal handlers.
 *
 * A tasklet runs on the thread that made it and never on another. Any thread that
 * has a handle may insert, run, kill and throw: of another thread's tasklet this
 * is asked of its thread, which is woken if it sleeps, and the caller goes on
 * without a switch, so no trap forbids it. What can be known at once is refused
 * at once (-ESRCH, -EBUSY); else 0 means that it was asked for. The thread does it,
 * if it still can then, when it next looks: as it switches, at least once a round,
 * as it wakes, and for a kill or a throw at its next tl_tick().
 * Several requests that wait for it to look become one: a throw replaces an
 * earlier one's error, and a kill outdoes a throw. Handles may be taken and given
 * up, and states asked, by any thread. The other functions refuse another
 * thread's tasklet with -EXDEV, or say that they are for its own thread.
 *
 * Memory ordering: what was done before an insert, run, kill or throw is visible
 * to the tasklet that it makes run. The states are no synchronisation: to know
 * what a tasklet of another thread has done, wait for it (future.h, group.h,
 * channel.h) rather than ask whether it is dead.
 */
#ifndef TASKLET_TASK_H
#define TASKLET_TASK_H

#include <tasklet/base.h>

TL_BEGIN_DECLS

struct tl_task;
struct tl_chan;
struct tl_error;

/*
 * A tasklet's function. 0 or a positive value ends it quietly, as does
 * -ECANCELED in a tasklet that was killed. Any other negative value is an
 * uncaught error: see tl_set_error_handler().
 */
typedef int tl_task_fn(void *arg);

/*
 * struct tl_task_attr - how to make a tasklet
 *
 * @size is sizeof(struct tl_task_attr): fields that a later version appends
 * count as zero. @stack_size in bytes is rounded up to a power of two that
 * includes the guard page and the tasklet's own bookkeeping; 0 means 64 KiB,
 * the limits are 16 KiB and 1 GiB. @name is copied; NULL means none.
 * @flags: see below.
 */
struct tl_task_attr {
	size_t size;
	size_t stack_size;
	const char *name;
	uint64_t flags;
};

/*
 * TL_UNWIND: the tasklet ends by forced unwinding
 *
 * tl_exit() and tl_exit_error() unwind its stack: C++ destructors and, where the
 * code was compiled with -fexceptions, __attribute__((cleanup)) functions of all
 * frames run, inner ones first, then deferred handlers. So does a kill, in place
 * of failing calls: the blocking call that it ends does not return, nor does one
 * that the tasklet begins afterwards, unless it is shielded (only a shield
 * lets tl_catch() see the kill). Other errors that are thrown still fail calls.
 *
 * While the stack is unwound kills are held off, and what runs may block. A C++
 * catch (...) must rethrow: if it doesn't, the process stops with a message. So
 * does an unwinding that leaves a noexcept function: a destructor that
 * blocks shields itself first.
 *
 * The tasklet has a C++ exception state of its own, so it may switch in a catch
 * block and while an exception is in the air. An exception that leaves the
 * function of any tasklet terminates the program.
 */
#define TL_UNWIND UINT64_C(1)

/*
 * tl_spawn - make a tasklet that will run fn(arg)
 *
 * It is linked at the end of the ring and runs when its turn comes. @out may
 * be NULL: the ring keeps it alive. Does not switch.
 *
 * Returns 0, -EINVAL (@fn is NULL) or -ENOMEM.
 */
TL_API int tl_spawn(struct tl_task **out, tl_task_fn *fn, void *arg);

/*
 * tl_spawn_attr - tl_spawn() with attributes
 *
 * -EINVAL for a bad one or an unknown flag; -E2BIG for one that this version
 * does not know; -ENOTSUP for TL_UNWIND in a process without an unwinder.
 */
TL_API int tl_spawn_attr(struct tl_task **out, const struct tl_task_attr *attr,
			 tl_task_fn *fn, void *arg);

/*
 * tl_spawn_run - make a tasklet and switch to it at once
 *
 * The caller runs next when the new tasklet blocks, yields or ends. A recursive
 * fan-out made this way keeps few tasklets alive at a time.
 *
 * Returns 0 when the caller runs again; as tl_spawn(); -EPERM (a switch trap); or
 * what was thrown at the caller before. Unless it is 0, nothing was made.
 */
TL_API int tl_spawn_run(struct tl_task **out, tl_task_fn *fn, void *arg);

/*
 * tl_task_new - make an unbound tasklet
 *
 * @attr may be NULL. The caller owns the handle.
 */
TL_API int tl_task_new(struct tl_task **out, const struct tl_task_attr *attr);

/*
 * tl_task_ref - one more handle. Returns @task.
 *
 * Any thread that has a handle, or is the tasklet's own.
 */
TL_API struct tl_task *tl_task_ref(struct tl_task *task);

/*
 * tl_task_unref - give a handle up
 *
 * The last one frees a tasklet that is unbound, bound, dead or never started.
 * A paused one that has started is killed first, at once: this call switches
 * then. NULL is allowed. On another thread than the tasklet's it never switches:
 * the tasklet's thread frees or kills it. What was done with the handles that went
 * before happens before the end.
 */
TL_API void tl_task_unref(struct tl_task *task);

/*
 * tl_task_bind - give a tasklet its function; it becomes bound, not alive
 *
 * Returns 0, -EINVAL (@fn is NULL, the tasklet is current or the main one),
 * -EBUSY (it is runnable or blocked, or paused in the middle of its function),
 * -EXDEV (it is another thread's, or its thread has ended).
 */
TL_API int tl_task_bind(struct tl_task *task, tl_task_fn *fn);

/*
 * tl_task_bind_arg - give function and argument; it becomes paused
 *
 * A NULL @fn keeps the function bound earlier. Errors as tl_task_bind().
 */
TL_API int tl_task_bind_arg(struct tl_task *task, tl_task_fn *fn, void *arg);

/*
 * tl_task_unbind - take the function away
 *
 * A paused tasklet that has not started becomes unbound. Errors as
 * tl_task_bind().
 */
TL_API int tl_task_unbind(struct tl_task *task);

/*
 * tl_task_setup - start a bound tasklet: it is linked at the end of the ring
 *
 * Returns 0, -EBUSY (it is alive), -EINVAL (it has no function), -EXDEV.
 */
TL_API int tl_task_setup(struct tl_task *task, void *arg);

/*
 * tl_task_insert - make a paused tasklet runnable, at the end of the ring
 *
 * Returns 0 (also if it was runnable), -EBUSY (blocked), -ESRCH (not alive).
 *
 * Another thread's goes to the end of its own ring; see above.
 */
TL_API int tl_task_insert(struct tl_task *task);

/*
 * tl_task_remove - take a runnable tasklet out of the ring; it becomes paused
 *
 * Without any handle it is killed instead, at once, for nobody could run it again.
 * Returns 0 (also if it was not in the ring), -EBUSY (blocked),
 * -EINVAL (current), -EXDEV (another thread's, and alive).
 */
TL_API int tl_task_remove(struct tl_task *task);

/*
 * tl_task_run - switch to a tasklet; the caller stays runnable
 *
 * A paused one is linked just before the caller, so the caller is next after
 * it. A runnable one keeps its place and those behind it run before the caller.
 * On the current tasklet: no effect.
 *
 * Returns 0 when the caller runs again, -EBUSY (blocked), -ESRCH (not alive),
 * -EPERM (a switch trap is set, nothing has changed), or the error thrown at
 * the caller meanwhile.
 *
 * Another thread's does not make the caller switch. It becomes the first in its
 * thread's ring if that was empty, as when the thread sleeps; else it is placed
 * behind the one that runs there, also where it was runnable. Returns 0, -EBUSY or
 * -ESRCH.
 */
TL_API int tl_task_run(struct tl_task *task);

/*
 * tl_task_switch - switch to a tasklet; the caller becomes paused
 *
 * A paused target takes the caller's place in the ring; a runnable one keeps its
 * own. Returns as tl_task_run() when somebody has made the caller run again, or
 * -EXDEV (another thread's). A caller without any handle is killed instead:
 * -ECANCELED.
 */
TL_API int tl_task_switch(struct tl_task *task);

/*
 * tl_task_kill - end a tasklet
 *
 * The blocking call that it is in returns -ECANCELED, and so does every later
 * call that might block, until it ends or calls tl_catch(). It runs at once, as
 * by tl_task_run(); the caller stays runnable. One that was never started ends
 * without running. One whose IO the kernel has not let go of runs as soon as
 * that happens, and this call does not wait for it; nor for one that is shielded
 * or already in its deferred handlers. A value that was already handed to it is
 * not lost: that call succeeds and the next one fails.
 *
 * Returns 0 when the caller runs again (also if the target was dead already);
 * -ECANCELED on the caller itself; -EPERM (a switch trap), having done nothing.
 *
 * Another thread's is made runnable there, at the end of the ring, and 0 is
 * returned at once; one that computes sees it at its next tl_tick().
 */
TL_API int tl_task_kill(struct tl_task *task);

/*
 * tl_task_kill_later - the same, but the target runs when its turn comes
 *
 * Across threads the same as tl_task_kill().
 */
TL_API int tl_task_kill_later(struct tl_task *task);

/*
 * tl_task_throw - end a tasklet with an error other than -ECANCELED
 *
 * As tl_task_kill(), with @error in its place. One that was never started ends
 * with it. Returns 0, and the error is the target's, on the caller itself too
 * (the next call that might block fails with it); or the error stays the
 * caller's: -ESRCH (the target is not alive), -EPERM, -EINVAL, -ENOMEM. Where 0
 * was returned for another thread's tasklet that has ended by the time its thread
 * looks, or that has been killed, that thread frees the error.
 */
TL_API int tl_task_throw(struct tl_task *task, struct tl_error *error);
TL_API int tl_task_throw_later(struct tl_task *task, struct tl_error *error);

/*
 * The state, as in the table above. A blocked tasklet counts as scheduled.
 *
 * Of another thread's tasklet it may be over when the caller hears of it; current
 * means that it is the one that runs on its own thread. One whose thread has ended
 * is dead.
 */
TL_API bool tl_task_is_alive(const struct tl_task *task);
TL_API bool tl_task_is_paused(const struct tl_task *task);
TL_API bool tl_task_is_blocked(const struct tl_task *task);
TL_API bool tl_task_is_scheduled(const struct tl_task *task);
TL_API bool tl_task_is_main(const struct tl_task *task);
TL_API bool tl_task_is_current(const struct tl_task *task);

/*
 * The channel that it is blocked on; NULL if on none, or on several. This and the
 * next three say nothing (NULL, 0) of another thread's tasklets.
 */
TL_API struct tl_chan *tl_task_channel(const struct tl_task *task);

/* +1 if it waits to send, -1 if it waits to receive, else 0. */
TL_API int tl_task_direction(const struct tl_task *task);

/*
 * tl_task_next, tl_task_prev - neighbours in the ring or in a channel's queue
 *
 * NULL at the ends of a queue and for a tasklet that is in neither.
 */
TL_API struct tl_task *tl_task_next(const struct tl_task *task);
TL_API struct tl_task *tl_task_prev(const struct tl_task *task);

/* A number that no other tasklet of the process has or had; never 0. */
TL_API uint64_t tl_task_id(const struct tl_task *task);

/*
 * The name, "" if it has none. Valid until it is set again or the end: another
 * thread may ask only if the program keeps it from being set meanwhile.
 */
TL_API const char *tl_task_name(const struct tl_task *task);

/* Returns 0, -ENOMEM or -EXDEV (another thread's). NULL takes the name away. */
TL_API int tl_task_set_name(struct tl_task *task, const char *name);

/*
 * The user's word: the library only keeps it (tasklet-local data, or what
 * tl_schedule() should hand back). It survives until the tasklet is bound anew.
 * A plain word: threads that share it keep each other out.
 */
TL_API void *tl_task_value(const struct tl_task *task);
TL_API void tl_task_set_value(struct tl_task *task, void *value);

/*
 * tl_task_set_block_trap - forbid a tasklet to block
 *
 * A call that would block returns -EPERM and changes nothing. Returns the
 * previous setting. Only on the tasklet's own thread, both.
 */
TL_API bool tl_task_set_block_trap(struct tl_task *task, bool on);
TL_API bool tl_task_block_trap(const struct tl_task *task);

TL_END_DECLS

#endif
