/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * int tl__unwind_from(void *sp, int (*fn)(void *arg), void *arg)
 *
 * Calls fn(arg) on the stack of the caller, but with CFI that says otherwise: to
 * an unwinder the call was made inside tl__switch(), on the stack whose saved
 * pointer is @sp. So what fn() finds above itself are the frames of a suspended
 * tasklet, of which nothing is touched; there need not be any room on its stack.
 *
 * The rows that hold at the call are those of switch.S where the pointer is
 * saved, relative to a register that the call keeps.
 */

#include "core/switch-asm.h"

#if defined(__x86_64__)

	.text
	.globl	tl__unwind_from
	.hidden	tl__unwind_from
	.type	tl__unwind_from, @function
	.balign	32
tl__unwind_from:
	.cfi_startproc
	_CET_ENDBR
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	movq	%rdi, %rbx
	movq	%rdx, %rdi
	.cfi_remember_state
	cfi_saved %rbx
	call	*%rsi
	.cfi_restore_state
	popq	%rbx
	.cfi_def_cfa_offset 8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	tl__unwind_from, . - tl__unwind_from

	note_cet

#elif defined(__aarch64__)

	.text
	.globl	tl__unwind_from
	.hidden	tl__unwind_from
	.type	tl__unwind_from, %function
	.balign	32
tl__unwind_from:
	.cfi_startproc
	BTI_C
	stp	x29, x30, [sp, #-32]!
	.cfi_def_cfa_offset 32
	.cfi_offset x29, -32
	.cfi_offset x30, -24
	mov	x29, sp
	str	x19, [sp, #16]
	.cfi_offset x19, -16
	mov	x19, x0
	mov	x0, x2
	.cfi_remember_state
	cfi_saved x19
	blr	x1
	.cfi_restore_state
	ldr	x19, [sp, #16]
	.cfi_restore x19
	ldp	x29, x30, [sp], #32
	.cfi_restore x29
	.cfi_restore x30
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
	.size	tl__unwind_from, . - tl__unwind_from

#endif

	.section .note.GNU-stack, "", %progbits
