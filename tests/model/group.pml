/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Group kill (lib/core/group.c): members of two threads, one of which spawns another member into the group before it
 * ends; a third thread spawns one as well; one thread kills the group and then waits for it. What is done with the group's
 * lock is one step. A kill is mail to the member's thread (lib/core/remote.c), which finds out whether it still lives.
 *
 * Holds: when the wait is over nobody of the group is alive, and nobody comes any more; whoever was let in was killed or has
 * ended by itself; a member's struct is not touched after it was freed.
 *
 * MUTANT_LATE_LIST: the spawned tasklet joins the list in a second step after the look whether the group was killed.
 * MUTANT_OPEN_DOOR: a kill does not keep newcomers out.
 * MUTANT_NO_HANDLE: the kill takes a member from the list without a handle of its own.
 * MUTANT_EARLY_COUNT: a member is no longer counted before it has ended.
 */
#define MEMBERS 4		/* 0, 1: there from the beginning; 2: spawned by 0; 3: by another thread */
#define ENDLESS 1		/* the one that only a kill ends */

bool killed;			/* g->round is not 0 */
bool listed[MEMBERS];		/* in g->members */
bool reached[MEMBERS];		/* keeper->round */
bool alive[MEMBERS];
byte handles[MEMBERS];		/* of the tasklet; 0 and dead: freed */
bool mail[MEMBERS];		/* a kill is under way */
byte count;			/* g->count */
bool waiting, woken, waited;
bool refused[MEMBERS];

/* group.c:tl_group_spawn(), join() */
inline spawn(who)
{
#ifdef MUTANT_LATE_LIST
	if
	:: killed -> refused[who] = true
	:: else ->
		atomic {
			alive[who] = true;
			listed[who] = true;
			count++
		}
	fi
#else
	atomic {
		if
		:: killed -> refused[who] = true
		:: else ->
			assert(!waited);
			alive[who] = true;	/* tl__task_start() */
			listed[who] = true;
			count++
		fi
	}
#endif
}

/* A member: does something, is killed or ends. */
proctype member(byte me)
{
	/* Its thread does not run it before it is there. */
	alive[me] || refused[me];
	if
	:: refused[me] -> goto over
	:: else
	fi;
	if
	:: me == 0 -> spawn(2)
	:: else
	fi;
	/* Blocks for ever, or not. */
end_blocked:
	if
	:: mail[me]		/* remote.c:mail_delivered(): the kill ends it */
	:: me != ENDLESS
	fi;
	/* end.c, then group.c:ended() */
#ifdef MUTANT_EARLY_COUNT
	atomic {
		listed[me] = false;
		count--;
		if
		:: count == 0 && waiting -> waiting = false; woken = true
		:: else
		fi
	}
	alive[me] = false;
#else
	atomic {
		alive[me] = false;
		listed[me] = false;
		count--;
		if
		:: count == 0 && waiting -> waiting = false; woken = true
		:: else
		fi
	}
#endif
over:
	skip
}

proctype spawner()
{
	spawn(3)
}

/* tl_group_kill(), tl_group_wait() */
proctype killer()
{
	byte i, victim;

	if
	:: true ->
		atomic {
#ifdef MUTANT_OPEN_DOOR
			skip
#else
			killed = true
#endif
		}
		do
		:: true ->
			victim = MEMBERS;
			atomic {		/* next_victim() */
				i = 0;
				do
				:: i < MEMBERS && listed[i] && !reached[i] ->
					victim = i;
					reached[i] = true;
#ifndef MUTANT_NO_HANDLE
					handles[i]++;
#endif
					break
				:: i < MEMBERS && !(listed[i] && !reached[i]) -> i++
				:: i == MEMBERS -> break
				od
			}
			if
			:: victim == MEMBERS -> break
			:: else ->
				atomic {	/* tl_task_kill_later(): its struct is looked at */
					assert(alive[victim] || handles[victim] > 0);
					mail[victim] = true
				}
#ifndef MUTANT_NO_HANDLE
				handles[victim]--
#endif
			fi
		od
	:: true -> skip		/* waits only: another way to be over */
	fi;
	atomic {		/* enqueue() */
		if
		:: count > 0 -> waiting = true
		:: else -> woken = true
		fi
	}
end_wait:
	woken;
	atomic {
		if
		:: reached[ENDLESS] ->
			waited = true;
			assert(count == 0);
			assert(!alive[0] && !alive[1] && !alive[2] && !alive[3])
		:: else		/* it waited without a kill, for those that were there */
		fi
	}
}

proctype monitor()
{
end_monitor:
	timeout;
	/* A killed group comes to its end, and nobody who was let in is left. */
	assert(!reached[ENDLESS] || waited);
	assert(!waited || (count == 0 && !alive[0] && !alive[1] && !alive[2] && !alive[3]))
}

init {
	byte i;

	atomic {
		alive[0] = true;
		alive[1] = true;
		listed[0] = true;
		listed[1] = true;
		count = 2;
		for (i : 0 .. MEMBERS - 1) {
			run member(i)
		}
		run spawner();
		run killer();
		run monitor()
	}
}
