// SPDX-License-Identifier: GPL-2.0-only
// Ids in values of extended attributes: POSIX ACLs, and whose root file capabilities are for.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "engine/id_map.hh"
#include "lib/result.hh"

namespace qtfs {

// Both translate in place. A value that is none of the attribute's stays as it is, for the kernel
// to refuse.

// What a client sets. EINVAL for an id that the map does not have.
Status xattr_to_server(const IdMap& ids, std::string_view name, std::span<std::byte> value);
// What the server has. ENODATA for what means nothing to the client.
Status xattr_to_client(const IdMap& ids, std::string_view name, std::span<std::byte> value);

}  // namespace qtfs
