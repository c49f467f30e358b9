/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* See sched.h. */
#include "os/sched.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

int tl__sched_get(struct tl__sched *s)
{
	int saved = errno, r;

	memset(s, 0, sizeof(*s));
	if (tl__fault())
		return -ENOSYS;
	r = syscall(SYS_sched_getattr, 0, s, sizeof(*s), 0) ? -errno : 0;
	errno = saved;
	return r;
}

static int set(struct tl__sched s)
{
	int saved = errno, r;

	s.size = sizeof(s);
	r = syscall(SYS_sched_setattr, 0, &s, 0) ? -errno : 0;
	errno = saved;
	return r;
}

int tl__sched_set(const struct tl__sched *s)
{
	struct tl__sched keeps = *s;
	int r = tl__fault() ? -EPERM : set(*s);

	if (r != -EPERM || (s->flags & TL__SCHED_RESET_ON_FORK))
		return r;
	keeps.flags |= TL__SCHED_RESET_ON_FORK;
	return set(keeps);
}

bool tl__sched_is(const struct tl__sched *a, const struct tl__sched *b)
{
	return a->policy == b->policy && a->nice == b->nice &&
	       a->priority == b->priority && a->slice_ns == b->slice_ns;
}

int tl__sched_pin(int processor, cpu_set_t *before)
{
	int saved = errno, r = 0;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	if (tl__fault())
		return -ENODEV;
	if (sched_getaffinity(0, sizeof(*before), before) ||
	    sched_setaffinity(0, sizeof(one), &one))
		r = errno == EINVAL ? -ENODEV : -errno;
	errno = saved;
	return r;
}

void tl__sched_unpin(int processor, const cpu_set_t *before)
{
	int saved = errno;
	cpu_set_t now;

	if (!sched_getaffinity(0, sizeof(now), &now) && CPU_COUNT(&now) == 1 &&
	    CPU_ISSET(processor, &now))
		(void)sched_setaffinity(0, sizeof(*before), before);
	errno = saved;
}
