/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Names for addresses in a process, also after its end.
 */
#ifndef TRACE_STACK_H
#define TRACE_STACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Looks at what @pid has mapped by now; to be called now and then. */
void stack_learn(pid_t pid);

/*
 * "function", or "file+0x1a2b" where its name is not known: of one address in the
 * process that was learnt last. "?" if it was in no file.
 */
void stack_name(uint64_t address, char *name, size_t size);

void stack_forget(void);

#endif
