/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The handoff policy of lib/gil/handoff.c and handoff-wait.c: one thread that computes until all others are done, and
 * lets go at a tick when it is asked; two that come, as one that computes or as one that has blocked, hold the lock,
 * leave it by a call that keeps it or not, and come back from there, or never. What depends on the clock (whether a
 * turn is over, a slice is owed, a place blocks) may go either way; one waiter may look by itself too early, and the
 * first of its queue whenever nobody else can do anything.
 *
 * Holds: one has it at a time; all who wait get it in the end, also if it is kept by one who never comes back; one who
 * has blocked is never left to its own timer; nobody looks in vain when nobody else can do anything.
 *
 * MUTANT_KEEP_BLIND: a call keeps the lock although one that has blocked waits.
 * MUTANT_TOKEN_LEFT: a time-out crosses the hand-over, and the token of that is not taken.
 * MUTANT_RELEASE_BLIND: the holder leaves without looking whether somebody waits.
 * MUTANT_REGAIN_BLIND: one that comes back takes what it kept without looking whether it is still its own.
 * MUTANT_SLEEP_BLIND: one goes to sleep without looking whether the lock has been handed to it.
 * MUTANT_NOT_ASKED: one that has blocked queues itself and does not ask the holder.
 * MUTANT_ASK_KEPT: a waiter's timer asks one that is away, and never takes what it keeps.
 * MUTANT_TAKE_BLIND: a waiter's timer takes what it saw kept, without looking again.
 * MUTANT_CLEAR_LATE: the holder forgets that it was asked after it has looked who waits, without the lock.
 */
#define THREADS 3
#define EARLY 1			/* looks before it is time */
#define FREE THREADS

#define CPU 0
#define IO 1

mtype = { AWAKE, ASLEEP, GRANTED };

/* The word. */
byte holder = FREE;
bool kept, waiters, urgent;

bool locked;			/* gil->lock */
chan queue[2] = [THREADS] of { byte };
bool queued[THREADS];		/* in one of them */
bit class[THREADS];
mtype state[THREADS];
byte token[THREADS];
bool tick[THREADS + 1];		/* the last one is nobody's */

byte inside, ended, early = EARLY;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

/* What is not looked at any more. */
inline forget() { d_step { next = 0; other = 0; c = 0; mine = false; idle = false; crossed = false; asks = false } }

inline set_word(to)
{
	holder = to;
	kept = false;
	waiters = len(queue[CPU]) + len(queue[IO]) > 0;
	urgent = len(queue[IO]) > 0
}

inline hold()
{
	atomic { inside++; assert(inside == 1) }
}

/* handoff.c:choose(): who is owed a slice is before those that have blocked. */
inline choose()
{
	if
	:: len(queue[IO]) > 0 -> queue[IO]?<next>; c = IO
	:: len(queue[CPU]) > 0 -> queue[CPU]?<next>; c = CPU
	fi
}

inline hand_on()
{
	queue[c]?next;
	queued[next] = false;
	tick[next] = tick[next] || len(queue[IO]) > 0;
	set_word(next)
}

inline enqueue()
{
	queued[me] = true;
	state[me] = AWAKE;
	queue[class[me]]!me
}

/* handoff-wait.c:tl__gil_waiter_wake() */
inline wake()
{
	atomic {
		crossed = state[next] == ASLEEP;
		state[next] = GRANTED
	}
	if
	:: atomic { crossed -> token[next]++; assert(token[next] == 1) }
	:: else
	fi
}

/* handoff.c:look() */
inline look()
{
	lock();
	if
	:: !queued[me] -> assert(!idle)
	:: else ->
		mine = queue[class[me]]?[eval(me)] && kept;
#ifdef MUTANT_ASK_KEPT
		mine = false;
#endif
		if
		:: mine ->		/* take_kept() */
#ifndef MUTANT_TAKE_BLIND
			atomic {
				mine = kept;
				if
				:: mine -> queue[class[me]]?_; queued[me] = false; set_word(me)
				:: else
				fi
			}
#else
			atomic { queue[class[me]]?_; queued[me] = false; set_word(me) }
#endif
		:: else
		fi;
		if
		:: mine
		:: !mine && !idle	/* it is not time yet */
		:: !mine ->		/* ask_holder() */
			atomic {
				asks = !kept;
				urgent = urgent || asks
			}
			if
			:: asks -> tick[holder] = true
			:: else
			fi;
			/* Who computes may have to ask one who computes. */
			assert(!idle || (asks && class[me] == CPU))
		fi
	fi;
	unlock()
}

/* handoff-wait.c:tl__gil_waiter_wait(), handoff.c:wait_for_turn() */
inline wait()
{
	mine = false;
	do
	:: mine -> break
	:: else ->
#ifndef MUTANT_SLEEP_BLIND
		atomic {
			mine = state[me] == GRANTED;
			if
			:: !mine -> state[me] = ASLEEP
			:: else
			fi
		}
#else
		state[me] = ASLEEP;
#endif
		if
		:: mine -> break
		:: else
		fi;
		if
		:: atomic { token[me] > 0 -> token[me]--; mine = true }
		:: atomic { early > 0 -> early-- }
		:: timeout && queue[class[me]]?[eval(me)] -> idle = true
		fi;
		if
		:: mine -> break
		:: else
		fi;
		atomic {
			crossed = state[me] != ASLEEP;
			if
			:: !crossed -> state[me] = AWAKE
			:: else
			fi
		}
		if
		:: crossed ->
#ifndef MUTANT_TOKEN_LEFT
			atomic { token[me] > 0 -> token[me]-- }
#endif
			break
		:: else -> look()
		fi
	od;
	hold();
	forget()
}

/* gil.c:acquire(), handoff.c:try_acquire() and acquire() */
inline acquire()
{
	tick[me] = false;
	atomic {
		mine = !waiters && (holder == FREE || kept);
		if
		:: mine -> holder = me; kept = false; urgent = false
		:: else
		fi
	}
	if
	:: mine -> hold(); forget()
	:: else ->
		lock();
		atomic {	/* take_or_say() */
			mine = holder == FREE || (kept && (class[me] == IO || !waiters));
			if
			:: mine -> holder = me; kept = false
			:: else -> waiters = true; urgent = urgent || class[me] == IO
			fi
		}
		if
		:: mine -> unlock(); hold(); forget()
		:: else ->
			atomic {
				enqueue();
#ifndef MUTANT_NOT_ASKED
				tick[holder] = tick[holder] || class[me] == IO;
#endif
				unlock()
			}
			wait()
		fi
	fi
}

inline release()
{
	inside--;
	atomic {
		assert(holder == me && !kept);
#ifndef MUTANT_RELEASE_BLIND
		mine = waiters || urgent;
#else
		mine = false;
#endif
		if
		:: !mine -> holder = FREE
		:: else
		fi
	}
	if
	:: mine ->
		atomic {	/* but for the word, which nobody else changes now, all under the lock */
			!locked;
			choose();
			hand_on()
		}
		wake()
	:: else
	fi;
	forget()
}

/*
 * handoff.c:yield() and back(); where only those that compute wait it may be too early. Of two that compute the other
 * one, who waits there, may come before or after this one.
 */
inline yield()
{
	atomic {
		!locked;
		mine = false;
#ifndef MUTANT_CLEAR_LATE
		tick[me] = false;
#endif
		if
		:: len(queue[IO]) == 0 -> mine = true
		:: len(queue[IO]) + len(queue[CPU]) > 0 ->
			choose();
			inside--;
			class[me] = CPU;
			tick[me] = false;
			queue[c]?other;
			queued[other] = false;
			enqueue();
			if
			:: len(queue[CPU]) > 1 -> queue[CPU]?next; queue[CPU]!next
			:: true
			fi;
			next = other;
			tick[next] = tick[next] || len(queue[IO]) > 0;
			set_word(next)
		fi
	}
	if
	:: mine ->
#ifdef MUTANT_CLEAR_LATE
		tick[me] = false;
#endif
		forget()
	:: else -> wake(); wait()
	fi
}

#define LOCALS byte next, other; bit c; bool mine, idle, crossed, asks

/* Computes: it is at a tick whenever there is something to say. */
proctype computes(byte me)
{
	LOCALS;

	class[me] = CPU;
	acquire();
	do
	:: tick[me] -> yield()
	:: ended == THREADS - 1 -> break
	od;
	inside--;
	assert(holder == me && !kept && !waiters && !urgent)
}

/* handoff.c:keep(): who comes to wait after the first look is not looked at, but for one that has blocked. */
inline keep()
{
	if
	:: waiters -> mine = false	/* the place blocks */
	:: mine = true
	fi;
	if
	:: mine ->
		inside--;
		atomic {
#ifndef MUTANT_KEEP_BLIND
			mine = !urgent;
#endif
			if
			:: mine -> kept = true
			:: else
			fi
		}
		if
		:: mine
		:: else -> inside++
		fi
	:: else
	fi
}

inline regain()
{
	atomic {
#ifndef MUTANT_REGAIN_BLIND
		mine = holder == me;
#else
		mine = true;
#endif
		if
		:: mine -> kept = false
		:: else
		fi
	}
}

proctype blocks(byte me, calls)
{
	bool leaves;
	LOCALS;

again:
	if
	:: class[me] = CPU	/* it is new, or had it for long */
	:: class[me] = IO
	fi;
	acquire();
held:
	if
	:: tick[me] -> yield()
	:: true
	fi;
	if
	:: calls == 0 -> leaves = true
	:: else -> calls--; keep()
	fi;
	if
	:: mine ->
		if
		:: calls == 0 -> goto gone	/* never comes back */
		:: true
		fi;
		regain();
		if
		:: mine -> hold(); forget(); goto held
		:: else
		fi
	:: else -> release()
	fi;
	if
	:: !leaves -> goto again
	:: else
	fi;
gone:
	ended++
}

init {
	atomic {
		run computes(0);
		run blocks(1, 2);
		run blocks(2, 1)
	}
}
