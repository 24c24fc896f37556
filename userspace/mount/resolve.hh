// SPDX-License-Identifier: GPL-2.0-only
// Names of hosts become numeric addresses: the kernel takes no others.
#pragma once

#include <string>
#include <vector>

namespace qtfs::mount {

// In the order in which to try them; not empty. Throws a Failure.
std::vector<std::string> resolve(const std::string& host);

}  // namespace qtfs::mount
