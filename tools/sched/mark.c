/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Telling it what threads are that have no probes; see sched.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "sched.h"
#include "state.h"

static int mark_one(int map, const char *word, __u32 mark)
{
	uint64_t n;
	__u32 tid;

	if (tl__parse_u64(word, 1, 1 << 22, &n)) {
		fprintf(stderr, "tl-sched: '%s' is no thread's number\n", word);
		return 2;
	}
	tid = (__u32)n;
	if (kill((pid_t)tid, 0))
		return complain(word, -errno);
	if (mark == GILSCHED_UNMARKED ? bpf_map_delete_elem(map, &tid) &&
	    errno != ENOENT : bpf_map_update_elem(map, &tid, &mark, BPF_ANY))
		return complain(word, -errno);
	return EXIT_SUCCESS;
}

int sched_mark(enum gilsched_mark mark, char **tids)
{
	int map, r = EXIT_SUCCESS;

	/* Of one that was killed, the map may still be there. */
	if (!state_is_ours()) {
		fprintf(stderr, "tl-sched: the scheduler is not loaded "
			"(tl-sched load)\n");
		return EXIT_FAILURE;
	}
	map = bpf_obj_get(SCHED_PIN);
	if (map < 0)
		return complain(SCHED_PIN, -errno);
	for (; *tids && r == EXIT_SUCCESS; tids++)
		r = mark_one(map, *tids, mark);
	return r;
}
