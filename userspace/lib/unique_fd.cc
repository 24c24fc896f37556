// SPDX-License-Identifier: GPL-2.0-only
#include "lib/unique_fd.hh"

#include <system_error>
#include <thread>

namespace qtfs {

void close_elsewhere(std::vector<UniqueFd> fds) {
  if (fds.empty())
    return;
  try {
    std::thread([own = std::move(fds)] {}).detach();
  } catch (const std::system_error&) {
    // Without a thread it has to be here.
  }
}

}  // namespace qtfs
