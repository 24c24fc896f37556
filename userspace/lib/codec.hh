// SPDX-License-Identifier: GPL-2.0-only
// The protocol's own numbers against the host's: types, attributes, flags, names of operations.
#pragma once

#include <endian.h>
#include <errno.h>
#include <sys/stat.h>

#include <cstdint>
#include <string_view>

#include "qtfs/errno.h"
#include "qtfs/ops.h"
#include "qtfs/wire.h"

namespace qtfs {

// Name of an operation, for logs and counters; "?" for an unknown one.
std::string_view op_name(unsigned op);

uint32_t type_to_wire(uint32_t mode);
// S_IFMT bits of a wire type; 0 for none.
uint32_t type_from_wire(uint32_t type);
uint32_t type_from_dirent(unsigned char d_type);

// Everything that statx tells; RACY is added when ctime is close to now.
qtfs_wire_attr attr_to_wire(const struct statx& stx);

// A name of one directory entry: not empty, ".", "..", no slash or NUL. Others break the protocol.
bool valid_name(std::string_view name);

}  // namespace qtfs
