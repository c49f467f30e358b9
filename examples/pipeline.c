/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A pipeline: each stage is a tasklet that reads one channel and writes the
 * next. It shows tl_chan_next() as a loop over what comes, channels with and
 * without a capacity, and how the end travels: a stage whose input is closed
 * and drained closes its output.
 */
#include <stdio.h>
#include <tasklet/tasklet.h>

#define COUNT 1000

struct stage {
	struct tl_chan *in, *out;
	int (*work)(long *value);	/* returns whether to hand it on */
};

static int square(long *value)
{
	*value *= *value;
	return 1;
}

static int is_even(long *value)
{
	return *value % 2 == 0;
}

static int halve(long *value)
{
	*value /= 2;
	return 1;
}

static int run_stage(void *arg)
{
	const struct stage *stage = arg;
	long value;
	int r;

	while ((r = tl_chan_next(stage->in, &value)) > 0) {
		if (!stage->work(&value))
			continue;
		r = tl_chan_send(stage->out, &value);
		if (r)
			break;
	}
	tl_chan_close(stage->out);
	return r;
}

static int source(void *arg)
{
	struct tl_chan *out = arg;
	long i;
	int r = 0;

	for (i = 1; i <= COUNT && !r; i++)
		r = tl_chan_send(out, &i);
	tl_chan_close(out);
	return r;
}

int main(void)
{
	int (*const work[])(long *) = { square, is_even, halve };
	struct stage stages[3];
	struct tl_chan *chan[4];
	long value, sum = 0, expected = 0, i;
	int r;

	/* The second link holds eight values: the stages run in bursts. */
	for (i = 0; i < 4; i++)
		if (tl_chan_new(&chan[i], sizeof(long), i == 1 ? 8 : 0))
			return 1;
	if (tl_spawn(NULL, source, chan[0]))
		return 1;
	for (i = 0; i < 3; i++) {
		stages[i] = (struct stage){ chan[i], chan[i + 1], work[i] };
		if (tl_spawn(NULL, run_stage, &stages[i]))
			return 1;
	}

	while ((r = tl_chan_next(chan[3], &value)) > 0)
		sum += value;

	for (i = 2; i <= COUNT; i += 2)
		expected += i * i / 2;
	printf("the sum is %ld\n", sum);
	for (i = 0; i < 4; i++)
		tl_chan_unref(chan[i]);
	return r || sum != expected || tl_sched_end();
}
