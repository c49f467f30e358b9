/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * All of libtasklet. Each header also stands alone.
 */
#ifndef TASKLET_TASKLET_H
#define TASKLET_TASKLET_H

#include <tasklet/barrier.h>
#include <tasklet/base.h>
#include <tasklet/channel.h>
#include <tasklet/cond.h>
#include <tasklet/dump.h>
#include <tasklet/error.h>
#include <tasklet/event.h>
#include <tasklet/features.h>
#include <tasklet/future.h>
#include <tasklet/gil.h>
#include <tasklet/group.h>
#include <tasklet/hist.h>
#include <tasklet/io.h>
#include <tasklet/mutex.h>
#include <tasklet/pool.h>
#include <tasklet/rwlock.h>
#include <tasklet/sched.h>
#include <tasklet/select.h>
#include <tasklet/semaphore.h>
#include <tasklet/task.h>
#include <tasklet/time.h>
#include <tasklet/waitgroup.h>
#include <tasklet/wake.h>
#include <tasklet/watchdog.h>

#endif
