// SPDX-License-Identifier: GPL-2.0-only
// The pre-shared key's file.
#pragma once

#include <string>

namespace qtfs::mount {

// Its content without the newline at the end, as the engine reads it. Throws a Failure,
// also where others than the owner may use the file.
std::string read_key(const std::string& path);

}  // namespace qtfs::mount
