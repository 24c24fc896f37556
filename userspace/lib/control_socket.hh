// SPDX-License-Identifier: GPL-2.0-only
// The socket where the engine of a machine answers qtinfo.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "lib/result.hh"

namespace qtfs {

inline constexpr char default_control[] = "/run/qtfs-engine.sock";

// ENAMETOOLONG: see unix(7).
inline Result<sockaddr_un> control_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return Status::error(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace qtfs
