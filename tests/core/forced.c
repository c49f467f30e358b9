/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * TL_UNWIND in C: __attribute__((cleanup)) functions of all frames run when the tasklet exits from any depth and when a
 * kill ends the call that it blocks in, or would begin; then deferred handlers. What holds a kill off, what does not
 * unwind, the attribute's rules; and the two words of the C++ exception state, which this program plays itself, are the
 * tasklet's own. forced.cc has the same for C++.
 */
#include <malloc.h>
#include <signal.h>

#include "base/alloc.h"
#include "check.h"
#include "child.h"

/* What the C++ runtime would have; a C program can only pretend. */
static __thread struct { void *caught; unsigned int uncaught; } globals;
void *__cxa_get_globals(void);

void *__cxa_get_globals(void)
{
	return &globals;
}

static struct tl_chan *chan;

static void said_at_end(const char **text)
{
	say("~%s", *text);
}

static void handler(void *arg)
{
	say("d%s", (char *)arg);
}

#define LOCAL(name, text) __attribute__((cleanup(said_at_end))) const char *name = text

static struct tl_task *mk_unwinding(tl_task_fn *fn, void *arg)
{
	return mk_flags("U", TL_UNWIND, fn, arg);
}

static void unwinding(tl_task_fn *fn, void *arg)
{
	tl_task_unref(mk_unwinding(fn, arg));
}

/* --- tl_exit() ---------------------------------------------------------------------------------------------------- */

enum exits { EXIT, EXIT_FAILED, EXIT_ERROR, RETURN };

static __attribute__((noinline, noclone)) int deep(int depth, int how)
{
	LOCAL(local, "x");
	int r = 0;

	if (depth) {
		r = deep(depth - 1, how);
	} else if (how == EXIT) {
		tl_exit(7);
	} else if (how == EXIT_FAILED) {
		tl_exit(-EIO);
	} else if (how == EXIT_ERROR) {
		tl_exit_error(mk_error(EBADMSG, "from below"));
	}
	__asm__ volatile("" : "+r"(r));
	return r;
}

static int fn_exits(void *arg)
{
	LOCAL(outer, "o");

	tl_defer(handler, "1");
	deep(2, (int)(long)arg);
	say("not-exited");
	return 0;
}

static void test_exit(void)
{
	struct tl_error *error;

	unwinding(fn_exits, (void *)EXIT);
	tap_is(tl_run(), TL_RUN_FINISHED, "exit: a positive result ends it quietly");
	tap_str(said(), "~x ~x ~x ~o d1", "tl_exit() undoes all frames, inner ones first, then come deferred handlers");

	unwinding(fn_exits, (void *)EXIT_FAILED);
	tap_is(tl_run(), -EIO, "exit: a negative result is an uncaught error");
	tap_is(caught(), EIO, "exit: which can be taken");
	tap_str(said(), "~x ~x ~x ~o d1", "exit: the frames are undone");

	unwinding(fn_exits, (void *)EXIT_ERROR);
	tap_is(tl_run(), -EBADMSG, "tl_exit_error(): the error gets out");
	error = tl_catch();
	tap_ok(error && !strcmp(tl_error_message(error), "from below"), "tl_exit_error(): it is the same");
	tl_error_free(error);
	tap_str(said(), "~x ~x ~x ~o d1", "tl_exit_error(): the frames are undone");

	unwinding(fn_exits, (void *)RETURN);
	tap_is(tl_run(), TL_RUN_FINISHED, "a function that returns");
	tap_str(said(), "~x ~x ~x not-exited ~o d1", "is no different from others");

	go("A", fn_exits, (void *)EXIT);
	tl_run();
	tap_str(said(), "d1", "without TL_UNWIND only deferred handlers run");
	all_gone("exit");
}

/* --- kills --------------------------------------------------------------------------------------------------------- */

enum calls { RECV, SEND, SELECT, SLEEP, SCHEDULE, REMOVE, RUN, SPAWN_RUN, TASK_RUN, OFFLOAD, READ, KILL_SELF, CALLS };

static const char *const call_name[] = {
	"recv", "send", "select", "sleep", "schedule", "schedule_remove", "run", "spawn_run", "task_run", "offload",
	"read", "kill of itself",
};

static int pipe_fds[2];

static long offloaded(UNUSED void *arg)
{
	return 3;
}

static struct tl_task *other;

static int do_call(int call)
{
	struct tl_select_case c[1] = { TL_CASE_RECV(chan, NULL) };
	char byte;
	long v;

	switch (call) {
	case RECV:
		return tl_chan_recv(chan, NULL);
	case SEND:
		return tl_chan_send(chan, NULL);
	case SELECT:
		return tl_select(c, 1);
	case SLEEP:
		return tl_sleep_until(TL_FOREVER - 1);
	case SCHEDULE:
		return tl_schedule();
	case REMOVE:
		return tl_schedule_remove();
	case RUN:
		return tl_run();
	case SPAWN_RUN:
		return tl_spawn_run(NULL, fn_nop, NULL);
	case TASK_RUN:
		other = mk("T", fn_nop, NULL);
		return tl_task_run(other);
	case OFFLOAD:
		return tl_offload(offloaded, NULL, &v);
	case READ:
		return (int)tl_read(pipe_fds[0], &byte, 1);
	default:
		return tl_task_kill(tl_current());
	}
}

static int fn_call(void *arg)
{
	LOCAL(outer, "o");
	int r;

	tl_defer(handler, "1");
	r = do_call((int)(long)arg);
	say("returned%d", r);
	return 0;
}

static int fn_after_shield(void *arg)
{
	LOCAL(outer, "o");
	int r;

	tl_shield(true);
	tl_schedule();
	tl_shield(false);
	r = do_call((int)(long)arg);
	say("returned%d", r);
	return 0;
}

static void test_kills(void)
{
	struct tl_task *t;
	int call;

	if (pipe(pipe_fds))
		tap_bail("pipe");
	for (call = 0; call < CALLS; call++) {
		bool blocks = call < SPAWN_RUN || call == READ;

		t = mk_unwinding(fn_call, (void *)(long)call);
		tl_schedule();
		if (blocks)
			tl_task_kill(t);
		if (call == READ)
			tl_run();	/* the kernel lets go of its buffer first */
		if (call == KILL_SELF || blocks)
			tap_str(said(), "~o d1", "a kill in %s: the call does not return", call_name[call]);
		tl_run();
		tl_task_unref(t);
		tl_task_unref(other);
		other = NULL;
		said();

		t = mk_unwinding(fn_after_shield, (void *)(long)call);
		tl_schedule();
		tl_task_kill_later(t);
		tl_run();
		/* tl_task_run() itself never gets to its target here. */
		tap_str(said(), "~o", "a kill before %s: the call does not begin", call_name[call]);
		tl_task_unref(t);
		tl_run();
		tl_task_unref(other);
		other = NULL;
	}
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	all_gone("kills");
}

static int fn_plain(UNUSED void *arg)
{
	LOCAL(outer, "o");
	int r = tl_chan_recv(chan, NULL);

	say("returned%d", r);
	return r;
}

static void blocks(const char **text)
{
	say("~%s", *text);
	say("%d", tl_sleep(1000));
	say("%d", tl_chan_recv(chan, NULL));
	say("%d", caught());
}

static int fn_blocks_in_cleanup(UNUSED void *arg)
{
	__attribute__((cleanup(blocks))) const char *first = "f";
	LOCAL(second, "s");

	tl_chan_recv(chan, NULL);
	say("returned");
	return 0;
}

static int fn_shielded(UNUSED void *arg)
{
	LOCAL(outer, "o");

	tl_shield(true);
	say("%d", tl_chan_recv(chan, NULL));
	say("%d", tl_schedule());
	tl_shield(false);
	say("c%d", caught());
	say("%d", tl_schedule());
	tl_schedule();
	say("alive");
	return 0;
}

static void test_edges(void)
{
	struct tl_task *t = mk("A", fn_plain, NULL);

	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "returned-125 ~o", "without TL_UNWIND the call returns -ECANCELED");
	tl_task_unref(t);

	t = mk_unwinding(fn_plain, NULL);
	tl_task_kill(t);
	tap_str(said(), "", "one that has not begun ends without running");
	tl_task_unref(t);

	t = mk_unwinding(fn_plain, NULL);
	tl_schedule();
	tl_task_throw(t, mk_error(EIO, "thrown"));
	tap_str(said(), "returned-5 ~o", "another error that is thrown fails the call");
	tap_is(tl_run(), -EIO, "and goes on from there");
	caught();
	tl_task_unref(t);

	t = mk_unwinding(fn_plain, NULL);
	tl_schedule();
	tl_chan_send(chan, NULL);
	said();
	tl_run();
	tl_task_unref(t);

	/* A value that was handed over is not lost. */
	t = mk_unwinding(fn_plain, NULL);
	tl_schedule();
	tl_chan_set_preference(chan, 0);
	tl_chan_send(chan, NULL);
	tl_task_kill(t);
	tap_str(said(), "returned0 ~o", "a call that was settled before the kill succeeds");
	tl_chan_set_preference(chan, -1);
	tl_task_unref(t);

	t = mk_unwinding(fn_blocks_in_cleanup, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "~s ~f", "what is undone may block");
	tl_task_kill(t);
	tl_sleep(UINT64_C(2000000));
	while (!tl_chan_queue(chan))
		tl_schedule();
	tap_str(said(), "0", "and no kill gets at it");
	tl_chan_send(chan, NULL);
	tl_run();
	tap_str(said(), "0 0", "it goes on to its end");
	tl_task_unref(t);

	t = mk_unwinding(fn_shielded, NULL);
	tl_schedule();
	tl_task_kill(t);
	tl_chan_send(chan, NULL);
	tl_run();
	tap_str(said(), "0 0 c125 0 alive ~o", "a kill under a shield may be taken before the next call");
	tl_task_unref(t);

	/* A tasklet that is bound anew keeps the attribute. */
	t = mk_unwinding(fn_nop, NULL);
	tl_run();
	tap_is(tl_task_bind_arg(t, fn_plain, NULL), 0, "bound again");
	tl_task_insert(t);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "~o", "and it unwinds still");
	tl_task_unref(t);
	all_gone("edges");
}

/* A thread's end unwinds as well. */
static void test_sched_end(void)
{
	unwinding(fn_plain, NULL);
	tl_schedule();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "tl_sched_end() kills them");
	tap_str(said(), "~o", "and their frames are undone");
	tl_chan_new(&chan, 0, 0);
}

/* --- calls of several steps ------------------------------------------------------------------------------------------ */

#define LARGE (1 << 20)

static int give(UNUSED void *arg, UNUSED void *value)
{
	return 1;
}

static int fn_sends_many(void *arg)
{
	LOCAL(outer, "o");
	static const char values[2 * LARGE];
	long r;

	r = arg ? tl_chan_send_array(arg, values, 2) : tl_chan_send_sequence(chan, give, NULL);
	say("returned%ld", r);
	return 0;
}

/* What the program has from malloc(), in pieces so large that nobody else asks for such; a leak checker's own has none. */
static size_t large_bytes(void)
{
	return mallinfo2().hblkhd;
}

static void test_steps(void)
{
	struct tl_chan *ours = chan, *large;
	size_t before = large_bytes();
	struct tl_task *t;

	/* With a buffer, so that the channel itself is large. */
	if (tl_chan_new(&large, LARGE, 1))
		tap_bail("no channel");
	t = mk_unwinding(fn_sends_many, large);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "~o", "a kill in tl_chan_send_array(): the call does not return");
	tl_task_unref(t);
	tl_chan_unref(large);
	tap_is(large_bytes(), before, "and leaves nothing behind");

	if (tl_chan_new(&chan, LARGE, 0))
		tap_bail("no channel");
	t = mk_unwinding(fn_sends_many, NULL);
	tl_schedule();
	tl_task_kill(t);
	tap_str(said(), "~o", "a kill in tl_chan_send_sequence(): the call does not return");
	tl_task_unref(t);
	tl_chan_unref(chan);
	tap_is(large_bytes(), before, "and leaves nothing behind");
	chan = ours;
	all_gone("steps");
}

/* --- the exception state -------------------------------------------------------------------------------------------- */

static int fn_state(void *arg)
{
	unsigned int own = (unsigned int)(long)arg;

	say("%d", !globals.caught && !globals.uncaught);
	globals.uncaught = own;
	globals.caught = &own;
	tl_schedule();
	say("%d", globals.uncaught == own && globals.caught == &own);
	tl_chan_recv(chan, NULL);
	say("%d", globals.uncaught == own && globals.caught == &own);
	return 0;
}

static int fn_shares(UNUSED void *arg)
{
	say("s%u", globals.uncaught);
	tl_schedule();
	say("s%u", globals.uncaught);
	return 0;
}

static void test_state(void)
{
	globals.uncaught = 9;
	unwinding(fn_state, (void *)1);
	unwinding(fn_state, (void *)2);
	go("S", fn_shares, NULL);
	tl_schedule();
	tap_is(globals.uncaught, 9, "main finds its own exception state");
	tl_schedule();
	tap_is(globals.uncaught, 9, "and again");
	tl_chan_send(chan, NULL);
	tap_is(globals.uncaught, 9, "and after one has ended");
	tl_chan_send(chan, NULL);
	tl_run();
	tap_str(said(), "1 1 s9 1 1 s9 1 1", "each tasklet has its own from the beginning; others have the thread's");
	tap_ok(globals.uncaught == 9 && !globals.caught, "and nothing is left in main's");
	globals.uncaught = 0;
	all_gone("state");
}

/* --- the attribute ---------------------------------------------------------------------------------------------------- */

static int spawn_with(size_t size, uint64_t flags)
{
	struct { struct tl_task_attr attr; char more[16]; } a = {
		.attr = { .size = size, .name = "F", .flags = flags },
	};

	return tl_spawn_attr(NULL, &a.attr, fn_nop, NULL);
}

static void test_attr(void)
{
	size_t old = offsetof(struct tl_task_attr, flags), now = sizeof(struct tl_task_attr);

	tap_is(spawn_with(now, 0), 0, "no flag");
	tap_is(spawn_with(now, TL_UNWIND), 0, "TL_UNWIND");
	tap_is(spawn_with(now, 2), -EINVAL, "an unknown flag is refused");
	tap_is(spawn_with(now, TL_UNWIND | UINT64_C(1) << 63), -EINVAL, "... with a known one too");
	tap_is(spawn_with(old, 2), 0, "a structure of before there were flags is taken, and has none");
	tap_is(spawn_with(old - 1, 0), -EINVAL, "a smaller one is not");
	tap_is(spawn_with(now - 1, 0), -EINVAL, "nor one between the sizes");
	tap_is(spawn_with(now + 16, TL_UNWIND), 0, "a larger one is, with zeros behind");
	tl_run();
	all_gone("attributes");
}

/* --- what can't go well ------------------------------------------------------------------------------------------------- */

static void exits_again(UNUSED const char **text)
{
	tl_exit(0);
}

static int fn_exits_twice(UNUSED void *arg)
{
	__attribute__((cleanup(exits_again))) const char *text = "";

	tl_exit(0);
	return 0;
}

static void child_exits_twice(void)
{
	unwinding(fn_exits_twice, NULL);
	tl_run();
}

static void test_exit_twice(void)
{
	int status = in_child(child_exits_twice);

	tap_ok(strstr(child_said, "tl_exit() in") && strstr(child_said, "(U)"),
	       "tl_exit() while the stack is unwound says so");
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "and stops the process");
}

int main(void)
{
	tap_plan(71);
	if (tl_chan_new(&chan, 0, 0))
		tap_bail("no channel");
	test_exit();
	test_kills();
	test_edges();
	test_state();
	test_attr();
	test_exit_twice();
	test_sched_end();
	test_steps();
	tl_chan_unref(chan);
	tap_is(tl_sched_end(), 0, "the scheduler ends");
	return tap_exit();
}
