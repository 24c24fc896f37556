// SPDX-License-Identifier: GPL-2.0-only
// What procfs shows of the engine itself, which the kernel lets each of its threads look into.
#pragma once

#include <string_view>

namespace qtfs {

// Whether @dir is the root of some procfs and @name in it one of the engine's threads.
bool names_own_thread(int dir, std::string_view name);

}  // namespace qtfs
