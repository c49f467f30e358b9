/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See probes.h; base/probe.h has the probes. */
#include "core/probes.h"

#include <errno.h>

#include "base/probe.h"
#include "core/task.h"

tl__cold void tl__probe_new(const struct tl_task *t)
{
	TL__PROBE2(task_new, t->id, t->name);
}

void tl__probe_unrun(const struct tl_task *t)
{
	TL__PROBE2(task_end, t->id, (int64_t)-ECANCELED);
}
