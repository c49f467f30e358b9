/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a loop that waits for another processor does in each turn.
 */
#ifndef TL_OS_PAUSE_H
#define TL_OS_PAUSE_H

static inline void tl__pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" : : : "memory");
#endif
}

#endif
