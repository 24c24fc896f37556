/* SPDX-License-Identifier: GPL-2.0-only */
/* What every transport over a struct socket shares. */
#ifndef QTFS_TRANSPORT_STREAM_H
#define QTFS_TRANSPORT_STREAM_H

#include "transport.h"

/*
 * Takes over @sock's callbacks and connects it; killable. The link owns the
 * socket from here on, also on failure (qtfs_stream_close() frees it).
 */
int qtfs_stream_connect(struct qtfs_link *link, struct socket *sock,
			const struct qtfs_endpoint *to, long timeout);

ssize_t qtfs_stream_send(struct qtfs_link *link, struct iov_iter *from,
			 bool more);
ssize_t qtfs_stream_recv(struct qtfs_link *link, struct iov_iter *to);
bool qtfs_stream_pending(struct qtfs_link *link);
void qtfs_stream_shutdown(struct qtfs_link *link);
void qtfs_stream_close(struct qtfs_link *link);

#endif /* QTFS_TRANSPORT_STREAM_H */
