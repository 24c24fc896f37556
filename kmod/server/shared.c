// SPDX-License-Identifier: GPL-2.0-only
/*
 * What qtfs_server.ko has in common with qtfs.ko. An object file belongs to one
 * module, and neither module may need the other.
 */
#include "../log.c"
#include "../pcie/device.c"
