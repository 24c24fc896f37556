/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sleeping and waking over shared memory (include/qtfs/ring.h), for spin.
 *
 * One end tells: it writes bytes and then an index, and rings the other if that
 * sleeps. One end sleeps: it says so, looks once more at the index, and sleeps
 * until it is rung. A producer tells a consumer of bytes, a consumer tells a
 * producer of room: it is the same.
 *
 * What ordinary memory does not show is modelled: writes rest in a write-combining
 * buffer and leave it in any order; then they are posted, a queue in each
 * direction, and arrive some time later, in order. A read of the other's memory
 * arrives behind the writes posted before it, and its answer behind those that the
 * other had posted.
 *
 * Spin looks for a state in which nobody goes on (a wake-up was lost), and for a
 * byte that is read before it was written. `check` runs the model as it is, and
 * with each of these, which has to fail:
 *	NO_WMB		no write barrier between bytes and index
 *	NO_TELL_MB	no full barrier between the index and the look at the flag
 *	NO_SLEEP_MB	none between the own flag and the flushing read
 *	NO_FLUSH	no flushing read
 *	NO_RECHECK	no second look at the index
 *	ONE_NUMBER	each sleep has the same number, and is rung once
 */
#define MESSAGES 3

mtype = { BYTES, INDEX, BELL, ANSWER, FLAG };

/* Posted writes under way. */
chan to_sleeper = [8] of { mtype, byte };
chan to_teller = [4] of { mtype, byte };

/* In the sleeper's memory. */
bool bytes[MESSAGES];
byte index;
bool bell;
bool answer;
/* In the teller's memory. */
byte flag;

/* Not yet posted. */
bool wc_bytes[MESSAGES];
byte wc_index;
byte wc_flag;

#define wc_bytes_empty (!wc_bytes[0] && !wc_bytes[1] && !wc_bytes[2])

active proctype teller_posts()
{
end:
	do
	:: atomic { wc_bytes[0] -> to_sleeper ! BYTES(0); wc_bytes[0] = false }
	:: atomic { wc_bytes[1] -> to_sleeper ! BYTES(1); wc_bytes[1] = false }
	:: atomic { wc_bytes[2] -> to_sleeper ! BYTES(2); wc_bytes[2] = false }
	:: atomic { wc_index -> to_sleeper ! INDEX(wc_index); wc_index = 0 }
	od
}

active proctype sleeper_posts()
{
end:
	do
	:: atomic { wc_flag -> to_teller ! FLAG(wc_flag); wc_flag = 0 }
	od
}

active proctype arrives_at_sleeper()
{
	byte value;
end:
	do
	:: atomic { to_sleeper ? BYTES(value) -> bytes[value] = true }
	:: atomic { to_sleeper ? INDEX(value) -> index = value }
	:: atomic { to_sleeper ? BELL(value) -> bell = true }
	:: atomic { to_sleeper ? ANSWER(value) -> answer = true }
	od
}

active proctype arrives_at_teller()
{
	byte value;
end:
	do
	:: atomic { to_teller ? FLAG(value) -> flag = value }
	od
}

active proctype teller()
{
	byte i, seen, rung;

	do
	:: i < MESSAGES ->
		wc_bytes[i] = true;
#ifndef NO_WMB
		wc_bytes_empty;
#endif
		i++;
		wc_index = i;
#ifndef NO_TELL_MB
		wc_index == 0 && wc_bytes_empty;
#endif
		seen = flag;
		if
		:: seen && seen != rung ->
			rung = seen;
			/* Not write-combined, and behind what was posted. */
			to_sleeper ! BELL(0)
		:: else
		fi
	:: else -> break
	od
}

active proctype sleeper()
{
	byte got, number;

	do
	:: got == MESSAGES -> break
	:: got < MESSAGES && index > got ->
		assert(bytes[got]);
		got++
	:: got < MESSAGES && index <= got ->
#ifdef ONE_NUMBER
		number = 1;
#else
		number++;
#endif
		wc_flag = number;
#ifndef NO_SLEEP_MB
		wc_flag == 0;
#endif
#ifndef NO_FLUSH
		atomic { empty(to_teller) -> to_sleeper ! ANSWER(0) };
		atomic { answer -> answer = false };
#endif
		if
#ifdef NO_RECHECK
		:: true
#else
		:: index > got
		:: index <= got
#endif
			-> atomic { bell -> bell = false }
		fi
	od
}
