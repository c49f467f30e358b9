/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The futex mutex and condition for threads (lib/wake/futex-mutex.c, futex-cond.c): sleepers on the mutex' word, the
 * hand-over list, nodes that are claimed. Two consumers, of whom one may time out or be cancelled; a producer that makes
 * one item or two, and signals with the mutex or without, or ends with a broadcast, after which the condition is gone.
 * A queue's lock is a leaf: what is done under it is one step. So is a load and the compare-and-exchange after it, which
 * is tried again if anything has changed. One loss is enough to keep others off. The kernel wakes any sleeper, not the
 * first. What is left out: the sleep on the node's own word, which DONE ends; the end of being kept off, which is for a
 * fork's child.
 *
 * Holds: one holder at a time, who alone touches the list; nobody touches the condition after the broadcast; nobody
 * sleeps for ever on the mutex, in its list or claimed; nobody waits while there is an item.
 *
 * MUTANT_UNLOCK_FIRST: the waiter gives the mutex up before it queues itself.
 * MUTANT_CLOCK_WINS: one that was claimed and times out at that moment says that it timed out.
 * MUTANT_KEEPS: one that was claimed and is cancelled keeps the signal to itself.
 * MUTANT_PASS_BLIND: one that is cancelled looks at the condition, without knowing whether anybody waits there.
 * MUTANT_LOOK: one that timed out looks at the condition before it knows that it was not claimed.
 * MUTANT_BLIND_LIST: a signaller without the mutex puts the waiter into the list if anybody has it.
 * MUTANT_NO_PASS: one that is woken from the list does not see to the sleepers.
 * MUTANT_IN_PLACE: a sleeper is woken in place of the list, every other time.
 * MUTANT_ON_WAY_STAYS: one that was woken from the list takes the mutex and leaves the mark that it is on its way.
 * MUTANT_NO_CHAIN: a broadcast without the mutex wakes the first, who forgets the others.
 * MUTANT_WOKEN_FORGETS: a sleeper that was woken takes the mutex as if nobody else slept.
 * MUTANT_KEPT_OFF_STAYS: one that kept newcomers off takes the mutex and leaves the bit.
 */
#define W0 0
#define W1 1
#define PRODUCER 2
#define THREADS 3
#define NOBODY 3

mtype = { IDLE, QUEUED, CLAIMED, DONE };

/* the mutex */
byte owner = NOBODY;		/* the word's three parts */
bool sleepers, keep_off;
bool asleep[THREADS];		/* in the kernel, on the word */
byte list[2];			/* the hand-over list */
byte listed;
bool on_way, turn;

/* the condition and the nodes */
byte queue[2];
byte queued;
bool gone;			/* after the broadcast */
mtype state[2];
bool handed[2], pass[2], by_broadcast[2];
byte chain[2];			/* of the one node that a node can bring along; NOBODY */

byte items;

inline wake_one(me)
{
	if
	:: asleep[(me + 1) % 3] -> asleep[(me + 1) % 3] = false
	:: asleep[(me + 2) % 3] -> asleep[(me + 2) % 3] = false
	:: else
	fi
}

/* lock_slow(), also where it is quick: @woken and @set as there. Its bits are the caller's, cleared when it is over. */
inline lock(me)
{
	do
	:: atomic {
		owner == NOBODY && (woken || !keep_off) ->
		owner = me;
#ifndef MUTANT_WOKEN_FORGETS
		sleepers = sleepers || set;
#endif
#ifndef MUTANT_KEPT_OFF_STAYS
		keep_off = keep_off && !clear;
#endif
		woken = false; set = false; clear = false; lost = false
	   }
	   break
	:: atomic {
		!(owner == NOBODY && (woken || !keep_off)) ->
		sleepers = true;
		clear = clear || (lost && !keep_off);
		keep_off = keep_off || lost;
		seen = owner; seen_off = keep_off
	   }
	   atomic {		/* futex wait: only while the word is what it was */
		if
		:: owner == seen && sleepers && keep_off == seen_off -> asleep[me] = true; slept = true
		:: else
		fi;
		seen = NOBODY; seen_off = false
	   }
	   if
	   :: slept -> atomic { !asleep[me] -> woken = true; set = true; lost = true; slept = false }
	   :: else
	   fi
	od;
	skip		/* no d_step may follow a loop */
}

/* tl__wake_done() */
inline done(n, by_list, see_to)
{
	d_step { assert(state[n] == CLAIMED); handed[n] = by_list; pass[n] = see_to; state[n] = DONE }
}

inline unlock(me)
{
	d_step {
		assert(owner == me);
		next = NOBODY;
		if
		:: listed > 0 && !on_way -> next = list[0]
		:: else
		fi;
		if
		:: next != NOBODY && sleepers -> turn = !turn
		:: else
		fi;
#ifdef MUTANT_IN_PLACE
		if
		:: next != NOBODY && sleepers && turn -> next = NOBODY
		:: else
		fi;
#endif
		if
		:: next != NOBODY ->
			list[0] = list[1]; list[1] = 0; listed--; on_way = true
		:: else
		fi;
		see = !turn
	}
	d_step { had = sleepers; owner = NOBODY; sleepers = false; see = see && had }
	if
	:: next != NOBODY ->
#ifdef MUTANT_NO_PASS
		done(next, true, false)
#else
		done(next, true, see)
#endif
	:: else
	fi;
	if
	:: had && !(next != NOBODY && see) -> atomic { wake_one(me) }
	:: else
	fi;
	d_step { next = NOBODY; had = false; see = false }
}

inline append(me, n)
{
	assert(owner == me && listed < 2);
	list[listed] = n;
	listed++
}

inline unqueue_first()
{
	queue[0] = queue[1]; queue[1] = 0; queued--
}

/* A signal or, if @all, a broadcast: claim, then send(). */
inline tell(me, all)
{
	d_step {		/* under the queue's lock */
		assert(!gone);
		who = NOBODY; who2 = NOBODY;
		if
		:: queued > 0 ->
			who = queue[0]; unqueue_first();
			state[who] = CLAIMED; by_broadcast[who] = all
		:: else
		fi;
		if
		:: queued > 0 && all ->
			who2 = queue[0]; unqueue_first();
			state[who2] = CLAIMED; by_broadcast[who2] = true
		:: else
		fi
	}
	if
	:: who == NOBODY
#ifdef MUTANT_BLIND_LIST
	:: who != NOBODY && owner != NOBODY -> list[listed] = who; listed++
#else
	:: who != NOBODY && owner == me ->
		d_step {
			append(me, who);
			if
			:: who2 != NOBODY -> append(me, who2)
			:: else
			fi
		}
#endif
	:: else -> chain[who] = who2; done(who, false, false)
	fi;
	d_step { who = NOBODY; who2 = NOBODY }
}

/* One that was signalled is cancelled, and has the mutex. Looks at the condition only if somebody waits there. */
inline pass_on(me)
{
	d_step {
		if
		:: queued > 0 ->
			assert(!gone);
			who = queue[0]; unqueue_first();
			state[who] = CLAIMED;
			append(me, who);
			who = NOBODY
		:: else
		fi
	}
}

/* tl__wake_cond_enter(), _sleep(), _leave(), _abandon() */
inline wait(me)
{
#ifdef MUTANT_UNLOCK_FIRST
	unlock(me);
#endif
	d_step {
		assert(!gone);
		state[me] = QUEUED;
		queue[queued] = me; queued++
	}
#ifndef MUTANT_UNLOCK_FIRST
	unlock(me);
#endif
	left = false;
end_waits:
	if
	:: state[me] == DONE
	:: may_leave -> may_leave = false; left = true
	fi;
#ifdef MUTANT_LOOK
	if
	:: left -> assert(!gone)
	:: else
	fi;
#endif
	d_step {		/* give_up(), under the queue's lock */
		out = false;
		if
		:: left && state[me] == QUEUED ->
			assert(!gone);
			if
			:: queue[0] == me -> unqueue_first()
			:: else -> queue[1] = 0; queued--
			fi;
			state[me] = IDLE; out = true
		:: else
		fi
	}
	if
	:: out -> lock(me)
	:: else ->
		state[me] == DONE;
		d_step { woken = true; set = pass[me] }
		lock(me);
		d_step {
#ifndef MUTANT_ON_WAY_STAYS
			on_way = on_way && !handed[me];
#endif
#ifndef MUTANT_NO_CHAIN
			if
			:: chain[me] != NOBODY -> append(me, chain[me])
			:: else
			fi;
#endif
			state[me] = IDLE; handed[me] = false; pass[me] = false; chain[me] = NOBODY
		}
		if
		:: left && cancelled ->
#ifndef MUTANT_KEEPS
#ifdef MUTANT_PASS_BLIND
			assert(!gone);
#endif
			if
			:: !by_broadcast[me] -> pass_on(me)
			:: else
			fi;
#endif
			out = true
		:: else
		fi;
#ifdef MUTANT_CLOCK_WINS
		out = left
#endif
	fi;
	left = false
}

/* while (!items) wait, until the time is up; take one */
proctype consumer(byte me; bool may_leave)
{
	byte next = NOBODY, seen = NOBODY, who = NOBODY;
	bool woken, set, clear, lost, slept, seen_off, had, see, left, out, cancelled;

	if
	:: may_leave -> cancelled = true
	:: true
	fi;
	lock(me);
	do
	:: items == 0 && !out -> wait(me)
	:: else -> break
	od;
	if
	:: !out -> items--
	:: else
	fi;
	unlock(me)
}

proctype producer()
{
	byte next = NOBODY, seen = NOBODY, who = NOBODY, who2 = NOBODY, i;
	bool woken, set, clear, lost, slept, seen_off, had, see, last, outside;

	do
	:: i < 2 && !last ->
		i++;
		lock(PRODUCER);
		if
		:: items++
		:: items = 2; last = true	/* for all */
		fi;
		if
		:: outside = true; unlock(PRODUCER)
		:: outside = false
		fi;
		tell(PRODUCER, last);
		gone = last;
		if
		:: !outside -> unlock(PRODUCER)
		:: else
		fi
	:: last = true; break
	od
}

proctype monitor()
{
end_monitor:
	timeout;
	assert(owner == NOBODY && !keep_off && listed == 0);
	assert(!asleep[W0] && !asleep[W1] && !asleep[PRODUCER]);
	assert(state[W0] != CLAIMED && state[W1] != CLAIMED);
	assert(queued == 0 || items == 0);
	assert(queued == 0 || !gone)
}

init {
	atomic {
		state[W0] = IDLE; state[W1] = IDLE;
		chain[W0] = NOBODY; chain[W1] = NOBODY;
		run consumer(W0, false);
		run consumer(W1, true);
		run producer();
		run monitor()
	}
}
