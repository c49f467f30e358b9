/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What marks a function as one that programs find here.
 */
#ifndef TL_PRELOAD_HOOKS_H
#define TL_PRELOAD_HOOKS_H

#define TL__HOOK __attribute__((visibility("default")))

#endif
