// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
//
// TL_UNWIND and tl_shield(): a tasklet that exits within a shield, with a kill waiting, is unwound once. A destructor that
// puts the shield back as it was does not let the kill in: what is undone may block (unwind.h).
#include <cstdio>

#include <tasklet/tasklet.h>

static int count, failed;
static int slept = 1;

static void ok(bool good, const char *what)
{
	printf("%sok %d %s\n", good ? "" : "not ", ++count, what);
	fflush(stdout);
	failed += !good;
}

struct shield {
	bool was;
	shield() : was(tl_shield(true)) {}
	~shield() { tl_shield(was); }
};

struct blocks {
	~blocks() { slept = tl_sleep(1000); }
};

static int fn(void *)
{
	blocks outer;
	shield inner;

	tl_schedule();
	tl_exit(0);
}

int main()
{
	struct tl_task_attr attr = {};
	struct tl_task *t;

	attr.size = sizeof(attr);
	attr.flags = TL_UNWIND;
	printf("TAP version 13\n1..2\n");
	if (tl_spawn_attr(&t, &attr, fn, nullptr)) {
		printf("Bail out! no tasklet\n");
		return 1;
	}
	tl_schedule();
	tl_task_kill_later(t);
	ok(tl_run() == TL_RUN_FINISHED && !tl_task_is_alive(t), "9: (#846) it ends as it wanted");
	ok(slept == 0, "9: (#250) what its destructors do is not killed");
	tl_task_unref(t);
	return failed || tl_sched_end() ? 1 : 0;
}
