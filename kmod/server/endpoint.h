/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/qtfs_pcieN, the server's end of shared memory for the engine. */
#ifndef QTFS_SERVER_ENDPOINT_H
#define QTFS_SERVER_ENDPOINT_H

int qtfs_endpoint_init(void);
void qtfs_endpoint_exit(void);

#endif /* QTFS_SERVER_ENDPOINT_H */
