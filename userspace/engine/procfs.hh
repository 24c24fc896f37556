// SPDX-License-Identifier: GPL-2.0-only
// What of procfs is not the same for whoever asks: the engine's own threads, which the kernel lets
// each of them look into; links to who asks; the machine's memory; what only the first hears of.
#pragma once

#include <string_view>

#include "engine/node.hh"

namespace qtfs {

// Whether @dir is the root of some procfs and @name in it one of the engine's threads.
bool names_own_thread(int dir, std::string_view name);
// What kind of link @name in @dir is.
AskerLink asker_link(int dir, std::string_view name);
// Whether @name in the root @dir of some procfs shows the memory of the whole machine.
bool names_memory(int dir, std::string_view name);
// Whether poll(2) of the file may tell of something only to the first who asks. epoll, which asks
// when a file is added and again when it is waited for, does not always pass that on.
bool tells_once(int fd);

}  // namespace qtfs
