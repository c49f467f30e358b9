/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Runs a tracer from beginning to end.
 */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include "request.h"

/* Whether there is a tracer of that name. */
bool trace_exists(const char *name);

/* Returns the exit status, after what there is to say on stderr. */
int trace_run(const struct request *request);

#endif
