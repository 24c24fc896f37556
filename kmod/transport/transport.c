// SPDX-License-Identifier: GPL-2.0-only
/* The table of built-in transports. */
#include <linux/string.h>

#include "transport.h"

static const struct qtfs_transport *const transports[] = {
	&qtfs_tcp_transport,
};

const struct qtfs_transport *qtfs_transport_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(transports); i++)
		if (!strcmp(transports[i]->name, name))
			return transports[i];
	return NULL;
}
