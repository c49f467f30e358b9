/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The condition made of a semaphore and counters (lib/wake/emulated.c): three consumers, of whom one may time out; a
 * producer that makes two items, one at a time or both at once, and signals with the mutex or without, or broadcasts.
 * Who comes while there are tokens sleeps until they are taken, and then returns for no reason. The mutex, the lock and
 * the semaphore are one step each: they have their own proofs.
 *
 * Holds: who has a token waited when it was sent; no token is left over, none is missing; nobody waits while there is an
 * item, or sleeps for ever as a newcomer.
 *
 * MUTANT_UNLOCK_FIRST: the waiter gives the mutex up before it is counted.
 * MUTANT_TIMED_OUT_TAKES: one that times out takes a token off the count, which may be another's.
 * MUTANT_TIMED_OUT_LEAVES: one that times out leaves also if there is a token for each that is left.
 * MUTANT_NEWCOMER: a newcomer does not look whether there are tokens.
 * MUTANT_UNCOUNTED: a newcomer is counted no more once the tokens are taken, awake or about to sleep.
 * MUTANT_EARLY: a token is taken off the count by the signaller, who has posted it.
 */
#define CONSUMERS 3
#define PRODUCER 3
#define NOBODY 4

byte owner = NOBODY;		/* the mutex */
byte waiting, tokens, newcomers;	/* the condition */
byte sem;
bool off[CONSUMERS];		/* sleeps as a newcomer */
byte items, sent, got, inside;
byte stamp[CONSUMERS];		/* how many had been sent when it came */

inline lock(me) { atomic { owner == NOBODY -> owner = me } }
inline unlock(me) { assert(owner == me); owner = NOBODY }

inline take_token(me)
{
	atomic { sem > 0 -> sem--; assert(sent > stamp[me]) }
}

/* taken() */
inline taken(me)
{
	d_step {
#ifndef MUTANT_EARLY
		assert(tokens > 0);
		tokens--;
#endif
		last = tokens == 0 && newcomers > 0;
#ifdef MUTANT_UNCOUNTED
		if
		:: last -> newcomers = 0
		:: else
		fi;
#endif
		got++
	}
	if
	:: last -> d_step { off[0] = false; off[1] = false; off[2] = false; last = false }
	:: else
	fi
}

/* come_later() */
inline come_later(me)
{
	unlock(me);
	atomic {		/* futex wait: only while there are as many */
		if
		:: tokens == seen -> off[me] = true; slept = true
		:: else
		fi;
		seen = 0
	}
	if
	:: slept -> atomic { !off[me] -> slept = false }
	:: else
	fi;
#ifndef MUTANT_UNCOUNTED
	newcomers--;
#endif
	lock(me)
}

inline wait(me)
{
#ifdef MUTANT_UNLOCK_FIRST
	unlock(me);
#endif
	d_step {		/* under the condition's lock */
		late = false;
#ifndef MUTANT_NEWCOMER
		late = tokens > 0;
#endif
		if
		:: late -> newcomers++; seen = tokens
		:: else -> waiting++; stamp[me] = sent
		fi
	}
#ifdef MUTANT_UNLOCK_FIRST
	lock(me);
#endif
	if
	:: late -> come_later(me)
	:: else ->
		unlock(me);
end_waits:
		if
		:: atomic { sem > 0 -> sem--; assert(sent > stamp[me]) }
		   taken(me)
		:: may_leave ->
			may_leave = false;
			d_step {
				out = waiting > 0;
#ifdef MUTANT_TIMED_OUT_LEAVES
				out = true;
				waiting = (waiting > 0 -> waiting : 1);
#endif
				if
				:: out -> waiting--
				:: else
				fi;
#ifdef MUTANT_TIMED_OUT_TAKES
				if
				:: out && tokens > 0 -> tokens--
				:: else
				fi
#endif
			}
			if
			:: !out -> take_token(me); taken(me)
			:: else
			fi
		fi;
		lock(me)
	fi;
	late = false
}

proctype consumer(byte me; bool may_leave)
{
	bool late, slept, out, last;
	byte seen;

	lock(me);
	do
	:: items == 0 && !out -> wait(me)
	:: else -> break
	od;
	if
	:: items > 0 -> items--
	:: else
	fi;
	unlock(me)
}

/* send() */
inline send(all)
{
	d_step {
		n = (all || waiting == 0 -> waiting : 1);
		waiting = waiting - n;
		tokens = tokens + n;
		sent = sent + n
	}
	atomic { sem = sem + n };
#ifdef MUTANT_EARLY
	tokens = tokens - n;
#endif
	n = 0
}

proctype producer()
{
	byte i, n;
	bool all, outside;

	do
	:: i < 2 ->
		lock(PRODUCER);
		if
		:: items++; i++
		:: i == 0 -> items = 2; i = 2; all = true
		fi;
		if
		:: outside = true; unlock(PRODUCER)
		:: outside = false
		fi;
		send(all);
		if
		:: !outside -> unlock(PRODUCER)
		:: else
		fi
	:: else -> break
	od
}

proctype monitor()
{
end_monitor:
	timeout;
	assert(owner == NOBODY && sem == 0 && tokens == 0 && got == sent);
	assert(!off[0] && !off[1] && !off[2]);
	assert(waiting == 0 || items == 0)
}

init {
	atomic {
		run consumer(0, false);
		run consumer(1, true);
		run consumer(2, false);
		run producer();
		run monitor()
	}
}
