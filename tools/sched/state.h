/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the kernel says of the scheduler that it runs, whoever loaded it.
 */
#ifndef SCHED_STATE_H
#define SCHED_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* Its name; false: there is none. */
bool state_name(char *name, size_t size);

bool state_is_ours(void);

#endif
