// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
//
// TL_UNWIND in C++: destructors of all frames run at tl_exit() and at a kill; a switch in a catch block and while an
// exception is in the air is legal, each tasklet has its own; a catch (...) may look on but has to rethrow, and where it
// does not, where an exception leaves the tasklet's function, or where the unwinding leaves a noexcept function, the
// process stops with a message that names the tasklet.
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <tasklet/tasklet.h>

static int count, failed;
static std::string journal;
static struct tl_chan *chan;

static void ok(bool good, const char *what)
{
	printf("%sok %d %s\n", good ? "" : "not ", ++count, what);
	fflush(stdout);
	failed += !good;
}

static void str(const char *want, const char *what)
{
	ok(journal == want, what);
	if (journal != want)
		printf("# got \"%s\", expected \"%s\"\n", journal.c_str(), want);
	journal.clear();
}

static void say(const std::string &word)
{
	journal += (journal.empty() ? "" : " ") + word;
}

struct local {
	std::string name;
	explicit local(const char *n) : name(n) {}
	~local() { say("~" + name); }
};

static struct tl_task *spawn(tl_task_fn *fn, void *arg = nullptr, uint64_t flags = TL_UNWIND)
{
	struct tl_task_attr attr = {};
	struct tl_task *t;

	attr.size = sizeof(attr);
	attr.name = "cxx";
	attr.flags = flags;
	if (tl_spawn_attr(&t, &attr, fn, arg))
		abort();
	return t;
}

static void deep(int depth)
{
	auto held = std::make_unique<local>("h");

	if (depth > 0)
		deep(depth - 1);
	if (!depth)
		tl_exit(0);
}

static int fn_exit(void *)
{
	local outer("o");

	deep(2);
	say("not-exited");
	return 0;
}

static int fn_recv(void *)
{
	local outer("o");

	say(std::to_string(tl_chan_recv(chan, nullptr)));
	return 0;
}

static int fn_rethrows(void *)
{
	local outer("o");

	try {
		local inner("i");
		tl_chan_recv(chan, nullptr);
	} catch (const std::exception &) {
		say("wrong");
	} catch (...) {
		say("seen");
		tl_sleep(1000);	// shielded: it may block
		say("slept");
		throw;
	}
	say("not-rethrown");
	return 0;
}

// What one tasklet throws, handles and rethrows while others do the same.
static int fn_handles(void *arg)
{
	std::string mine = static_cast<const char *>(arg);

	try {
		try {
			tl_schedule();
			throw std::runtime_error(mine);
		} catch (const std::runtime_error &e) {
			for (int i = 0; i < 3; i++) {
				tl_schedule();
				if (mine != e.what())
					say("wrong");
			}
			throw;
		}
	} catch (const std::runtime_error &e) {
		tl_schedule();
		say(mine == e.what() ? "right" : "wrong");
	}
	say(std::to_string(std::uncaught_exceptions()));
	return 0;
}

struct switches {
	~switches()
	{
		say("u" + std::to_string(std::uncaught_exceptions()));
		tl_schedule();
		say("u" + std::to_string(std::uncaught_exceptions()));
	}
};

static int fn_in_the_air(void *)
{
	try {
		switches s;
		throw 1;
	} catch (int) {
		say("caught");
	}
	return 0;
}

static int fn_killed_in_handler(void *)
{
	local outer("o");

	try {
		throw std::runtime_error("x");
	} catch (const std::runtime_error &e) {
		local inner("i");
		tl_chan_recv(chan, nullptr);
		say("returned");
	}
	return 0;
}

// --- what stops the process ------------------------------------------------------------------------------------------

static int fn_swallows(void *)
{
	try {
		tl_exit(0);
	} catch (...) {
	}
	return 0;
}

static int fn_escapes(void *)
{
	local outer("o");

	throw std::runtime_error("out of here");
}

static void noexcept_exit() noexcept
{
	tl_exit(0);
}

static int fn_noexcept(void *)
{
	noexcept_exit();
	return 0;
}

static void dies(tl_task_fn *fn, uint64_t flags, const char *text1, const char *text2, const char *what)
{
	char text[4096] = "";
	int fds[2], status = 0;
	ssize_t n, len = 0;
	pid_t pid;

	if (pipe(fds))
		abort();
	fflush(nullptr);
	pid = fork();
	if (!pid) {
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		spawn(fn, nullptr, flags);
		tl_run();
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	close(fds[0]);
	waitpid(pid, &status, 0);
	bool good = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, text1) && strstr(text, text2);
	ok(good, what);
	if (!good)
		printf("# status %d, said: %.200s\n", status, text);
}

int main()
{
	struct tl_task *t;

	printf("TAP version 13\n1..18\n");
	tl_chan_new(&chan, 0, 0);

	tl_task_unref(spawn(fn_exit));
	tl_run();
	str("~h ~h ~h ~o", "tl_exit() runs the destructors of all frames, inner ones first");

	t = spawn(fn_recv);
	tl_schedule();
	tl_task_kill(t);
	str("~o", "a kill runs them, and the call does not return");
	tl_task_unref(t);

	t = spawn(fn_rethrows);
	tl_schedule();
	tl_task_kill(t);
	tl_run();
	str("~i seen slept ~o", "catch (...) sees it, may block, and rethrows");
	tl_task_unref(t);

	t = spawn(fn_recv, nullptr, 0);
	tl_schedule();
	tl_task_kill(t);
	str("-125 ~o", "without TL_UNWIND the call returns -ECANCELED");
	tl_task_unref(t);

	tl_task_unref(spawn(fn_handles, (void *)"first"));
	tl_task_unref(spawn(fn_handles, (void *)"second"));
	tl_task_unref(spawn(fn_handles, (void *)"third"));
	tl_run();
	str("right 0 right 0 right 0", "tasklets switch inside catch blocks, and each finds its own exception");

	tl_task_unref(spawn(fn_in_the_air));
	tl_task_unref(spawn(fn_in_the_air));
	tl_run();
	str("u1 u1 u1 caught u1 caught", "and while one is in the air");

	t = spawn(fn_killed_in_handler);
	tl_schedule();
	ok(!std::current_exception(), "main handles no exception while a tasklet does");
	tl_task_kill(t);
	str("~i ~o", "a kill in a catch block unwinds it");
	tl_task_unref(t);
	ok(!std::current_exception() && !std::uncaught_exceptions(), "and nothing is left over");

	try {
		throw std::runtime_error("main's");
	} catch (const std::runtime_error &e) {
		tl_task_unref(spawn(fn_handles, (void *)"tasklet"));
		tl_run();
		str("right 0", "main switches to such tasklets in a catch block");
		try {
			throw;
		} catch (const std::runtime_error &again) {
			ok(!strcmp(again.what(), "main's"), "and has its exception still");
		}
	}

	tl_task_unref(spawn(fn_recv));
	tl_task_unref(spawn(fn_killed_in_handler));
	tl_schedule();
	tl_chan_unref(chan);
	ok(tl_sched_end() == 0, "a thread's end kills them");
	str("~o ~i ~o", "and unwinds them");
	tl_chan_new(&chan, 0, 0);

	dies(fn_swallows, TL_UNWIND, "(cxx)", "did not rethrow", "catch (...) that does not rethrow stops the process");
	dies(fn_escapes, TL_UNWIND, "(cxx)", "an exception leaves", "so does an exception that nobody catches");
	dies(fn_escapes, 0, "(cxx)", "out of here", "without TL_UNWIND too, with what it says");
	dies(fn_escapes, TL_UNWIND, "terminate", "runtime_error", "by std::terminate()");
	dies(fn_noexcept, TL_UNWIND, "terminate", "", "the unwinding of a noexcept function terminates");
	tl_chan_unref(chan);
	tl_sched_end();
	return failed != 0;
}
