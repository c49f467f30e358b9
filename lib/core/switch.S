/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The stack switch for x86-64 (System V ABI) and aarch64 (AAPCS64).
 *
 * It leaves through a register jump, not a return: a return to an address that
 * was pushed on another stack always misses the return predictor. Because of
 * that it can't run on a live shadow stack; sched.c refuses one, and the note at
 * the end keeps the linker from promising that we support it.
 *
 * The CFI is exact at each instruction, so that debuggers unwind a suspended
 * tasklet from its saved stack pointer and stop at the entry.
 */

#include "core/switch-asm.h"

#if defined(__x86_64__)

#if CET_FEATURES
#define JUMP_RCX notrack jmp *%rcx
#else
#define JUMP_RCX jmp *%rcx
#endif

	.text

/* int tl__switch(struct tl_task *from [rdi], struct tl_task *to [rsi]) */
	.globl	tl__switch
	.hidden	tl__switch
	.type	tl__switch, @function
	.balign	64
tl__switch:
	.cfi_startproc
	_CET_ENDBR
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_def_cfa_offset 24
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_def_cfa_offset 32
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_def_cfa_offset 40
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_def_cfa_offset 48
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_def_cfa_offset 56
	.cfi_rel_offset %r15, 0
	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp
	movl	8(%rsi), %eax
	pop_saved
	popq	%rcx
	.cfi_def_cfa_offset 0
	.cfi_register %rip, %rcx
	JUMP_RCX
	.cfi_endproc
	.size	tl__switch, . - tl__switch

/* void tl__switch_final(struct tl_task *to [rdi]) */
	.globl	tl__switch_final
	.hidden	tl__switch_final
	.type	tl__switch_final, @function
	.balign	32
tl__switch_final:
	.cfi_startproc
	_CET_ENDBR
	movq	%rdi, %rsi
	movq	(%rdi), %rsp
	cfi_saved %rsp
	movl	8(%rdi), %eax
	pop_saved
	popq	%rcx
	.cfi_def_cfa_offset 0
	.cfi_register %rip, %rcx
	JUMP_RCX
	.cfi_endproc
	.size	tl__switch_final, . - tl__switch_final

/*
 * Entered by the jumps above with the new tasklet in rsi, the stack aligned. An
 * unwinder takes the address to go on at for one behind a call, and looks one
 * byte before it: so there has to be something that belongs to the entry.
 */
	.globl	tl__switch_entry
	.hidden	tl__switch_entry
	.type	tl__switch_entry, @function
	.balign	32
	.hidden	tl__unwind_personality
tl__switch_entry:
	.cfi_startproc
	.cfi_personality 0x1b, tl__unwind_personality	/* pcrel, sdata4 */
	.cfi_undefined %rip
	nop
	.globl	tl__switch_start
	.hidden	tl__switch_start
tl__switch_start:
	_CET_ENDBR
	movq	%rsi, %rdi
	call	tl__task_main
	ud2
	.cfi_endproc
	.size	tl__switch_entry, . - tl__switch_entry

	note_cet

#elif defined(__aarch64__)

/*
 * With branch target identification a jump must land on a marked instruction,
 * and the one after a call is none: a return is the only way back then.
 */
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define RESUME_X30 ret
#else
#define RESUME_X30 br x30
#endif

	.text

/* int tl__switch(struct tl_task *from [x0], struct tl_task *to [x1]) */
	.globl	tl__switch
	.hidden	tl__switch
	.type	tl__switch, %function
	.balign	64
tl__switch:
	.cfi_startproc
	BTI_C
	sub	sp, sp, #160
	.cfi_def_cfa_offset 160
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	cfi_saved sp
	mov	x9, sp
	str	x9, [x0]
.Lresume:
	ldr	x9, [x1]
	ldr	w0, [x1, #8]
	mov	sp, x9
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	.cfi_def_cfa_offset 0
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore x29
	.cfi_restore x30
	RESUME_X30
	.cfi_endproc
	.size	tl__switch, . - tl__switch

/* void tl__switch_final(struct tl_task *to [x0]) */
	.globl	tl__switch_final
	.hidden	tl__switch_final
	.type	tl__switch_final, %function
	.balign	32
tl__switch_final:
	.cfi_startproc
	BTI_C
	mov	x1, x0
	b	.Lresume
	.cfi_endproc
	.size	tl__switch_final, . - tl__switch_final

/* Entered by the jump above with the new tasklet in x1; the nop: as above. */
	.globl	tl__switch_entry
	.hidden	tl__switch_entry
	.type	tl__switch_entry, %function
	.balign	32
	.hidden	tl__unwind_personality
tl__switch_entry:
	.cfi_startproc
	.cfi_personality 0x1b, tl__unwind_personality	/* pcrel, sdata4 */
	.cfi_undefined x30
	nop
	.globl	tl__switch_start
	.hidden	tl__switch_start
tl__switch_start:
	mov	x30, xzr
	mov	x0, x1
	bl	tl__task_main
	brk	#1
	.cfi_endproc
	.size	tl__switch_entry, . - tl__switch_entry

#endif

	.section .note.GNU-stack, "", %progbits
