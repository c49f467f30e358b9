/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Stacks: sizes as task.h promises them, guard pages that are really there, an overflow that names the tasklet, the
 * alignment that the ABI asks for at the entry, caches that are bounded and given back by tl_trim(), slabs of several
 * classes, and the refusal of a live shadow stack.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include <tasklet/tasklet.h>

#include "check.h"
#include "child.h"
#include "core/task.h"

static size_t page;

static struct tl_task *mk_sized(size_t size, tl_task_fn *fn, void *arg)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .stack_size = size, .name = "sized" };
	struct tl_task *t;
	int r = tl_spawn_attr(&t, &attr, fn, arg);

	if (r)
		tap_bail("no stack of %zu bytes: %d", size, r);
	return t;
}

/* --- sizes -------------------------------------------------------------------------------------------------------- */

struct used {
	size_t size;
	bool ok;
};

/* Uses nearly the whole stack, one page after the other from the top. */
static __attribute__((noinline)) bool touch(const char *low, size_t len)
{
	char *block = __builtin_alloca(len);
	size_t i;

	for (i = len; i > page; i -= page)
		*(volatile char *)(block + i - 1) = (char)i;
	*(volatile char *)block = 1;
	return block >= low;
}

static int fn_use(void *arg)
{
	char here, *low = tl__stack_low(tl_current());
	struct used *u = arg;

	u->size = (size_t)(&here - low);
	/* Sanitizers need some room for calls of their own. */
	u->ok = touch(low, u->size - (CHECK_ASAN || CHECK_TSAN ? 8192 : 2048));
	return 0;
}

static void test_sizes(void)
{
	static const struct { size_t asked, want; } size[] = {
		{ 0, 65536 }, { 1, 16384 }, { 16384, 16384 }, { 16385, 32768 }, { 65536, 65536 },
		{ 65537, 131072 }, { 1 << 20, 1 << 20 }, { (1 << 20) + 1, 2 << 20 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(size); i++) {
		struct used u = { 0 };
		struct tl_task *t = mk_sized(size[i].asked, fn_use, &u);
		size_t most = size[i].want - page;

		tl_schedule();
		/* Bookkeeping, colour and a few frames: less than 8 KiB. */
		tap_ok(u.ok && u.size <= most && u.size + 8192 > most,
		       "task.h: a stack of %zu bytes is one of %zu, guard and bookkeeping included", size[i].asked,
		       size[i].want);
		tl_task_unref(t);
	}
	all_gone("sizes");
}

static void test_large(void)
{
	struct used u = { 0 };
	struct tl_task_attr attr = { .size = sizeof(attr), .stack_size = (size_t)1 << 30 };
	struct tl_task *t;
	int r = tl_spawn_attr(&t, &attr, fn_nop, &u);

	tap_ok(!r || r == -ENOMEM, "task.h: a stack of 1 GiB is had, or there is no address space for it");
	if (!r) {
		tl_run();
		tl_task_unref(t);
	}
	tap_ok(tl_trim() > 0 || r, "sched.h: and trim gives it back");
	all_gone("large");
}

/* --- alignment ---------------------------------------------------------------------------------------------------- */

static int fn_align(void *arg)
{
	bool *ok = arg;
	char text[64];
#if defined(__x86_64__)
	__m128i v __attribute__((aligned(16))) = _mm_set1_epi32(0x01020304), w;

	__asm__ volatile("movaps %1, %%xmm7\n\tmovaps %%xmm7, %0" : "=m"(w) : "m"(v) : "xmm7");
	*ok = !((uintptr_t)&v & 15) && !memcmp(&v, &w, sizeof(v));
#else
	long double v = 1;

	*ok = !((uintptr_t)__builtin_frame_address(0) & 15) && v == 1;
#endif
	/* printf() of doubles saves vector registers with movaps where the ABI says that it can. */
	snprintf(text, sizeof(text), "%.3f %.3f %.3Lf", 1.5, 2.25, 3.125L);
	*ok &= !strcmp(text, "1.500 2.250 3.125");
	return 0;
}

static int fn_align_recurse(void *arg)
{
	fn_align(arg);
	if (*(bool *)arg)
		tl_spawn_run(NULL, fn_align, arg);
	return 0;
}

static void test_alignment(void)
{
	bool ok, all = true;
	int i;

	/* Sixteen stacks side by side have sixteen colours. */
	for (i = 0; i < 40; i++) {
		ok = false;
		tl_spawn(NULL, fn_align_recurse, &ok);
		tl_spawn(NULL, fn_nop, NULL);
		tl_schedule();
		tl_run();
		all &= ok;
	}
	tap_ok(all, "switch.h: a new tasklet's stack is aligned as the ABI asks for");
	all_gone("alignment");
}

/* --- guards and overflow ------------------------------------------------------------------------------------------ */

static bool died_of(int status, int sig)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == sig)
		return true;
	/* A sanitizer turns the signal into an exit status. */
	return (CHECK_ASAN || CHECK_TSAN) && WIFEXITED(status) && WEXITSTATUS(status) != 0 && sig == SIGSEGV;
}

static __attribute__((noinline)) int eat(int depth)
{
	volatile char frame[256];

	frame[0] = (char)depth;
	return depth > 1 << 24 ? 0 : eat(depth + 1) + frame[0];
}

static int fn_eat(UNUSED void *arg)
{
	return eat(0);
}

static void child_overflow(void)
{
	struct tl_task_attr attr = { .size = sizeof(attr), .name = "hungry" };

	if (tl_spawn_attr(NULL, &attr, fn_eat, NULL))
		_exit(9);
	tl_run();
}

static void *thread_overflow(UNUSED void *arg)
{
	child_overflow();
	return NULL;
}

static void child_overflow_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread_overflow, NULL))
		_exit(9);
	pthread_join(t, NULL);
}

static int fn_wild(UNUSED void *arg)
{
	volatile int *volatile nowhere = NULL;

	*nowhere = 1;
	return 0;
}

static void child_wild(void)
{
	tl_spawn(NULL, fn_wild, NULL);
	tl_run();
}

/* Gives one handle more up than there are. */
static void child_unref(void)
{
	struct tl_task *t;

	tl_spawn(&t, fn_wild, NULL);
	tl_task_set_name(t, "overdrawn");
	tl_task_unref(t);
	tl_task_unref(t);
}

static void own_handler(int sig)
{
	(void)sig;
	_exit(42);
}

static void child_own_handler(void)
{
	struct sigaction sa = { .sa_handler = own_handler, .sa_flags = SA_ONSTACK };

	sigaction(SIGSEGV, &sa, NULL);
	child_overflow();
}

static size_t guard_index;

/* Touches the guard page of the tasklet with that index. */
static void child_guard(void)
{
	struct tl_task *t[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++)
		tl_spawn(&t[i], fn_nop, NULL);
	*(volatile char *)(tl__stack_low(t[guard_index]) - (guard_index % 2 ? 1 : page)) = 1;
}

/* An emulator may say yes to an madvise() that it does not know. */
static void child_probe(void)
{
	char *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED && madvise(p, page, 102 /* MADV_GUARD_INSTALL */))
		raise(SIGSEGV);	/* then mprotect() is used, which is believed */
	*(volatile char *)p = 1;
}

static void test_guards(void)
{
	static const size_t index[] = { 0, 1, 14, 15, 16, 47, 48, 63 };
	bool ok = true, named = true;
	size_t i;

	for (i = 0; i < ARRAY_LEN(index); i++) {
		guard_index = index[i];
		ok &= died_of(in_child(child_guard), SIGSEGV);
		named &= strstr(child_said, "ran over its stack") != NULL;
	}
	tap_ok(ok, "stack.h: each stack has a guard page, at both of its ends a touch kills");
	if (CHECK_ASAN || CHECK_TSAN)
		tap_skip("the sanitizer has the signal handler");
	else
		tap_ok(named, "overflow.h: and is said to be a stack overflow");
}

static void test_overflow(void)
{
	int status = in_child(child_overflow);

	if (!tap_ok(died_of(status, SIGSEGV), "overflow.h: a stack overflow kills the process with SIGSEGV"))
		tap_diag("status %#x, stderr: %s", (unsigned int)status, child_said);
	if (CHECK_ASAN || CHECK_TSAN) {
		tap_skip("the sanitizer has the signal handler");
		tap_skip("the sanitizer has the signal handler");
		tap_skip("the sanitizer has the signal handler");
		tap_skip("the sanitizer has the signal handler");
		return;
	}
	if (!tap_ok(strstr(child_said, "(hungry) ran over its stack of 64 KiB"), "overflow.h: and names the tasklet"))
		tap_diag("stderr: %s", child_said);
	status = in_child(child_overflow_thread);
	tap_ok(died_of(status, SIGSEGV) && strstr(child_said, "(hungry) ran over"),
	       "overflow.h: in another thread too");
	status = in_child(child_wild);
	if (!tap_ok(died_of(status, SIGSEGV) && !strstr(child_said, "libtasklet"),
		    "overflow.h: any other bad access dies without a word"))
		tap_diag("status %#x, stderr: %s", (unsigned int)status, child_said);
	status = in_child(child_own_handler);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 42,
	       "overflow.h: a program's own handler is left alone, and has a stack");
}

static void test_overdrawn(void)
{
	int status = in_child(child_unref);

	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(child_said, "(overdrawn)") &&
	       strstr(child_said, "tl_task_unref()"),
	       "task.h: a handle too many given up stops with the call and the tasklet");
}

/* --- caches ------------------------------------------------------------------------------------------------------- */

static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t total, rss = 0;

	if (f) {
		if (fscanf(f, "%zu %zu", &total, &rss) != 2)
			rss = 0;
		fclose(f);
	}
	return rss * page;
}

/* A thread sanitizer's fiber is a thread to it, and it knows 8128. */
#define MANY (CHECK_TSAN ? 5000 : 20000)

static void test_cache(void)
{
	struct tl_stats s;
	size_t freed, before;
	int i;

	for (i = 0; i < MANY; i++)
		if (tl_spawn(NULL, fn_nop, NULL))
			tap_bail("only %d tasklets", i);
	s = stats();
	tap_ok(s.alive == MANY + 1 && s.stacks >= MANY && s.stack_bytes >= (uint64_t)MANY * 65536,
	       "sched.h: %d tasklets at a time", MANY);
	tl_run();
	s = stats();
	tap_ok(s.stacks_cached * 65536 <= TL__STACK_CACHE_MAX && s.stacks == s.stacks_cached,
	       "sched.h: when they have ended no more than %zu bytes of stacks are kept", TL__STACK_CACHE_MAX);
	tap_ok(s.stack_bytes < (uint64_t)MANY * 65536, "sched.h: most of the address space is given back by itself");
	before = resident();
	freed = tl_trim();
	s = stats();
	tap_ok(freed && !s.stacks_cached && !s.stacks && !s.stack_bytes, "sched.h: trim gives the rest back");
	tap_ok(resident() + (1 << 20) < before || CHECK_ASAN || CHECK_TSAN, "sched.h: to the kernel");
	tap_is((long long)tl_trim(), 0, "sched.h: there is nothing more to give");
	tap_is((long long)s.stacks_unguarded, 0, "sched.h: all guards are accounted for");
	all_gone("cache");
}

static int fn_hold(UNUSED void *arg)
{
	return tl_schedule_remove() < 0 ? 0 : 0;
}

/* Some stacks in each slab stay in use: the others are given back a page at a time, and used again. */
static void test_holes(void)
{
	static struct tl_task *kept[100];
	struct tl_stats s;
	int i, round;
	bool ok = true;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 1000; i++) {
			struct tl_task *t;

			tl_spawn(&t, i % 10 ? fn_nop : fn_hold, NULL);
			if (i % 10)
				tl_task_unref(t);
			else
				kept[i / 10] = t;
		}
		tl_schedule();
		s = stats();
		ok &= s.paused == 100 && s.stacks - s.stacks_cached == 100;
		ok &= tl_trim() > 0;
		s = stats();
		ok &= s.stacks == 100 && !s.stacks_cached && s.stack_bytes && !s.stacks_unguarded;
		for (i = 0; i < 1000; i++)
			tl_spawn(NULL, fn_nop, NULL);
		tl_run();
		for (i = 0; i < 100; i++) {
			ok &= tl_task_is_paused(kept[i]);
			tl_task_unref(kept[i]);
		}
		ok &= stats().alive == 1;
		tl_trim();
		ok &= !stats().stacks && !stats().stack_bytes;
	}
	tap_ok(ok, "sched.h: stacks among others that are in use are given back, and used again");
	all_gone("holes");
}

/* Trim while tasklets stand on the stacks next to it, from one of them. */
static int fn_trim(void *arg)
{
	volatile char mark[2000];
	size_t i;

	memset((char *)mark, (int)(long)arg, sizeof(mark));
	tl_schedule();
	tl_trim();
	for (i = 0; i < sizeof(mark); i++)
		if (mark[i] != (char)(long)arg)
			say("bad");
	return 0;
}

static void test_trim_inside(void)
{
	long i;

	for (i = 0; i < 300; i++) {
		tl_spawn(NULL, fn_trim, (void *)i);
		tl_spawn(NULL, fn_nop, NULL);
	}
	tl_run();
	tap_str(said(), "", "sched.h: trim harms no stack that is in use, not even its caller's");
	all_gone("trim");
}

/* --- classes ------------------------------------------------------------------------------------------------------ */

static void test_classes(void)
{
	struct tl_task *t[5];
	int i, round;
	bool ok = true;

	for (round = 0; round < 50; round++) {
		struct used u[5] = { { 0 } };

		for (i = 0; i < 5; i++)
			t[i] = mk_sized((size_t)16384 << i, fn_use, &u[i]);
		tl_run();
		for (i = 0; i < 5; i++) {
			ok &= u[i].ok && u[i].size < (size_t)16384 << i && u[i].size > ((size_t)16384 << i) / 3;
			tl_task_unref(t[i]);
		}
		if (round % 10 == 9)
			tl_trim();
	}
	tap_ok(ok, "stack.h: each size comes from its own class again and again");
	all_gone("classes");
}

/* --- shadow stack ------------------------------------------------------------------------------------------------- */

static void child_shadow(void)
{
	struct tl_stats s = { .size = sizeof(s) };
	struct tl_chan *c = NULL;
	struct tl_task *t = NULL;
	long v = 0;
	struct tl_select_case k[1] = { TL_CASE_RECV(NULL, &v) };
	bool ok = true;

	tl__test_shadow_stack = true;
	ok &= tl_spawn(&t, fn_nop, NULL) == -ENOTSUP && tl_spawn_run(&t, fn_nop, NULL) == -ENOTSUP;
	ok &= tl_task_new(&t, NULL) == -ENOTSUP && !t;
	ok &= tl_chan_new(&c, 8, 0) == -ENOTSUP && !c;
	ok &= tl_schedule() == -ENOTSUP && tl_run() == -ENOTSUP && tl_sleep(1) == -ENOTSUP;
	ok &= tl_schedule_remove() == -ENOTSUP && tl_stats(&s) == -ENOTSUP && tl_runcount() == -ENOTSUP;
	ok &= tl_select(k, 1) == -ENOTSUP && tl_switch_trap(1) == -ENOTSUP && tl_defer(NULL, NULL) == -ENOTSUP;
	ok &= tl_set_schedule_callback(NULL, NULL, NULL, NULL) == -ENOTSUP;
	ok &= tl_set_channel_callback(NULL, NULL, NULL, NULL) == -ENOTSUP;
	ok &= tl_set_error_handler(NULL, NULL, NULL, NULL) == -ENOTSUP;
	ok &= !tl_current() && !tl_main() && !tl_catch() && tl_sched_end() == 0 && tl_trim() == 0;
	ok &= tl_undefer(NULL, NULL) == -ENOENT && !tl_shield(true) && !tl_fpenv_private(true);
	tl__test_shadow_stack = false;
	ok &= tl_spawn(NULL, fn_nop, NULL) == 0 && tl_run() == 0;
	_exit(ok ? 7 : 8);
}

static void test_shadow(void)
{
	int status = in_child(child_shadow);

	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 7,
	       "switch.S: a live shadow stack is refused by each call, with -ENOTSUP");
	tap_ok(strstr(child_said, "shadow stack") && !strstr(strstr(child_said, "shadow stack") + 1, "shadow stack"),
	       "switch.S: and one message");
}

int main(void)
{
	int i;

	page = (size_t)sysconf(_SC_PAGESIZE);
	tap_plan(39);
	/* First: the children start without a scheduler of their own. */
	test_shadow();
	if (died_of(in_child(child_probe), SIGSEGV)) {
		test_guards();
		test_overflow();
	} else {
		for (i = 0; i < 7; i++)
			tap_skip("what runs this has no guard pages");
	}
	test_sizes();
	test_large();
	test_alignment();
	test_overdrawn();
	test_cache();
	test_holes();
	test_trim_inside();
	test_classes();
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
