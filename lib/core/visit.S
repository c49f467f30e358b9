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
 * saved, relative to a register that the call keeps. They have to change when
 * the layout there does.
 */

#if defined(__x86_64__)

#if defined(__CET__) && (__CET__ & 1)
#define _CET_ENDBR endbr64
#define CET_FEATURES 1	/* as in switch.S: IBT, no shadow stack */
#else
#define _CET_ENDBR
#define CET_FEATURES 0
#endif

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
	.cfi_def_cfa %rbx, 56
	.cfi_offset %rbp, -16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
	call	*%rsi
	.cfi_restore_state
	popq	%rbx
	.cfi_def_cfa_offset 8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	tl__unwind_from, . - tl__unwind_from

	.section .note.gnu.property, "a"
	.balign	8
	.long	4		/* name size */
	.long	16		/* descriptor size */
	.long	5		/* NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000002	/* GNU_PROPERTY_X86_FEATURE_1_AND */
	.long	4
	.long	CET_FEATURES
	.long	0

#elif defined(__aarch64__)

#ifdef __ARM_FEATURE_BTI_DEFAULT
#define BTI_C bti c
#else
#define BTI_C
#endif

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
	.cfi_def_cfa x19, 160
	.cfi_offset x19, -160
	.cfi_offset x20, -152
	.cfi_offset x21, -144
	.cfi_offset x22, -136
	.cfi_offset x23, -128
	.cfi_offset x24, -120
	.cfi_offset x25, -112
	.cfi_offset x26, -104
	.cfi_offset x27, -96
	.cfi_offset x28, -88
	.cfi_offset x29, -80
	.cfi_offset x30, -72
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
