/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * When a program that is looked at begins and ends: when something comes on stdin, and when that ends. Its main thread
 * waits for nothing but time meanwhile.
 */
#ifndef TRACE_GO_H
#define TRACE_GO_H

#include <stdbool.h>

/* Says that it is ready, and waits; ends the program if stdin has ended before. */
void go_begin(void);

/* Says that it has done @count of what it does. Until it is told to end, whoever traces it can read all. */
void go_end(long count);

/*
 * Whether a thread sleeps on a futex: it is in a lock's queue. The lock's statistics say so only when that is over, but
 * the kernel knows.
 */
bool go_sleeps(int tid);

#endif
