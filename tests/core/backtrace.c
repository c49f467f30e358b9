/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Backtraces of tasklets, as addresses and as text: of the one that runs, of one that is suspended, from inside a signal
 * handler. A suspended one is looked at without touching its stack, of which there may be nothing left below its pointer.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <sys/wait.h>
#include <unwind.h>

#include <tasklet/tasklet.h>

#include "check.h"
#include "core/backtrace.h"
#include "core/task.h"
#include "nested.h"

#define FN(f) ((const void *)(f))

static struct tl__backtrace trace;
static struct tl_task *parked;

static const void *function_at(unsigned int i)
{
	return i < trace.count ? _Unwind_FindEnclosingFunction((void *)(trace.pc[i] + 1)) : NULL;
}

/* Whether these functions are in the backtrace, one behind the other, from @first on. */
static bool chain_at(unsigned int first, const void *const *fn, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (function_at(first + (unsigned int)i) != fn[i])
			return false;
	return true;
}

/* The same from anywhere on: before it may come what the library was in the middle of. Returns where, or -1. */
static int chain(const void *const *fn, size_t n)
{
	unsigned int i;

	for (i = 0; i < trace.count; i++)
		if (chain_at(i, fn, n))
			return (int)i;
	for (i = 0; i < trace.count; i++)
		tap_diag("frame %u: %p in %p", i, (void *)trace.pc[i], function_at(i));
	return -1;
}

/* How many frames of its own the library may have in front: none where calls end in jumps. */
#define LIBRARY_FRAMES (CHECK_ASAN || CHECK_TSAN ? 3 : 0)

static __attribute__((noinline, noclone)) int park_last(long n)
{
	int r = tl_schedule_remove();

	__asm__ volatile("" : "+r"(r) : "r"(n));	/* no tail call */
	return r;
}

/* A frame that is found by the frame pointer: it must come out of the saved registers. */
static __attribute__((noinline, noclone)) int park_variable(long n)
{
	volatile char room[n * 40];
	int r;

	room[0] = 1;
	r = park_last(n);
	room[n] = (char)r;
	return r + room[n] * 0;
}

NESTED(park_two, park_variable)
NESTED(park_one, park_two)

static int fn_parked(UNUSED void *arg)
{
	volatile int r = park_one(20);

	return r;
}

static const void *const parked_chain[] = { FN(park_last), FN(park_variable), FN(park_two), FN(park_one), FN(fn_parked) };

static void test_suspended(void)
{
	int at;

	parked = mk("P", fn_parked, NULL);
	tl_schedule();
	tl__backtrace_suspended(&trace, parked);
	at = chain(parked_chain, ARRAY_LEN(parked_chain));
	tap_ok(at >= 0 && at <= LIBRARY_FRAMES, "9: a suspended tasklet: each of its calls, the innermost first");
	tap_is(trace.count - at, ARRAY_LEN(parked_chain), "9: and no more than them");
	tap_ok(!trace.more, "9: that is all");
}

/* --- nothing of its stack is touched ---------------------------------------------------------------------------------- */

static char *lowest;

/* Goes down until there is next to no room left, and pauses there. */
static __attribute__((noinline, noclone)) int dig(long depth)
{
	volatile char here[64];
	int r;

	here[0] = (char)depth;
	if ((char *)here - lowest < (CHECK_ASAN || CHECK_TSAN ? 4096 : 700))
		r = tl_schedule_remove();
	else
		r = dig(depth + 1);
	here[1] = (char)r;
	return r;
}

static int fn_dig(UNUSED void *arg)
{
	volatile int r;

	lowest = tl__stack_low(tl_current());
	r = dig(0);
	return r;
}

static void test_no_room(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .stack_size = CHECK_ASAN || CHECK_TSAN ? 65536 : 16384 };
	char before[512];
	struct tl_task *t;
	unsigned int i;
	size_t below;
	bool same;

	if (tl_spawn_attr(&t, &attr, fn_dig, NULL))
		tap_bail("no tasklet");
	tl_schedule();
	below = (size_t)((char *)t->sp - tl__stack_low(t));
	if (below > sizeof(before))
		below = sizeof(before);
	tap_diag("%zu bytes left", (size_t)((char *)t->sp - tl__stack_low(t)));
	memset((char *)t->sp - below, 0x5a, below);
	memcpy(before, (char *)t->sp - below, below);
	tl__backtrace_suspended(&trace, t);
	same = !memcmp(before, (char *)t->sp - below, below);
	tap_ok(same, "9: the stack of a suspended tasklet is left as it is");
	for (i = 0; i < trace.count && function_at(i) != FN(dig); i++)
		;
	tap_ok(i <= LIBRARY_FRAMES && function_at(i + 1) == FN(dig), "9: one without any room left is unwound as well");
	tap_is(trace.count, TL__BACKTRACE_MAX, "9: as far as there is room for it");
	tap_ok(trace.more, "9: which says that there was more");
	tl_task_kill(t);
	tl_task_unref(t);
}

/* --- a call that does not return: what is behind it is another function ------------------------------------------- */

static __attribute__((noinline, noclone, noreturn)) void never_returns(void)
{
	tl_schedule_remove();
	tl_exit(0);
}

static __attribute__((noinline, noclone, noreturn)) void ends_with_a_call(void)
{
	never_returns();
}

static int fn_noreturn(UNUSED void *arg)
{
	ends_with_a_call();
}

static void test_noreturn(void)
{
	static const void *const want[] = { FN(never_returns), FN(ends_with_a_call), FN(fn_noreturn) };
	struct tl_task *t = mk("N", fn_noreturn, NULL);

	tl_schedule();
	tl__backtrace_suspended(&trace, t);
	tap_ok(chain(want, ARRAY_LEN(want)) >= 0, "9: an address is that of the call, not what is behind it");
	tl_task_insert(t);
	tl_schedule();
	tl_task_unref(t);
}

/* --- main, and the one that runs -------------------------------------------------------------------------------------- */

static __attribute__((noinline, noclone)) int run_here(long n)
{
	int r = tl_run();

	__asm__ volatile("" : "+r"(r) : "r"(n));
	return r;
}

static bool main_seen;

static int fn_look_at_main(UNUSED void *arg)
{
	static const void *const want[] = { FN(run_here) };

	tl__backtrace_suspended(&trace, tl_main());
	main_seen = chain(want, 1) >= 0 && trace.count > 1;
	return 0;
}

static void test_main(void)
{
	go("L", fn_look_at_main, NULL);
	run_here(1);
	tap_ok(main_seen, "9: the main tasklet's, seen by another one");
}

static __attribute__((noinline, noclone)) int look_last(long n)
{
	tl__backtrace_here(&trace, __builtin_frame_address(0));
	__asm__ volatile("" : : "r"(n) : "memory");
	return 0;
}

NESTED(look_two, look_last)
NESTED(look_one, look_two)

static int fn_look(UNUSED void *arg)
{
	volatile int r = look_one(1);

	return r;
}

static void test_here(void)
{
	static const void *const want[] = { FN(look_two), FN(look_one), FN(fn_look) };

	go("H", fn_look, NULL);
	tl_schedule();
	tap_is(chain(want, ARRAY_LEN(want)), 0, "9: the one that runs: from the frame that was asked for");
	tap_is(trace.count, ARRAY_LEN(want), "9: to its function");
}

/* --- in a signal handler ---------------------------------------------------------------------------------------------- */

static volatile int handled;

static void on_signal(UNUSED int sig, UNUSED siginfo_t *info, void *context)
{
	if (!handled)
		tl__backtrace_interrupted(&trace, context);
	handled = 1;
}

static pthread_t spinning;
static int spins;

static void *send_signal(UNUSED void *arg)
{
	while (!__atomic_load_n(&spins, __ATOMIC_ACQUIRE))
		sched_yield();
	pthread_kill(spinning, SIGUSR1);
	return NULL;
}

/* Computes until it is interrupted. ThreadSanitizer delivers at the next call that it knows. */
static __attribute__((noinline, noclone)) int spin_last(long n)
{
	__atomic_store_n(&spins, 1, __ATOMIC_RELEASE);
	while (!handled)
		if (CHECK_TSAN)
			tl_now();
	return (int)n * 0;
}

NESTED(spin_two, spin_last)
NESTED(spin_one, spin_two)

static int fn_spin(UNUSED void *arg)
{
	volatile int r = spin_one(1);

	return r;
}

static void test_interrupted(void)
{
	static const void *const want[] = { FN(spin_last), FN(spin_two), FN(spin_one), FN(fn_spin) };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	pthread_t sender;
	int at;

	tl__backtrace_warm();
	sigaction(SIGUSR1, &action, NULL);
	spinning = pthread_self();
	handled = 0;
	go("S", fn_spin, NULL);
	if (pthread_create(&sender, NULL, send_signal, NULL))
		tap_bail("no thread");
	tl_schedule();
	pthread_join(sender, NULL);
	at = chain(want, ARRAY_LEN(want));
	tap_ok(CHECK_TSAN ? at >= 0 : at == 0, "9: in a signal handler: from what was interrupted");
	tap_is(trace.count - at, ARRAY_LEN(want), "9: to the tasklet's function");
}

/* --- text ------------------------------------------------------------------------------------------------------------- */

static char text[16384];

static void print(void)
{
	static struct tl__symbols symbols;
	static struct tl__out out;
	int fd[2];
	ssize_t n;

	if (pipe(fd))
		tap_bail("no pipe");
	memset(&symbols, 0, sizeof(symbols));
	tl__out_init(&out, fd[1]);
	tl__backtrace_print(&out, &symbols, &trace, 4);
	if (tl__out_flush(&out))
		tap_bail("no output");
	close(fd[1]);
	n = read(fd[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fd[0]);
}

static int pauses_once;

static __attribute__((noinline, noclone)) int compare(const void *a, const void *b)
{
	if (!pauses_once++)
		tl_schedule_remove();
	return *(const int *)a - *(const int *)b;
}

static int fn_find(UNUSED void *arg)
{
	int numbers[] = { 3, 1, 2 };
	size_t n = 3;

	return lfind(&numbers[1], numbers, &n, sizeof(int), compare) != &numbers[1];
}

static bool has_names(void)
{
	Dl_info info;

	return dladdr((void *)lfind, &info) && info.dli_sname && !strcmp(info.dli_sname, "lfind");
}

static void test_names(void)
{
	struct tl_task *t = mk("F", fn_find, NULL);

	tl_schedule();
	tl__backtrace_suspended(&trace, t);
	print();
	if (has_names()) {
		if (!tap_ok(strstr(text, " lfind+0x"), "9: a function of a library has its name"))
			tap_diag("%s", text);
	} else {
		tap_skip("dladdr() knows no names in this program");
	}
	tl_task_insert(t);
	tl_schedule();
	tl_task_unref(t);
}

static void base_of(uintptr_t pc, uintptr_t *base)
{
	struct link_map *map = NULL;
	Dl_info info;

	if (dladdr1((void *)pc, &info, (void **)&map, RTLD_DL_LINKMAP) && map)
		*base = map->l_addr;
}

/* What a human, or a script, does with a line that has no name. */
static void test_addr2line(void)
{
	char *line, *file, *plus, *end, command[4096], name[256] = "";
	uintptr_t base = 0;
	FILE *out;

	tl__backtrace_suspended(&trace, parked);
	trace.pc[0] = trace.pc[trace.count - 2];	/* park_one */
	trace.count = 1;
	print();
	line = strstr(text, "    #0 ");
	file = line ? strrchr(line, '(') : NULL;
	plus = file ? strrchr(file, '+') : NULL;
	end = plus ? strchr(plus, ')') : NULL;
	if (!has_names() && strstr(text, "#0 ?? (0x")) {
		tap_skip("dladdr() knows no files in this program");
		tap_skip("so there is nothing for addr2line");
		tap_skip("nor to compare");
		return;
	}
	if (!tap_ok(end && end[1] == '\n' && !end[2], "9: a line: number, name or ??, file and offset"))
		tap_diag("%s", text);
	if (!end || access("/usr/bin/addr2line", X_OK)) {
		tap_skip("no addr2line, or no file");
		tap_skip("nothing to compare");
		return;
	}
	*plus = *end = '\0';
	snprintf(command, sizeof(command), "/usr/bin/addr2line -f -e '%s' %s 2>/dev/null", file + 1, plus + 1);
	out = popen(command, "r");
	if (!out || !fgets(name, sizeof(name), out))
		name[0] = '\0';
	if (out)
		pclose(out);
	name[strcspn(name, "\n")] = '\0';
	base_of(trace.pc[0], &base);
	tap_ok(strtoul(plus + 1, NULL, 16) == trace.pc[0] - base, "9: the offset is that in the file");
	if (!*name || *name == '?')
		tap_skip("addr2line does not know this program");
	else
		tap_str(name, "park_one", "9: the offset is what addr2line wants");
}

int main(void)
{
	tap_plan(18);
	test_suspended();
	test_no_room();
	test_noreturn();
	test_main();
	test_here();
	test_interrupted();
	test_names();
	test_addr2line();
	tl_task_kill(parked);
	tl_task_unref(parked);
	tap_is(tl_sched_end(), 0, "9: they go on, and end");
	return tap_exit();
}
