/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the library's probes say in numbers: for the library, for programs in
 * BPF and for those that read what these have gathered. Includes nothing, and
 * nothing but preprocessor definitions is in it. tasklet_tracing(7) has the
 * whole; the numbers are part of the interface.
 */
#ifndef TL_BASE_PROBE_KINDS_H
#define TL_BASE_PROBE_KINDS_H

/* The first argument of `wake`: what the other thread sleeps in. */
#define TL_PROBE_WAKE_FUTEX_COND	1 /* a futex condition's node */
#define TL_PROBE_WAKE_FUTEX_MUTEX	2 /* the futex mutex */
#define TL_PROBE_WAKE_SEM		3 /* the semaphore */
#define TL_PROBE_WAKE_LOCK		4 /* a short lock of the library's */
#define TL_PROBE_WAKE_INBOX		5 /* a scheduler's sleep word */
#define TL_PROBE_WAKE_RING		6 /* a ring's, or epoll set's, bell */
#define TL_PROBE_WAKE_OTHER		7
#define TL_PROBE_WAKE_KINDS		8 /* they are less than that */

/* The argument `class` of gil_...: enum tl_gil_class of <tasklet/gil.h>. */
#define TL_PROBE_GIL_CPU		0
#define TL_PROBE_GIL_IO			1

#endif
