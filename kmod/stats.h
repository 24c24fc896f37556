/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters of a session: per CPU, summed when somebody looks. */
#ifndef QTFS_STATS_H
#define QTFS_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>
#include <qtfs/ops.h>

#define QTFS_STATS_BUCKETS 24	/* log2 of microseconds */

/**
 * struct qtfs_op_stats - what became of one operation's calls
 * @calls: completed, failed ones included
 * @errors: of those, answered with an error
 * @ns: time from queueing to completion, summed
 * @buckets: @ns as a histogram; bucket i counts calls below 2^i microseconds
 */
struct qtfs_op_stats {
	u64 calls;
	u64 errors;
	u64 ns;
	u32 buckets[QTFS_STATS_BUCKETS];
};

enum qtfs_counter {
	QTFS_COUNT_BYTES_OUT,		/* on the wire */
	QTFS_COUNT_BYTES_IN,
	QTFS_COUNT_FRAMES_OUT,
	QTFS_COUNT_FRAMES_IN,
	QTFS_COUNT_PUSHES,
	QTFS_COUNT_PROTOCOL_ERRORS,
	QTFS_COUNT_CANCELS,		/* calls that a signal ended */
	QTFS_COUNT_ABANDONED,		/* replies that nobody waited for */
	QTFS_COUNT_FORGETS,
	QTFS_COUNT_RELEASES,
	QTFS_COUNT_INVALIDATIONS,	/* page caches dropped */
	QTFS_COUNT_NR
};

extern const char *const qtfs_counter_names[QTFS_COUNT_NR];

struct qtfs_stats {
	struct qtfs_op_stats ops[QTFS_OP_NR];
	u64 counters[QTFS_COUNT_NR];
};

static inline void qtfs_count_add(struct qtfs_stats __percpu *stats,
				  enum qtfs_counter counter, u64 n)
{
	this_cpu_add(stats->counters[counter], n);
}

static inline void qtfs_count(struct qtfs_stats __percpu *stats,
			      enum qtfs_counter counter)
{
	qtfs_count_add(stats, counter, 1);
}

/* One completed call of @op that took @ns and gave @err. */
void qtfs_stats_call(struct qtfs_stats __percpu *stats, u16 op, u64 ns,
		     int err);

/* Adds all CPUs' into @sum, which the caller zeroed. */
void qtfs_stats_sum(struct qtfs_stats __percpu *stats, struct qtfs_stats *sum);

/* The operation's name, NULL for a number that is none. */
const char *qtfs_op_name(u16 op);

#endif /* QTFS_STATS_H */
