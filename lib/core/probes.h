/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What tracers are told of a tasklet's life outside of the hot paths.
 */
#ifndef TL_CORE_PROBES_H
#define TL_CORE_PROBES_H

struct tl_task;

/* @t is alive. */
void tl__probe_new(const struct tl_task *t);

/* @t is dead, whose function has not returned. */
void tl__probe_unrun(const struct tl_task *t);

#endif
