/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Random operations against a model: a dozen tasklets and main do whatever they like to each other and to a handful of
 * channels of all settings, and each call is first made in a model of a few hundred lines, which is written after the
 * text of sections 1 to 3 and knows the ring and the queues as plain arrays. Whenever a tasklet gets control, the whole
 * state has to be the model's: the ring in its order, each tasklet's state, each channel's balance and first waiter; and
 * each call's result, value and error has to be the one that the model foresaw. So every value arrives once and in order,
 * no tasklet is lost, and each error is destroyed once, which is counted.
 *
 * TL_SEED replays a run, TL_SOAK=SECONDS makes it longer than two seconds.
 */
#include <limits.h>

#include <tasklet/time.h>
#include <tasklet/tasklet.h>

#include "../core/check.h"
#include "core/task.h"	/* where select takes its choices from: so that a run can be replayed */

#define TASKS 13	/* main is number 0 */
#define CHANS 5
#define CASES 4
#define ERRORS 20000	/* a phase ends when so many were made */
#define STEPS 5000	/* or after so many calls */

/* --- the model ---------------------------------------------------------------------------------------------------- */

enum state { DEAD, PAUSED, RUNNABLE, BLOCKED };
enum { RECV, SEND };

struct item {
	uint64_t value;
	int error;		/* its number; 0: a value */
};

struct mtask {
	enum state state;
	bool started, shield, in_run;
	bool yielding;		/* a thrown error becomes the result of its call */
	int result;
	int thrown;		/* the error's number, KILL or 0 */
	int caught;
	bool deadline;
	uint64_t armed;
	/* What it waits for: one case unless it selects. */
	bool selects;
	int ncases;
	struct { int chan, dir, result; struct item item; } c[CASES];
};

struct mchan {
	size_t size, capacity, count;
	int preference;
	bool all, closing;
	struct item inside[4];
	int n[2];
	struct { int task, k; } queue[2][TASKS * CASES];
};

#define KILL (-1)

static struct mtask task[TASKS];
static struct mchan chan_[CHANS];
static int ring_[TASKS], nring;
static uint64_t armed;
static bool trap;

#define SWITCHED INT_MAX	/* the call comes back when somebody lets it */

static int error_code(int error)
{
	return error == KILL ? ECANCELED : 300 + error % 100;
}

/* What fails @t's calls. */
static int raised(int t)
{
	return task[t].thrown && !task[t].shield ? -error_code(task[t].thrown) : 0;
}

static int place_in_ring(int t)
{
	int i;

	for (i = 0; i < nring; i++)
		if (ring_[i] == t)
			return i;
	return -1;
}

static void ring_append(int t)
{
	task[t].state = RUNNABLE;
	ring_[nring++] = t;
}

static void ring_remove(int t)
{
	int i = place_in_ring(t);

	memmove(ring_ + i, ring_ + i + 1, (size_t)(--nring - i) * sizeof(ring_[0]));
}

/* Behind the head. */
static void ring_second(int t)
{
	task[t].state = RUNNABLE;
	memmove(ring_ + 2, ring_ + 1, (size_t)(nring++ - 1) * sizeof(ring_[0]));
	ring_[1] = t;
}

/* The head moves to @t; the order stays. */
static int ring_turn_to(int t)
{
	int turned[TASKS], i, at = place_in_ring(t);

	for (i = 0; i < nring; i++)
		turned[i] = ring_[(at + i) % nring];
	memcpy(ring_, turned, sizeof(turned));
	return SWITCHED;
}

static void leave_queues(int t)
{
	int c, dir, i, kept;

	for (c = 0; c < CHANS; c++)
		for (dir = RECV; dir <= SEND; dir++) {
			for (i = kept = 0; i < chan_[c].n[dir]; i++)
				if (chan_[c].queue[dir][i].task != t)
					chan_[c].queue[dir][kept++] = chan_[c].queue[dir][i];
			chan_[c].n[dir] = kept;
		}
	task[t].deadline = false;
}

static void wake(int t, int result)
{
	leave_queues(t);
	task[t].result = result;
	ring_append(t);
}

/* The first in that queue is served: returns its task, which is off all queues. */
static int serve(int c, int dir, int result, struct item *item)
{
	int t = chan_[c].queue[dir][0].task, k = chan_[c].queue[dir][0].k;

	if (dir == SEND)
		*item = task[t].c[k].item;
	else
		task[t].c[k].item = *item;
	if (dir == RECV && item->error)
		task[t].caught = item->error;
	task[t].c[k].result = result;
	task[t].result = task[t].selects ? k : result;
	leave_queues(t);
	return t;
}

/* A partner was served: who runs now. */
static int hand_over(int me, int c, int partner, int preferred, bool try)
{
	task[me].result = 0;
	if (!try && !chan_[c].all && chan_[c].preference == preferred) {
		ring_second(partner);
		task[me].yielding = false;
		return ring_turn_to(partner);
	}
	ring_append(partner);
	if (try || !chan_[c].all)
		return 0;
	task[me].yielding = false;
	return ring_turn_to(ring_[1]);
}

static bool can(int c, int dir)
{
	const struct mchan *ch = &chan_[c];

	return dir == SEND ? ch->n[RECV] || (ch->count < ch->capacity && !ch->closing) : ch->n[SEND] || ch->count;
}

/* A send or receive that can happen. */
static int happen(int me, int c, int dir, struct item *item, bool try)
{
	struct mchan *ch = &chan_[c];
	int other, preferred = dir == SEND ? -1 : 1;
	bool partner = dir == SEND ? ch->n[RECV] > 0 : !ch->count;

	if (trap && !try && partner && (ch->all || ch->preference == preferred))
		return -EPERM;
	if (dir == SEND) {
		if (!partner) {
			ch->inside[ch->count++] = *item;
			return 0;
		}
		other = serve(c, RECV, item->error ? -error_code(item->error) : 0, item);
		return hand_over(me, c, other, preferred, try);
	}
	if (partner) {
		other = serve(c, SEND, 0, item);
		if (item->error)
			task[me].caught = item->error;
		return hand_over(me, c, other, preferred, try);
	}
	*item = ch->inside[0];
	memmove(ch->inside, ch->inside + 1, --ch->count * sizeof(*item));
	if (item->error)
		task[me].caught = item->error;
	if (ch->n[SEND] && !ch->closing) {
		struct item refill;

		other = serve(c, SEND, 0, &refill);
		ch->inside[ch->count++] = refill;
		ring_append(other);
	}
	return 0;
}

static void block(int me, bool deadline)
{
	ring_remove(me);
	task[me].state = BLOCKED;
	task[me].yielding = false;
	task[me].deadline = deadline;
	task[me].armed = ++armed;
}

static void enqueue(int me, int k)
{
	struct mchan *ch = &chan_[task[me].c[k].chan];
	int dir = task[me].c[k].dir;

	ch->queue[dir][ch->n[dir]].task = me;
	ch->queue[dir][ch->n[dir]++].k = k;
}

/* Send or receive; the item is in c[0]. */
static int m_pass(int me, bool try, bool deadline)
{
	struct mtask *m = &task[me];
	int c = m->c[0].chan, r;

	m->selects = false;
	m->ncases = 1;
	if (!try && raised(me))
		return raised(me);
	if (can(c, m->c[0].dir)) {
		r = happen(me, c, m->c[0].dir, &m->c[0].item, try);
		if (r == 0 && m->c[0].dir == RECV && m->c[0].item.error)
			return -error_code(m->c[0].item.error);
		if (r == SWITCHED && m->c[0].dir == RECV && m->c[0].item.error)
			m->result = -error_code(m->c[0].item.error);
		return r;
	}
	if (!try && trap)
		return -EPERM;
	if (chan_[c].closing)
		return -EPIPE;
	if (try)
		return -EAGAIN;
	enqueue(me, 0);
	block(me, deadline);
	return SWITCHED;
}

static bool ready(int me, int k)
{
	int c = task[me].c[k].chan;

	return c >= 0 && (chan_[c].closing || can(c, task[me].c[k].dir));
}

/* Case k of a select, which is ready. */
static int m_case(int me, int k, bool try)
{
	struct mtask *m = &task[me];
	int r = 0;

	m->c[k].result = 0;
	if (can(m->c[k].chan, m->c[k].dir))
		r = happen(me, m->c[k].chan, m->c[k].dir, &m->c[k].item, try);
	else
		m->c[k].result = -EPIPE;
	if (r < 0)
		return r;
	if (!m->c[k].result && m->c[k].dir == RECV && m->c[k].item.error)
		m->c[k].result = -error_code(m->c[k].item.error);
	m->result = k;
	return r == SWITCHED ? SWITCHED : k;
}

static int m_select_block(int me, bool deadline)
{
	int k;

	task[me].selects = true;
	if (raised(me))
		return raised(me);
	if (trap)
		return -EPERM;
	for (k = 0; k < task[me].ncases; k++)
		if (task[me].c[k].chan >= 0)
			enqueue(me, k);
	block(me, deadline);
	return SWITCHED;
}

static void m_close(int c)
{
	struct item none = { 0 };
	int dir;

	chan_[c].closing = true;
	for (dir = RECV; dir <= SEND; dir++)
		while (chan_[c].n[dir]) {
			struct item *item = &none;
			int t = chan_[c].queue[dir][0].task, k = chan_[c].queue[dir][0].k;
			struct item had = task[t].c[k].item;

			serve(c, dir, -EPIPE, item);
			task[t].c[k].item = had;
			ring_append(t);
		}
}

static int m_yield(int me, int to)
{
	task[me].yielding = true;
	task[me].result = 0;
	return ring_turn_to(to);
}

/* The same where the result is settled, whatever is thrown meanwhile. */
static int m_settled(int me, int to, int result)
{
	task[me].yielding = false;
	task[me].result = result;
	return ring_turn_to(to);
}

static int m_schedule(int me)
{
	if (raised(me))	/* it fails, but the others run */
		return nring == 1 || trap ? raised(me) : m_settled(me, ring_[1], raised(me));
	if (nring == 1)
		return 0;
	return trap ? -EPERM : m_yield(me, ring_[1]);
}

static void pause_me(int me)
{
	ring_remove(me);
	task[me].state = PAUSED;
	task[me].yielding = true;
	task[me].result = 0;
}

static int m_schedule_remove(int me)
{
	if (raised(me))
		return raised(me);
	if (trap)
		return -EPERM;
	pause_me(me);
	return SWITCHED;
}

static int m_target(int t)
{
	return task[t].state == BLOCKED ? -EBUSY : task[t].state == DEAD ? -ESRCH : 0;
}

static int m_insert(int t)
{
	int r = m_target(t);

	if (!r && task[t].state == PAUSED)
		ring_append(t);
	return r;
}

static int m_remove(int me, int t)
{
	if (t == me)
		return -EINVAL;
	if (task[t].state == BLOCKED)
		return -EBUSY;
	if (task[t].state == RUNNABLE) {
		ring_remove(t);
		task[t].state = PAUSED;
	}
	return 0;
}

static int m_run(int me, int t)
{
	int r;

	if (raised(me))
		return raised(me);
	r = m_target(t);
	if (r || t == me)
		return r;
	if (trap)
		return -EPERM;
	if (task[t].state == PAUSED)
		ring_append(t);
	return m_yield(me, t);
}

static int m_switch(int me, int t)
{
	int r;

	if (raised(me))
		return raised(me);
	r = m_target(t);
	if (r || t == me)
		return r;
	if (trap)
		return -EPERM;
	if (task[t].state == PAUSED)
		ring_second(t);
	pause_me(me);
	return ring_turn_to(t);
}

/* Both parties of a throw: which errors are freed is counted, so that the model need not know. */
static int m_throw(int me, int t, int error, bool later)
{
	struct mtask *m = &task[t];

	if (t == me) {
		if (m->thrown != KILL)
			m->thrown = error;
		return error == KILL && !m->shield ? -ECANCELED : 0;
	}
	if (m->state == DEAD)
		return error == KILL ? 0 : -ESRCH;
	if (!later && trap)
		return -EPERM;
	if (!m->started) {
		if (m->state == RUNNABLE)
			ring_remove(t);
		m->state = DEAD;
		return 0;
	}
	if (m->thrown != KILL)
		m->thrown = error;
	if (!m->shield) {
		if (m->state == BLOCKED)
			wake(t, raised(t));
		else if (m->state == PAUSED)
			ring_append(t);
		if (m->yielding)
			m->result = raised(t);
	}
	if (later || m->state != RUNNABLE)
		return 0;
	return m_settled(me, t, 0);
}

static int m_run_others(void)
{
	if (raised(0))
		return raised(0);
	if (trap)
		return -EPERM;
	ring_remove(0);
	task[0].state = PAUSED;
	task[0].in_run = true;
	task[0].yielding = false;
	task[0].result = 0;
	return SWITCHED;
}

/* --- the real thing ----------------------------------------------------------------------------------------------- */

struct elem {
	uint64_t value, again, negated;
};

static struct tl_task *handle[TASKS];
static struct tl_chan *chan[CHANS];
static uint64_t rnd, next_value;
static uint8_t freed[ERRORS + 1];
static int nerrors;
static long steps, total_steps, total_errors, values;
static bool over;		/* the tasklets end when they get to it */
static bool unwatched;		/* and nobody asks the model any more */

/* The last calls, for the report of a failure. */
#define TRACE 40
static char trace[TRACE][80];
static long ntrace;

static TAP__PRINTF(1, 2) void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(trace[ntrace++ % TRACE], sizeof(trace[0]), fmt, ap);
	va_end(ap);
}

static __attribute__((noreturn)) TAP__PRINTF(1, 2) void fail(const char *fmt, ...)
{
	char text[200];
	va_list ap;
	long i;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (i = ntrace > TRACE ? ntrace - TRACE : 0; i < ntrace; i++)
		tap_diag("%s", trace[i % TRACE]);
	for (i = 0; i < TASKS; i++)
		tap_diag("task %ld: state %d result %d thrown %d caught %d%s%s%s%s%s", i, task[i].state, task[i].result,
			 task[i].thrown, task[i].caught, task[i].started ? " started" : "", task[i].shield ? " shield" : "",
			 task[i].yielding ? " yielding" : "", task[i].deadline ? " deadline" : "",
			 handle[i] && tl_task_is_blocked(handle[i]) ? " (really blocked)" : "");
	tap_bail("call %ld (TL_SEED=%lu): %s", total_steps, tap_seed(), text);
}

static unsigned int pick(unsigned int n)
{
	return (unsigned int)(tap_random(&rnd) % n);
}

static void destroy(void *payload)
{
	if (++*(uint8_t *)payload > 1)
		fail("error %ld was destroyed twice", (long)((uint8_t *)payload - freed));
}

static struct tl_error *new_error(int *number)
{
	struct tl_error *e;

	*number = ++nerrors;
	if (nerrors == ERRORS - 1)
		over = true;
	if (nerrors > ERRORS)
		tap_bail("too many errors");
	if (tl_error_new(&e, error_code(nerrors), "error %d", nerrors))
		tap_bail("no error");
	tl_error_set_payload(e, &freed[nerrors], destroy);
	return e;
}

static int number_of(const struct tl_error *e)
{
	if (!e)
		return 0;
	return tl_error_payload(e) ? (int)((uint8_t *)tl_error_payload(e) - freed) : KILL;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

/* All deadlines have passed: one look at the clock ends all that wait with one. */
static void expire(void)
{
	int late[TASKS], n = 0, all = 0, t, i;

	for (t = 0; t < TASKS; t++) {
		if (task[t].state != BLOCKED || !task[t].deadline)
			continue;
		all++;
		if (tl_task_is_blocked(handle[t]))
			continue;
		for (i = n++; i > 0 && task[late[i - 1]].armed > task[t].armed; i--)
			late[i] = late[i - 1];
		late[i] = t;
	}
	if (!n)
		return;
	if (n != all)
		fail("%d of %d deadlines have passed", n, all);
	for (i = 0; i < n; i++)
		wake(late[i], task[late[i]].ncases ? -ETIMEDOUT : 0);
}

static void check_ring(int me)
{
	struct tl_task *t = tl_current();
	int i;

	if (t != handle[me])
		fail("somebody else is current");
	for (i = 0; i < nring; i++, t = tl_task_next(t))
		if (t != handle[ring_[i]] || tl_task_prev(tl_task_next(t)) != t)
			fail("place %d in the ring is not task %d's", i, ring_[i]);
	if (t != tl_current() || tl_runcount() != nring)
		fail("the run count is %d, not %d", tl_runcount(), nring);
}

static void check_tasks(void)
{
	uint64_t alive = 0, paused = 0, blocked = 0;
	struct tl_stats s;
	int t;

	for (t = 0; t < TASKS; t++) {
		enum state st = task[t].state;

		alive += st != DEAD;
		paused += st == PAUSED;
		blocked += st == BLOCKED;
		if (!handle[t])
			continue;
		if (tl_task_is_alive(handle[t]) != (st != DEAD) || tl_task_is_paused(handle[t]) != (st == PAUSED) ||
		    tl_task_is_blocked(handle[t]) != (st == BLOCKED))
			fail("task %d is in another state", t);
	}
	s = stats();
	if (s.alive != alive || s.paused != paused || s.blocked != blocked)
		fail("%d alive, %d paused, %d blocked", (int)s.alive, (int)s.paused, (int)s.blocked);
}

static void check_chans(void)
{
	int c;

	for (c = 0; c < CHANS; c++) {
		const struct mchan *ch = &chan_[c];
		long balance = (long)ch->count + ch->n[SEND] - ch->n[RECV];
		struct tl_task *first = ch->n[SEND] ? handle[ch->queue[SEND][0].task] :
				ch->n[RECV] ? handle[ch->queue[RECV][0].task] : NULL;

		if (tl_chan_balance(chan[c]) != balance)
			fail("channel %d: balance %ld, not %ld", c, tl_chan_balance(chan[c]), balance);
		if (tl_chan_queue(chan[c]) != first)
			fail("channel %d: another one waits first", c);
		if (tl_chan_is_closing(chan[c]) != ch->closing || tl_chan_is_closed(chan[c]) != (ch->closing && !ch->count))
			fail("channel %d: closing or closed", c);
	}
}

/* @me has control. */
static void observe(int me)
{
	int t;

	if (unwatched)
		return;
	expire();
	if (!nring) {
		/* Whoever ran last has left an empty ring: main is woken (3.4). */
		if (task[0].in_run) {
			task[0].result = TL_RUN_FINISHED;
			for (t = 1; t < TASKS; t++)
				if (task[t].state == BLOCKED)
					task[0].result = TL_RUN_DEADLOCK;
		}
		ring_append(0);
	}
	if (ring_[0] != me)
		fail("task %d runs, not %d", me, ring_[0]);
	check_ring(me);
	check_tasks();
	check_chans();
	total_steps++;
	steps++;
}

/* The call is over: was it foreseen? */
static void came(int me, const char *what, int foreseen, int r)
{
	observe(me);
	if (foreseen == SWITCHED)
		foreseen = task[me].result;
	if (r != foreseen && !unwatched)
		fail("task %d: %s returned %d, not %d", me, what, r, foreseen);
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

static void set_elem(struct elem *e, uint64_t value)
{
	e->value = value;
	e->again = value;
	e->negated = ~value;
}

static void check_elem(int me, int c, size_t size, const struct elem *e, uint64_t value)
{
	if (unwatched)
		return;
	if (e->value != value || (size == 24 && (e->again != value || e->negated != ~value)))
		fail("task %d received %llu on channel %d, not %llu", me, (unsigned long long)e->value, c,
		     (unsigned long long)value);
	values++;
}

static void call_pass(int me, int c, int dir, bool may_block)
{
	struct mtask *m = &task[me];
	int form = (int)pick(3), foreseen, r;	/* 0 plain, 1 until, 2 try */
	struct tl_error *error = NULL;
	size_t size = chan_[c].size;	/* another channel may take its place meanwhile */
	struct elem e;

	if (!may_block && !can(c, dir) && !chan_[c].closing)
		form = 2;
	/* Shielded and without a deadline it might wait for very long: that is rare. */
	if (form == 0 && m->shield && pick(10))
		form = 1;
	m->c[0].chan = c;
	m->c[0].dir = dir;
	m->c[0].item.value = ++next_value;
	m->c[0].item.error = 0;
	set_elem(&e, next_value);
	if (dir == SEND && pick(6) == 0)
		error = new_error(&m->c[0].item.error);
	note("task %d %s%s channel %d form %d", me, dir == SEND ? "sends to" : "receives from", error ? " (error)" : "", c, form);
	foreseen = m_pass(me, form == 2, form == 1);
	if (dir == RECV)
		r = form == 0 ? tl_chan_recv(chan[c], &e) : form == 1 ? tl_chan_recv_until(chan[c], &e, 1) :
			tl_chan_try_recv(chan[c], &e);
	else if (error)
		r = form == 0 ? tl_chan_send_error(chan[c], error) : form == 1 ?
			tl_chan_send_error_until(chan[c], error, 1) : tl_chan_try_send_error(chan[c], error);
	else
		r = form == 0 ? tl_chan_send(chan[c], &e) : form == 1 ? tl_chan_send_until(chan[c], &e, 1) :
			tl_chan_try_send(chan[c], &e);
	came(me, "send or recv", foreseen, r);
	if (error && r)
		tl_error_free(error);
	if (dir == RECV && !r)
		check_elem(me, c, size, &e, m->c[0].item.value);
}

static void call_select(int me, bool may_block)
{
	struct mtask *m = &task[me];
	struct tl_select_case s[CASES];
	struct elem e[CASES];
	size_t size[CASES];
	int k, r, foreseen = 0, nready = 0, one = -1, form = (int)pick(3);
	bool any = false;

	m->ncases = 1 + (int)pick(CASES);
	for (k = 0; k < m->ncases; k++) {
		m->c[k].chan = (int)pick(CHANS + 1) - 1;
		m->c[k].dir = pick(2) ? SEND : RECV;
		m->c[k].item.value = ++next_value;
		m->c[k].item.error = 0;
		m->c[k].result = -1;
		size[k] = m->c[k].chan < 0 ? 0 : chan_[m->c[k].chan].size;
		set_elem(&e[k], next_value);
		memset(&s[k], 0x5a, sizeof(s[k]));
		s[k].chan = m->c[k].chan < 0 ? NULL : chan[m->c[k].chan];
		s[k].op = m->c[k].dir == SEND ? TL_SELECT_SEND : TL_SELECT_RECV;
		s[k].value = &e[k];
		any |= s[k].chan != NULL;
		if (ready(me, k)) {
			nready++;
			one = k;
		}
	}
	/* Without any channel and shielded it would wait for ever. */
	if (form == 0 && (!any || (m->shield && pick(10))))
		form = 1;
	/* Which of several ready ones happens is only known afterwards: so they must not switch. */
	if (nready > 1 || (!nready && !may_block))
		form = 2;
	note("task %d selects of %d, %d ready, form %d", me, m->ncases, nready, form);
	m->selects = true;
	if (form == 2) {
		r = tl_try_select(s, m->ncases);
		if (nready) {
			if (r < 0 || r >= m->ncases || !ready(me, r))
				fail("select took case %d of %d", r, m->ncases);
			foreseen = m_case(me, r, true);
		} else {
			foreseen = -EAGAIN;
		}
	} else {
		if (raised(me))
			foreseen = raised(me);
		else
			foreseen = nready ? m_case(me, one, false) : m_select_block(me, form == 1);
		r = form == 0 ? tl_select(s, m->ncases) : tl_select_until(s, m->ncases, 1);
	}
	came(me, "select", foreseen, r);
	if (r < 0 || unwatched)
		return;
	if (s[r].result != m->c[r].result)
		fail("task %d: case %d came to %d, not %d", me, r, s[r].result, m->c[r].result);
	if (m->c[r].dir == RECV && !s[r].result)
		check_elem(me, m->c[r].chan, size[r], &e[r], m->c[r].item.value);
}

static void call_throw(int me)
{
	int t = (int)pick(TASKS), how = (int)pick(4), number = KILL, foreseen, r;
	struct tl_error *error = NULL;

	if (!handle[t])
		return;
	/* One that has not begun would end with an error that nobody caught: only kills for those. */
	if (how & 1 && (task[t].started || task[t].state == DEAD))
		error = new_error(&number);
	note("task %d %s %d%s", me, error ? "throws at" : "kills", t, how & 2 ? " later" : "");
	foreseen = m_throw(me, t, number, how & 2);
	if (error)
		r = how & 2 ? tl_task_throw_later(handle[t], error) : tl_task_throw(handle[t], error);
	else
		r = how & 2 ? tl_task_kill_later(handle[t]) : tl_task_kill(handle[t]);
	came(me, "throw", foreseen, r);
	if (error && (r == -ESRCH || r == -EPERM))
		tl_error_free(error);
}

static void call_catch(int me)
{
	struct mtask *m = &task[me];
	struct tl_error *e;
	int want, got;

	if (m->thrown && !m->shield) {
		want = m->thrown;
		m->thrown = 0;
	} else {
		want = m->caught;
		m->caught = 0;
	}
	e = tl_catch();
	got = number_of(e);
	note("task %d catches %d", me, got);
	if (got != want)
		fail("task %d caught error %d, not %d", me, got, want);
	tl_error_free(e);
}

static void open_chan(int c)
{
	static const size_t capacity[] = { 0, 0, 1, 2, 4 };
	struct mchan *ch = &chan_[c];

	memset(ch, 0, sizeof(*ch));
	ch->size = pick(2) ? 8 : 24;
	ch->capacity = capacity[pick(5)];
	ch->preference = (int)pick(3) - 1;
	ch->all = pick(4) == 0;
	if (tl_chan_new(&chan[c], ch->size, ch->capacity))
		tap_bail("no channel");
	tl_chan_set_preference(chan[c], ch->preference);
	tl_chan_set_schedule_all(chan[c], ch->all);
}

static void call_chan(int me)
{
	int c = (int)pick(CHANS);

	switch (pick(8)) {
	case 0:
		note("task %d closes channel %d", me, c);
		m_close(c);
		tl_chan_close(chan[c]);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		note("task %d opens channel %d", me, c);
		chan_[c].closing = false;
		tl_chan_open(chan[c]);
		break;
	case 5:
		note("task %d changes channel %d", me, c);
		chan_[c].preference = (int)pick(3) - 1;
		chan_[c].all = pick(4) == 0;
		tl_chan_set_preference(chan[c], chan_[c].preference);
		tl_chan_set_schedule_all(chan[c], chan_[c].all);
		break;
	case 6:
		note("task %d replaces channel %d", me, c);
		m_close(c);
		tl_chan_unref(chan[c]);
		open_chan(c);
		break;
	}
	observe(me);
}

static int worker(void *arg);

static void call_spawn(int me)
{
	int t, how = (int)pick(3), foreseen = 0, r = 0;

	for (t = 1; t < TASKS && task[t].state != DEAD; t++)
		;
	if (t == TASKS)
		return;
	tl_task_unref(handle[t]);
	handle[t] = NULL;
	memset(&task[t], 0, sizeof(task[t]));
	note("task %d spawns %d (%d)", me, t, how);
	switch (how) {
	case 0:
		ring_append(t);
		r = tl_spawn(&handle[t], worker, (void *)(long)t);
		break;
	case 1:
		task[t].state = PAUSED;
		r = tl_task_new(&handle[t], NULL);
		if (!r)
			r = tl_task_bind_arg(handle[t], worker, (void *)(long)t);
		break;
	case 2:
		if (raised(me) || trap) {
			foreseen = raised(me) ? raised(me) : -EPERM;
		} else {
			ring_append(t);
			foreseen = m_settled(me, t, 0);
		}
		r = tl_spawn_run(&handle[t], worker, (void *)(long)t);
		break;
	}
	came(me, "spawn", foreseen, r);
}

static void call_ring(int me)
{
	int t = (int)pick(TASKS), foreseen, r;
	bool main_ = me == 0;

	if (!handle[t])
		return;
	switch (pick(main_ ? 3 : 5)) {
	case 0:
		note("task %d inserts %d", me, t);
		foreseen = m_insert(t);
		r = tl_task_insert(handle[t]);
		break;
	case 1:
		note("task %d removes %d", me, t);
		foreseen = m_remove(me, t);
		r = tl_task_remove(handle[t]);
		break;
	case 2:
		note("task %d runs %d", me, t);
		foreseen = m_run(me, t);
		r = tl_task_run(handle[t]);
		break;
	case 3:
		note("task %d switches to %d", me, t);
		foreseen = m_switch(me, t);
		r = tl_task_switch(handle[t]);
		break;
	default:
		note("task %d pauses", me);
		foreseen = m_schedule_remove(me);
		r = tl_schedule_remove();
		break;
	}
	came(me, "ring call", foreseen, r);
}

static bool some_deadline(void)
{
	int t;

	for (t = 0; t < TASKS; t++)
		if (task[t].state == BLOCKED && task[t].deadline)
			return true;
	return false;
}

static void call_schedule(int me)
{
	int foreseen, r;

	/* Alone, it might meet one whose time is up in the very call: not to be foreseen. */
	if (nring == 1 && some_deadline())
		return;
	note("task %d schedules", me);
	foreseen = m_schedule(me);
	r = tl_schedule();
	came(me, "schedule", foreseen, r);
}

static void call_sleep(int me)
{
	int foreseen, r;

	note("task %d sleeps", me);
	task[me].ncases = 0;
	task[me].selects = false;
	if (raised(me)) {
		foreseen = raised(me);
	} else if (trap) {
		foreseen = -EPERM;
	} else {
		block(me, true);
		foreseen = SWITCHED;
	}
	r = tl_sleep_until(1);
	came(me, "sleep", foreseen, r);
}

static void any_call(int me)
{
	bool main_ = me == 0;

	if (task[me].thrown && !task[me].shield && pick(2)) {
		call_catch(me);
		return;
	}
	if (pick(12) == 0) {
		trap = true;
		tl_switch_trap(1);
	}
	switch (pick(16)) {
	case 0:
	case 1:
	case 2:
		call_pass(me, (int)pick(CHANS), SEND, !main_);
		break;
	case 3:
	case 4:
	case 5:
		call_pass(me, (int)pick(CHANS), RECV, !main_);
		break;
	case 6:
	case 7:
		call_select(me, !main_);
		break;
	case 8:
		call_throw(me);
		break;
	case 9:
		call_catch(me);
		break;
	case 10:
		call_chan(me);
		break;
	case 11:
		call_spawn(me);
		break;
	case 12:
		call_ring(me);
		break;
	case 13:
		if (!main_) {
			task[me].shield = pick(3) == 0;
			tl_shield(task[me].shield);
		}
		break;
	case 14:
		if (!main_)
			call_sleep(me);
		break;
	default:
		call_schedule(me);
		break;
	}
	/* A trap is never on when a tasklet is left, for then nobody is. */
	if (trap) {
		trap = false;
		tl_switch_trap(-1);
	}
}

static int worker(void *arg)
{
	int me = (int)(long)arg;

	task[me].started = true;
	/* spawn_run() and the like give the handle out when they return: others may run before. */
	handle[me] = tl_current();
	observe(me);
	while (!over && pick(60))
		any_call(me);
	if (unwatched)
		return 0;
	note("task %d ends", me);
	ring_remove(me);
	task[me].state = DEAD;
	task[me].thrown = task[me].caught = 0;
	return 0;
}

static void main_loop(void)
{
	int foreseen, r;

	while (!over && steps < STEPS) {
		if (pick(3)) {
			any_call(0);
			continue;
		}
		note("main runs the others");
		foreseen = m_run_others();
		r = tl_run();
		observe(0);
		task[0].in_run = false;
		if (foreseen == SWITCHED)
			foreseen = raised(0) ? raised(0) : task[0].result;
		if (r != foreseen)
			fail("run() returned %d, not %d", r, foreseen);
	}
	over = true;
}

/* All tasklets end, the channels go, and nothing is left. */
static void phase_end(void)
{
	int t, c, i;

	unwatched = true;
	task[0].thrown = 0;
	for (i = 0; i < 3; i++)
		caught();
	for (c = 0; c < CHANS; c++)
		tl_chan_close(chan[c]);
	for (i = 0; i < 20 && stats().alive > 1; i++) {
		for (t = 1; t < TASKS; t++)
			if (handle[t]) {
				tl_task_kill_later(handle[t]);
				tl_task_insert(handle[t]);	/* one that has shielded its pause */
			}
		while (tl_run() < 0)
			caught();
	}
	if (stats().alive != 1)
		fail("%d tasklets did not end", (int)stats().alive - 1);
	for (t = 1; t < TASKS; t++) {
		tl_task_unref(handle[t]);
		handle[t] = NULL;
	}
	for (c = 0; c < CHANS; c++)
		tl_chan_unref(chan[c]);
	if (tl_sched_end())
		fail("the scheduler did not end");
	for (i = 1; i <= nerrors; i++)
		if (freed[i] != 1)
			fail("error %d of %d was destroyed %d times", i, nerrors, freed[i]);
	total_errors += nerrors;
}

static void phase(void)
{
	int c;

	memset(task, 0, sizeof(task));
	memset(freed, 0, sizeof(freed));
	nerrors = nring = 0;
	steps = 0;
	over = unwatched = trap = false;
	handle[0] = tl_main();
	tl__sched()->random = tap_random(&rnd) | 1;
	task[0].started = true;
	ring_append(0);
	for (c = 0; c < CHANS; c++)
		open_chan(c);
	main_loop();
	phase_end();
}

int main(void)
{
	const char *soak = getenv("TL_SOAK");
	uint64_t end = tl_after((soak ? strtoull(soak, NULL, 0) : 2) * 1000000000);
	long phases = 0;

	tap_plan(3);
	rnd = tap_seed();
	do {
		phase();
		phases++;
	} while (tl_now() < end);
	tap_ok(total_steps > 1000,
	       "1, 2, 3: %ld random calls in %ld phases did what the model foresaw", total_steps, phases);
	tap_ok(values > 100, "2: %ld values were received, each once and in its order", values);
	tap_ok(total_errors > 100, "error.h: %ld errors were destroyed, each once", total_errors);
	return tap_exit();
}
