/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Names for addresses in a process that still runs.
 */
#ifndef TRACE_STACK_H
#define TRACE_STACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* "python3+0x1a2b" or "function": of one address; "?" if it is in no file. */
void stack_name(pid_t pid, uint64_t address, char *name, size_t size);

#endif
