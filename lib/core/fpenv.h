/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Floating point control words. Saving and loading them costs more than the
 * whole switch, so only tasklets that asked for their own pay (see
 * tl_fpenv_private()): they put the thread's words back when they are left, and
 * their own when they come back.
 */
#ifndef TL_CORE_FPENV_H
#define TL_CORE_FPENV_H

#include <stdint.h>

struct tl__fpenv {
#if defined(__x86_64__)
	uint32_t mxcsr;
	uint16_t x87_control;
#elif defined(__aarch64__)
	uint64_t fpcr;
#endif
};

static inline void tl__fpenv_save(struct tl__fpenv *env)
{
#if defined(__x86_64__)
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1"
			 : "=m"(env->mxcsr), "=m"(env->x87_control));
#elif defined(__aarch64__)
	__asm__ volatile("mrs %0, fpcr" : "=r"(env->fpcr));
#endif
}

static inline void tl__fpenv_load(const struct tl__fpenv *env)
{
#if defined(__x86_64__)
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1"
			 : : "m"(env->mxcsr), "m"(env->x87_control));
#elif defined(__aarch64__)
	__asm__ volatile("msr fpcr, %0" : : "r"(env->fpcr));
#endif
}

#endif
