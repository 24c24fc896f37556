// SPDX-License-Identifier: GPL-2.0-only
/* The table of built-in transports. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "transport.h"

static const struct qtfs_transport *const transports[] = {
	&qtfs_tcp_transport,
#if IS_ENABLED(CONFIG_VSOCKETS)
	&qtfs_vsock_transport,
#endif
#if IS_ENABLED(CONFIG_PCI)
	&qtfs_pcie_transport,
#endif
};

const struct qtfs_transport *qtfs_transport_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(transports); i++)
		if (!strcmp(transports[i]->name, name))
			return transports[i];
	return NULL;
}

void qtfs_transport_names(char *buf, size_t size)
{
	size_t i, len = 0;

	for (i = 0; i < ARRAY_SIZE(transports); i++)
		len += scnprintf(buf + len, size - len, "%s%s", i ? ", " : "",
				 transports[i]->name);
}
