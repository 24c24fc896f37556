// SPDX-License-Identifier: GPL-2.0-only
/* Counters: see stats.h. */
#include <linux/log2.h>
#include <linux/math64.h>

#include "stats.h"

const char *const qtfs_counter_names[QTFS_COUNT_NR] = {
	[QTFS_COUNT_BYTES_OUT]		= "bytes-out",
	[QTFS_COUNT_BYTES_IN]		= "bytes-in",
	[QTFS_COUNT_FRAMES_OUT]		= "frames-out",
	[QTFS_COUNT_FRAMES_IN]		= "frames-in",
	[QTFS_COUNT_PUSHES]		= "pushes",
	[QTFS_COUNT_PROTOCOL_ERRORS]	= "protocol-errors",
	[QTFS_COUNT_CANCELS]		= "cancels",
	[QTFS_COUNT_ABANDONED]		= "abandoned",
	[QTFS_COUNT_FORGETS]		= "forgets",
	[QTFS_COUNT_RELEASES]		= "releases",
	[QTFS_COUNT_INVALIDATIONS]	= "invalidations",
};

static const char *const op_names[QTFS_OP_NR] = {
#define X(number, NAME, name, req, rep) [number] = #name,
	QTFS_OP_LIST(X)
#undef X
};

const char *qtfs_op_name(u16 op)
{
	return op < QTFS_OP_NR ? op_names[op] : NULL;
}

void qtfs_stats_call(struct qtfs_stats __percpu *stats, u16 op, u64 ns,
		     int err)
{
	struct qtfs_op_stats *s;
	u64 us = div_u64(ns, 1000);
	int bucket = us ? ilog2(us) + 1 : 0;

	if (op >= QTFS_OP_NR)
		return;

	s = &get_cpu_ptr(stats)->ops[op];
	s->calls++;
	if (err)
		s->errors++;
	s->ns += ns;
	s->buckets[min(bucket, QTFS_STATS_BUCKETS - 1)]++;
	put_cpu_ptr(stats);
}

static void sum_op(struct qtfs_op_stats *sum, const struct qtfs_op_stats *one)
{
	int i;

	sum->calls += one->calls;
	sum->errors += one->errors;
	sum->ns += one->ns;
	for (i = 0; i < QTFS_STATS_BUCKETS; i++)
		sum->buckets[i] += one->buckets[i];
}

void qtfs_stats_sum(struct qtfs_stats __percpu *stats, struct qtfs_stats *sum)
{
	int cpu, i;

	for_each_possible_cpu(cpu) {
		const struct qtfs_stats *one = per_cpu_ptr(stats, cpu);

		for (i = 0; i < QTFS_OP_NR; i++)
			sum_op(&sum->ops[i], &one->ops[i]);
		for (i = 0; i < QTFS_COUNT_NR; i++)
			sum->counters[i] += one->counters[i];
	}
}
