/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Signals and the library's own threads: they are the program's business, and its
 * threads'.
 */
#ifndef TL_OS_SIGNALS_H
#define TL_OS_SIGNALS_H

#include <signal.h>

/*
 * Blocks signals for a thread that is to be created, which inherits the mask;
 * what it was comes back in @old. Those by which a thread learns of its own fault
 * stay: a blocked one would kill the process without a word from the program's
 * handler.
 */
void tl__signals_block(sigset_t *old);

#endif
