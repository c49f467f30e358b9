/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Generators: a tasklet that sends is to its receiver what "yield" is in Python.
 * It shows a recursive one (a walk over a tree, which no loop with a state of
 * its own could replace without a stack), two that run in step, and the sieve of
 * Eratosthenes, where each prime is a tasklet.
 */
#include <stdio.h>
#include <tasklet/tasklet.h>

struct node {
	const struct node *left, *right;
	int value;
};

struct walk {
	const struct node *root;
	struct tl_chan *out;
};

static int visit(const struct node *node, struct tl_chan *out)
{
	int r;

	if (!node)
		return 0;
	r = visit(node->left, out);
	if (!r)
		r = tl_chan_send(out, &node->value);
	return r ? r : visit(node->right, out);
}

static int walk(void *arg)
{
	const struct walk *w = arg;
	int r = visit(w->root, w->out);

	tl_chan_close(w->out);
	return r;
}

/* Whether two trees hold the same values in the same order, of whatever shape. */
static int same_fringe(const struct node *a, const struct node *b)
{
	struct walk wa = { .root = a }, wb = { .root = b };
	struct tl_task *ta, *tb;
	int ra, rb, va = 0, vb = 0;

	if (tl_chan_new(&wa.out, sizeof(int), 0) ||
	    tl_chan_new(&wb.out, sizeof(int), 0) ||
	    tl_spawn(&ta, walk, &wa) || tl_spawn(&tb, walk, &wb))
		return -1;
	do {
		ra = tl_chan_next(wa.out, &va);
		rb = tl_chan_next(wb.out, &vb);
	} while (ra > 0 && rb > 0 && va == vb);

	/* They may be in the middle of their trees: no matter. */
	tl_task_kill(ta);
	tl_task_kill(tb);
	tl_task_unref(ta);
	tl_task_unref(tb);
	tl_chan_unref(wa.out);
	tl_chan_unref(wb.out);
	return ra == 0 && rb == 0;
}

#define PRIMES 25

struct filter {
	struct tl_chan *in, *out;
	int prime;
};

static int numbers(void *arg)
{
	int n, r = 0;

	for (n = 2; !r; n++)
		r = tl_chan_send(arg, &n);
	return r;
}

static int drop_multiples(void *arg)
{
	const struct filter *f = arg;
	int n, r;

	while ((r = tl_chan_next(f->in, &n)) > 0)
		if (n % f->prime && (r = tl_chan_send(f->out, &n)))
			break;
	return r;
}

/* The n-th prime. Leaves its tasklets to tl_sched_end(). */
static int sieve(struct filter *f, int n)
{
	struct tl_chan *in;
	int i;

	if (tl_chan_new(&in, sizeof(int), 0) || tl_spawn(NULL, numbers, in))
		return -1;
	for (i = 0; i < n; i++) {
		f[i].in = in;
		if (tl_chan_recv(in, &f[i].prime) ||
		    tl_chan_new(&f[i].out, sizeof(int), 0) ||
		    tl_spawn(NULL, drop_multiples, &f[i]))
			return -1;
		in = f[i].out;
	}
	return f[n - 1].prime;
}

int main(void)
{
	const struct node one = { .value = 1 }, three = { .value = 3 };
	const struct node bushy = { &one, &three, 2 };
	const struct node last = { .value = 3 }, mid = { NULL, &last, 2 };
	const struct node list = { NULL, &mid, 1 }, other = { NULL, &mid, 0 };
	struct filter filters[PRIMES];
	int i, prime, same, differ;

	same = same_fringe(&bushy, &list);
	differ = same_fringe(&bushy, &other);
	printf("the same values: %d, other ones: %d\n", same, differ);

	prime = sieve(filters, PRIMES);
	printf("prime number %d is %d\n", PRIMES, prime);
	if (same != 1 || differ != 0 || prime != 97 || tl_sched_end())
		return 1;
	tl_chan_unref(filters[0].in);
	for (i = 0; i < PRIMES; i++)
		tl_chan_unref(filters[i].out);
	return 0;
}
