/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Barriers (lib/sync/barrier.c) with an action, for two; three come, of which one may time out and one be killed, while another
 * thread aborts or resets. Who comes during the action waits outside, for the next round. What is done with
 * the barrier's lock is one step; the wake-ups come later, each by itself.
 *
 * Holds: a round is complete for all of its parties or for none of them; the action runs once a complete round, and not
 * while another one does; a deadline during the action does not end a wait that is committed; nobody waits for ever but
 * the odd one.
 *
 * MUTANT_LEAVE_COMMITTED: a deadline ends a wait while the action runs for it.
 * MUTANT_QUIET_TIMEOUT: a party that times out leaves and does not break the barrier.
 * MUTANT_NO_ROUND: an action that was reset meanwhile goes on to release the next round.
 * MUTANT_BLIND_ARRIVAL: whether to wait is settled before the lock is taken to queue: the lost wake-up.
 */
#define PARTIES 2
#define THREADS 3

mtype = { FILLING, ACTION, BROKEN };
mtype = { NONE, DONE, EPIPE, GIVEN_UP, AGAIN };

mtype state = FILLING;
byte count, round;
bool inside[THREADS], outside[THREADS];	/* the queues */
bool mail[THREADS];
mtype mail_result[THREADS] = NONE;
byte actions;			/* that run now */
byte completed[THREADS];	/* rounds, as each was told */
byte finished;			/* rounds that were complete */
bool aborted, was_reset, timed_out;
byte over;

/* The claims of barrier.c:claim_all(), with the lock: who is woken, with what, once it is given up. */
inline claim_all(next_state, result_inside, result_outside)
{
	d_step {
		i = 0;
		do
		:: i < THREADS ->
			wake[i] = (inside[i] -> result_inside : (outside[i] -> result_outside : NONE));
			inside[i] = false;
			outside[i] = false;
			i++
		:: else -> break
		od;
		i = 0;
		count = 0;
		state = next_state
	}
}

/* tl__wake_claimed(): the messages, one by one. */
inline wake_claimed()
{
	i = 0;
	do
	:: i < THREADS ->
		if
		:: wake[i] != NONE ->
			atomic {
				assert(!mail[i]);
				mail_result[i] = wake[i];
				mail[i] = true
			}
		:: else
		fi;
		i++
	:: else -> i = 0; break
	od
}

/* barrier.c:complete(): the last to arrive. The lock is held on entry: `my_round` was taken with it. */
inline complete()
{
	actions++;
	assert(actions == 1 || was_reset);	/* after a reset the next round's may begin */
	skip;				/* it takes its time */
	actions--;
	atomic {
#ifdef MUTANT_NO_ROUND
		if
		:: state != ACTION -> result = EPIPE
#else
		if
		:: state != ACTION || round != my_round -> result = EPIPE
#endif
		:: else ->
			finished++;
			result = DONE;
			claim_all(FILLING, DONE, AGAIN)
		fi
	}
	if
	:: result == DONE -> wake_claimed()
	:: else
	fi
}

/* barrier.c:abandon() */
inline abandon(times_out)
{
	atomic {
		wake[0] = NONE;
		wake[1] = NONE;
		wake[2] = NONE;
		if
		:: inside[me] && state == ACTION ->
#ifdef MUTANT_LEAVE_COMMITTED
			inside[me] = false;
			count--;
			result = GIVEN_UP
#else
			skip		/* committed: the action's end will wake it */
#endif
		:: inside[me] && state != ACTION ->
			inside[me] = false;
			count--;
			result = GIVEN_UP;
			if
			:: times_out ->
				timed_out = true;
#ifndef MUTANT_QUIET_TIMEOUT
				aborted = true;
				claim_all(BROKEN, EPIPE, EPIPE)
#endif
			:: else
			fi
		:: outside[me] ->
			outside[me] = false;
			result = GIVEN_UP
		:: else			/* claimed: the message is under way */
		fi
	}
	/* Of two parties nobody else can be inside now. */
	assert(wake[0] == NONE && wake[1] == NONE && wake[2] == NONE)
}

proctype party(byte me; bool may_time_out; bool may_be_killed)
{
	mtype result = AGAIN;
	mtype wake[THREADS];
	byte i, my_round;
	bool waits, last;

	wake[0] = NONE;
	wake[1] = NONE;
	wake[2] = NONE;
	do
	:: result == AGAIN ->
		/* barrier.c:arrive() */
		result = NONE;
		last = false;
#ifdef MUTANT_BLIND_ARRIVAL
		waits = state == ACTION || (state == FILLING && count + 1 < PARTIES);
		atomic {
#else
		atomic {
			waits = state == ACTION || (state == FILLING && count + 1 < PARTIES);
#endif
			if
			:: waits && state != ACTION -> inside[me] = true; count++
			:: waits && state == ACTION -> outside[me] = true
			:: !waits && state == FILLING ->
				last = true;
				state = ACTION;
				round++;
				my_round = round
			:: !waits && state != FILLING -> result = EPIPE
			fi
		}
		if
		:: last -> complete()
		:: result == EPIPE && !last -> skip
		:: else ->
end_parked:		do
			:: mail[me] -> atomic { mail[me] = false; result = mail_result[me] }; break
			:: may_time_out || may_be_killed ->
				abandon(may_time_out);
				may_time_out = false;
				may_be_killed = false;
				if
				:: result == GIVEN_UP -> break
				:: else
				fi
			od
		fi
	:: else -> break
	od;
	if
	:: result == DONE -> completed[me]++
	:: result == EPIPE -> assert(aborted || was_reset)
	:: else
	fi;
	over++
}

/* tl_barrier_abort() or tl_barrier_reset(), or neither. */
proctype meddler()
{
	mtype wake[THREADS];
	byte i;

	wake[0] = NONE;
	wake[1] = NONE;
	wake[2] = NONE;
	if
	:: atomic { aborted = true; claim_all(BROKEN, EPIPE, EPIPE) }; wake_claimed()
	:: atomic { was_reset = true; round++; claim_all(FILLING, EPIPE, AGAIN) }; wake_claimed()
	:: skip
	fi
}

proctype monitor()
{
end_monitor:
	timeout;
	/* All parties of a round, or none. */
	assert(completed[0] + completed[1] + completed[2] == PARTIES * finished);
	assert(state != ACTION && actions == 0);
	assert(!outside[0] && !outside[1] && !outside[2] && !mail[0] && !mail[1] && !mail[2]);
	/* Who still waits is one too few. */
	assert(count == inside[0] + inside[1] + inside[2] && count < PARTIES && over + count == THREADS);
	assert(state == FILLING || count == 0);
	assert(!timed_out || was_reset || state == BROKEN)
}

init {
	atomic {
		run party(0, true, false);
		run party(1, false, true);
		run party(2, false, false);
		run meddler();
		run monitor()
	}
}
