// SPDX-License-Identifier: GPL-2.0-only
// What of procfs is not the same for whoever asks: the engine's own threads, which the kernel lets
// each of them look into; links to who asks; the machine's memory; what only the first hears of.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "engine/node.hh"

namespace qtfs {

// Whether @dir is the root of some procfs and @name in it one of the engine's threads.
bool names_own_thread(int dir, std::string_view name);
// What kind of link @name in @dir is.
AskerLink asker_link(int dir, std::string_view name);
// Whether the file of procfs with that number shows the memory of the whole machine. It has the
// same one in every instance, and wherever it is mounted.
bool is_memory(ino_t ino);
// Whether poll(2) of the file may tell of something only to the first who asks. epoll, which asks
// when a file is added and again when it is waited for, does not always pass that on.
bool tells_once(int fd);

}  // namespace qtfs
