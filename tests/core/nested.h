/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * nested.h: calls whose frames stay what they are, for those who look at stacks from outside.
 */
#ifndef CORE_NESTED_H
#define CORE_NESTED_H

/* name(n) calls callee(n + 1), not as its last act. */
#define NESTED(name, callee)						\
	static __attribute__((noinline, noclone)) int name(long n)	\
	{								\
		volatile long own = n + 1;				\
		int r = callee(own);					\
									\
		own += r;						\
		__asm__ volatile("" : : "r"(own) : "memory");		\
		return r;						\
	}

#endif
