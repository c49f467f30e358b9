/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * For assembly: the words that tl__switch() leaves on a suspended tasklet's stack,
 * as those who load them (switch.S) and those who only tell an unwinder of them
 * (visit.S) see them; and how code is marked for branch protection.
 *
 * switch.h counts the same words.
 */
#ifndef TL_CORE_SWITCH_ASM_H
#define TL_CORE_SWITCH_ASM_H

#if defined(__x86_64__)

/* Not <cet.h>: it would add a note of its own, and promise shadow stacks. */
#if defined(__CET__) && (__CET__ & 1)
#define _CET_ENDBR endbr64
#define CET_FEATURES 1	/* IBT */
#else
#define _CET_ENDBR
#define CET_FEATURES 0
#endif

/*
 * Indirect branch tracking: yes (or there would be no endbr64). Shadow stack:
 * no. Written by hand, as the assembler's -fcf-protection would claim both.
 */
	.macro	note_cet
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
	.endm

/* What @base points to is the last word that was saved. */
	.macro	cfi_saved base
	.cfi_def_cfa \base, 56
	.cfi_offset %rbp, -16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
	.endm

/* All words but the address to go on at, which follows. */
	.macro	pop_saved
	popq	%r15
	.cfi_def_cfa_offset 48
	.cfi_restore %r15
	popq	%r14
	.cfi_def_cfa_offset 40
	.cfi_restore %r14
	popq	%r13
	.cfi_def_cfa_offset 32
	.cfi_restore %r13
	popq	%r12
	.cfi_def_cfa_offset 24
	.cfi_restore %r12
	popq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_restore %rbx
	popq	%rbp
	.cfi_def_cfa_offset 8
	.cfi_restore %rbp
	.endm

#elif defined(__aarch64__)

#ifdef __ARM_FEATURE_BTI_DEFAULT
#define BTI_C bti c
#else
#define BTI_C
#endif

/* What @base points to is the first of the words, x19. */
	.macro	cfi_saved base
	.cfi_def_cfa \base, 160
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
	.endm

#endif

#endif
