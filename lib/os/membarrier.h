/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A barrier that one thread makes all others of the process pass, so that those
 * need none of their own: the expensive half of an asymmetric pair.
 */
#ifndef TL_OS_MEMBARRIER_H
#define TL_OS_MEMBARRIER_H

#include <stdbool.h>

/* Whether the kernel has it. The first call asks. */
bool tl__membarrier_works(void);

/*
 * When it returns, each other thread has passed a full barrier since the call.
 * Only where it works.
 */
void tl__membarrier(void);

/* For tests: as if the kernel had none; before the first call of the above. */
extern bool tl__membarrier_test_refused;

#endif
