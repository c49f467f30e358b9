/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The registers that the ABI asks a function to keep survive every kind of switch: each tasklet fills all of them with
 * numbers of its own, calls into the library, and looks at all of them when the call comes back. The filling and the
 * comparing are assembly, so that no compiler can keep the numbers anywhere else.
 */
#include <tasklet/time.h>
#include <tasklet/tasklet.h>

#include "check.h"

/*
 * int regs_survive(int (*fn)(void *arg), void *arg, uint64_t seed): calls fn(arg) with seed + n in the nth register
 * that it has to keep. Returns a mask of those that it has not kept.
 */
int regs_survive(int (*fn)(void *arg), void *arg, uint64_t seed);

#if defined(__x86_64__)
#define REGISTERS 6

__asm__(
"	.text\n"
"	.globl	regs_survive\n"
"	.type	regs_survive, @function\n"
"regs_survive:\n"
"	.cfi_startproc\n"
#ifdef __CET__
"	endbr64\n"
#endif
"	pushq	%rbp\n"
"	.cfi_def_cfa_offset 16\n"
"	.cfi_offset %rbp, -16\n"
"	pushq	%rbx\n"
"	pushq	%r12\n"
"	pushq	%r13\n"
"	pushq	%r14\n"
"	pushq	%r15\n"
"	subq	$24, %rsp\n"
"	.cfi_def_cfa_offset 80\n"
"	movq	%rdx, (%rsp)\n"
"	movq	%rdi, %rax\n"
"	movq	%rsi, %rdi\n"
"	leaq	1(%rdx), %rbx\n"
"	leaq	2(%rdx), %rbp\n"
"	leaq	3(%rdx), %r12\n"
"	leaq	4(%rdx), %r13\n"
"	leaq	5(%rdx), %r14\n"
"	leaq	6(%rdx), %r15\n"
"	call	*%rax\n"
"	movq	(%rsp), %rdx\n"
"	xorl	%eax, %eax\n"
"	.macro	kept n, reg\n"
"	leaq	\\n(%rdx), %rcx\n"
"	cmpq	%rcx, \\reg\n"
"	je	1f\n"
"	orl	$(1 << (\\n - 1)), %eax\n"
"1:\n"
"	.endm\n"
"	kept	1, %rbx\n"
"	kept	2, %rbp\n"
"	kept	3, %r12\n"
"	kept	4, %r13\n"
"	kept	5, %r14\n"
"	kept	6, %r15\n"
"	addq	$24, %rsp\n"
"	popq	%r15\n"
"	popq	%r14\n"
"	popq	%r13\n"
"	popq	%r12\n"
"	popq	%rbx\n"
"	popq	%rbp\n"
"	.cfi_def_cfa_offset 8\n"
"	ret\n"
"	.cfi_endproc\n"
"	.size	regs_survive, . - regs_survive\n");

#elif defined(__aarch64__)
#define REGISTERS 18

__asm__(
"	.text\n"
"	.globl	regs_survive\n"
"	.type	regs_survive, %function\n"
"regs_survive:\n"
"	stp	x29, x30, [sp, #-176]!\n"
"	mov	x29, sp\n"
"	stp	x19, x20, [sp, #16]\n"
"	stp	x21, x22, [sp, #32]\n"
"	stp	x23, x24, [sp, #48]\n"
"	stp	x25, x26, [sp, #64]\n"
"	stp	x27, x28, [sp, #80]\n"
"	stp	d8, d9, [sp, #96]\n"
"	stp	d10, d11, [sp, #112]\n"
"	stp	d12, d13, [sp, #128]\n"
"	stp	d14, d15, [sp, #144]\n"
"	str	x2, [sp, #160]\n"
"	mov	x9, x0\n"
"	mov	x0, x1\n"
"	.macro	fill n, reg\n"
"	add	\\reg, x2, #\\n\n"
"	.endm\n"
"	.macro	filld n, reg\n"
"	add	x10, x2, #\\n\n"
"	fmov	\\reg, x10\n"
"	.endm\n"
"	fill	1, x19\n	fill	2, x20\n	fill	3, x21\n	fill	4, x22\n	fill	5, x23\n"
"	fill	6, x24\n	fill	7, x25\n	fill	8, x26\n	fill	9, x27\n	fill	10, x28\n"
"	filld	11, d8\n	filld	12, d9\n	filld	13, d10\n	filld	14, d11\n"
"	filld	15, d12\n	filld	16, d13\n	filld	17, d14\n	filld	18, d15\n"
"	blr	x9\n"
"	ldr	x2, [sp, #160]\n"
"	mov	w0, #0\n"
"	.macro	kept n, reg\n"
"	add	x10, x2, #\\n\n"
"	cmp	x10, \\reg\n"
"	b.eq	1f\n"
"	orr	w0, w0, #(1 << (\\n - 1))\n"
"1:\n"
"	.endm\n"
"	.macro	keptd n, reg\n"
"	fmov	x11, \\reg\n"
"	kept	\\n, x11\n"
"	.endm\n"
"	kept	1, x19\n	kept	2, x20\n	kept	3, x21\n	kept	4, x22\n	kept	5, x23\n"
"	kept	6, x24\n	kept	7, x25\n	kept	8, x26\n	kept	9, x27\n	kept	10, x28\n"
"	keptd	11, d8\n	keptd	12, d9\n	keptd	13, d10\n	keptd	14, d11\n"
"	keptd	15, d12\n	keptd	16, d13\n	keptd	17, d14\n	keptd	18, d15\n"
"	ldp	x19, x20, [sp, #16]\n"
"	ldp	x21, x22, [sp, #32]\n"
"	ldp	x23, x24, [sp, #48]\n"
"	ldp	x25, x26, [sp, #64]\n"
"	ldp	x27, x28, [sp, #80]\n"
"	ldp	d8, d9, [sp, #96]\n"
"	ldp	d10, d11, [sp, #112]\n"
"	ldp	d12, d13, [sp, #128]\n"
"	ldp	d14, d15, [sp, #144]\n"
"	ldp	x29, x30, [sp], #176\n"
"	ret\n"
"	.size	regs_survive, . - regs_survive\n");
#endif

static struct tl_chan *forth, *back, *buffered;

/* The checker itself has to be able to say no. */
static int spoil(UNUSED void *arg)
{
#if defined(__x86_64__)
	__asm__ volatile("notq %%rbx\n\tincq %%r15" : : : "memory");
#elif defined(__aarch64__)
	__asm__ volatile("mvn x19, x19\n\tfmov d15, xzr" : : : "memory");
#endif
	return 0;
}

static int call_schedule(UNUSED void *arg)
{
	return tl_schedule();
}

static int call_chan(void *arg)
{
	long v = (long)arg;

	tl_chan_send(forth, &v);
	return tl_chan_recv(back, &v);
}

static int call_select(void *arg)
{
	long v = (long)arg;
	struct tl_select_case c[2] = { TL_CASE_SEND(forth, &v), TL_CASE_RECV(back, &v) };

	return tl_select(c, 2);
}

static int call_buffered(void *arg)
{
	long v = (long)arg;

	tl_chan_send(buffered, &v);
	return tl_chan_recv(buffered, &v);
}

static int call_sleep(UNUSED void *arg)
{
	return tl_sleep_until(0);
}

static int call_spawn_run(UNUSED void *arg)
{
	return tl_spawn_run(NULL, fn_nop, NULL);
}

static int call_run(void *arg)
{
	struct tl_task *t = mk_paused("T", fn_nop, arg);
	int r = tl_task_run(t);

	tl_task_unref(t);
	return r;
}

static int fn_switch_back(void *arg)
{
	return tl_task_switch(arg);
}

static int call_switch(UNUSED void *arg)
{
	struct tl_task *t = mk_paused("T", fn_switch_back, tl_current());

	tl_task_ref(tl_current());
	tl_task_switch(t);
	tl_task_unref(tl_current());
	tl_task_unref(t);
	return 0;
}

static int fn_wait(UNUSED void *arg)
{
	tl_schedule_remove();
	return 0;
}

static int call_kill(UNUSED void *arg)
{
	struct tl_task *t = mk("T", fn_wait, NULL);

	tl_schedule();
	tl_task_kill(t);
	tl_task_unref(t);
	return 0;
}

static int call_fpenv(UNUSED void *arg)
{
	bool was = tl_fpenv_private(true);

	tl_schedule();
	tl_fpenv_private(was);
	return 0;
}

static int (*const calls[])(void *) = {
	call_schedule, call_chan, call_select, call_buffered, call_sleep, call_spawn_run,
	call_run, call_switch, call_kill, call_fpenv,
};

static const char *const call_name[] = {
	"schedule", "channels", "select", "a buffered channel", "sleep", "spawn_run", "run", "switch", "kill", "fpenv",
};

static int lost[ARRAY_LEN(calls)];
static long made;

static int fn_mix(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u;
	uint64_t rnd = seed;
	int i;

	for (i = 0; i < 300; i++) {
		size_t n = tap_random(&rnd) % ARRAY_LEN(calls);

		lost[n] |= regs_survive(calls[n], arg, seed + (uint64_t)i * 64);
		made++;
	}
	return 0;
}

/* Serves the other ends of the channels. */
static int fn_serve(UNUSED void *arg)
{
	long v = 0;
	struct tl_select_case c[2] = { TL_CASE_RECV(forth, &v), TL_CASE_SEND(back, &v) };

	while (tl_select(c, 2) >= 0)
		;
	return 0;
}

int main(void)
{
	struct tl_task *server[3];
	size_t i;
	int got;
	long t;

	tap_plan(ARRAY_LEN(calls) + 4);
#if defined(__x86_64__)
	tap_is(got = regs_survive(spoil, NULL, 77), 0x21, "the checker sees what does not survive");
#elif defined(__aarch64__)
	tap_is(got = regs_survive(spoil, NULL, 77), 0x20001, "the checker sees what does not survive");
#endif
	tap_is(regs_survive(fn_nop, NULL, 77), 0, "and nothing where nothing is lost");
	if (tl_chan_new(&forth, sizeof(long), 0) || tl_chan_new(&back, sizeof(long), 0) ||
	    tl_chan_new(&buffered, sizeof(long), 8))
		tap_bail("no channels");
	for (i = 0; i < ARRAY_LEN(server); i++)
		server[i] = mk("S", fn_serve, NULL);
	for (t = 1; t <= 7; t++)
		go("M", fn_mix, (void *)t);
	tl_run();
	for (i = 0; i < ARRAY_LEN(calls); i++)
		tap_is(lost[i], 0, "1.4: all %d registers survive %s", REGISTERS, call_name[i]);
	tap_is(made, 7 * 300, "every tasklet has come to its end");
	for (i = 0; i < ARRAY_LEN(server); i++) {
		tl_task_kill(server[i]);
		tl_task_unref(server[i]);
	}
	tl_chan_unref(forth);
	tl_chan_unref(back);
	tl_chan_unref(buffered);
	tap_is(tl_sched_end(), 0, "sched.h: nothing is left");
	return tap_exit();
}
