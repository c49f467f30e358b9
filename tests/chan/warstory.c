/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The seed's war story (section 0): a value on its way from one tasklet to another was lost, because what the end of a
 * third one set free ran in between, and switched. Here everything that runs foreign code does that, around every switch:
 * payloads of errors are destroyed, deferred handlers run, tasklets end, functions that were abandoned on the pool leave
 * things behind, and each of them allocates, spawns, switches, and sends and receives values of its own. No value is
 * lost, changed or seen twice: each carries its number and a sum, and those who receive tick them off.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "../core/check.h"

#if CHECK_ASAN || CHECK_TSAN
#define VALUES 1500
#else
#define VALUES 6000
#endif
#define PAIRS 4
#define SIDE_MAX (VALUES * 8)

/* A value on its way: large enough that half of one would be noticed. */
struct value {
	uint64_t number, square, key, check;
};

static struct value value_of(uint64_t number)
{
	struct value v = { number, number * number, ~number, number * UINT64_C(0x9e3779b97f4a7c15) };

	return v;
}

static bool is_whole(const struct value *v)
{
	struct value want = value_of(v->number);

	return !memcmp(v, &want, sizeof(want));
}

static struct tl_chan *rendezvous[PAIRS], *buffered, *side;
static bool seen[PAIRS][VALUES];
static bool side_seen[SIDE_MAX];
static int whole, broken, twice, errors_seen;
static int side_sent, side_whole, side_broken;
static int destroyed, made, ended, deferred;
static uint64_t random_state = 1;
static bool over;

static unsigned int dice(unsigned int sides)
{
	return (unsigned int)(tap_random(&random_state) % sides);
}

/* --- what runs around switches ------------------------------------------------------------------------------------------ */

static int depth;	/* of mischief: it makes more of itself */

static void mischief(void);

static void destroy(void *payload)
{
	destroyed++;
	free(payload);
	mischief();
}

static struct tl_error *laden_error(int code)
{
	struct tl_error *e;
	char *payload = malloc(64);

	if (!payload || tl_error_new(&e, code, "laden"))
		tap_bail("no memory");
	memset(payload, 0xa5, 64);
	tl_error_set_payload(e, payload, destroy);
	made++;
	return e;
}

static void handler(void *arg)
{
	deferred++;
	free(arg);
	mischief();
}

static void side_send(void)
{
	struct value v;

	if (side_sent == SIDE_MAX)
		return;
	v = value_of((uint64_t)side_sent);
	if (tl_chan_try_send(side, &v) == 0)
		side_sent++;
}

static void side_recv(void)
{
	struct value v;

	if (tl_chan_try_recv(side, &v))
		return;
	if (is_whole(&v) && !side_seen[v.number]) {
		side_seen[v.number] = true;
		side_whole++;
	} else {
		side_broken++;
	}
}

/* One that ends at once, with what its end sets free. */
static int fn_ends(void *arg)
{
	char *p = malloc(100);

	ended++;
	tl_defer(handler, p);
	if ((long)arg & 1)
		tl_schedule();
	if ((long)arg & 2) {
		/* What a call reported and nobody took: freed by the end. */
		tl_task_throw_later(tl_current(), laden_error(EIO));
		tl_schedule();
		return 0;
	}
	return 0;
}

static int fn_blocks(UNUSED void *arg)
{
	struct value v;

	ended++;
	tl_defer(handler, malloc(50));
	/* Nobody sends here: the one who made it kills it, or throws. */
	tl_chan_recv_until(arg, &v, TL_FOREVER);
	return 0;
}

static void victim(void)
{
	struct tl_chan *c;
	struct tl_task *t;

	if (tl_chan_new(&c, sizeof(struct value), 0) || tl_spawn(&t, fn_blocks, c))
		tap_bail("no memory");
	tl_schedule();
	/* The first error is dropped where the second one comes. */
	if (dice(2)) {
		struct tl_error *e = laden_error(EIO);

		if (tl_task_throw_later(t, e))
			tl_error_free(e);
	}
	tl_task_kill(t);
	tl_chan_close(c);
	while (tl_task_is_alive(t) && !tl_schedule())
		;
	tl_chan_unref(c);
	tl_task_unref(t);
}

static void mischief(void)
{
	char *p;
	int i;

	if (over || depth > 2)
		return;
	depth++;
	p = malloc(1 + dice(500));
	switch (dice(6)) {
	case 0:
		tl_schedule();
		break;
	case 1:
		for (i = 0; i < 3; i++)
			side_send();
		break;
	case 2:
		tl_spawn(NULL, fn_ends, (void *)(long)dice(4));
		tl_schedule();
		break;
	case 3:
		for (i = 0; i < 3; i++)
			side_recv();
		break;
	case 4:
		tl_spawn_run(NULL, fn_ends, (void *)(long)dice(4));
		break;
	default:
		victim();
		break;
	}
	free(p);
	depth--;
}

/* --- values in transit --------------------------------------------------------------------------------------------------- */

static int send_all(struct tl_chan *c, int from)
{
	int i;

	for (i = from; i < VALUES; i++) {
		struct value v = value_of((uint64_t)i);
		int r;

		/* Now and then an error goes the same way; its receiver frees it. */
		if (dice(16) == 0) {
			struct tl_error *e = laden_error(EBADMSG);

			r = tl_chan_send_error(c, e);
			if (r)
				tl_error_free(e);
		}
		r = tl_chan_send(c, &v);
		memset(&v, 0xee, sizeof(v));	/* ours again */
		if (r)
			tap_bail("send: %d", r);
		if (dice(4) == 0)
			mischief();
	}
	return 0;
}

static int fn_sender(void *arg)
{
	return send_all(rendezvous[(long)arg], 0);
}

static int fn_receiver(void *arg)
{
	long pair = (long)arg;
	int got = 0;

	while (got < VALUES) {
		struct value v;
		int r;

		memset(&v, 0xdd, sizeof(v));
		switch (dice(3)) {
		case 0: {
			struct tl_select_case c[2] = { TL_CASE_RECV(rendezvous[pair], &v), TL_CASE_RECV(NULL, &v) };

			r = tl_select(c, 2);
			if (!r)
				r = c[0].result;
			break;
		}
		case 1:
			r = tl_chan_recv_until(rendezvous[pair], &v, tl_now() + dice(20000));
			break;
		default:
			r = tl_chan_recv(rendezvous[pair], &v);
			break;
		}
		if (r == -EBADMSG) {
			errors_seen++;
			/* Half of them are left for the next call, or the end, to free. */
			if (dice(2))
				tl_error_free(tl_catch());
			continue;
		}
		if (r == -ETIMEDOUT)
			continue;
		if (r)
			tap_bail("recv: %d", r);
		got++;
		if (!is_whole(&v) || v.number >= VALUES)
			broken++;
		else if (seen[pair][v.number])
			twice++;
		else
			whole++;
		seen[pair][v.number % VALUES] = true;
	}
	return 0;
}

/* Each switch, seen by a callback, also allocates. */
static void *kept;

static void at_switch(UNUSED struct tl_task *prev, UNUSED struct tl_task *next, UNUSED void *arg)
{
	free(kept);
	kept = malloc(1 + dice(300));
	if (kept)
		memset(kept, 0x77, 1);
}

static void drain_side(void)
{
	struct value v;

	over = true;
	while (tl_chan_balance(side) > 0 && tl_chan_try_recv(side, &v) == 0) {
		if (is_whole(&v) && !side_seen[v.number]) {
			side_seen[v.number] = true;
			side_whole++;
		} else {
			side_broken++;
		}
	}
}

static void test_preference(int preference)
{
	char what[64];
	long i;

	memset(seen, 0, sizeof(seen));
	whole = broken = twice = errors_seen = side_whole = side_broken = side_sent = 0;
	destroyed = made = ended = deferred = 0;
	memset(side_seen, 0, sizeof(side_seen));
	over = false;
	random_state = tap_seed() + (unsigned int)preference;
	if (tl_chan_new(&side, sizeof(struct value), 64))
		tap_bail("no channel");
	for (i = 0; i < PAIRS; i++) {
		/* The last one has a buffer. */
		if (tl_chan_new(&rendezvous[i], sizeof(struct value), i == PAIRS - 1 ? 3 : 0))
			tap_bail("no channel");
		tl_chan_set_preference(rendezvous[i], preference);
		if (preference > 1)
			tl_chan_set_schedule_all(rendezvous[i], true);
		tl_spawn(NULL, fn_receiver, (void *)i);
		tl_spawn(NULL, fn_sender, (void *)i);
	}
	snprintf(what, sizeof(what), preference > 1 ? "schedule_all" : "preference %d", preference);
	while (tl_run() < 0)
		tl_error_free(tl_catch());
	tap_is(whole, PAIRS * VALUES, "0: %s: each value has arrived, whole", what);
	tap_ok(!broken && !twice, "0: %s: none was changed, none came twice", what);
	drain_side();
	tap_ok(side_whole == side_sent && !side_broken, "0: %s: nor of those that destructors have sent", what);
	tap_ok(errors_seen > VALUES / 10 && ended > VALUES / 10 && deferred >= ended, "0: %s: and they were many", what);
	while (tl_run() < 0)
		tl_error_free(tl_catch());
	tl_error_free(tl_catch());
	tap_is(destroyed, made, "0: %s: each error was freed once", what);
	for (i = 0; i < PAIRS; i++)
		tl_chan_unref(rendezvous[i]);
	tl_chan_unref(side);
}

/* --- abandoned calls and groups ------------------------------------------------------------------------------------------- */

static _Atomic int leftovers;

static void leaves(void *arg)
{
	free(arg);
	leftovers++;
}

static long fn_offloaded(void *arg, struct tl_error **error)
{
	char *p = malloc(30);

	free(p);
	if ((uintptr_t)arg & 16)
		tl_error_new(error, EIO, "offloaded");
	return 0;
}

static _Atomic int calls_taken, calls_left;

static int fn_calls(void *arg)
{
	int i;

	for (i = 0; i < 40; i++) {
		void *p = malloc(40);
		int r = tl_call_until(fn_offloaded, p, leaves, NULL, tl_now() + dice(60000));

		if (r == -ETIMEDOUT || r == -ECANCELED) {
			calls_left++;
		} else {
			calls_taken++;
			free(p);
		}
		tl_error_free(tl_catch());
		mischief();
	}
	(void)arg;
	return 0;
}

static void test_calls(void)
{
	struct tl_group *g;
	int i;

	over = false;
	side_whole = side_broken = side_sent = 0;
	memset(side_seen, 0, sizeof(side_seen));
	if (tl_chan_new(&side, sizeof(struct value), 64) || tl_group_new(&g) ||
	    tl_chan_new(&buffered, sizeof(struct value), 2))
		tap_bail("no memory");
	rendezvous[0] = buffered;
	memset(seen, 0, sizeof(seen));
	whole = broken = twice = 0;
	tl_spawn(NULL, fn_receiver, NULL);
	for (i = 0; i < 6; i++)
		tl_group_spawn(g, NULL, NULL, fn_calls, NULL);
	/* Values go on while calls are abandoned and the group is killed. */
	send_all(buffered, VALUES / 2);
	tl_group_kill(g);
	for (i = 0; i < VALUES / 2; i++) {
		struct value v = value_of((uint64_t)i);

		tl_chan_send(buffered, &v);
	}
	tl_group_wait(g);
	while (tl_run() < 0)
		tl_error_free(tl_catch());
	tap_ok(whole == VALUES && !broken && !twice, "0: values that cross abandoned calls and a killed group arrive");
	drain_side();
	tap_ok(side_whole == side_sent && !side_broken, "0: and so do those of destructors");
	while (leftovers < calls_left)
		sched_yield();
	tap_is(leftovers, calls_left, "6.3: each call that was abandoned has left its argument once");
	tl_group_unref(g);
	tl_chan_unref(side);
	tl_chan_unref(buffered);
}

int main(void)
{
	tap_plan(24);
	tl_set_schedule_callback(at_switch, NULL, NULL, NULL);
	test_preference(-1);
	test_preference(0);
	tl_set_schedule_callback(NULL, NULL, NULL, NULL);
	test_preference(+1);
	test_preference(2);
	test_calls();
	free(kept);
	tap_is(tl_sched_end(), 0, "the scheduler ends");
	return tap_exit();
}
