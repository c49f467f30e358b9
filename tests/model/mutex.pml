/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The lock word of lib/sync/word.c, as a mutex: newcomers may overtake, an unlock claims one waiter at most until that
 * one has tried again, and a waiter that gives up passes its wake-up on. Three tasklets of three threads, of which
 * two take it twice; one of these may time out, and the third may be killed, at any moment. Wake-ups come by the inbox (wakeword.pml); the
 * queue's lock is a section of its own. KEEP_OFF, which only delays, is left out, and so are readers.
 *
 * Holds: one holder at a time; nobody sleeps for ever while the mutex is free; at the end the word is 0.
 *
 * MUTANT_NO_PASS: one that was woken and gives up keeps the wake-up to itself.
 * MUTANT_BLIND_UNLOCK: the unlock without waiters is a store, not an exchange: the lost wake-up.
 * MUTANT_BLIND_QUEUE: a waiter queues itself without looking again whether the mutex is free.
 * MUTANT_WOKEN_STAYS: one that was woken takes the mutex and leaves the bit that says it is on its way.
 */
#define TASKLETS 3

#define LOCKED 1
#define WAITERS 2
#define WOKEN 4

byte word;		/* m->tl__word */
bool queue_locked;	/* m->tl__lock */
byte inside, over;
byte queue[TASKLETS];	/* m->tl__queue: who waits, in order */
byte queued;		/* how many */
bool mail[TASKLETS];	/* a wake-up is under way or there */

#define HAS(bit) ((word & (bit)) != 0)

inline queue_lock() { atomic { !queue_locked -> queue_locked = true } }
inline queue_unlock() { queue_locked = false }

/* Under the queue's lock, so that nobody looks in between: one step each. */
inline queue_add(who, first)
{
	d_step {
		if
		:: first ->
			queue[2] = queue[1];
			queue[1] = queue[0];
			queue[0] = who
		:: else -> queue[queued] = who
		fi;
		queued++
	}
}

inline queue_remove(who, was)
{
	d_step {
		was = false;
		if
		:: queued > 0 && queue[0] == who ->
			was = true;
			queue[0] = queue[1];
			queue[1] = queue[2]
		:: queued > 1 && queue[0] != who && queue[1] == who ->
			was = true;
			queue[1] = queue[2]
		:: queued > 2 && queue[0] != who && queue[1] != who && queue[2] == who -> was = true
		:: else
		fi;
		queued = queued - was
	}
}

/* word.c:claim(), of writers, where the mutex is free or the caller's, who is about to unlock. */
inline claim(clear)
{
	if
	:: queued == 0 ->
		atomic { word = word & ~(clear | WAITERS) }
	:: else ->
		claimed = queue[0];
		queue_remove(claimed, was);
		atomic { word = (word & ~(clear | (queued == 0 -> WAITERS : 0))) | WOKEN }
	fi
}

inline wake_claimed()
{
	if
	:: claimed != TASKLETS ->
		assert(!mail[claimed]);
		mail[claimed] = true;
		claimed = TASKLETS
	:: else
	fi
}

/* word.c:settle() */
inline settle(clear)
{
	done = false;
	do
	:: done -> break
	:: else ->
		old = word;
		if
		:: !(old & WAITERS) || (old & LOCKED) || (old & WOKEN & ~clear) ->
			atomic {
				if
				:: word == old -> word = old & ~clear; done = true
				:: else
				fi
			}
		:: else ->
			queue_lock();
			old = word;
			if
			:: queued > 0 && (old & LOCKED) ->	/* whoever has it will look; if it still has it */
				atomic {
					if
					:: word == old -> word = old & ~clear; done = true
					:: else
					fi
				}
			:: else -> claim(clear); done = true
			fi;
			queue_unlock()
		fi
	od;
	wake_claimed()
}

/* word.h:tl__word_give(), word.c:tl__word_unlock() */
inline unlock()
{
	done = false;
#ifdef MUTANT_BLIND_UNLOCK
	old = word;
	if
	:: old == LOCKED -> word = 0; done = true
	:: else
	fi;
#endif
	do
	:: done -> break
	:: else ->
		old = word;
		if
		:: !(old & WAITERS) || (old & WOKEN) ->
			atomic {
				if
				:: word == old -> word = old & ~LOCKED; done = true
				:: else
				fi
			}
		:: else ->
			queue_lock();
			claim(0);
			queue_unlock()
		fi
	od;
	wake_claimed()
}

proctype tasklet(byte me; byte rounds; bool may_time_out; bool may_be_killed)
{
	byte old, claimed = TASKLETS, clear, i;
	bool done, was, has, woken, killed;

	for (i : 1 .. rounds) {
		/* mutex.c:tl_mutex_lock_until(), word.c:tl__word_lock() */
		has = false;
		woken = false;
		clear = 0;
		do
		:: killed -> break
		:: else ->
			atomic {		/* tl__word_try() */
				if
				:: !HAS(LOCKED) ->
#ifdef MUTANT_WOKEN_STAYS
					clear = 0;
#endif
					word = (word | LOCKED) & ~clear;
					has = true
				:: else
				fi
			}
			if
			:: has -> break
			:: else
			fi;
			/* wait_once(): enqueue() */
			queue_lock();
			atomic {
				was = HAS(LOCKED);
#ifdef MUTANT_BLIND_QUEUE
				was = true;
#endif
				if
				:: was -> word = (word & ~clear) | WAITERS
				:: else
				fi
			}
			if
			:: was -> queue_add(me, woken); clear = 0
			:: else
			fi;
			queue_unlock();
			if
			:: !was -> skip		/* it is free: try again */
			:: else ->
				/* tl__wait_park(), and abandon() where it is given up */
				done = false;
				do
				:: mail[me] -> mail[me] = false; clear = WOKEN; woken = true; break
				:: (may_time_out || may_be_killed) && !done ->
					done = true;
					killed = may_be_killed;
					queue_lock();
					queue_remove(me, was);
					if
					:: was && queued == 0 -> atomic { word = word & ~WAITERS }
					:: else
					fi;
					queue_unlock();
					if
					:: was -> break
					:: else		/* claimed: the message is under way */
					fi
				od;
				if
				:: clear == 0 ->	/* given up */
					if
					:: may_time_out ->
						atomic {
							if
							:: !HAS(LOCKED) -> word = word | LOCKED; has = true
							:: else
							fi
						}
					:: else
					fi;
					break
				:: else
				fi
			fi
		od;
		if
		:: has ->
			inside++;
			assert(inside == 1);
			inside--;
			unlock()
		:: else ->
#ifndef MUTANT_NO_PASS
			settle(clear)
#endif
		fi;
		if
		:: killed -> break
		:: else
		fi
	}
	over++
}

proctype monitor()
{
end_monitor:
	timeout;
	assert(over == TASKLETS);
	assert(word == 0 && queued == 0 && !queue_locked)
}

init {
	atomic {
		run tasklet(0, 2, false, false);
		run tasklet(1, 2, true, false);
		run tasklet(2, 1, false, true);
		run monitor()
	}
}
