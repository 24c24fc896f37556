/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints at each hand-over of a request; the tag follows one call. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM qtfs

#if !defined(QTFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define QTFS_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(qtfs_req_class,
	TP_PROTO(u64 tag, u16 op, int value),
	TP_ARGS(tag, op, value),
	TP_STRUCT__entry(
		__field(u64, tag)
		__field(u16, op)
		__field(int, value)
	),
	TP_fast_assign(
		__entry->tag = tag;
		__entry->op = op;
		__entry->value = value;
	),
	TP_printk("tag=%llu op=%u value=%d", __entry->tag, __entry->op,
		  __entry->value)
);

/* value: bytes of the frame */
DEFINE_EVENT(qtfs_req_class, qtfs_req_queued,
	TP_PROTO(u64 tag, u16 op, int value), TP_ARGS(tag, op, value));
/* value: bytes of the frame */
DEFINE_EVENT(qtfs_req_class, qtfs_req_sent,
	TP_PROTO(u64 tag, u16 op, int value), TP_ARGS(tag, op, value));
/* value: the result, 0 or a negative errno */
DEFINE_EVENT(qtfs_req_class, qtfs_req_done,
	TP_PROTO(u64 tag, u16 op, int value), TP_ARGS(tag, op, value));

#endif /* QTFS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
